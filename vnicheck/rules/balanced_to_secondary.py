"""A network load balancer has a member whose address is that of a secondary interface.

## What it finds

Members of a network load balancer's pools, by an address of a VNI of the server which is not its primary one. Members
that are an instance, or an address of its primary interface, are well; so are those of application load balancers,
which have an address of their own to send from. Private path load balancers are not looked at.

## Why packets drop

A network load balancer sends to the primary interface of a member only, so what is meant for another interface does not
come by it. It also keeps the client's address, and expects the server to answer the client directly: the answer must
leave by the interface that the request came by, or the path is asymmetric and filters drop it.

## How to fix

Let the member be the instance or the address of its primary interface, and the service listen there. Where it must be
another interface, use an application load balancer.

## How sure we are

Computed from the API's fields and what is documented; traffic was not observed. Where the load balancers could not be
read, nothing is said: no verdict depends on them.

## Sources

IBM Cloud Docs: nlb-limitations, nlb-about. VPC API: list_load_balancer_pool_members.
"""

from collections.abc import Iterator

from vnicheck.findings.evidence import pool_member, primary_interface
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.cloud import LoadBalancerMember, Vni
from vnicheck.model.finding import Finding, Fix


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each pool and VNI."""
    server = facts.view.server
    primary = next((vni for vni in server.vnis if vni.primary), None)
    if primary is None:
        return
    found: dict[tuple[str, str, str], tuple[Vni, list[LoadBalancerMember]]] = {}
    for member in facts.view.fabric.load_balancer_members:
        if member.family != "network" or member.vpc != server.vpc.id or member.address is None:
            continue
        vni = facts.owner(member.address)
        if vni is not None and not vni.primary:
            key = (member.load_balancer.id, member.pool.id, vni.id)
            found.setdefault(key, (vni, []))[1].append(member)
    for subject, (vni, members) in found.items():
        addresses = ", ".join(dict.fromkeys(str(member.address) for member in members))
        said = (
            f"network load balancer {members[0].load_balancer.name} has {addresses} in pool {members[0].pool.name}, of "
            f"{vni.name}, and sends to the server's primary interface ({primary.name}) only"
        )
        yield observation(
            rule,
            facts,
            subject=subject,
            what=said,
            evidence=[*(pool_member(facts, member) for member in members), primary_interface(facts, primary)],
            fixes=(
                Fix(f"make the server itself, or {primary.primary_address} of {primary.name}, the member of the pool"),
                Fix(f"or use an application load balancer, which can send to {vni.name}"),
            ),
        )


RULE = Rule(
    "VNC207",
    "balanced-to-secondary",
    __doc__,
    find,
    severity="warning",
    about="server",
    cause=CauseKind.BALANCER_MEMBER,
)
