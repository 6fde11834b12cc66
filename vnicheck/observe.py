"""Observe servers once, from the cloud and from inside, into a snapshot. All input and output happens below here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from vnicheck import __version__
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.select import select
from vnicheck.guest.fleet import Result, collect_many
from vnicheck.guest.ssh_keys import AskPassphrase
from vnicheck.guest.ssh_options import SshOptions, SshTarget
from vnicheck.model.cloud import Vni
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot, with_guest

AddressChoice = Literal["auto", "private", "floating"]


def observe_cloud(
    client: VpcClient, selectors: Sequence[str], *, vpc: str | None, resource_group: str | None
) -> Region:
    """The servers that `selectors` name (none: all in scope) and the fabric around them. Raises CloudError."""
    region = read_region(client, vpc=vpc, resource_group=resource_group)
    chosen = select(region, selectors)
    return complete(client, region, chosen)


def ssh_target(server: Server, choice: AddressChoice) -> SshTarget | None:
    """Where to connect: the first floating IP if there is one (`auto`), else the primary address; None without it."""
    vnis = sorted(server.vnis, key=lambda vni: not vni.primary)
    floating = next((floating_ip.address for vni in vnis for floating_ip in vni.floating_ips), None)
    private = next((vni.primary_address for vni in vnis if _has_address(vni)), None)
    address = {"auto": floating or private, "private": private, "floating": floating}[choice]
    return None if address is None else SshTarget(id=server.id, name=server.name, address=address)


def observe_guests(
    servers: Sequence[Server],
    given: Mapping[str, Result],
    options: SshOptions,
    *,
    address: AddressChoice,
    jobs: int,
    on_done: Callable[[SshTarget, Result], None],
    ask_passphrase: AskPassphrase | None = None,
) -> tuple[Server, ...]:
    """The servers with their guests, or with the problem that kept one from being read.

    `given` are guests by server id that need no SSH. A server that does not run is not connected to. Raises
    CollectionError where the SSH configuration itself cannot be read.
    """
    results: dict[str, Result] = dict(given)
    targets = []
    for server in servers:
        if server.id in results or server.status != "running":
            continue
        target = ssh_target(server, address)
        if target is None:
            message = f"it has no {'floating IP' if address == 'floating' else 'address'} to connect to"
            results[server.id] = Problem(code="no_address", message=message)
        else:
            targets.append(target)
    if targets:
        results |= collect_many(targets, options, jobs=jobs, on_done=on_done, ask_passphrase=ask_passphrase)
    return tuple(with_guest(server, results.get(server.id)) for server in servers)


def make_snapshot(region: Region, servers: Sequence[Server], *, created_at: str, everything: bool) -> Snapshot:
    """The snapshot of what was observed. `everything`: the servers are all in scope, so unread ones matter."""
    fabric = region.fabric
    if everything and region.problems:
        missing = {**fabric.missing, "servers": region.problems[0].message}
        fabric = msgspec.structs.replace(fabric, missing=missing)
    return Snapshot(
        schema=SCHEMA, tool_version=__version__, created_at=created_at, servers=tuple(servers), fabric=fabric
    )


def _has_address(vni: Vni) -> bool:
    return vni.primary_address != "0.0.0.0"  # noqa: S104 - what the API says while an address is not yet assigned
