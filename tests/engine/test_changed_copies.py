"""Flows of a changed copy of a server, which takes over what did not change, are those of the same server by itself."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import servers
from tests.support.cases import config_of, names, snapshot_of
from tests.support.drawn_guests import guests
from tests.support.drawn_servers import RELAXED, configs, fabrics, server_of
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.refinement import pieces
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter, carry_out
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.firewall import Firewall
from vnicheck.model.flow import Direction, Protocol
from vnicheck.model.guest import Guest, NextHop, PolicyRule, Route
from vnicheck.model.snapshot import Server


def effects_on(server: Server, draw: random.Random) -> Iterator[Effect]:
    """A few changes, each of any kind that a plan may make."""
    guest = server.guest
    names = [link.name for link in guest.interfaces] if guest is not None else []
    for number in range(draw.randint(1, 3)):
        vni = draw.choice(server.vnis)
        kind = draw.choice(["mode", "spoofing", "rp_filter", "rule", "routes"] if names else ["mode", "spoofing"])
        if kind == "mode":
            new = draw.choice(["auto", "enabled", "disabled"])
            yield PatchVni(vni=vni.id, name=vni.name, field="protocol_state_filtering_mode", old="auto", new=new)
        elif kind == "spoofing":
            yield PatchVni(vni=vni.id, name=vni.name, field="allow_ip_spoofing", old=False, new=draw.random() < 0.5)
        elif kind == "rp_filter":
            yield SetRpFilter(interface=draw.choice(names), old=0, new=draw.randint(0, 2))
        elif kind == "rule":
            source, table = f"{draw.choice(vni.addresses)}/32", draw.choice([254, 1000, 1001])
            priority = draw.choice([5, 900, 32765])
            yield AddRule(rule=PolicyRule(priority=priority, src=source, table=table, text=f"rule {number}"))
        else:
            hop = NextHop(interface=draw.choice(names), gateway=draw.choice(["10.0.0.1", None]))
            prefix = draw.choice(["0.0.0.0/0", "10.8.0.0/16"])
            yield AddRoutes(table=1000, routes=(Route(prefix=prefix, table=1000, nexthops=(hop,), text="r"),))


def check(server: Server, fabric: Fabric, config: Config, draw: random.Random) -> None:
    view = ServerView(server, fabric, config)
    before = predict_flows(view)
    for _ in range(3):
        changed = carry_out(server, effects_on(server, draw))
        after = predict_flows(ServerView(changed, fabric, config, like=view))
        anew = predict_flows(ServerView(changed, fabric, config))
        assert after == anew
        shared = {id(flow) for flow in before} & {id(flow) for flow in after}
        assert [piece for piece in pieces(before, after) if id(before[piece.before]) not in shared] == [
            piece for piece in pieces(before, anew) if id(before[piece.before]) not in shared
        ]


@pytest.mark.recorded(2)
@pytest.mark.parametrize("name", names())
def test_of_a_case(name: str) -> None:
    for server in snapshot_of(name).servers:
        check(server, snapshot_of(name).fabric, config_of(name), random.Random(name))


@RELAXED
@given(fabrics(), guests(), configs, st.randoms(use_true_random=False))
def test_of_any_server(around: Fabric, inside: Guest, config: Config, draw: random.Random) -> None:
    check(server_of(inside, ("10.0.0.11", "10.0.0.12", "10.0.0.14")), around, config, draw)


def test_what_did_not_change_is_the_same_flow() -> None:
    """A patch of how a VNI filters TCP leaves the classes of other protocols as they are."""
    server, fabric, config = servers.server(guest=servers.guest()), servers.fabric(), Config()
    view = ServerView(server, fabric, config)
    before = {id(flow) for flow in predict_flows(view)}
    patch = [
        PatchVni(vni=vni.id, name=vni.name, field="protocol_state_filtering_mode", old="auto", new="disabled")
        for vni in server.vnis
    ]
    after = predict_flows(ServerView(carry_out(server, patch), fabric, config, like=view))
    made = [flow for flow in after if id(flow) not in before and flow.direction is not Direction.TRANSIT]
    assert made
    assert {flow.protocol for flow in made} == {Protocol.TCP}


def test_what_a_container_answers_comes_in_by_its_own_device() -> None:
    """So rp_filter there counts for all addresses at which its port is published."""
    routes = (
        "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11\n"
        "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n"
        "172.17.0.0/16 dev eth1 table 200\ndefault via 10.0.0.1 dev eth1 table 201"
    )
    rules = "50: from all to 172.17.0.0/16 iif eth1 lookup 200\n60: from 172.17.0.0/16 lookup 201"
    chains, _ = parse_iptables(
        "*nat\n:PREROUTING ACCEPT [0:0]\n"
        "-A PREROUTING -d 10.0.0.11/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n"
    )
    plain = servers.guest()
    inside = servers.guest(
        *plain.interfaces,
        servers.link("docker0", 2, "172.17.0.1/16", kind="bridge", index=9),
        servers.link("veth1", 3, kind="veth", index=10, master="docker0"),
        routes=routes,
        rules=rules,
        sysctls={f"conf/{name}/forwarding": 1 for name in ("eth0", "eth1", "docker0")},
        firewall=Firewall(chains=chains),
    )
    server, fabric, config = servers.server(*servers.two_vnis(), guest=inside), servers.fabric(), Config()
    view = ServerView(server, fabric, config)
    before = predict_flows(view)
    changed = carry_out(server, [SetRpFilter(interface="docker0", old=0, new=1)])
    anew = predict_flows(ServerView(changed, fabric, config))
    assert anew != before
    assert predict_flows(ServerView(changed, fabric, config, like=view)) == anew
