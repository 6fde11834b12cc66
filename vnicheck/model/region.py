"""A region's servers as they are gone through one by one, however many there are."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
from msgspec import Struct

from vnicheck.model.cloud import Fabric
from vnicheck.model.snapshot import Problem, Server


class Job(Struct, frozen=True, array_like=True):
    """One server: as JSON, and the guest's file of a snapshot folder as it is, where there is one."""

    server: bytes
    guest: bytes | None = None


def job_of(server: Server, guest_file: bytes | None = None) -> Job:
    """The job for a server, which has its guest with it unless that is still in a file."""
    return Job(msgspec.json.encode(server), guest_file)


class Servers(Protocol):
    """Servers with their guests, or jobs that are made as one asks for them."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Server | Job]: ...


class RegionInScope(Struct, frozen=True, kw_only=True):
    """A region's servers to check, in the order in which they are told, and what they share.

    Beside them are `single_homed` ones, which were not chosen for having one interface. `problems` tell of servers that
    may be in scope and could not be read, `notes` that no verdict depends on. `read_at`: UTC, ISO 8601.
    """

    name: str
    servers: Servers = ()
    single_homed: int = 0
    fabric: Fabric = Fabric()
    read_at: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    def with_servers(self, servers: Iterable[Server | Job]) -> "RegionInScope":
        """The region with these servers."""
        return msgspec.structs.replace(self, servers=servers)
