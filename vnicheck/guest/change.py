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
    """What a script said last, in words (`armed systemd`, `busy ID`), the step that it was refused, and of the steps by
    their number: which were `found` as they are wanted, which are `ours` by what the server noted (None: it does not
    say), and which are `left` standing, with the first line of what undoing them said.
    """

    verb: str
    rest: str = ""
    refused: tuple[int, str] | None = None
    """The number of the step that failed, and the first line that it printed; 0: the timer did not run."""
    found: tuple[int, ...] = ()
    ours: tuple[int, ...] | None = None
    left: tuple[tuple[int, str], ...] = ()


def arm(change: str, steps: Sequence[Step], seconds: int) -> str:
    """Record how to undo the steps, and start the timer. Answers `armed systemd|process`, `busy ID`, `not-root` or
    `failed WHY`; nothing is changed yet.
    """
    return _script(change, steps, "vnicheck_arm", seconds=seconds)


def apply(change: str, steps: Sequence[Step]) -> str:
    """Do the steps. Answers `applied`; as `undo` does, after a step that was refused or where the timer does not run
    any more (`refused 0`); `late STATE` if the timer was first.
    """
    return _script(change, steps, "vnicheck_apply")


def status(change: str) -> str:
    """Answers the state: `armed`, `fired`, `stuck`, `undone`, `kept` or `absent`; `complete` behind it if all steps are
    done.
    """
    return _script(change, (), "vnicheck_status")


def keep(change: str, *, release: bool) -> str:
    """Let the timer do nothing. Answers `kept`, or `late STATE`. `release`: no more steps follow, others may begin."""
    return _script(change, (), f"vnicheck_keep {'release' if release else 'hold'}")


def undo(change: str) -> str:
    """Undo now what the server noted, also what was kept. Answers the state, with `ours` and `left`: `undone` (and
    looked at), `stuck` (something is left), `absent` (nothing was armed, or a boot was first), or `fired` where it is
    not done with undoing.
    """
    return _script(change, (), "vnicheck_undo")


def close(change: str) -> str:
    """Remove the traces of a change that is over. Answers `closed`."""
    return _script(change, (), "vnicheck_close")


def run_steps(change: str, steps: Sequence[Step]) -> str:
    """Do steps without a timer, of a change that is kept, and take back what was done where one is refused. Answers
    `applied`, `refused-and-undone`, `not-root`, or `late STATE` where it is kept no longer, with `found` and `left`.
    """
    return _script(change, steps, "vnicheck_steps")


def run_back(change: str, steps: Sequence[Step], *, running: bool = False) -> str:
    """Undo steps, the last one first; one that cannot be undone does not stop the others. Those of `run_steps` that
    were found are left alone; `running`: they are those of `apply`. Answers `back`, with `left`, or `not-root`.
    """
    return _script(change, steps, f"vnicheck_back {'running' if running else 'files'}")


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
    numbered = [(words[0], int(words[1]), one_line(" ".join(words[2:]), 200)) for words in said if _is_of_step(words)]
    last = said[-1] if said else [""]
    ours = tuple(number for word, number, _ in numbered if word == "ours")
    return ScriptAnswer(
        verb=one_line(last[0], 40),
        rest=one_line(" ".join(last[1:]), 200),
        refused=next(((number, words) for word, number, words in numbered if word == "refused"), None),
        found=tuple(number for word, number, _ in numbered if word == "found"),
        ours=ours if ours or ["ours", "none"] in said else None,
        left=tuple((number, words) for word, number, words in numbered if word == "left"),
    )


def _is_of_step(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[1].isascii() and words[1].isdigit() and len(words[1]) < 6


def _script(change: str, steps: Sequence[Step], call: str, *, seconds: int = 0) -> str:
    """One function per step, so that the shell has read all of it before it runs any of it."""
    if _ID.fullmatch(change) is None:
        raise ValueError(f"not a change's id: {change[:40]!r}")
    defined = [f"vnicheck_id={change}", f"vnicheck_seconds={seconds}", f"vnicheck_count={len(steps)}"]
    for number, step in enumerate(steps, 1):
        defined.append(_function(f"vnicheck_do_{number}", step.command))
        defined.append(_function(f"vnicheck_back_{number}", step.undo))
        defined.append(_function(f"vnicheck_stands_{number}", _stands(step)))
    defined.append(f"vnicheck_undo_text() {{\nprintf '%s\\n' {shlex.quote(_undo_text(change, steps))}\n}}")
    body = files("vnicheck.guest").joinpath("change.sh").read_text("utf-8")
    return "\n".join(["vnicheck_main() {", *defined, body, call, "}", "vnicheck_main", ""])


def _stands(step: Step) -> str:
    """`$1`: the status of its undoing, which is all that is known where the step cannot be looked at."""
    return '[ "$1" != 0 ]' if step.check is None else step.check


def _undo_text(change: str, steps: Sequence[Step]) -> str:
    """The script that the timer runs: what is defined of the steps, and undo.sh."""
    defined = [f"# Undoes vnicheck's change {change}.", f"change={change}", f"folder={FOLDER}/{change}"]
    for number, step in enumerate(steps, 1):
        defined.append(_function(f"undo_{number}", step.undo))
        defined.append(_function(f"stands_{number}", _stands(step)))
    known = "|".join(str(number) for number in range(1, len(steps) + 1)) or "none"
    defined.append(f"is_known() {{ case $1 in {known}) ;; *) false ;; esac; }}")
    return "\n".join([*defined, files("vnicheck.guest").joinpath("undo.sh").read_text("utf-8").rstrip("\n")])


def _function(name: str, command: str) -> str:
    return f"{name}() (\n{command}\n)"
