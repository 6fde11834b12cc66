"""A first `vnicheck.toml`: commented, with what can be told of the account. All names in it are remote text."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.address import LAST, prefix_range
from vnicheck.model.cloud import Fabric, RoutingTable, VpcRoute
from vnicheck.model.config import MAX_NETWORKS, NETWORK_NAME, Assumptions
from vnicheck.model.flow import Scope
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.model.words import counted, one_line

_SHOWN = 20
"""Servers that are told one by one."""
_WIDTH = 100


def starter_config(regions: Mapping[str, Snapshot], examples: Mapping[str, str], *, day: str) -> str:
    """The file's text. `examples`: a right line for each setting; `day`: today, 2026-11-28."""
    servers = sorted((each for snapshot in regions.values() for each in snapshot.servers), key=lambda each: each.name)
    parts = [
        _head(list(regions), servers, day),
        _networks(regions.values()),
        _assumptions(servers, examples),
        _expectation(servers),
        _mute(servers),
    ]
    return "\n".join(line for part in parts for line in (*part, "")).rstrip("\n") + "\n"


def _head(regions: Sequence[str], servers: Sequence[Server], day: str) -> Iterator[str]:
    where = ", ".join(_plain(region) for region in regions if region) or "the account"
    several = [each for each in servers if len(each.vnis) > 1]
    yield "# vnicheck.toml: what vnicheck is to know beyond what the VPC and the servers tell it."
    yield f"# Written by 'vnicheck init' on {day}. Lines without # apply; the others show what can be said."
    yield f"# {where}: {counted(len(servers), 'server')}, {len(several)} with several interfaces:"
    for server in several[:_SHOWN]:
        addresses = ", ".join(vni.primary_address for vni in server.vnis)
        yield f"#   {_plain(server.name)}  {_plain(server.vpc.name)}  {addresses}"
    if len(several) > _SHOWN:
        yield f"#   and {len(several) - _SHOWN} more: 'vnicheck list'"
    yield ""
    yield "# Days that a guest may be older than the VPC's side that it is held beside."
    yield "# max-age = 365"


def _networks(snapshots: Iterable[Snapshot]) -> Iterator[str]:
    yield "# Networks that the VPC does not know: reports speak of them by name, and [[expect]] may."
    yield "[networks]"
    yield '# on-prem = ["10.8.0.0/16", "10.9.0.0/16"]'
    taken: list[tuple[int, int]] = []
    names: set[str] = set()
    for snapshot in snapshots:
        for table, route in _routes_out(snapshot.fabric):
            first, last = prefix_range(route.destination)
            if len(names) == MAX_NETWORKS or any(first <= end and begin <= last for begin, end in taken):
                continue
            name = _network_name(route.name, names)
            taken.append((first, last))
            names.add(name)
            yield f'{name} = ["{route.destination}"]  # route {_plain(route.name)} of table {_plain(table.name)}'


def _routes_out(fabric: Fabric) -> Iterator[tuple[RoutingTable, VpcRoute]]:
    """The custom routes to networks outside of every VPC that was read, but for default routes."""
    inside = [prefix_range(prefix) for vpc in fabric.vpcs.values() for prefix in vpc.prefixes]
    for table in fabric.routing_tables.values():
        for route in table.routes or ():
            first, last = prefix_range(route.destination)
            if route.action == "drop" or (first, last) == (0, LAST):
                continue
            if not any(begin <= last and first <= end for begin, end in inside):
                yield table, route


def _network_name(wanted: str, taken: set[str]) -> str:
    """A key that TOML takes without quotes and that no other network has."""
    bare = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "-" for char in wanted)[:50]
    name = bare if NETWORK_NAME.fullmatch(bare) and bare not in {scope.value for scope in Scope} else "network"
    numbered = (f"{name}-{number}" for number in range(2, MAX_NETWORKS + 2))
    return name if name not in taken and name != "network" else next(each for each in numbered if each not in taken)


def _assumptions(servers: Sequence[Server], examples: Mapping[str, str]) -> Iterator[str]:
    yield "# What is assumed where nothing says otherwise; 'vnicheck explain ID' has evidence and source of each."
    yield "[assumptions]"
    defaults = msgspec.to_builtins(Assumptions())
    for assumption in ASSUMPTIONS:
        if assumption.id not in defaults:
            continue
        yield ""
        yield from (f"# {line}" for line in textwrap.wrap(assumption.statement, _WIDTH))
        if assumption.id == "psf-auto" and (in_auto := _in_auto(servers)):
            yield from (f"# {line}" for line in textwrap.wrap(f"In mode auto here: {in_auto}.", _WIDTH))
        default = defaults[assumption.id]
        if isinstance(default, bool | str | list | tuple):
            yield f"# {assumption.id} = {json.dumps(default)}"
        else:
            yield from (f"# {line}" for line in examples[assumption.id].split(" or "))


def _in_auto(servers: Sequence[Server]) -> str:
    names = [
        _plain(server.name)
        for server in servers
        if len(server.vnis) > 1 and any(vni.protocol_state_filtering_mode == "auto" for vni in server.vnis)
    ]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _expectation(servers: Sequence[Server]) -> Iterator[str]:
    yield "# Flows that must work, or must not: an error where they do not. 'from' is a network, a scope or a CIDR."
    several = [server for server in servers if len(server.vnis) > 1]
    server = several[0] if several else None
    yield "# [[expect]]"
    yield f"# server = {_quoted(server.name if server is not None else 'web-*')}"
    yield f"# to = {_quoted(server.vnis[-1].primary_address if server is not None else 'eth1')}"
    yield '# from = "vpc"'
    yield "# port = 443"
    yield '# verdict = "delivered"'


def _mute(servers: Sequence[Server]) -> Iterator[str]:
    yield "# Findings that are known and accepted until a day; 'vnicheck rules' lists the rules."
    yield "# [[mute]]"
    yield '# rule = "VNC102"'
    yield f"# server = {_quoted(servers[0].name if servers else 'web-*')}"
    yield '# reason = "replaced in the next release"'
    yield "# expires = 2026-12-31"


def _plain(name: str) -> str:
    return one_line(name, 80)


def _quoted(name: str) -> str:
    """A TOML string; what JSON escapes TOML does likewise."""
    return json.dumps(one_line(name, 120), ensure_ascii=False)
