"""What works on this account and machine, and what does not: each thing is tried, and what to do about it told."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from msgspec import Struct

from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.lists import Items, in_parallel, read_list
from vnicheck.cloud.read import LISTS, read_region
from vnicheck.cloud.region import Region
from vnicheck.cloud.regions import list_regions
from vnicheck.cloud.scope import did_you_mean
from vnicheck.cloud.select import select_servers
from vnicheck.collect.guests import collect_guests, ssh_target
from vnicheck.collect.request import Asker, Request
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshConfig, SshHop
from vnicheck.model.cloud import ADVISORY
from vnicheck.model.snapshot import Server
from vnicheck.model.words import counted, listed, one_line

Outcome = Literal["ok", "note", "failed", "unusable", "skipped"]
"""`note`: works without; `failed`: servers cannot be fully checked; `unusable`: nothing can be read at all."""


_NOWHERE = frozenset({"api_unreachable", "api_timeout", "api_tls", "api_malformed", "bad_endpoint"})
_OF_VPC = ("address_prefixes", "routing_tables")


class Check(Struct, frozen=True):
    """One thing that was tried: what it came to, in a line for people."""

    name: str
    outcome: Outcome
    said: str


def examine(request: Request, asker: Asker) -> Iterator[Check]:
    """The checks, each as soon as it is made. Secrets are in none of them.

    `request.servers`: the one server to connect to; without one, a running server of several interfaces is chosen.
    """
    yield _ssh_configuration(request)
    try:
        client = connect(
            region=next(iter(request.regions), None),
            environ=os.environ,
            auth=request.access,
            http=HttpSettings(total=request.api_timeout),
        )
        client.authenticate()
    except CloudError as error:
        yield Check("credentials", "unusable", error.message)
        return
    yield Check("credentials", "ok", client.credential)
    yield _region(client)
    lists = in_parallel({name: partial(read_list, client.bounded(), f"list_{name}", name) for name in LISTS})
    yield from (_of_list(name, found) for name, found in lists.items())
    vpcs = lists["vpcs"]
    first = None if isinstance(vpcs, CloudError) or not vpcs else vpcs[0].get("id")
    if isinstance(first, str):
        yield from _of_vpc(client, first)
    if isinstance(lists["instances"], CloudError):
        yield Check("a server", "skipped", "not tried: the instances cannot be listed")
    else:
        yield from _of_server(client, request, asker)


def _ssh_configuration(request: Request) -> Check:
    if request.ssh.openssh:
        return Check("SSH configuration", "ok", "that of the system's own ssh (--ssh openssh)")
    try:
        config = SshConfig(request.ssh)
    except CollectionError as error:
        return Check("SSH configuration", "failed", error.message)
    return Check("SSH configuration", "ok", listed([str(path) for path in config.files]) if config.files else "none")


def _region(client: VpcClient) -> Check:
    try:
        there = list(list_regions(client))
    except CloudError as error:
        outcome: Outcome = "unusable" if error.code in _NOWHERE else "note" if error.code == "no_regions" else "failed"
        return Check("region", outcome, error.message)
    if client.region and client.region not in there:
        hint = did_you_mean(client.region, there) or f"; there are {', '.join(there[:20])}"
        return Check("region", "unusable", one_line(f"the API knows no region {client.region}{hint}", 400))
    return Check("region", "ok", f"{client.region or 'of the endpoint'} ({client.endpoint})")


def _of_list(name: str, found: Items | CloudError) -> Check:
    if not isinstance(found, CloudError):
        return Check(f"list {name}", "ok", counted(len(found), "item"))
    outcome: Outcome = "unusable" if name == "instances" else "note" if name in ADVISORY else "failed"
    return Check(f"list {name}", outcome, found.message)


def _of_vpc(client: VpcClient, vpc: str) -> Iterator[Check]:
    """What is read of each VPC, tried with one."""
    tasks = {key: partial(read_list, client.bounded(), f"list_vpc_{key}", key, vpc) for key in _OF_VPC}
    for name, found in in_parallel(tasks).items():
        yield _of_list(name, found)


def _of_server(client: VpcClient, request: Request, asker: Asker) -> Iterator[Check]:
    """One server, over SSH as any other command would reach it."""
    try:
        region = read_region(client, vpc=request.vpc, resource_group=request.resource_group)
        server = _chosen(region, request)
    except CloudError as error:
        yield Check("a server", "failed", error.message)
        return
    if server is None:
        yield Check("a server", "note", "not tried: there is none that runs; name another scope, or make one")
        return
    name = one_line(server.name, 80)
    if request.cloud_only:
        yield Check(name, "skipped", "not tried: --cloud-only")
        return
    target = ssh_target(server, request.address)
    if target is not None and not request.ssh.openssh:
        try:
            config = SshConfig(request.ssh)
            yield Check(f"login on {name}", "ok", _way(config.hops(target)))
            for note in config.notes():
                yield Check(f"login on {name}", "note", note)
        except CollectionError as error:
            yield Check(f"login on {name}", "failed", error.message)
            return
    try:
        (collected,) = collect_guests([server], {}, request, asker)
    except CollectionError as error:
        yield Check(name, "failed", error.message)
        return
    guest = collected.guest
    if guest is None:
        new = collected.problems[len(server.problems) :]
        yield Check(name, "failed", "; ".join(problem.message for problem in new))
        return
    yield Check(name, "ok", f"collected: {counted(len(guest.interfaces), 'interface')}")
    if guest.missing:
        said = "; ".join(f"{what}: {why}" for what, why in guest.missing.items())
        yield Check(name, "note", one_line(f"not collected: {said}", 400))


def _chosen(region: Region, request: Request) -> Server | None:
    """The server that is named, else the first by name that runs and has several interfaces, else one that runs."""
    if request.servers:
        return select_servers(region.servers, request.servers, scope=region.scope, problems=region.problems)[0]
    running = sorted(
        (each for each in region.servers if each.may_run), key=lambda each: (len(each.vnis) < 2, each.name)
    )
    return next(iter(running), None)


def _way(hops: Sequence[SshHop]) -> str:
    """How the login will go: as whom, where, by which keys."""
    hop = hops[-1]
    keys = [path for path in hop.identities if path.is_file()]
    agent = hop.agent != "none" and bool(hop.agent or os.environ.get("SSH_AUTH_SOCK"))
    through = f" through {' and '.join(each.label for each in hops[:-1])}" if len(hops) > 1 else ""
    through = " by a ProxyCommand" if hop.proxy_command is not None else through
    having = f"{counted(len(keys), 'key file')}{' and an agent' if agent else ''}"
    return one_line(f"as {hop.user} to {hop.label}{through}, with {having}", 300)
