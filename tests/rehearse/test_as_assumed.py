"""What the model says that the VPC does, also where the configuration overrides it, the rebuilt VPC does; what it does
not play is left out and told.
"""

import pickle
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from tests.lab.require import require_lab
from tests.support.servers import fabric, guest, link, router, server, subnet, transit_fabric, vni
from vnicheck.fixes.planner import NothingKnownError
from vnicheck.model.cloud import (
    Fabric,
    FloatingIp,
    LoadBalancer,
    LoadBalancerListener,
    LoadBalancerMember,
    Ref,
    RoutingTable,
    Vni,
    VpcRoute,
)
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Protocol, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.rehearsal import Phase
from vnicheck.model.snapshot import Server
from vnicheck.rehearse.rehearsal import Rehearsing
from vnicheck.rehearse.sandbox import Sandbox

ROUTES = """
default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
10.0.1.0/24 dev eth1 proto kernel scope link src 10.0.1.12
"""
FLOATING = "203.0.113.7"


class Asked(Struct, frozen=True, kw_only=True):
    """A server, and the flow (`inbound tcp 10.0.0.11 internet`) that the test is about with what becomes of it; None:
    it is not tried, for `left_out`.
    """

    server: Server
    fabric: Fabric = msgspec.field(default_factory=fabric)
    assume: Assumptions = Assumptions()
    flow: str
    delivered: bool | None
    left_out: str = ""


def two(first: Vni, second: Vni, *, inside: Guest | None = None, kind: str = "instance") -> Server:
    return server(first, second, kind=kind, guest=inside or loose())


def loose(routes: str = ROUTES) -> Guest:
    links = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.1.12/24"))
    return guest(*links, routes=routes, rp_filter={"all": 2})


def one_that_forwards() -> Server:
    """What arrives by a VNI that allows no spoofing leaves by one that does."""
    made = router()
    first, second = made.vnis
    return msgspec.structs.replace(made, vnis=(msgspec.structs.replace(first, allow_ip_spoofing=False), second))


def behind_floating_ip(**more: Any) -> Server:
    """The floating IP's VNI is asked, the answers leave by the other."""
    return two(vni(0, "10.0.0.11", **more), vni(1, "10.0.1.12", subnet="b", floating_ip=FLOATING, **more))


def balanced() -> Fabric:
    balancer = LoadBalancer(
        id="lb",
        name="nlb",
        family="network",
        vpc="vpc",
        access_mode="public",
        route_mode=False,
        private_addresses=("10.0.0.40",),
        public_addresses=("203.0.113.40",),
        listeners=(LoadBalancerListener(id="l", protocol="tcp", port_min=443, port_max=443, pool="p"),),
        members_read=True,
    )
    member = LoadBalancerMember(
        load_balancer=Ref(id="lb", name="nlb"),
        family="network",
        vpc="vpc",
        pool=Ref(id="p", name="p"),
        address="10.0.0.11",
        port=443,
    )
    return fabric(load_balancers={"lb": balancer}, load_balancer_members=(member,))


def ingress_drops() -> Fabric:
    drop = VpcRoute(id="r", name="away", destination=f"{FLOATING}/32", action="drop")
    return fabric(tables=[RoutingTable(id="in", name="in", vpc="vpc", routes=(drop,), ingress=("internet",))])


PLAIN = two(vni(0, "10.0.0.11"), vni(1, "10.0.1.12", subnet="b"))
ASKED = {
    "replies may leave by a VNI without the floating IP": Asked(
        server=behind_floating_ip(protocol_state_filtering_mode="disabled"),
        assume=Assumptions(fip_return=False, spoofing_check=False),
        flow="inbound tcp 10.0.1.12 internet",
        delivered=True,
    ),
    "they may, and states are filtered": Asked(
        server=behind_floating_ip(allow_ip_spoofing=True),
        assume=Assumptions(fip_return=False),
        flow="inbound udp 10.0.1.12 internet",
        delivered=True,
    ),
    "they may, but what the server opens still may not": Asked(
        server=behind_floating_ip(allow_ip_spoofing=True),
        assume=Assumptions(fip_return=False),
        flow="outbound icmp 10.0.1.12 internet",
        delivered=False,
    ),
    "no translation of several floating IPs": Asked(
        server=two(
            vni(0, "10.0.0.11", floating_ip=FLOATING, enable_infrastructure_nat=False),
            vni(
                1,
                "10.0.1.12",
                subnet="b",
                floating_ips=tuple(FloatingIp(id=f"f{n}", name=f"f{n}", address=f"203.0.113.{n}") for n in (8, 9)),
                enable_infrastructure_nat=False,
            ),
            kind="bare_metal_server",
        ),
        flow="inbound udp 10.0.0.11 internet",
        delivered=False,
    ),
    "no translation, beside a public gateway": Asked(
        server=two(vni(0, "10.0.0.11", enable_infrastructure_nat=False), vni(1, "10.0.1.12", subnet="b")),
        fabric=fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="gateway")]),
        flow="outbound tcp 10.0.0.11 internet",
        delivered=False,
    ),
    "what arrives for others is checked": Asked(
        server=one_that_forwards(),
        fabric=transit_fabric(None),
        assume=Assumptions(spoofing_arrival="dropped"),
        flow="transit icmp 10.8.0.5 vpc",
        delivered=False,
    ),
    "what arrives for others is not checked": Asked(
        server=one_that_forwards(),
        fabric=transit_fabric(None),
        assume=Assumptions(spoofing_arrival="passed"),
        flow="transit icmp 10.8.0.5 vpc",
        delivered=True,
    ),
    "every protocol is filtered": Asked(
        server=PLAIN,
        assume=Assumptions(psf_protocols=tuple(Protocol), spoofing_sibling="passed"),
        flow="inbound icmp 10.0.1.12 private",
        delivered=False,
    ),
    "an ingress route drops what is sent to the floating IP": Asked(
        server=two(vni(0, "10.0.0.11", floating_ip=FLOATING), vni(1, "10.0.1.12", subnet="b")),
        fabric=ingress_drops(),
        flow="inbound tcp 10.0.0.11 internet",
        delivered=None,
        left_out="ingress routes are not rebuilt",
    ),
    "a public load balancer hands a port over": Asked(
        server=PLAIN,
        fabric=balanced(),
        flow="inbound tcp 10.0.0.11 internet",
        delivered=False,
        left_out="load balancers are not rebuilt",
    ),
    "a remote whose address the guest holds by table local": Asked(
        server=two(
            vni(0, "10.0.0.11"),
            vni(1, "10.0.1.12", subnet="b"),
            inside=loose(routes=ROUTES + "local 10.8.0.0/16 dev lo table local proto static scope host\n"),
        ),
        flow="outbound icmp 10.0.0.11 private 10.8.0.10",
        delivered=False,
    ),
}
SAMPLE = ("replies may leave by a VNI without the floating IP", "a remote whose address the guest holds by table local")


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.long(sampled=False)) for name in ASKED]
)
def test_the_rebuilt_vpc_does_what_is_assumed_of_it(case: str) -> None:
    require_lab()
    asked = ASKED[case]
    phase = as_is(asked)
    assert [flow for flow in phase.flows if flow.judgement == "differs"] == []
    assert all(flow.judgement == "agrees" for flow in phase.flows if flow.predicted is not Verdict.UNKNOWN)
    found = {
        flow.delivered
        for flow in phase.flows
        if f"{flow.direction} {flow.protocol} {flow.local} {flow.remote_scope} {flow.remote}".startswith(asked.flow)
        and flow.predicted is not Verdict.UNKNOWN
    }
    assert found == (set() if asked.delivered is None else {asked.delivered})
    assert asked.left_out in {"", *(untried.why for untried in phase.untried)}


def as_is(asked: Asked) -> Phase:
    assert isinstance(asked.server.guest, Guest)
    with Sandbox() as box:
        config = Config(assumptions=asked.assume)
        return Rehearsing(
            box, asked.server, asked.server.guest, asked.fabric, config, tell=lambda _: None, prefer=("10.8.0.10",)
        ).as_is()


def test_what_a_worker_raises_reaches_its_parent() -> None:
    assert str(pickle.loads(pickle.dumps(NothingKnownError()))) == str(NothingKnownError())
