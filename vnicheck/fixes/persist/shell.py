"""Shell commands that write configuration: a file or a block of lines, whole or not at all, and how to take it back.

They run as root, in POSIX sh, and end with one line on stderr and a status other than 0 where they refuse. A file is
written under a name that starts with a dot, which no manager reads, and renamed. Where what they write is there already
they do nothing, and say `there already` on stdout: it is not theirs to be undone.
"""

import hashlib
import shlex
from collections.abc import Sequence
from typing import Any

from vnicheck.model.plan import Action, File, Step


def file_action(summary: str, file: File, *, check: Sequence[str] = (), own_folder: bool = False) -> Action:
    """The action that writes a file (see `write_file`)."""
    step = write_file(file, check=check, own_folder=own_folder)
    return Action(kind="persist", summary=summary, steps=(step,), file=file)


def lines_action(summary: str, path: str, label: str, lines: Sequence[str], **more: Any) -> Action:
    """The action that adds lines to a file of others (see `add_block`)."""
    step = add_block(path, label, lines, **more)
    return Action(kind="persist", summary=summary, steps=(step,), lines=tuple(lines))


def write_file(file: File, *, check: Sequence[str] = (), own_folder: bool = False) -> Step:
    """A file of our own, of whole lines. `check`: commands that look at the new file, `$t`, before it takes its place;
    one that fails says why. `own_folder`: the folder has no other purpose, so that its last file takes it along.
    """
    path = file.path
    folder, _, name = path.rpartition("/")
    words = " ".join(shlex.quote(line) for line in file.text.splitlines())
    steps = [
        f"mkdir -p {shlex.quote(folder)}",
        f"(umask 077 && printf '%s\\n' {words} >\"$t\")",
        f'chmod {file.mode:o} "$t"',
        *check,
    ]
    command = [
        f"f={shlex.quote(path)}; t={shlex.quote(f'{folder}/.{name}.new')}",
        *(f"{step} &&" for step in steps),
        'if [ ! -e "$f" ] && [ ! -h "$f" ]; then mv "$t" "$f"',
        'elif [ "$(cat "$f" 2>/dev/null)" = "$(cat "$t")" ]; then echo there already',
        'else echo "$f is there and holds something else; move it away first" >&2; false',
        'fi; s=$?; rm -f "$t"; [ "$s" = 0 ]',
    ]
    digest = hashlib.sha256(file.text.encode()).hexdigest()
    undo = [
        f"f={shlex.quote(path)}",
        f'if [ ! -e "$f" ]; then :; elif [ "$(sha256sum <"$f")" = "{digest}  -" ]; then rm -f "$f"',
        'else echo "$f was changed since; look at it and remove it" >&2; false',
        "fi",
    ]
    if own_folder:
        undo[-1] = f"fi && {{ rmdir {shlex.quote(folder)} 2>/dev/null || :; }}"
    return Step(_apart(command), _apart(undo))


def add_block(
    path: str, label: str, lines: Sequence[str], *, unless: str | None = None, refuse: tuple[str, str] | None = None
) -> Step:
    """Lines of our own at the end of a file that others write too, between marks that bear `label` (plain words).

    `unless`: nothing to do where a line of the file matches this pattern of `grep -E`. `refuse`: one that the file must
    not match, and what it is then. The undoing leaves the file as it was, to the byte: the first mark tells whether it
    was there, and whether its last line had no end (`new`, `more`, `cut`). It takes out the block only where both marks
    are there once and the lines between them are ours.
    """
    mark = f"# vnicheck {label}"
    words = " ".join(shlex.quote(line) for line in lines)
    place = f"f=$(readlink -f {shlex.quote(path)}) && t=${{f%/*}}/.${{f##*/}}.new"
    absent = shlex.quote(f"{path}: there is no such folder")
    body = f"sed -n '/^{mark} begin/,/^{mark} end$/p' \"$f\" 2>/dev/null"
    command = [
        f"{place} || {{ echo {absent} >&2; exit 1; }}",
        f"b=$({body} | sed 1d)",
        f"if [ \"$b\" = \"$(printf '%s\\n' {words} '{mark} end')\" ]; then echo there already; exit 0; fi",
        'if [ -n "$b" ]; then echo "$f has other lines of vnicheck\'s there; remove them first" >&2; exit 1; fi',
    ]
    if unless is not None:
        command.append(f'if grep -Eqs {shlex.quote(unless)} "$f"; then echo there already; exit 0; fi')
    if refuse is not None:
        command.append(f'if grep -Eqs {shlex.quote(refuse[0])} "$f"; then echo "$f {refuse[1]}" >&2; exit 1; fi')
    command += [
        'if [ ! -e "$f" ]; then h=new; elif [ -n "$(tail -c 1 "$f")" ]; then h=cut; else h=more; fi',
        'if [ "$h" = new ]; then : >"$t" && chmod 644 "$t"; else cp -p "$f" "$t"; fi &&',
        f'{{ [ "$h" != cut ] || echo; printf \'%s\\n\' "{mark} begin $h" {words} \'{mark} end\'; }} >>"$t" &&',
        'mv "$t" "$f" || { rm -f "$t"; exit 1; }',
    ]
    digest = hashlib.sha256("".join(f"{line}\n" for line in (*lines, f"{mark} end")).encode()).hexdigest()
    without = f"sed '/^{mark} begin/,/^{mark} end$/d' \"$f\""
    undo = [
        f"{place} || exit 0",
        f"c=$(grep -Ec '^{mark} (begin.*|end)$' \"$f\" 2>/dev/null)",
        'if [ "${c:-0}" = 0 ]; then exit 0; fi',
        f"h=$(sed -n 's/^{mark} begin //p' \"$f\")",
        f"case $c,$h in 2,new | 2,more | 2,cut) s=$({body} | sed 1d | sha256sum) ;; *) s= ;; esac",
        f'if [ "$s" != "{digest}  -" ]; then',
        'echo "$f: the lines of vnicheck\'s there were changed since; look at them and remove them" >&2; exit 1; fi',
        f'if [ "$h" = cut ] && [ "$(tail -n 1 "$f")" != "{mark} end" ]; then h=more; fi',
        'cp -p "$f" "$t" &&',
        f'if [ "$h" = cut ]; then printf %s "$({without})"; else {without}; fi >"$t" &&',
        'if [ "$h" = new ] && [ ! -s "$t" ]; then rm -f "$f" "$t"; else mv "$t" "$f"; fi || { rm -f "$t"; exit 1; }',
    ]
    return Step(_apart(command), _apart(undo))


def _apart(lines: Sequence[str]) -> str:
    """In a subshell: variables and `exit` are the command's own."""
    return "\n".join(["(", *lines, ")"])
