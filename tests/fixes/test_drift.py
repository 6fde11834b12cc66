"""Whatever a plan rests on is compared with the live server before it is changed; what it does not rest on is not."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import (
    OPEN_ACL,
    POLICY_RULES,
    TWO_DEFAULTS,
    acl_rule,
    fabric,
    group_rule,
    guest,
    link,
    server,
    vni,
)
from vnicheck.fixes.drift import drift
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.cloud import RoutingTable, SecurityGroup, VpcRoute
from vnicheck.model.guest import BootConfig, Guest, Hook, HookKind, Manager, Owner, Unmodelled
from vnicheck.model.snapshot import Server

ETHS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
CONTAINER = link("veth1a", 7, mac="02:42:00:00:00:07")


def planned() -> Server:
    return server(guest=guest(*ETHS, rp_filter={"eth1": 1}))


def inside(**changes: Any) -> Server:
    """The planned server with another guest."""
    before = planned().guest
    assert before is not None
    return msgspec.structs.replace(planned(), guest=msgspec.structs.replace(before, **changes))


def settings(**changes: int) -> dict[str, int]:
    before = planned().guest
    assert before is not None
    return before.sysctls | {path.replace("__", "/"): value for path, value in changes.items()}


GUEST: dict[str, tuple[dict[str, Any], str]] = {
    "a route": ({"routes": parse_routes(TWO_DEFAULTS + "10.9.0.0/16 via 10.0.0.1 dev eth1\n").items}, "its routes"),
    "a policy rule": ({"rules": parse_rules(POLICY_RULES).items}, "its policy rules"),
    "a hook": ({"hooks": (Hook(kind=HookKind.IPSEC, text="src 10.0.0.0/8"),)}, "what else judges its packets"),
    "a section": ({"missing": {"sysctls": "denied"}}, "what could be collected of it"),
    "a line": ({"unmodelled": (Unmodelled(section="rules", text="?"),)}, "lines that are not understood"),
    "the boot": ({"boot": BootConfig(sysctls={})}, "its configuration"),
    "a manager": ({"network_managers": ("NetworkManager",)}, "what manages its network"),
    "an owner": (
        {"owners": {"eth1": Owner(manager=Manager.NETPLAN, handle="eth1")}},
        "what configures its interfaces",
    ),
    "rp_filter is zero": ({"sysctls": settings(net__ipv4__conf__eth1__rp_filter=0)}, "its network settings"),
    "rp_filter of all": ({"sysctls": settings(net__ipv4__conf__all__rp_filter=1)}, "its network settings"),
    "a setting of the host": ({"sysctls": settings(net__ipv4__ip_forward=1)}, "its network settings"),
    "an address": (
        {"interfaces": (ETHS[0], link("eth1", 1, "10.0.0.12/24", "10.0.0.99/24"))},
        "its interfaces",
    ),
}


@pytest.mark.parametrize("name", GUEST)
def test_the_guest_is_another(name: str) -> None:
    changes, words = GUEST[name]
    assert drift(planned(), inside(**changes), fabric(), fabric()) == (words,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "stopped"}, "whether it runs"),
        ({"guest": inside(interfaces=ETHS[:1]).guest}, "its interfaces"),
        ({"vnis": (vni(0, "10.0.0.11"), vni(1, "10.0.0.12", allow_ip_spoofing=True))}, "its VNIs"),
    ],
)
def test_the_server_is_another(changes: dict[str, Any], words: str) -> None:
    assert words in drift(planned(), msgspec.structs.replace(planned(), **changes), fabric(), fabric())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"groups": [SecurityGroup(id="open", name="open", rules=(group_rule("inbound"),))]},
            "the VPC's security groups",
        ),
        (
            {"acls": [msgspec.structs.replace(OPEN_ACL, rules=(acl_rule("deny", "inbound"), *OPEN_ACL.rules))]},
            "the VPC's network ACLs",
        ),
        (
            {
                "tables": [
                    RoutingTable(
                        id="table",
                        name="table",
                        vpc="vpc",
                        routes=(VpcRoute(id="r", name="r", destination="10.9.0.0/16", action="drop", zone="z-1"),),
                    )
                ]
            },
            "the VPC's routing tables",
        ),
        ({"missing": {"security_groups": "403"}}, "what could be read of the VPC"),
    ],
)
def test_the_vpc_is_another(changes: dict[str, Any], words: str) -> None:
    assert drift(planned(), planned(), fabric(), fabric(**changes)) == (words,)


def test_what_a_plan_does_not_rest_on_may_change() -> None:
    before = planned().guest
    assert isinstance(before, Guest)
    later = inside(
        collected_at="2026-11-24T09:00:00Z",
        counters={"TcpExtIPReversePathFilter": 7},
        interfaces=(*before.interfaces, CONTAINER),
        sysctls=settings(net__ipv4__conf__veth1a__rp_filter=1),
    )
    unread = fabric(missing={"servers": "bare metal servers were not read: 403"})
    assert drift(planned(), later, unread, fabric()) == ()
