"""What changed between two snapshots, server by server."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from vnicheck.analysis.diff import assemble_diff, compare_reports
from vnicheck.analysis.mutes import apply_mutes
from vnicheck.analysis.server import analyze_server
from vnicheck.model.config import Config
from vnicheck.model.diff import Diff, ServerChange, Side
from vnicheck.model.naming import Day
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Problem, Server, Snapshot


class Observed(Protocol):
    """A snapshot of several regions, whose guests are read as one asks for them."""

    @property
    def regions(self) -> Mapping[str, Snapshot]:
        """By name; their servers may be without guests."""

    def server(self, region: str, server: Server) -> Server:
        """A server with its guest."""


def compare_snapshots(old: Observed, new: Observed, config: Config, today: Day) -> Diff:
    """What changed, by region and server name; one server's guests are in memory at a time."""
    return assemble_diff(_side(old), _side(new), _changes(old, new, config, today))


def _side(observed: Observed) -> Side:
    return Side(read_at={name: snapshot.created_at for name, snapshot in observed.regions.items()})


def _changes(old: Observed, new: Observed, config: Config, today: Day) -> Iterator[ServerChange]:
    before, after = _placed(old), _placed(new)
    for key, (region, _) in sorted(
        {**before, **after}.items(), key=lambda place: (place[1][0], place[1][1].name, place[0])
    ):
        was, now = (
            None if key not in there else _report(side, *there[key], config, today)
            for side, there in ((old, before), (new, after))
        )
        absent = _unread(old, region) if was is None else _unread(new, region) if now is None else None
        yield compare_reports(was, now, absent=absent)


def _placed(observed: Observed) -> dict[str, tuple[str, Server]]:
    """The servers by id, each with the region that it is in."""
    return {server.id: (name, server) for name, snapshot in observed.regions.items() for server in snapshot.servers}


def _report(observed: Observed, region: str, server: Server, config: Config, today: Day) -> InstanceReport:
    snapshot = observed.regions[region]
    whole = observed.server(region, server)
    return apply_mutes(analyze_server(whole, snapshot.fabric, config, read_at=snapshot.created_at), config.mute, today)


def _unread(observed: Observed, region: str) -> Problem | None:
    """Why a server of a region that is not in the snapshot may be there all the same; None: it is not there."""
    if region not in observed.regions:
        return Problem(code="region_not_read", message=f"this snapshot has no region {region}")
    missing = observed.regions[region].fabric.missing.get("servers")
    return None if missing is None else Problem(code="servers_unread", message=missing)
