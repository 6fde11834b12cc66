"""Strategies that draw rules of security groups and network ACLs."""

from typing import Any

from hypothesis import strategies as st

from tests.support.servers import acl_rule, group_rule
from vnicheck.model.cloud import AclRule, SecurityGroup, SecurityGroupRule

COVERS = {"any": {1, 6, 17}, "all": {1, 6, 17}, "icmp_tcp_udp": {1, 6, 17}, "icmp": {1}, "tcp": {6}, "udp": {17}}
COVERS |= {f"number_{number}": {number} for number in (1, 6, 17, 47)} | {"esp": {50}}

words = st.sampled_from(sorted(COVERS))
directions = st.sampled_from(["inbound", "outbound"])
prefixes = st.sampled_from(["0.0.0.0/0", "10.8.0.0/16", "10.8.0.0/24", "10.8.0.4/32", "10.0.0.0/24", "203.0.113.0/24"])
remotes = st.sampled_from(["10.8.0.4", "10.8.0.9", "10.8.1.1", "10.0.1.7", "203.0.113.9", "198.51.100.1"])

bounds = st.none() | st.integers(1, 12)

types = st.none() | st.sampled_from([0, 8])
LOCAL = "10.0.0.11"


@st.composite
def group_rules(draw: Any) -> SecurityGroupRule:
    word = draw(words)
    more: dict[str, Any] = {}
    if word in {"tcp", "udp"}:
        more = {"port_min": draw(bounds), "port_max": draw(bounds)}
    elif word == "icmp":
        more = {"icmp_type": draw(types), "icmp_code": draw(st.none() | st.just(0))}
    local = draw(st.none() | st.sampled_from(["0.0.0.0/0", "10.0.0.11/32", "10.0.0.12/32"]))
    if draw(st.booleans()):
        return group_rule(draw(directions), word, draw(prefixes), local=local, **more)
    return group_rule(draw(directions), word, None, remote_group="members", local=local, **more)


MEMBERS = SecurityGroup(id="members", name="members", addresses=("10.8.0.4", "10.0.1.7"))


@st.composite
def acl_rules(draw: Any) -> AclRule:
    word = draw(words)
    more: dict[str, Any] = {}
    if word in {"tcp", "udp"}:
        more = {f"{end}_port_{edge}": draw(bounds) for end in ("source", "destination") for edge in ("min", "max")}
    elif word == "icmp":
        more = {"icmp_type": draw(types), "icmp_code": draw(st.none() | st.just(0))}
    action = draw(st.sampled_from(["allow", "deny"]))
    return acl_rule(action, draw(directions), word, draw(prefixes), draw(prefixes), **more)
