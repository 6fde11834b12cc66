"""Network load balancers: they hand a client's packets, with the client's own address, to the primary VNIs of their
members, and expect the answers to go back directly, by the same VNI.

Source: IBM Cloud Docs, VPC: nlb-about, load-balancers, vnf-about-ha.
"""

from collections.abc import Iterator

from msgspec import Struct

from vnicheck.model.cloud import Fabric, LoadBalancer, LoadBalancerMember, Vni
from vnicheck.model.flow import Protocol

_FAMILY = "network"


class Balanced(Struct, frozen=True):
    """Ports of a member at which a load balancer's clients come in. `known`: False where it tells of no listener that
    says so: they were not read, or there are none while there is a pool.
    """

    balancer: str
    protocol: str
    first: int
    last: int
    known: bool = True


def public_ports(fabric: Fabric, server: str, vni: Vni) -> tuple[Balanced, ...]:
    """The ports of the VNI's primary address at which public load balancers let in the internet. `server`: its id."""
    return tuple(
        each
        for balancer in (fabric.load_balancers or {}).values()
        if balancer.family == _FAMILY and balancer.access_mode == "public" and balancer.route_mode is not True
        for member in _members(fabric, balancer, server, vni)
        for each in _ports(balancer, member)
    )


def unread(fabric: Fabric) -> str | None:
    """Why there may be load balancers that were not read; None where there are none, or nobody asked for them."""
    return fabric.missing.get("load_balancers")


def forwards(fabric: Fabric, next_hop: str | None, server: str, vni: Vni) -> LoadBalancer | None:
    """The load balancer in route mode that a VPC route's next hop is an address of, where the VNI is a member's."""
    for balancer in (fabric.load_balancers or {}).values():
        if balancer.route_mode and next_hop in (balancer.private_addresses or ()):
            return balancer if any(_members(fabric, balancer, server, vni)) else None
    return None


def has_others(fabric: Fabric, balancer: LoadBalancer) -> bool:
    """Whether the load balancer has several members, or may have."""
    members = {(each.instance, each.address) for each in fabric.load_balancer_members if _is_of(each, balancer)}
    return not balancer.members_read or len(members) > 1


def _members(fabric: Fabric, balancer: LoadBalancer, server: str, vni: Vni) -> Iterator[LoadBalancerMember]:
    """The load balancer's members that are the server, by its primary VNI."""
    for member in fabric.load_balancer_members:
        ours = member.instance == server or member.address == vni.primary_address
        if vni.primary and ours and _is_of(member, balancer):
            yield member


def _is_of(member: LoadBalancerMember, balancer: LoadBalancer) -> bool:
    return member.load_balancer.id == balancer.id


def _ports(balancer: LoadBalancer, member: LoadBalancerMember) -> Iterator[Balanced]:
    if not balancer.listeners:
        first, last = (0, 65535) if member.port is None or balancer.listeners is None else (member.port, member.port)
        for protocol in (Protocol.TCP, Protocol.UDP) if balancer.listeners is None else (Protocol.TCP,):
            yield Balanced(balancer.name, protocol, first, last, known=False)
        return
    for listener in balancer.listeners:
        if listener.pool is not None and listener.pool != member.pool.id:
            continue
        first, last = listener.port_min, listener.port_max
        if first == last and member.port is not None:
            first = last = member.port
        yield Balanced(balancer.name, listener.protocol, first, last, known=listener.pool is not None)
