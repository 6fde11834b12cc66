"""For each rule of latent faults a server on which it fires."""

from typing import Any

from tests.support.servers import (
    POLICY_ROUTING,
    POLICY_RULES,
    TWO_DEFAULTS,
    guest,
    link,
    rules_of,
    server,
    two_vnis,
)
from vnicheck.model.snapshot import Problem, Server

STRICT = {"eth0": 1, "eth1": 1}
OFF = two_vnis(protocol_state_filtering_mode="disabled")
CLOSED = two_vnis(spoofing=False)


def routed(*vnis: Any, routes: str = POLICY_ROUTING, rules: str = POLICY_RULES, **more: Any) -> Server:
    """Policy routing, strict filters, no spoofing: a healthy server, but for what is given."""
    return server(*(vnis or CLOSED), guest=guest(routes=routes, rules=rules, **({"rp_filter": STRICT} | more)))


UNMATCHED = guest(link("eth0", 0, "10.0.0.11/24"), rp_filter=STRICT)
NEIGHBOURS_BY_MAIN = rules_of("900: from all to 10.0.0.0/24 lookup main", "1003: from 10.0.0.12 lookup 1003")

FIRES: dict[str, tuple[Server, str, tuple[str, ...]]] = {
    "VNC201": (server(*OFF, guest=guest()), "warning", ("in", "eth1", "rp_filter being off", "vni-1 not filtering")),
    "VNC202": (routed(rules=rules_of()), "warning", ("no policy rule leads to routing table 1003", "eth1")),
    "VNC203": (routed(routes=TWO_DEFAULTS), "warning", ("1 policy rule leads to routing table 1003",)),
    "VNC204": (
        routed(routes=f"{POLICY_ROUTING}default via 10.0.0.1 dev eth1\n"),
        "warning",
        ("eth0 and eth1 of the same metric (0)",),
    ),
    "VNC205": (
        routed(*OFF, rules=NEIGHBOURS_BY_MAIN, rp_filter={"all": 2}),
        "note",
        ("both in subnet subnet-a (10.0.0.0/24)", "reach the server by eth1 and are answered by eth0"),
    ),
    "VNC206": (
        server(guest=UNMATCHED),
        "note",
        ("no interface of the guest belongs to vni-2", "10.0.0.12 are unknown"),
    ),
    "VNC301": (
        routed(*two_vnis(spoofing=False, protocol_state_filtering_mode="disabled")),
        "note",
        ("disabled on vni-", "every path of the server is symmetric"),
    ),
    "VNC302": (routed(*two_vnis()), "note", ("allows IP spoofing",)),
    "VNC303": (routed(rp_filter={"eth0": 1}), "note", ("rp_filter is off on eth1",)),
    "VNC304": (
        server(*OFF, guest=guest(rp_filter={"all": 2, "eth0": 1, "eth1": 0})),
        "note",
        ("only eth1 needs it: eth0 would be strict by its own value (1)",),
    ),
    "VNC401": (
        server(problems=(Problem(code="ssh_timeout", message="no answer"),)),
        "note",
        ("the guest was not collected",),
    ),
    "VNC402": (
        server(*two_vnis(allow_ip_spoofing=None, protocol_state_filtering_mode="disabled"), guest=guest()),
        "note",
        ("whether it allows IP spoofing was not readable",),
    ),
}
