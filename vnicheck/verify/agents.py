"""Agents on servers and hosts: started over SSH, told to go, and heard to their end."""

import base64
import json
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import Root
from vnicheck.guest.talk import Talk, talking_here
from vnicheck.model.flow import Protocol
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import one_line
from vnicheck.verify.probes import Probe, jobs

NO_PYTHON = "@vnicheck-no-python"
_PYTHONS = ("python3", "/usr/libexec/platform-python", *(f"python3.{minor}" for minor in range(14, 5, -1)))
_START = 20.0
"""Seconds for an agent to be ready, beside those that its connection takes."""
_OPENING = 15.0
"""Seconds for an agent to have opened its flows: it takes two for all."""
_LATE = 0.4
"""Seconds in which packets may still be on their way."""
_END = 5.0

Told = tuple[str, bool, Protocol, str, int, str, int, str]
"""A packet: interface, whether out, protocol, source with its port, destination with its own, flags."""


class AgentError(Exception):
    """An agent did not do its part. `problem` is for the document."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(code=code, message=message)


class Place(Struct, frozen=True, kw_only=True):
    """Where an agent runs: over SSH as `root` says (a command and what it reads first), or on this machine."""

    name: str
    runner: SshRunner | None = None
    target: SshTarget | None = None
    root: Root = Root("sh -s")


class Ready(Struct, frozen=True):
    """An agent's first answer: whether it watches (`why` not), and where it could not listen."""

    ready: bool
    why: str = ""
    failed: tuple[tuple[str, str, int, str], ...] = ()


class Opened(Struct, frozen=True):
    """What became of flows from their openers' side: number, answer, tries, and the address that they came from."""

    opened: tuple[tuple[int, str, int, str], ...]


class Watched(Struct, frozen=True):
    """What an agent saw, how many packets it could not keep, what counters grew by, and how many connections are half
    open, by the address. `asked`: who asked it, and at which address. `drops`: how many packets its kernel dropped, by
    the reason, `drops_unknown` why not all are counted.
    """

    packets: tuple[Told, ...]
    counters: dict[str, int]
    lost: int = 0
    asked: tuple[tuple[str, str], ...] = ()
    half_open: dict[str, int] = {}
    drops: dict[str, int] = {}
    drops_unknown: str = ""


class Asked(Struct, frozen=True):
    """An agent's answer to a question about itself."""

    sources: dict[str, str | None]
    watches: bool


class Heard(Struct, kw_only=True):
    """All that one agent told; None where it did not come to that. `problem`: why it did not, one line."""

    ready: Ready | None = None
    opened: Opened | None = None
    watched: Watched | None = None
    problem: str | None = None


def script(job: Mapping[str, Any]) -> bytes:
    """POSIX sh that runs the agent with the first Python 3 that there is. Its own lines begin on a new one, whatever a
    profile printed before.
    """
    parts = [files("vnicheck.verify").joinpath(name).read_text("utf-8") for name in ("agent_drops.py", "agent.py")]
    program = "\n\n".join([*parts, f"main(json.loads({json.dumps(job)!r}), Drops)\n"])
    packed = base64.b64encode(zlib.compress(program.encode()))
    run = f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed.decode()}")))'
    return f"""\
echo
PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
for vnicheck_python in {" ".join(_PYTHONS)}; do
  if "$vnicheck_python" -I -c 'import sys; sys.exit(sys.version_info < (3, 6))' </dev/null >/dev/null 2>&1; then
    exec "$vnicheck_python" -I -c '{run}'
  fi
done
echo {NO_PYTHON}
""".encode()


def ask(place: Place, addresses: Sequence[str]) -> Asked:
    """From which of its addresses a host would send to others, and whether it may watch. Raises AgentError, and
    CollectionError where there is no session."""
    with _agent(place, {"seconds": 20, "ask": list(addresses)}) as talk:
        asked: Asked = _first(talk, _START + _patience(place), Asked, place.name)
        return asked


def run(places: Mapping[str, Place], probes: Sequence[Probe], *, seconds: int = 60) -> dict[str, Heard]:
    """Has the flows opened, all at the same time, once every agent is ready; what each place's agent told."""
    heard = {name: Heard() for name in places}
    talks: dict[str, Talk] = {}
    with ExitStack() as stack:
        work = jobs(probes, seconds)
        for name, place in places.items():
            try:
                talks[name] = stack.enter_context(_agent(place, work[name]))
            except (CollectionError, OSError) as error:
                heard[name].problem = one_line(error, 200)
        for name, talk in talks.items():
            try:
                heard[name].ready = _first(talk, _START + _patience(places[name]), Ready, places[name].name)
            except (CollectionError, AgentError) as error:
                heard[name].problem = str(error)
        going = {name: talk for name, talk in talks.items() if heard[name].ready is not None}
        for talk in going.values():
            talk.send(b"go\n")
        for name, talk in going.items():
            _note(heard[name], "opened", talk, Opened, places[name], _OPENING)
        time.sleep(_LATE)
        for talk in talks.values():
            talk.end()
        for name, talk in going.items():
            _note(heard[name], "watched", talk, Watched, places[name], _END)
    return heard


def _first(talk: Talk, seconds: float, kind: type[Any], name: str) -> Any:
    """The agent's first answer: what a profile or the message of the day printed before is passed over. Raises
    AgentError, and CollectionError where the connection failed.
    """
    until = time.monotonic() + seconds
    noise: AgentError | None = None
    while (line := talk.line(max(0.0, until - time.monotonic()))) is not None:
        try:
            return _decoded(line, kind, name)
        except AgentError as error:
            if error.problem.code != "agent_unreadable":
                raise
            noise = noise or error
    raise noise or _silent(name)


def _note(heard: Heard, what: str, talk: Talk, kind: type[Struct], place: Place, seconds: float) -> None:
    if heard.problem is not None:
        return
    try:
        setattr(heard, what, _decoded(talk.line(seconds), kind, place.name))
    except (CollectionError, AgentError) as error:
        heard.problem = str(error)


def _decoded(line: bytes | None, kind: type[Any], name: str) -> Any:
    """Raises AgentError."""
    where = one_line(name, 80)
    if line is None:
        raise _silent(name)
    if line.strip() == NO_PYTHON.encode():
        raise AgentError("agent_no_python", f"{where}: it has no Python 3.6 or later; captures can be read instead")
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        said = one_line(line[:200].decode(errors="replace"), 80)
        raise AgentError("agent_unreadable", f"{where}: {said!r} is not what the agent says") from error


def _silent(name: str) -> AgentError:
    return AgentError("agent_silent", f"{one_line(name, 80)}: what sends and watches packets ended, or says nothing")


def _patience(place: Place) -> float:
    return 0.0 if place.runner is None else place.runner.options.connect_timeout


@contextmanager
def _agent(place: Place, job: Mapping[str, Any]) -> Iterator[Talk]:
    """An agent at its place; it ends with the context. Raises OSError."""
    stdin = place.root.lead + script(job)
    if place.runner is None or place.target is None:
        with talking_here(stdin) as talk:
            yield talk
        return
    talk = Talk()
    runner, target = place.runner, place.target
    runner.forget_failures()

    def converse() -> None:
        problem: CollectionError | None = None
        try:
            runner.run(target, place.root.command, stdin, talk=talk)
        except CollectionError as error:
            problem = error
        finally:
            talk.close(problem)

    thread = threading.Thread(target=converse, daemon=True)
    thread.start()
    try:
        yield talk
    finally:
        talk.end()
        thread.join(_END)
