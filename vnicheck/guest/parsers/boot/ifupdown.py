"""ifupdown: which stanzas of interfaces(5) boot carries out.

Held against `ifquery --list` and `ifup --no-act`: boot brings up what `auto` (`allow-auto`) names, networking.service,
and what `allow-hotplug` names and is there (udev); a pattern, `auto /eth*`, is for the interfaces that exist. A stanza
that nothing brings up does nothing, nor does a template by itself; whoever inherits one carries out its commands too.
"""

from collections.abc import Iterator, Mapping, Sequence

from vnicheck.guest.parsers.boot.fate import MAX_PAIRS, TOO_MANY, BootSetting, Fate, Outcome, Use, all_of, any_of
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, commands_of
from vnicheck.guest.parsers.boot.machine import Machine, globbed, has_mac
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import Manager

_HEADS = {"iface", "auto", "mapping", "rename", "template", "source", "source-directory", "source-dir"}
INCLUDED = ("/etc/network/interfaces.d", "/run/network/interfaces.d")
"""Folders of files that count where others include them; Debian's images for clouds write those in /run at boot."""
_READ = (*INCLUDED, "interfaces.d")
_DEFAULTS = "/etc/default/networking"


class _Stanzas:
    """What the files say of each interface: `commands` by the stanza's name, whom it inherits from."""

    def __init__(self) -> None:
        self.commands: dict[str, list[Line]] = {}
        self.parents: dict[str, set[str]] = {}
        self.started: list[str] = []
        self.started_by_run: list[str] = []
        """By files that are gone at the next boot."""
        self.mapped: list[str] = []
        self.loose: list[Line] = []


def apply(files: BootFiles, paths: Sequence[str], names: Names, machine: Machine, runs: Fate, outcome: Outcome) -> None:
    """What boot sets from the files that are read."""
    lines = [line for path in paths for line in files.lines[path]]
    stanzas = _read(lines)
    for line in lines if runs is not False else ():
        if line.text.startswith("source") and not line.text.partition(" ")[2].strip().startswith(_READ):
            outcome.doubt(f"{line.source} includes files that are not read")
    fates: dict[str, list[Fate]] = {}
    words = len(stanzas.started) + len(stanzas.started_by_run) + len(stanzas.mapped)
    many = len(stanzas.commands) * (words + 1) * len(machine.interfaces or (1,)) > MAX_PAIRS * 2
    for name in stanzas.commands:
        started = TOO_MANY if many else _is_started(name, stanzas, machine)
        let = all_of(_is_let(name, files), runs)
        fate = all_of(started, let)
        for owned in machine.owned(Manager.IFUPDOWN, name):
            outcome.uses[owned] = Use(let, started)
        for stanza in _with_parents(name, stanzas.parents):
            fates.setdefault(stanza, []).append(fate)
    for name, commands in stanzas.commands.items():
        for line in commands:
            outcome.take(line.path, any_of(*fates[name]), _commands(line, names))
    for line in stanzas.loose:
        outcome.take(line.path, "it belongs to no stanza that is understood", _commands(line, names))


def interfaces_named(files: BootFiles, paths: Sequence[str]) -> list[str]:
    """The interfaces that have a stanza."""
    return list(_read([line for path in paths for line in files.lines[path]]).commands)


def _read(lines: Sequence[Line]) -> _Stanzas:
    found = _Stanzas()
    current: list[Line] = found.loose
    path = ""
    for line in lines:
        words = line.text.split()
        if line.path != path:
            current, path = found.loose, line.path
        if not words or line.text == "rp_filter":
            continue
        if words[0] == "iface" and len(words) > 1:
            current = found.commands.setdefault(words[1], [])
            found.parents.setdefault(words[1], set()).update(_inherited(words))
        elif words[0] == "auto" or words[0].startswith("allow-"):
            if words[0] in {"auto", "allow-auto", "allow-hotplug"}:
                (found.started_by_run if path.startswith("/run/") else found.started).extend(words[1:])
        elif words[0] in {"mapping", "rename"}:
            found.mapped += [word.partition("=")[0] for word in words[1:]]
            found.mapped += [word.partition("=")[2] for word in words[1:]]
        elif words[0] not in _HEADS:
            current.append(line)
    return found


def _inherited(words: Sequence[str]) -> Iterator[str]:
    for key in ("inherits", "template"):
        if key in words[:-1]:
            yield words[words.index(key) + 1]


def _with_parents(name: str, parents: Mapping[str, set[str]]) -> list[str]:
    found = [name]
    for each in found:
        found += [parent for parent in sorted(parents.get(each, ())) if parent not in found]
    return [each for each in found if each in parents]


def _is_started(name: str, stanzas: _Stanzas, machine: Machine) -> Fate:
    """Whether boot brings the interface of a stanza up."""
    if any(globbed(pattern.removeprefix("/"), name) for pattern in filter(None, stanzas.mapped)):
        return f"a mapping or a new name may be for {name}"
    if stanzas.mapped and machine.named(name) is None and name not in stanzas.started:
        return f"a mapping may lead to {name}"
    by_run = any_of(*(_means(word, name, machine) for word in stanzas.started_by_run))
    anew = f"what brings {name} up is a file in /run, which is gone at the next boot, unless something makes it anew"
    return any_of(*(_means(word, name, machine) for word in stanzas.started), all_of(by_run, anew))


def _means(word: str, name: str, machine: Machine) -> Fate:
    """Whether a word of `auto` brings a stanza up: `eth1`, `/eth*`, `mac/02:*`, `/eth*/2`, `eth1=logical`."""
    pattern, equals, logical = word.partition("=")
    if equals and logical != name:
        return False
    variable, slash, rest = pattern.partition("/")
    value, _, number = rest.partition("/")
    if not slash:
        there = machine.interfaces is None or machine.named(pattern) is not None or f"there is no {pattern[:40]} now"
        return there if equals or pattern == name else False
    link = machine.named(name)
    if number or equals or variable not in {"", "mac"}:
        return f"whether {capped(word)[:60]} means {name} is not known"
    if link is None or link.name != name:
        return False
    if variable == "mac":
        return has_mac(link, [value]) if "*" not in value else globbed(value.lower(), link.mac or "")
    return globbed(value, name)


def _is_let(name: str, files: BootFiles) -> Fate:
    """Whether networking.service may: /etc/default/networking switches it off, or leaves interfaces out."""
    for line in files.lines.get(_DEFAULTS, ()):
        key, _, value = line.text.partition("=")
        value = value.strip().strip("\"'")
        if key == "CONFIGURE_INTERFACES" and value != "yes" and value:
            return f"{line.source} says {key}={value[:40]}"
        if key == "EXCLUDE_INTERFACES" and any(globbed(word, name) for word in value.split()):
            return f"{line.source} leaves {name} out"
    return True


def _commands(line: Line, names: Names) -> Iterator[BootSetting | None]:
    """`$IFACE` is the interface that is brought up."""
    if line.text == "?":
        raise NotUnderstood
    yield from commands_of(line.text, line.source, names)
