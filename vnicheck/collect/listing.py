"""Servers with their interfaces as the VPC has them, live or from a snapshot: no guest is read."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec
from msgspec import Struct

from vnicheck.collect.errors import CollectError, told
from vnicheck.collect.request import Asker, Request
from vnicheck.collect.stored import in_vpc, open_stored
from vnicheck.model.cloud import Fabric
from vnicheck.model.listing import ListedServer, RegionProblem, listed_server
from vnicheck.model.snapshot import Problem, Server

_NEEDED = ("servers", "virtual_network_interfaces", "floating_ips", "subnets", "security_groups", "vpcs")
"""Keys of `Fabric.missing` without which a listing is not complete."""
_OF_GUEST = ("ssh_", "guest_", "no_address")


class Listed(Struct, frozen=True):
    """The servers by name, and what of their regions could not be read."""

    servers: tuple[ListedServer, ...]
    problems: tuple[RegionProblem, ...]


def list_servers(request: Request, names: Sequence[str], asker: Asker) -> Listed:
    """The servers in scope whose name matches one of the globs `names` (none: all). Raises CollectError."""
    with told():
        regions = list(_live(request, asker) if request.snapshot is None else _stored(request.snapshot, request))
    servers = [
        listed_server(_without_guest(server), fabric)
        for _, found, fabric, _ in regions
        for server in found
        if not names or any(fnmatchcase(server.name, name) for name in names)
    ]
    problems = tuple(
        RegionProblem(region=region, code=problem.code, message=problem.message)
        for region, _, fabric, told_of in regions
        for problem in (*told_of, *_missing(fabric))
    )
    if not servers and not problems:
        raise CollectError(f"there is no server{_scope(request, names)}")
    return Listed(tuple(sorted(servers, key=lambda server: (server.region, server.name, server.id))), problems)


_Region = tuple[str, Sequence[Server], Fabric, Sequence[Problem]]


def _live(request: Request, asker: Asker) -> Iterator[_Region]:
    from vnicheck.collect.live import connect_to, read_in_bulk

    with asker.watch("reading the VPC"):
        clients, failed = connect_to(request)
        read = read_in_bulk(clients, vpc=request.vpc, resource_group=request.resource_group)
    for region in read.values():
        yield region.name, region.servers, region.fabric, region.problems
    for name, error in failed.items():
        yield name, (), Fabric(), (Problem(code=error.code, message=error.message),)


def _stored(path: Path, request: Request) -> Iterator[_Region]:
    stored = open_stored(path, request.regions)
    for name, servers in in_vpc(stored, request.vpc, path).items():
        yield name, servers, stored.regions[name].fabric, ()


def _missing(fabric: Fabric) -> Iterator[Problem]:
    for what in _NEEDED:
        if what in fabric.missing:
            yield Problem(code=f"{what}_unread", message=fabric.missing[what])


def _without_guest(server: Server) -> Server:
    """The server without what kept its guest from being collected: a listing needs none."""
    problems = tuple(each for each in server.problems if not each.code.startswith(_OF_GUEST))
    return msgspec.structs.replace(server, guest=None, problems=problems)


def _scope(request: Request, names: Sequence[str]) -> str:
    asked = [f"VPC {request.vpc}"] if request.vpc is not None else []
    asked += [f"resource group {request.resource_group}"] if request.resource_group is not None else []
    asked += [f"name {name}" for name in names]
    where = request.snapshot or ", ".join(request.regions)
    said = f" with {', '.join(asked)}" if asked else ""
    return f"{said} in {where}" if where else said
