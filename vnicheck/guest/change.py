"""Scripts that change a guest under a timer that undoes the change, and what they answer (see change.sh)."""

import re
import shlex
from collections.abc import Sequence
from importlib.resources import files

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.model.plan import Step
from vnicheck.model.words import one_line

_ID = re.compile(r"[a-z0-9-]{6,40}", re.ASCII)
_PREFIX = "@vnicheck "
FOLDER = "/run/vnicheck"
"""Where a change lives on the guest: a boot, which undoes it, clears it."""


class ScriptAnswer(Struct, frozen=True):
    """What a script said last, in words (`armed systemd`, `busy ID`), and the step that it was refused."""

    verb: str
    rest: str = ""
    refused: tuple[int, str] | None = None
    """The number of the step that failed, and the first line that it printed."""


def arm(change: str, steps: Sequence[Step], seconds: int) -> str:
    """Record how to undo the steps, and start the timer. Answers `armed systemd|process`, `busy ID`, `not-root` or
    `failed WHY`; nothing is changed yet.
    """
    return _script(change, steps, "vnicheck_arm", seconds=seconds)


def apply(change: str, steps: Sequence[Step]) -> str:
    """Do the steps. Answers `applied`; `undone` after a step that was refused; `late STATE` if the timer was first."""
    return _script(change, steps, "vnicheck_apply")


def status(change: str) -> str:
    """Answers the state: `armed`, `fired`, `undone`, `kept` or `absent`; `complete` behind it if all steps are done."""
    return _script(change, (), "vnicheck_status")


def keep(change: str, *, release: bool) -> str:
    """Let the timer do nothing. Answers `kept`, or `late STATE`. `release`: no more steps follow, others may begin."""
    return _script(change, (), f"vnicheck_keep {'release' if release else 'hold'}")


def undo(change: str) -> str:
    """Undo now what is armed. Answers the state: `undone`, `absent` (nothing was armed, or a boot was first), `kept`,
    or `fired` where it is not done with undoing.
    """
    return _script(change, (), "vnicheck_undo")


def close(change: str) -> str:
    """Remove the traces of a change that is over. Answers `closed`."""
    return _script(change, (), "vnicheck_close")


def run_steps(change: str, steps: Sequence[Step]) -> str:
    """Do steps without a timer, and take all back where one is refused. Answers `applied`, `refused-and-undone` or
    `not-root`.
    """
    return _script(change, steps, "vnicheck_steps back")


def run_back(change: str, steps: Sequence[Step]) -> str:
    """Undo steps, the last one first; one that is refused (it may be undone already) does not stop the others. Answers
    `applied` or `not-root`.
    """
    return _script(change, [Step(step.undo, ":") for step in reversed(steps)], "vnicheck_steps on")


def by_hand(steps: Sequence[Step]) -> str:
    """What a person pastes on the server's console, as root, to undo the steps."""
    return "\n".join(step.undo for step in reversed(steps))


def read_answer(stdout: bytes) -> ScriptAnswer:
    """What a script answered, whatever else the session printed. Raises CollectionError `guest_truncated`."""
    lines = [
        line.removeprefix(_PREFIX)
        for line in stdout[-65536:].decode("utf-8", "replace").splitlines()
        if line.startswith(_PREFIX)
    ]
    if not lines or lines[-1] != "end":
        raise CollectionError("guest_truncated", "the session ended before the server had answered")
    said = [line.split(" ") for line in lines[:-1]]
    refused = next((words for words in said if words[0] == "refused" and len(words) > 1 and words[1].isdigit()), None)
    last = said[-1] if said else [""]
    return ScriptAnswer(
        verb=one_line(last[0], 40),
        rest=one_line(" ".join(last[1:]), 200),
        refused=None if refused is None else (int(refused[1]), one_line(" ".join(refused[2:]), 200)),
    )


def _script(change: str, steps: Sequence[Step], call: str, *, seconds: int = 0) -> str:
    """One function per step, so that the shell has read all of it before it runs any of it."""
    if _ID.fullmatch(change) is None:
        raise ValueError(f"not a change's id: {change[:40]!r}")
    defined = [f"vnicheck_id={change}", f"vnicheck_seconds={seconds}", f"vnicheck_count={len(steps)}"]
    for number, step in enumerate(steps, 1):
        defined.append(_function(f"vnicheck_do_{number}", step.command))
        defined.append(_function(f"vnicheck_back_{number}", step.undo))
    defined.append(f"vnicheck_undo_text() {{\nprintf '%s' {shlex.quote(_undo_text(change, steps))}\n}}")
    body = files("vnicheck.guest").joinpath("change.sh").read_text("utf-8")
    return "\n".join(["vnicheck_main() {", *defined, body, call, "}", "vnicheck_main", ""])


def _undo_text(change: str, steps: Sequence[Step]) -> str:
    """The script that the timer runs: the steps that were begun, the last one first."""
    functions = [_function(f"vnicheck_undo_{number}", step.undo) for number, step in enumerate(steps, 1)]
    known = "|".join(str(number) for number in range(1, len(steps) + 1))
    return "\n".join(
        [
            f"# Undoes vnicheck's change {change}.",
            "PATH=${PATH:-/bin:/usr/bin}:/sbin:/usr/sbin",
            "export PATH",
            *functions,
            f"cd {FOLDER}/{change} || exit 3",
            "mv armed fired 2>/dev/null || exit 0",
            "sed '1!G;h;$!d' intents >reversed",
            "while read -r number; do",
            f'  case $number in {known}) "vnicheck_undo_$number" </dev/null ;; esac' if steps else "  :",
            "done <reversed",
            "mv fired undone",
            f'if [ "$(cat ../lock/id 2>/dev/null)" = {change} ]; then rm -rf ../lock; fi',
            "",
        ]
    )


def _function(name: str, command: str) -> str:
    return f"{name}() (\n{command}\n)"
