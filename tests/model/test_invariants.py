"""Every struct refuses, on construction and on decoding, what cannot be."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.support.servers import acl_rule, group_rule, guest, link, report, server, subnet, two_vnis, vni
from vnicheck.model.cloud import (
    FloatingIp,
    LoadBalancer,
    LoadBalancerListener,
    NextHopResource,
    PublicAddressRange,
    Vpc,
    VpcRoute,
)
from vnicheck.model.flow import Direction, Drop, DropCode, Flow, Hop, Leg, Outcome, Protocol, Scope, Stage, Verdict
from vnicheck.model.guest import InterfaceAddress, NextHop, PolicyRule, Route, RuleAction
from vnicheck.model.plan import Action, Step
from vnicheck.model.report import InstanceReport, Tally

PASS = Hop(leg=Leg.REQUEST, at="eth0", stage=Stage.SOURCE_VALIDATION, outcome=Outcome.PASS, reason="r")
UNKNOWN = Hop(leg=Leg.REQUEST, at="eth0", stage=Stage.SOURCE_VALIDATION, outcome=Outcome.UNKNOWN, reason="r")
DROP = Hop(
    leg=Leg.REPLY, at="eth0", stage=Stage.SOURCE_VALIDATION, outcome=Outcome.DROP, reason="r", drop=DropCode.RP_FILTER
)
DROPS = (Drop(by=DropCode.RP_FILTER, leg=Leg.REPLY, at="eth0"),)


def flow(**changes: Any) -> Flow:
    fields: dict[str, Any] = {
        "direction": Direction.INBOUND,
        "protocol": Protocol.TCP,
        "ports": ("1-65535",),
        "remote": ("10.0.0.0/8",),
        "remote_scope": Scope.PRIVATE,
        "local": "10.0.0.11",
        "ingress": "eth0",
        "egress": "eth0",
        "symmetric": True,
        "verdict": Verdict.DELIVERED,
        "dropped_by": None,
        "drops": (),
        "hops": (PASS,),
    }
    return Flow(**(fields | changes))


IMPOSSIBLE: dict[str, Callable[[], object]] = {
    "a hop that drops without a code": lambda: Hop(
        leg=Leg.REPLY, at="eth0", stage=Stage.SOURCE_VALIDATION, outcome=Outcome.DROP, reason="r"
    ),
    "a hop that passes with a drop code": lambda: msgspec.structs.replace(DROP, outcome=Outcome.PASS),
    "dropped by nothing": lambda: flow(verdict=Verdict.DROPPED),
    "delivered though dropped": lambda: flow(drops=DROPS, dropped_by=DropCode.RP_FILTER, hops=(DROP,)),
    "delivered past what is not known": lambda: flow(hops=(PASS, UNKNOWN)),
    "dropped by another than the first": lambda: flow(
        verdict=Verdict.DROPPED, drops=DROPS, dropped_by=DropCode.NOT_LOCAL, hops=(DROP,)
    ),
    "a class of no remotes": lambda: flow(remote=()),
    "ports of icmp": lambda: flow(protocol=Protocol.ICMP),
    "tcp without ports": lambda: flow(ports=msgspec.UNSET),
    "a floating IP that is no address": lambda: FloatingIp(id="f", name="f", address="203.0.113.300"),
    "a VNI without an address": lambda: vni(0, ""),
    "a secondary address that is a prefix": lambda: vni(0, "10.0.0.11", "10.0.0.12/24"),
    "a subnet with host bits": lambda: subnet("x", "10.0.0.1/24"),
    "a VPC prefix that is none": lambda: Vpc(id="v", name="v", prefixes=("10.0.0.0/40",)),
    "a VPC route to nowhere": lambda: VpcRoute(id="r", name="r", destination="default", action="drop"),
    "a VPC route with two next hops": lambda: VpcRoute(
        id="r",
        name="r",
        destination="10.8.0.0/16",
        action="deliver",
        next_hop="10.0.0.5",
        next_hop_resource=NextHopResource(id="c"),
    ),
    "a public address range with host bits": lambda: PublicAddressRange(id="p", name="p", cidr="192.0.2.1/28"),
    "a listener whose last port comes first": lambda: LoadBalancerListener(
        id="l", protocol="tcp", port_min=81, port_max=80
    ),
    "a listener on no port": lambda: LoadBalancerListener(id="l", protocol="tcp", port_min=1, port_max=65536),
    "a load balancer at a name": lambda: LoadBalancer(
        id="b", name="b", family="network", vpc="v", public_addresses=("lb.example",)
    ),
    "a load balancer at a prefix": lambda: LoadBalancer(
        id="b", name="b", family="network", vpc="v", private_addresses=("10.0.0.0/28",)
    ),
    "a group rule's remote with host bits": lambda: group_rule("inbound", remote="10.0.0.1/8"),
    "a group rule's local that is a name": lambda: group_rule("inbound", local="web"),
    "an ACL rule from anywhere": lambda: acl_rule("allow", "inbound", source="any"),
    "an ACL rule to anywhere": lambda: acl_rule("allow", "inbound", destination="any"),
    "an interface without a name": lambda: link("", 0),
    "an interface with an endless name": lambda: link("e" * 65, 0),
    "a MAC address in upper case": lambda: link("eth0", 0, mac="02:00:00:00:00:0A"),
    "an interface address of IPv6": lambda: InterfaceAddress(prefix="fe80::1/64"),
    "a peer that is no prefix": lambda: InterfaceAddress(prefix="10.0.0.1/32", peer="x"),
    "a gateway of IPv6": lambda: NextHop(gateway="fe80::1"),
    "a route with host bits": lambda: Route(prefix="10.0.0.1/24"),
    "a route with a source of IPv6": lambda: Route(prefix="10.0.0.0/24", source="::1"),
    "a policy rule that leads nowhere": lambda: PolicyRule(priority=1),
    "a goto without a target": lambda: PolicyRule(priority=1, action=RuleAction.GOTO),
    "a policy rule with host bits": lambda: PolicyRule(priority=1, table=1, src="10.0.0.1/24"),
    "two interfaces of one name": lambda: guest(link("eth0", 0), link("eth0", 1)),
    "two primary interfaces": lambda: server(*two_vnis(primary=True)),
    "a PATCH of nothing": lambda: Action(kind="vni_patch", summary="s"),
    "an action of the guest that does nothing": lambda: Action(kind="sysctl", summary="s"),
    "a PATCH with a step": lambda: Action(
        kind="vni_patch", summary="s", steps=(Step("do", "undo"),), patch={}, vni="v"
    ),
    "a PATCH among sysctls": lambda: Action(kind="sysctl", summary="s", steps=(Step("do", "undo"),), patch={}, vni="v"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        IMPOSSIBLE[name]()


@pytest.mark.parametrize(
    "possible",
    [
        flow(),
        flow(verdict=Verdict.UNKNOWN, hops=(PASS, UNKNOWN)),
        flow(verdict=Verdict.DROPPED, drops=DROPS, dropped_by=DropCode.RP_FILTER, hops=(UNKNOWN, DROP)),
        flow(protocol=Protocol.ICMP, ports=msgspec.UNSET),
    ],
)
def test_what_can_be_survives_json(possible: Flow) -> None:
    encoded = msgspec.json.encode(possible)
    assert msgspec.json.decode(encoded, type=Flow) == possible
    assert (b'"ports"' in encoded) is (possible.protocol is not Protocol.ICMP)


def test_decoding_checks_the_same() -> None:
    encoded = msgspec.json.encode(flow()).replace(b'"delivered"', b'"dropped"')
    with pytest.raises(msgspec.ValidationError, match="dropped if and only if"):
        msgspec.json.decode(encoded, type=Flow)


def test_a_report_counts_its_instances() -> None:
    broken: InstanceReport = report(server(guest=guest(rp_filter={"eth1": 1})))
    instances = (
        broken,
        msgspec.structs.replace(broken, status="incomplete", findings=()),
        msgspec.structs.replace(broken, status="skipped", findings=()),
    )
    tally = Tally()
    for instance in instances:
        tally.add(instance)
    counted = tally.summary()
    assert (tally.complete, tally.stopped) == (False, 0)
    assert (counted.instances, counted.analyzed, counted.incomplete, counted.skipped) == (3, 1, 1, 1)
    assert counted.findings == {
        severity: sum(finding.severity == severity for finding in broken.findings)
        for severity in ("error", "warning", "note")
    }
    assert counted.findings["error"] == 1
