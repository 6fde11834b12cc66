"""Network load balancers: they hand a client's packets, with the client's own address, to the primary VNIs of their
members, and expect the answers to go back directly, by the same VNI.

Source: IBM Cloud Docs, VPC: nlb-about, load-balancers, vnf-about-ha.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.fabric.security_group import rules_of
from vnicheck.fabric.transport import ECHO_REQUEST, EVERY_PORT, kind_of
from vnicheck.model.address import Range, parse_address
from vnicheck.model.address_map import AddressMap
from vnicheck.model.cloud import Fabric, LoadBalancer, LoadBalancerMember, Vni
from vnicheck.model.flow import Protocol
from vnicheck.model.words import one_line

_FAMILY = "network"
_NOT_PUBLIC = {"private", "private_path"}
_PROVISIONED = {None, "active", "update_pending", "maintenance_pending", "migrate_pending"}
"""LoadBalancer, provisioning_status: not `create_pending`, `delete_pending` and `failed`, nor a later word."""


class Balanced(Struct, frozen=True):
    """Ports of a member at which a public load balancer's clients come in, over a protocol (None: any). `doubt`: why
    that is not known, if it is not.

    `groups`: the balancer's own security groups, which see the packets at its address `at`, `listens` being the ports
    that they are sent to there.
    """

    balancer: str
    protocol: str | None
    first: int
    last: int
    doubt: str | None = None
    groups: tuple[str, ...] = ()
    at: int | None = None
    listens: Range = EVERY_PORT


def public_ports(fabric: Fabric, server: str, vni: Vni) -> tuple[Balanced, ...]:
    """The ports of the VNI's primary address at which public load balancers let in the internet, or may. `server`: its
    id.
    """
    return tuple(
        each
        for balancer in (fabric.load_balancers or {}).values()
        if balancer.family == _FAMILY and balancer.access_mode not in _NOT_PUBLIC and balancer.route_mode is not True
        for member in _members(fabric, balancer, server, vni)
        for each in _ports(balancer, member)
    )


def let_in(fabric: Fabric, each: Balanced, remotes: Iterable[int], member: int) -> Balanced | None:
    """What is left of it for clients that fare alike, where the balancer's own security groups are asked too."""
    if not each.groups or each.protocol is None:
        return each
    rules = rules_of(fabric, each.groups)
    if rules is None or (each.at is None and rules.read_locals):
        return replace(each, doubt="what its security groups let in was not read")
    at, protocol = each.at or 0, Protocol(each.protocol)
    arriving, leaving = (kind_of(direction, protocol, ECHO_REQUEST) for direction in ("inbound", "outbound"))
    came = {passed for remote in remotes for passed in rules.admitted(arriving, remote, at, each.listens)}
    went = rules.admitted(leaving, member, at, (each.first, each.last))
    if {False} in (came, went):
        return None
    return each if came == went == {True} else replace(each, doubt="its security groups may refuse some of its clients")


def alike(fabric: Fabric, server: str, vni: Vni) -> Iterator[tuple[tuple[str, ...], AddressMap[tuple[int, int]]]]:
    """What the groups of each such balancer tell clients apart by: of each a fate and a value."""
    for groups, at in dict.fromkeys((each.groups, each.at) for each in public_ports(fabric, server, vni)):
        rules = rules_of(fabric, groups) if groups else None
        if rules is not None:
            yield groups, rules.alike([at or 0])


def unread(fabric: Fabric) -> str | None:
    """Why there may be load balancers that were not read; None where there are none, or nobody asked for them."""
    return fabric.missing.get("load_balancers")


def forwards(fabric: Fabric, next_hop: str | None, server: str, vni: Vni) -> LoadBalancer | None:
    """The load balancer in route mode that a VPC route's next hop is an address of, where the VNI is a member's."""
    for balancer in (fabric.load_balancers or {}).values():
        led = balancer.route_mode and next_hop in (balancer.private_addresses or ())
        if led and any(_members(fabric, balancer, server, vni)):
            return balancer
    return None


def has_others(fabric: Fabric, balancer: LoadBalancer) -> bool:
    """Whether the load balancer has several members, or may have."""
    members = {(each.instance, each.address) for each in fabric.load_balancer_members if _is_of(each, balancer)}
    return not balancer.members_read or len(members) > 1


def _members(fabric: Fabric, balancer: LoadBalancer, server: str, vni: Vni) -> Iterator[LoadBalancerMember]:
    """The load balancer's members that are the server, by its primary VNI; other VPCs may have its addresses too."""
    for member in fabric.load_balancer_members if balancer.vpc == fabric.subnets[vni.subnet].vpc else ():
        ours = member.instance == server or member.address == vni.primary_address
        if vni.primary and ours and _is_of(member, balancer):
            yield member


def _is_of(member: LoadBalancerMember, balancer: LoadBalancer) -> bool:
    return member.load_balancer.id == balancer.id


def _ports(balancer: LoadBalancer, member: LoadBalancerMember) -> Iterator[Balanced]:
    doubt = _doubt(balancer, member)
    groups, own = balancer.security_groups or (), balancer.private_addresses or ()
    at = parse_address(own[0]) if len(own) == 1 else None
    for each in _handed_on(balancer, member):
        yield replace(each, doubt=each.doubt or doubt, groups=groups, at=at)


def _handed_on(balancer: LoadBalancer, member: LoadBalancerMember) -> Iterator[Balanced]:
    if not balancer.listeners:
        first, last = EVERY_PORT if member.port is None or balancer.listeners is None else (member.port, member.port)
        for protocol in (Protocol.TCP, Protocol.UDP) if balancer.listeners is None else (Protocol.TCP,):
            yield Balanced(balancer.name, protocol, first, last, "tells of no listener")
        return
    for listener in balancer.listeners:
        if listener.pool is not None and listener.pool != member.pool.id:
            continue
        listens = first, last = listener.port_min, listener.port_max
        if first == last and member.port is not None:
            first = last = member.port
        doubt = "tells of no listener" if listener.pool is None else None
        if listener.protocol not in {Protocol.TCP, Protocol.UDP}:
            yield Balanced(balancer.name, None, first, last, f"listens for {one_line(listener.protocol, 40)}")
        else:
            yield Balanced(balancer.name, listener.protocol, first, last, doubt, listens=listens)


def _doubt(balancer: LoadBalancer, member: LoadBalancerMember) -> str | None:
    if balancer.access_mode != "public":
        return f"is of access mode {one_line(balancer.access_mode or 'that was not read', 40)}"
    if balancer.provisioning_status not in _PROVISIONED:
        return f"is {one_line(balancer.provisioning_status or '', 40)}"
    if balancer.security_groups is None:
        return "does not tell which security groups it has"
    return "gives it weight 0, with which it may get nothing" if member.weight == 0 else None
