"""Servers and what is around them, drawn: groups, ACLs and VPC routes of few prefixes and ports, so that they meet."""

from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support import servers
from tests.support.amounts import drawn
from vnicheck.model.cloud import AclRule, Fabric, NetworkAcl, RoutingTable, SecurityGroup, SecurityGroupRule, VpcRoute
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

RELAXED = settings(max_examples=drawn(60), deadline=None, suppress_health_check=list(HealthCheck))
prefixes = st.sampled_from(
    ["0.0.0.0/0", "10.0.0.0/8", "10.8.0.0/16", "10.8.1.0/24", "10.8.1.7/32", "10.0.0.0/24", "10.0.1.0/24",
     "203.0.113.8/31", "192.168.0.0/16"]
)  # fmt: skip
bounds = st.sampled_from([(None, None), (80, 80), (80, 90), (443, 443), (1, 1023), (None, 443), (1024, None)])
protocols = st.sampled_from(["any", "tcp", "udp", "icmp", "tcp", "quic"])
directions = st.sampled_from(["inbound", "inbound", "outbound", "sideways"])
OPEN = [servers.group_rule("outbound"), servers.group_rule("inbound", "icmp")]


@st.composite
def group_rules(draw: st.DrawFn) -> SecurityGroupRule:
    word = draw(protocols)
    first, last = draw(bounds) if word in {"tcp", "udp"} else (None, None)
    to_group = draw(st.sampled_from([None, None, "members", "lost"]))
    return servers.group_rule(
        draw(directions),
        word,
        None if to_group is not None else draw(prefixes),
        remote_group=to_group,
        local=draw(st.sampled_from([None, None, "10.0.0.11/32", "10.0.0.14/32", "0.0.0.0/0"])),
        port_min=first,
        port_max=last,
        icmp_type=draw(st.sampled_from([None, 8, 0])) if word == "icmp" else None,
    )


@st.composite
def acl_rules(draw: st.DrawFn) -> AclRule:
    word = draw(protocols)
    ends = [*draw(bounds), *draw(bounds)] if word in {"tcp", "udp"} else [None] * 4
    return servers.acl_rule(
        draw(st.sampled_from(["allow", "allow", "deny", "log"])),
        draw(directions),
        word,
        draw(prefixes),
        draw(prefixes),
        name=draw(st.sampled_from(["a", "b", "c"])),
        source_port_min=ends[0],
        source_port_max=ends[1],
        destination_port_min=ends[2],
        destination_port_max=ends[3],
    )


routes = st.builds(
    lambda prefix, action, hop: VpcRoute(id="r", name="r", destination=prefix, action=action, next_hop=hop),
    prefixes,
    st.sampled_from(["deliver", "drop", "delegate", "delegate_vpc"]),
    st.sampled_from([None, "10.0.0.77", "10.0.1.5"]),
)


@st.composite
def fabrics(draw: st.DrawFn) -> Fabric:
    more = draw(st.lists(group_rules(), max_size=5))
    return servers.fabric(
        groups=[
            SecurityGroup(id="some", name="some", rules=(*OPEN, *more)),
            SecurityGroup(id="others", name="others", rules=tuple(draw(st.lists(group_rules(), max_size=4)))),
            SecurityGroup(id="members", name="members", addresses=("10.0.0.7", "10.0.0.12", "10.8.0.4")),
        ],
        acls=[
            NetworkAcl(id="acl", name="acl", rules=(*draw(st.lists(acl_rules(), max_size=4)), *servers.OPEN_ACL.rules)),
        ],
        tables=[RoutingTable(id="table", name="table", vpc="vpc", routes=tuple(draw(st.lists(routes, max_size=3))))],
    )


configs = st.builds(
    lambda networks, client_ports, stateless: Config(
        networks=networks, assumptions=Assumptions(client_ports=client_ports, sg_stateless=stateless)
    ),
    st.sampled_from([{}, {"on-prem": ("10.8.0.0/23",), "lab": ("10.8.2.0/23", "192.168.1.0/28")}]),
    st.sampled_from(["1024-65535", "32768-60999"]),
    st.booleans(),
)


def server_of(inside: Guest | None, addresses: Sequence[str]) -> Server:
    first, second, third = addresses
    return servers.server(
        servers.vni(0, first, security_groups=("some", "others"), floating_ip="203.0.113.50"),
        servers.vni(1, second, third, security_groups=("others",), allow_ip_spoofing=True),
        guest=inside,
    )
