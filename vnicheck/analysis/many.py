"""Reports on many servers, in order: each is a pure function of the server's snapshot and of its region."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from vnicheck.analysis.mutes import apply_mutes
from vnicheck.analysis.processes import Spread, chunks_of
from vnicheck.analysis.server import analyze_server, instance_report
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import plain
from vnicheck.model.guest_file import read_guest_file
from vnicheck.model.naming import Day
from vnicheck.model.region import Job
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Problem, Server, SnapshotError, with_guest
from vnicheck.model.words import one_line

CHUNK = 20
"""Servers that go to a worker at once."""
WORTH_PROCESSES = 100
"""Fewer servers than this are sooner done than processes are started."""


class Shared(Struct, frozen=True, kw_only=True):
    """What all servers of a region share. `generated_at`: the day counts, for mutes. `flows`: whether reports have
    them; else they have the first one alone, and findings name flows that are not there.
    """

    fabric: Fabric
    config: Config
    read_at: str
    generated_at: str
    flows: bool = True
    plans: bool = False
    """Whether the fix of each cause is proved."""


_server = msgspec.json.Decoder(Server)
_jobs = msgspec.msgpack.Decoder(list[Job])
_reports = msgspec.msgpack.Decoder(list[InstanceReport])
_pack = msgspec.msgpack.Encoder(enc_hook=plain)


def analyze_many(jobs: Iterable[Job], shared: Shared, spread: Spread) -> Iterator[InstanceReport]:
    """The reports, muted, in the order of the jobs. Raises WorkersLostError."""
    for answer in spread(analyze_chunk, shared, chunks_of(jobs, CHUNK)):
        yield from _reports.decode(answer)


def analyze_chunk(shared: Shared, chunk: bytes) -> bytes:
    """The reports of a chunk of servers. What goes wrong with one is its own problem, and no other's."""
    return _pack.encode([_report(shared, job) for job in _jobs.decode(chunk)])


def _report(shared: Shared, job: Job) -> InstanceReport:
    server = _server.decode(job.server)
    try:
        if job.guest is not None:
            server = _with_guest_of(server, job.guest)
        report = analyze_server(server, shared.fabric, shared.config, read_at=shared.read_at, plans=shared.plans)
        report = apply_mutes(report, shared.config.mute, Day(shared.generated_at[:10]))
    except Exception as error:  # noqa: BLE001 - a fault of ours must not take the other servers' results away
        report = _failed(server, error)
    return report if shared.flows else msgspec.structs.replace(report, flows=report.flows[:1])


def _with_guest_of(server: Server, data: bytes) -> Server:
    try:
        return with_guest(server, read_guest_file(data, server.id))
    except SnapshotError as error:
        return with_guest(server, Problem(code="guest_unreadable", message=f"its guest file: {error}"))


def _failed(server: Server, error: Exception) -> InstanceReport:
    return instance_report(server, "incomplete", (*server.problems, internal_error(error)))


def internal_error(error: Exception) -> Problem:
    """A fault of ours, as a problem of the server that it came up with."""
    message = one_line(f"internal error ({type(error).__name__}: {error}); report it with this server's snapshot")
    return Problem(code="internal_error", message=message)
