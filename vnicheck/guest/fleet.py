"""Many guests at once, in threads. What becomes of one server never touches another."""

import resource
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from queue import SimpleQueue

import msgspec
from msgspec import Struct

from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword
from vnicheck.guest.ssh.openssh import make_runner
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import one_line

MAX_JOBS = 64
"""Beyond this paramiko gains nothing; below it, waiting for distant hosts costs more than their number."""
DESCRIPTORS = 6
"""Open files that one server takes at most: its connection, an agent's, a key, known_hosts, a ProxyCommand's pair."""
CLOCK_TOLERANCE = 300
"""Seconds by which a guest's clock may be off before that is told."""

REFUSED_LOGINS = frozenset({"ssh_auth", "ssh_auth_limit", "ssh_nologin", "ssh_password", "ssh_password_needed"})
"""Codes of what another user name may help."""

Result = Guest | Problem


class Calls(Struct, frozen=True, kw_only=True):
    """Whom collecting tells and asks. `on_done` and `on_note` are called in the caller's thread, `on_start` in the
    server's; without `ask_...` nobody can be asked.
    """

    on_start: Callable[[SshTarget], None] = lambda _: None
    on_done: Callable[[SshTarget, Result], None] = lambda *_: None
    on_note: Callable[[str], None] = lambda _: None
    ask_passphrase: AskPassphrase | None = None
    ask_password: AskPassword | None = None


_SILENT = Calls()


def collect_many(
    targets: Sequence[SshTarget], options: SshOptions, calls: Calls = _SILENT, *, jobs: int | None = None
) -> dict[str, Result]:
    """The guests by `SshTarget.key`, or the Problem that kept one from being read.

    Raises CollectionError `ssh_config` where the SSH configuration itself cannot be read.
    """
    results: dict[str, Result] = {}
    reading = threading.Lock()
    workers = _workers(len(targets), MAX_JOBS if jobs is None else jobs)
    with make_runner(options, calls.ask_passphrase, calls.ask_password) as runner:

        def collect_one(target: SshTarget) -> Result:
            calls.on_start(target)
            try:
                data = runner.collect(target)
                arrived = time.time()
                with reading:  # only one can run at a time anyway, and a hostile server's takes memory
                    return _with_clock(_read(data), arrived)
            except CollectionError as error:
                return _hinted(error.problem(), target)

        queue = iter(targets)
        turn = threading.Lock()
        done: SimpleQueue[tuple[SshTarget, Result | BaseException]] = SimpleQueue()

        def work() -> None:
            """Take one target after the other until there are none, or until the caller has left."""
            while not runner.closed:
                with turn:
                    target = next(queue, None)
                if target is None:
                    return
                try:
                    done.put((target, collect_one(target)))
                except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                    done.put((target, error))

        for _ in range(workers if targets else 0):
            threading.Thread(target=work, daemon=True, name="ssh").start()
        for _ in targets:
            target, result = done.get()
            if isinstance(result, BaseException):
                raise result
            results[target.key] = result
            calls.on_done(target, result)
        for note in runner.notes():
            calls.on_note(note)
    return {target.key: results[target.key] for target in targets}


def _hinted(problem: Problem, target: SshTarget) -> Problem:
    """Of a refused login, with what else to try."""
    if problem.code not in REFUSED_LOGINS or not target.login_hint:
        return problem
    return Problem(code=problem.code, message=f"{problem.message}; {target.login_hint}")


def _read(data: bytes) -> Guest:
    """The guest. Raises CollectionError, also for what our parsers did not expect: other servers go on."""
    try:
        return read_guest(data, via="ssh")
    except (CollectionError, MemoryError):
        raise
    except Exception as error:
        what = one_line(f"{type(error).__name__}: {error}", 120)
        raise CollectionError(
            "guest_unreadable", f"the collection cannot be read ({what}); report this with its output"
        ) from error


def _workers(targets: int, jobs: int) -> int:
    """As many as asked for, but no more than the process may open files for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = jobs if soft == resource.RLIM_INFINITY else (soft - 64) // DESCRIPTORS
    return max(1, min(targets, jobs, room))


def _with_clock(guest: Guest, arrived: float) -> Guest:
    """The guest, with how far its clock is off where that is more than the collection takes."""
    try:
        offset = round(datetime.fromisoformat(guest.collected_at).timestamp() - arrived)
    except ValueError:
        return guest
    return guest if abs(offset) <= CLOCK_TOLERANCE else msgspec.structs.replace(guest, clock_offset=offset)
