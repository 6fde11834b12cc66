"""`vnicheck completion`: scripts by which shells complete without starting the program.

All words in a script are ours. Names of servers come from the file that `recent` keeps; they are remote text, which the
scripts read line by line and never evaluate, and which stand on the command line quoted.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator

from vnicheck.cli.failure import UserError
from vnicheck.cli.given import CompletionOptions
from vnicheck.cli.tree import CommandTree, Parameter, Takes, commands
from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.rules.registry import RULES

_HEAD = "# Completion of vnicheck {version}; write it anew after an update: vnicheck completion {shell} > {place}"


def completion(given: CompletionOptions) -> None:
    """The work of `CompletionOptions`."""
    from vnicheck import __version__

    if given.shell not in _SHELLS:
        raise UserError(f"no completion for {given.shell!r}: write {', '.join(_SHELLS)}")
    write, place = _SHELLS[given.shell]
    if given.shell == "zsh":
        print("#compdef vnicheck")  # must be the first line
    print(_HEAD.format(version=__version__, shell=given.shell, place=place))
    print("\n".join(write(list(commands()))))


def _bash(tree: list[CommandTree]) -> Iterator[str]:
    yield _BASH
    yield "_vnicheck() {\n    local cur prev command\n    _vnicheck_look || return"
    yield '    case "$command:$prev" in'
    for names, takes in _values(tree):
        yield f"    {'|'.join(names)}) {_bash_takes(takes)}; return ;;"
    yield '    esac\n    case "$command:$cur" in'
    yield f"    :*) _vnicheck_words {' '.join(each.name for each in tree)} --help --version ;;"
    for command in tree:
        yield f"    {command.name}:-*) _vnicheck_words {' '.join(_names(command.options))} ;;"
        for argument in command.arguments[:1]:
            yield f"    {command.name}:*) {_bash_takes(argument.takes)} ;;"
    yield "    esac\n}\ncomplete -F _vnicheck vnicheck"


def _bash_takes(takes: Takes) -> str:
    simple = {"servers": "_vnicheck_servers", "files": "_vnicheck_files", "other": ":"}
    return simple.get(takes.kind) or f"_vnicheck_words {' '.join(_choices(takes))}"


def _zsh(tree: list[CommandTree]) -> Iterator[str]:
    yield _ZSH
    yield "_vnicheck() {\n    local cur prev command\n    local -a said\n    _vnicheck_look"
    yield "    [[ $words[CURRENT] != --*=* ]] || compset -P '*='"  # it holds only within the function that calls it
    yield '    case "$command:$prev" in'
    for names, takes in _values(tree):
        yield f"    {'|'.join(names)}) {_zsh_takes(takes)}; return ;;"
    yield '    esac\n    case "$command:$cur" in'
    yield f"    :*) said=({_described((each.name, each.said) for each in tree)}); _describe command said ;;"
    for command in tree:
        described = _described((name, each.said) for each in command.options for name in each.names)
        yield f"    {command.name}:-*) said=({described}); _describe -o option said ;;"
        for argument in command.arguments[:1]:
            yield f"    {command.name}:*) {_zsh_takes(argument.takes)} ;;"
    yield '    esac\n}\nif [[ $funcstack[1] == _vnicheck ]]; then _vnicheck "$@"; else compdef _vnicheck vnicheck; fi'


def _zsh_takes(takes: Takes) -> str:
    simple = {"servers": "_vnicheck_servers", "files": "_files", "other": "return 1"}
    return simple.get(takes.kind) or f"compadd -- {' '.join(_choices(takes))}"


def _described(words: Iterable[tuple[str, str]]) -> str:
    return " ".join(
        shlex.quote(f"{word}:{said.replace(chr(92), '').replace(':', chr(92) + ':')}") for word, said in words
    )


def _fish(tree: list[CommandTree]) -> Iterator[str]:
    yield _FISH
    for command in tree:
        yield f"complete -c vnicheck -n __fish_use_subcommand -a {command.name} -d {_fish_quoted(command.said)}"
    for command in tree:
        begin = f"complete -c vnicheck -n '__fish_seen_subcommand_from {command.name}'"
        for argument in command.arguments[:1]:
            if argument.takes.kind != "other":
                yield f"{begin} {_fish_takes(argument.takes)}"
        for option in command.options:
            words = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            takes = "" if option.takes.kind == "nothing" else f" -r {_fish_takes(option.takes)}"
            yield f"{begin} {words}{takes} -d {_fish_quoted(option.said)}"


def _fish_takes(takes: Takes) -> str:
    simple = {"servers": "-f -a '(__vnicheck_servers)'", "files": "-F", "other": "-f"}
    return simple.get(takes.kind) or f"-f -a '{' '.join(_choices(takes))}'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _values(tree: list[CommandTree]) -> Iterator[tuple[list[str], Takes]]:
    """What the options take that take anything: the patterns `command:option` of each kind of value."""
    found: dict[Takes, list[str]] = {}
    for command in tree:
        for option in command.options:
            if option.takes.kind != "nothing":
                found.setdefault(option.takes, []).extend(f"{command.name}:{name}" for name in option.names)
    for takes, names in found.items():
        yield names, takes


def _choices(takes: Takes) -> tuple[str, ...]:
    if takes.kind != "pages":
        return takes.choices
    words = tuple(word for rule in RULES for word in (rule.id, rule.name))
    return words + tuple(each.id for each in ASSUMPTIONS)


def _names(options: Iterable[Parameter]) -> list[str]:
    return [name for option in options for name in option.names]


_BASH = """_vnicheck_words() { COMPREPLY=($(compgen -W "$*" -- "$cur")); }
_vnicheck_files() { compopt -o default 2>/dev/null; COMPREPLY=(); }
_vnicheck_servers() {
    local file=$HOME/.cache name quoted
    [[ ${XDG_CACHE_HOME-} != /* ]] || file=$XDG_CACHE_HOME
    file+=/vnicheck/servers
    [[ -r $file ]] || return 0
    while IFS= read -r name; do
        if [[ $name == "$cur"* ]]; then
            printf -v quoted %q "$name"
            COMPREPLY+=("$quoted")
        fi
    done <"$file"
}
_vnicheck_look() {
    local i
    COMPREPLY=()
    command=
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    [[ $cur != = ]] || cur=
    [[ $prev != = ]] || prev=${COMP_WORDS[COMP_CWORD - 2]}
    [[ ${COMP_WORDS[COMP_CWORD]} != = ]] || prev=${COMP_WORDS[COMP_CWORD - 1]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
    done
}"""

_ZSH = """_vnicheck_servers() {
    local file=$HOME/.cache name
    local -a names
    [[ ${XDG_CACHE_HOME-} != /* ]] || file=$XDG_CACHE_HOME
    file+=/vnicheck/servers
    [[ -r $file ]] || return 1
    while IFS= read -r name; do names+=("$name"); done <"$file"
    compadd -a names
}
_vnicheck_look() {
    local word
    command=
    cur=$words[CURRENT]
    prev=$words[CURRENT-1]
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*}
        cur=${cur#*=}
    fi
    for word in "${(@)words[2,CURRENT-1]}"; do
        [[ $word == -* ]] || { command=$word; break }
    done
}"""

_FISH = """function __vnicheck_servers
    set -l folder ~/.cache
    if string match -q '/*' -- "$XDG_CACHE_HOME"
        set folder $XDG_CACHE_HOME
    end
    if test -r $folder/vnicheck/servers
        while read -l name
            echo $name
        end <$folder/vnicheck/servers
    end
end
complete -c vnicheck -f
complete -c vnicheck -n __fish_use_subcommand -l version -d 'Show the version and exit.'
complete -c vnicheck -n __fish_use_subcommand -l help -s h -d 'Show help and exit.'"""

_SHELLS: dict[str, tuple[Callable[[list[CommandTree]], Iterator[str]], str]] = {
    "bash": (_bash, "~/.local/share/bash-completion/completions/vnicheck"),
    "zsh": (_zsh, '"${fpath[1]}/_vnicheck"'),
    "fish": (_fish, "~/.config/fish/completions/vnicheck.fish"),
}
