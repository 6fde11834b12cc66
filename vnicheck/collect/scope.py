"""Which servers a lint is about, and their regions read in bulk: nothing is asked about servers out of scope."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from msgspec import Struct

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.region import Region
from vnicheck.collect.errors import CollectError, told
from vnicheck.collect.guests import collect_guests
from vnicheck.collect.live import connect_to, observe_chosen
from vnicheck.collect.request import Asker, Request
from vnicheck.collect.saved_guests import SavedGuests
from vnicheck.collect.snapshot_folder import UNNAMED
from vnicheck.collect.stored import FolderServers, open_stored, require_regions
from vnicheck.model.cloud import ADVISORY, Fabric
from vnicheck.model.expectation import Expectation
from vnicheck.model.naming import names_server
from vnicheck.model.ordering import ordered_fabric, ordered_server
from vnicheck.model.region import RegionInScope
from vnicheck.model.snapshot import INTERFACES_UNREAD, Problem, Server, Snapshot, with_guest
from vnicheck.system.clock import now

_SERVERS = "servers"
"""The key of `Fabric.missing` under which a snapshot says that not all servers could be read."""


class ServerFilter(Struct, frozen=True, kw_only=True):
    """Filters, all of which a server passes. `names`: globs, one of which its name matches.

    A server with one interface is passed over with `multi_homed_only`, unless an expectation names it, or it is among
    `earlier` (ids): what was found on it is only gone when that was looked at.
    """

    vpc: str | None = None
    resource_group: str | None = None
    names: tuple[str, ...] = ()
    multi_homed_only: bool = True
    expect: tuple[Expectation, ...] = ()
    earlier: frozenset[str] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether it leaves out nothing but servers with one interface."""
        return self.vpc is None and self.resource_group is None and not self.names

    def choose(self, servers: Sequence[Server]) -> tuple[tuple[Server, ...], int]:
        """The servers to check, in the order of their names, and how many others in scope have only one interface."""
        named = [server for server in servers if not self.names or any(fnmatchcase(server.name, n) for n in self.names)]
        chosen = [server for server in named if self._is_asked_for(server)]
        return tuple(sorted(chosen, key=lambda server: (server.name, server.id))), len(named) - len(chosen)

    def _is_asked_for(self, server: Server) -> bool:
        return (
            not self.multi_homed_only
            or len(server.vnis) > 1
            or any(problem.code == INTERFACES_UNREAD for problem in server.problems)
            or server.id in self.earlier
            or any(names_server(expectation.server, server) for expectation in self.expect)
        )


def regions_in_scope(request: Request, scope: ServerFilter, asker: Asker) -> tuple[RegionInScope, ...]:
    """The regions with the servers in scope, live or from a snapshot. Raises CollectError."""
    if request.snapshot is not None:
        return _stored_regions(request.snapshot, request.regions, scope)
    return _live_regions(request, scope, asker)


def _live_regions(request: Request, scope: ServerFilter, asker: Asker) -> tuple[RegionInScope, ...]:
    """Reads the regions, then the guests of the servers in scope. Raises CollectError."""
    saved = SavedGuests(request, asker)
    with told():
        with asker.watch("reading the VPC"):
            found = read_regions_in_scope(*connect_to(request), scope, now=now)
        servers = [server for region in found for server in _in_memory(region)]
        given = saved.results(servers, scope="the servers in scope", whole=scope.is_whole)
        if request.cloud_only:
            collected = tuple(with_guest(server, given.get(server.id)) for server in servers)
        else:
            collected = collect_guests(servers, given, request, asker)
    by_id = {server.id: server for server in collected}
    return _some(
        [region.with_servers(tuple(by_id[server.id] for server in _in_memory(region))) for region in found], scope
    )


def _stored_regions(path: Path, wanted: Sequence[str], scope: ServerFilter) -> tuple[RegionInScope, ...]:
    """The regions of a snapshot, a file or a folder, that are `wanted` (none: all). Raises CollectError.

    From a folder each guest is read when its server's turn comes, so that a fleet needs no more memory than one server.
    """
    stored = open_stored(path)
    found: list[RegionInScope] = []
    for name, snapshot in stored.regions.items():
        if stored.folder is None:
            found += snapshot_region(snapshot, scope)
        else:
            for region in snapshot_region(snapshot, scope, name="" if name == UNNAMED else name):
                found.append(region.with_servers(FolderServers(stored.folder, name, _in_memory(region))))
    there = [region.name for region in found]
    require_regions(path, sorted(wanted), there)
    return _some([region for region in found if not wanted or region.name in wanted], scope)


def read_regions_in_scope(
    clients: Sequence[VpcClient], failed: Mapping[str, CloudError], scope: ServerFilter, *, now: Callable[[], str]
) -> tuple[RegionInScope, ...]:
    """The regions in the order of their names; one that was not read, or is in `failed`, has a problem and no servers.

    Raises CloudError where none could be read, and where no region has the VPC of the scope.
    """
    single_homed: dict[str, int] = {}

    def choose(regions: Sequence[Region]) -> list[Server]:
        chosen: list[Server] = []
        for region in regions:
            mine, single_homed[region.name] = scope.choose(region.servers)
            chosen += mine
        return chosen

    read = observe_chosen(clients, choose, vpc=scope.vpc, resource_group=scope.resource_group)
    there = [
        _in_scope(each.name, each.servers, single_homed[each.name], each.fabric, now(), each.problems) for each in read
    ]
    told = [
        RegionInScope(name=name, problems=(Problem(code=error.code, message=error.message),))
        for name, error in failed.items()
    ]
    return tuple(sorted([*there, *told], key=lambda region: region.name))


def snapshot_region(snapshot: Snapshot, scope: ServerFilter, *, name: str | None = None) -> Iterator[RegionInScope]:
    """The regions of a snapshot, by the servers' own word or all as `name`."""
    servers = [
        server for server in snapshot.servers if scope.vpc is None or scope.vpc in (server.vpc.id, server.vpc.name)
    ]
    for region in sorted({server.region for server in servers} or {""}) if name is None else [name]:
        here = servers if name is not None else [server for server in servers if server.region == region]
        chosen, single_homed = scope.choose(here)
        yield _in_scope(region, chosen, single_homed, snapshot.fabric, snapshot.created_at, ())


def _in_scope(
    name: str,
    servers: tuple[Server, ...],
    single_homed: int,
    fabric: Fabric,
    read_at: str,
    problems: Collection[Problem],
) -> RegionInScope:
    """What is missing of the region as a whole is told once, not on every server."""
    unread = [
        Problem(code="servers_unread", message=fabric.missing[key]) for key in (_SERVERS,) if key in fabric.missing
    ]
    notes = [
        Problem(code=f"{key}_unread", message=message) for key, message in fabric.missing.items() if key in ADVISORY
    ]
    missing = {key: message for key, message in fabric.missing.items() if key != _SERVERS}
    return RegionInScope(
        name=name,
        servers=tuple(map(ordered_server, servers)),
        single_homed=single_homed,
        fabric=ordered_fabric(msgspec.structs.replace(fabric, missing=missing)),
        read_at=read_at,
        problems=(*problems, *unread),
        notes=tuple(notes),
    )


def _in_memory(region: RegionInScope) -> tuple[Server, ...]:
    """The servers of a region that has them all here."""
    return tuple(server for server in region.servers if isinstance(server, Server))


def _some(regions: Sequence[RegionInScope], scope: ServerFilter) -> tuple[RegionInScope, ...]:
    """The regions, where they hold any server in scope, or may. Raises CollectError."""
    if any(region.problems or region.single_homed or len(region.servers) for region in regions):
        return tuple(regions)
    asked = [f"VPC {scope.vpc}"] if scope.vpc else []
    asked += [f"resource group {scope.resource_group}"] if scope.resource_group else []
    asked += [f"name {name}" for name in scope.names]
    where = ", ".join(region.name for region in regions if region.name)
    said = f" with {', '.join(asked)}" if asked else ""
    raise CollectError(f"nothing to check: there is no server{said}{f' in {where}' if where else ''}")
