"""Which servers a command line names: by id, CRN, name, or one of their addresses. Pure."""

import fnmatch
from collections.abc import Iterable, Sequence

from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.region import Region
from vnicheck.cloud.scope import did_you_mean
from vnicheck.model.cloud import UNSET_ADDRESS
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.words import counted, listed, one_line

_LISTED = 8


def select_servers(
    servers: Sequence[Server], selectors: Sequence[str], *, scope: str, problems: Sequence[Problem] = ()
) -> tuple[Server, ...]:
    """The servers that `selectors` name, in the order of the selectors, each once; all where there are none.

    Names are exact. An id or CRN names one server even where another bears it as its name. `scope` and `problems`
    (as in Region) are for the messages. Raises CloudError `no_such_instance` or `ambiguous_instance`.
    """
    if not selectors:
        return tuple(servers)
    chosen: dict[str, Server] = {}
    for selector in selectors:
        found = matching(servers, selector.strip())
        if not found:
            raise _nothing(servers, selector, scope, problems)
        if len(found) > 1:
            raise _several(found, selector)
        chosen.setdefault(found[0].id, found[0])
    return tuple(chosen.values())


def select(regions: Sequence[Region], selectors: Sequence[str]) -> tuple[Server, ...]:
    """`select_servers` among the servers of some regions."""
    return select_servers(
        [server for region in regions for server in region.servers],
        selectors,
        scope=", ".join(region.scope for region in regions),
        problems=[problem for region in regions for problem in region.problems],
    )


def matching(servers: Sequence[Server], selector: str) -> list[Server]:
    """The servers that a selector may mean: the one with this id or CRN, else those with this name or address."""
    exact = [server for server in servers if selector in (server.id, server.crn)]
    return exact or [server for server in servers if selector == server.name or selector in server_addresses(server)]


def server_addresses(server: Server) -> set[str]:
    """All addresses that name the server: reserved ones, primary and secondary, and floating ones."""
    reserved = {address for vni in server.vnis for address in vni.addresses}
    floating = {floating_ip.address for vni in server.vnis for floating_ip in vni.floating_ips}
    return (reserved | floating) - {UNSET_ADDRESS}


def _nothing(servers: Sequence[Server], selector: str, scope: str, problems: Sequence[Problem]) -> CloudError:
    known = [name for server in servers for name in (server.name, *server_addresses(server))]
    count = counted(len(servers), "server")
    unread = f"; not all could be read: {problems[0].message}" if problems else ""
    return CloudError(
        "no_such_instance",
        f"no server has the name, id, CRN or address {one_line(selector, 100)!r} "
        f"(searched {count} at {scope}){_of_pattern(servers, selector) or did_you_mean(selector, known)}{unread}",
    )


def _of_pattern(servers: Sequence[Server], selector: str) -> str:
    """What to do with a pattern, which names nothing here."""
    if not any(mark in selector for mark in "*?["):
        return ""
    matched = [one_line(server.name, 60) for server in servers if fnmatch.fnmatchcase(server.name, selector)]
    means = f"; names are exact, and this pattern means {listed(matched[:3])}" if matched else "; names are exact"
    more = f" and {len(matched) - 3} more" if len(matched) > 3 else ""
    return f"{means}{more}: 'vnicheck lint --name' takes patterns"


def _several(found: Sequence[Server], selector: str) -> CloudError:
    return CloudError(
        "ambiguous_instance",
        f"{one_line(selector, 100)!r} names {len(found)} servers: {_listed(found)}; give an id, or narrow with --vpc",
    )


def _listed(found: Iterable[Server]) -> str:
    lines = [f"{server.name} ({server.id}) in VPC {server.vpc.name or server.vpc.id}" for server in found]
    more = [] if len(lines) <= _LISTED else [f"and {len(lines) - _LISTED} more"]
    return ", ".join([one_line(line, 120) for line in lines[:_LISTED]] + more)
