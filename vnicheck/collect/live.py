"""Observe servers once, from the cloud and from inside, into a snapshot. All input and output happens below here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec

from vnicheck import __version__
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.read import read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.scope import NO_SUCH_VPC
from vnicheck.cloud.select import select
from vnicheck.guest.fleet import Result, collect_many
from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.model.cloud import Fabric, Vni
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot, with_guest
from vnicheck.system.workers import workers

AddressChoice = Literal["auto", "private", "floating"]
REGIONS_AT_ONCE = 8


def observe_regions(
    clients: Sequence[VpcClient], selectors: Sequence[str], *, vpc: str | None, resource_group: str | None
) -> tuple[Region, ...]:
    """The servers that `selectors`, which may mean one of any region, name (none: all in scope), and the fabric around
    them. Raises CloudError."""
    return observe_chosen(clients, partial(select, selectors=selectors), vpc=vpc, resource_group=resource_group)


def observe_chosen(
    clients: Sequence[VpcClient],
    choose: Callable[[Sequence[Region]], Sequence[Server]],
    *,
    vpc: str | None,
    resource_group: str | None,
) -> tuple[Region, ...]:
    """The regions with the servers that `choose` takes of those read in bulk, in the order of `clients`.

    One that cannot be read leaves the others alone: it has no servers, and `failure` says why. One that has no VPC
    `vpc` while another has is left out. Raises CloudError where none can be read, and what `choose` raises.
    """
    with workers(min(len(clients), REGIONS_AT_ONCE), "region") as pool:
        read = list(pool.map(partial(_read, vpc=vpc, resource_group=resource_group), clients))
        failures = [region.failure for region in read if region.failure is not None]
        if len(failures) == len(read):
            told = next((failure for failure in failures if failure.code != NO_SUCH_VPC), failures[0])
            raise CloudError(told.code, told.message)
        regions = {
            client: region
            for client, region in zip(clients, read, strict=True)
            if region.failure is None or region.failure.code != NO_SUCH_VPC
        }
        chosen = {server.id: server for server in choose(list(regions.values()))}

        def finish(client: VpcClient, region: Region) -> Region:
            if region.failure is not None:
                return region
            within = {server.id for server in region.servers}
            try:
                return complete(client, region, [server for key, server in chosen.items() if key in within])
            except CloudError as error:
                if len(regions) == 1:
                    raise
                return _unread(client, error)

        return tuple(pool.map(finish, regions.keys(), regions.values()))


def _read(client: VpcClient, *, vpc: str | None, resource_group: str | None) -> Region:
    try:
        return read_region(client, vpc=vpc, resource_group=resource_group)
    except CloudError as error:
        return _unread(client, error)


def _unread(client: VpcClient, error: CloudError) -> Region:
    failure = Problem(code=error.code, message=error.message)
    return Region(
        servers=(),
        fabric=Fabric(),
        scope=client.endpoint,
        problems=(failure,),
        name=client.region,
        failure=failure,
    )


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
    on_total: Callable[[int], None] | None = None,
    on_start: Callable[[SshTarget], None] | None = None,
    on_done: Callable[[SshTarget, Result], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    ask_passphrase: AskPassphrase | None = None,
    ask_password: AskPassword | None = None,
) -> tuple[Server, ...]:
    """The servers with their guests, or with the problem that kept one from being read.

    `given` are guests by server id that need no SSH. A server that does not run is not connected to; `on_total` is told
    how many are, the other callbacks are those of `collect_many`.

    Raises CollectionError where the SSH configuration itself cannot be read.
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
        if on_total is not None:
            on_total(len(targets))
        results |= collect_many(
            targets,
            options,
            jobs=jobs,
            on_start=on_start,
            on_done=on_done,
            on_note=on_note,
            ask_passphrase=ask_passphrase,
            ask_password=ask_password,
        )
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
