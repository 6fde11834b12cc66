"""Rules on what the next boot changes: where they fire, where they must not, and where facts are missing."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, guest, report, server, two_vnis
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.guest import BootConfig, BootRoute, BootRule, BootValue, Guest
from vnicheck.model.snapshot import Server

UNFILTERED = two_vnis(protocol_state_filtering_mode="disabled")
FILE = "/usr/lib/sysctl.d/50-redhat.conf"


def sets(values: Mapping[str, int | None], **more: Any) -> BootConfig:
    """A boot that sets rp_filter of these interfaces."""
    sysctls = {
        f"net/ipv4/conf/{name}/rp_filter": BootValue(value=value, source=f"{FILE}:{line}")
        for line, (name, value) in enumerate(values.items(), 1)
    }
    return BootConfig(sysctls=sysctls, **more)


def findings(rule: str, inside: Guest | None, of: Server | None = None) -> list[Finding]:
    """What the rule finds on the article's two VNIs, state filtering off, or on another server with that guest."""
    target = msgspec.structs.replace(of if of is not None else server(*UNFILTERED), guest=inside)
    return [finding for finding in report(target).findings if finding.rule == rule]


# --- VNC251 -----------------------------------------------------------------------------------------------------------


def test_the_articles_sysctl_w() -> None:
    """Loosened by hand, strict by the distribution's file."""
    breaks, rest = findings("VNC251", guest(boot=sets({"all": 0, "eth0": 1, "eth1": 1})))
    assert (breaks.severity, breaks.confidence) == ("warning", "computed")
    assert breaks.message == (
        "rp_filter is off on eth1 now and strict after a boot: tcp, udp and icmp flows to and opened from 10.0.0.12, "
        "delivered now, would be dropped then "
        f"(net.ipv4.conf.eth1.rp_filter: {FILE}:3 sets 1)."
    )
    assert breaks.fixes == (
        Fix(
            "to keep what runs now, set net.ipv4.conf.eth1.rp_filter = 0 in a file of /etc/sysctl.d whose name sorts "
            "last"
        ),
    )
    assert [(fact.source, fact.text) for fact in breaks.evidence] == [
        ("sysctl", "net/ipv4/conf/eth1/rp_filter = 0"),
        (f"{FILE}:3", "net.ipv4.conf.eth1.rp_filter = 1"),
    ]
    assert (rest.severity, rest.flows, rest.fixes) == ("note", (), ())
    assert "off on eth0 now and strict after a boot" in rest.message
    assert breaks.fingerprint != rest.fingerprint


def test_the_flows_that_hang_on_it() -> None:
    inside = guest(boot=sets({"all": 1}))
    instance = report(server(*UNFILTERED, guest=inside))
    (breaks,) = [found for found in instance.findings if found.severity == "warning" and found.rule == "VNC251"]
    flows = [instance.flows[index] for index in breaks.flows]
    assert {flow.local for flow in flows} == {"10.0.0.12"}
    assert {flow.verdict for flow in flows} == {"delivered"}


def test_a_boot_that_fixes() -> None:
    (found,) = findings("VNC251", guest(rp_filter={"eth1": 1}, boot=sets({"eth1": 2, "all": 0})))
    assert found.severity == "note"
    assert found.flows
    assert found.headline.endswith("dropped now, would be delivered then")
    assert "strict on eth1 now and loose after a boot" in found.message


def test_nobody_sets_it() -> None:
    """The kernel starts at 0; that nothing else sets it is assumed."""
    (found,) = findings("VNC251", guest(rp_filter={"eth1": 2}, boot=BootConfig()))
    assert (found.severity, found.confidence, found.flows) == ("note", "assumed", ())
    assert "no file sets it" in found.message


def test_policy_routing_does_not_hang_on_it() -> None:
    inside = guest(routes=POLICY_ROUTING, rules=POLICY_RULES, boot=sets({"all": 1}))
    assert {found.severity for found in findings("VNC251", inside)} == {"note"}


@pytest.mark.parametrize(
    ("running", "boot"),
    [
        ({}, BootConfig()),
        ({"eth1": 1}, sets({"eth1": 1})),
        ({"all": 1, "eth1": 1}, sets({"all": 1})),  # the larger of the two counts
        ({"all": 2}, sets({"eth0": 2, "eth1": 3})),
        ({"docker0": 1}, BootConfig()),
    ],
)
def test_no_difference_is_no_finding(running: dict[str, int], boot: BootConfig) -> None:
    assert findings("VNC251", guest(rp_filter=running, boot=boot)) == []


STRICT = sets({"all": 1})


@pytest.mark.parametrize(
    "inside",
    [
        None,
        guest(),
        guest(boot=sets({"all": 1}, unknown={"sysctls": "/etc/sysctl.d could not be read"})),
        guest(boot=sets({"all": None})),
        msgspec.structs.replace(guest(boot=STRICT), sysctls={}, missing={"sysctls": "permission denied"}),
        msgspec.structs.replace(guest(boot=STRICT), interfaces=(), missing={"interfaces": "ip: not found"}),
    ],
)
def test_where_facts_are_missing_nothing_is_said_of_rp_filter(inside: Guest | None) -> None:
    assert findings("VNC251", inside) == []


def test_routes_that_are_missing_leave_a_note() -> None:
    """The values differ all the same; whether a flow depends on them is not known."""
    inside = msgspec.structs.replace(guest(boot=STRICT), routes=(), missing={"routes": "timed out"})
    (found,) = findings("VNC251", inside)
    assert found.severity == "note"
    assert found.headline.endswith("; whether a flow depends on it is not known")


# --- VNC252 -----------------------------------------------------------------------------------------------------------

LAST = "/etc/rc.local"
RULE = BootRule(source=f"{LAST}:1", table=1003, src="10.0.0.12/32")
ROUTES = (
    BootRoute(source=f"{LAST}:2", table=1003, prefix="0.0.0.0/0"),
    BootRoute(source=f"{LAST}:3", table=1003, prefix="10.0.0.0/24"),
)


def policy_routed(boot: BootConfig | None, **more: object) -> Guest:
    return guest(routes=POLICY_ROUTING, rules=POLICY_RULES, boot=boot, **more)  # type: ignore[arg-type]


def test_rules_and_routes_by_hand_alone() -> None:
    """Without them the state filter of the other VNI drops the replies."""
    (found,) = findings("VNC252", policy_routed(BootConfig(), network_managers=("NetworkManager",)), server())
    assert (found.severity, found.confidence) == ("warning", "assumed")
    assert "rule '1003: from 10.0.0.12 lookup 1003'" in found.message
    assert "route 'default via 10.0.0.1 dev eth1 table 1003'" in found.message
    assert "tcp flows to and opened from 10.0.0.12" in found.headline
    assert found.fixes[0].title.endswith("to the configuration of NetworkManager")
    assert {fact.source for fact in found.evidence} == {"ip rule", "ip route"}


@pytest.mark.parametrize("boot", [BootConfig(rules=(RULE,)), BootConfig(routes=ROUTES)])
def test_half_of_it_is_not_enough(boot: BootConfig) -> None:
    (found,) = findings("VNC252", policy_routed(boot), server())
    assert ("rule '" in found.message) is not bool(boot.rules)
    assert ("route '" in found.message) is not bool(boot.routes)


@pytest.mark.parametrize(
    "boot",
    [
        BootConfig(rules=(RULE,), routes=ROUTES),
        BootConfig(rules=(msgspec.structs.replace(RULE, priority=1003),), routes=(BootRoute(source="x", table=1003),)),
    ],
)
def test_configured_policy_routing_is_silent(boot: BootConfig) -> None:
    found = report(server(guest=policy_routed(boot))).findings
    assert [each for each in found if each.rule in {"VNC251", "VNC252"}] == []


def test_another_rule_does_not_set_it() -> None:
    for change in ({"priority": 7}, {"src": "10.0.0.13/32"}, {"table": 9}, {"dst": "10.9.0.0/16"}):
        boot = BootConfig(rules=(msgspec.structs.replace(RULE, **change),), routes=ROUTES)
        assert len(findings("VNC252", policy_routed(boot), server())) == 1


def test_what_would_be_at_risk_hangs_on_it_too() -> None:
    """With filtering off and spoofing not allowed, whether the replies come through without the rule is open."""
    of = server(*two_vnis(spoofing=False, protocol_state_filtering_mode="disabled"), guest=policy_routed(BootConfig()))
    (found,) = [each for each in report(of).findings if each.rule == "VNC252"]
    assert found.headline.endswith(" are at risk (spoofing-sibling)")
    assert "would be dropped" not in found.message


def test_nothing_hangs_on_it() -> None:
    """With filtering off and spoofing allowed the flows go through without the rule as well."""
    assert findings("VNC252", policy_routed(BootConfig())) == []


MOVED = POLICY_RULES.replace("0:\tfrom all lookup local\n", "100:\tfrom all lookup local\n")


@pytest.mark.parametrize(
    "rules",
    [
        MOVED,
        MOVED.replace("32766:\tfrom all lookup main", "30000:\tfrom all lookup main"),
        MOVED.replace("32767:\tfrom all lookup default", "32768:\tfrom all lookup default"),
        MOVED.replace("32767:\tfrom all lookup default\n", ""),
    ],
)
def test_the_kernels_rules_are_there_at_boot_wherever_an_agent_moved_them(rules: str) -> None:
    inside = guest(routes=POLICY_ROUTING, rules=rules, boot=BootConfig(rules=(RULE,), routes=ROUTES))
    assert findings("VNC252", inside, server()) == []


def test_the_kernels_rules_are_not_named_beside_what_is_lost() -> None:
    inside = guest(routes=POLICY_ROUTING, rules=MOVED, boot=BootConfig(routes=ROUTES))
    (found,) = findings("VNC252", inside, server())
    assert "rule '1003: from 10.0.0.12 lookup 1003'" in found.message
    assert "lookup local" not in found.message


def test_a_rule_at_the_kernels_priority_that_is_another_is_lost() -> None:
    rules = POLICY_RULES.replace("1003:\tfrom 10.0.0.12", "32766:\tfrom 10.0.0.12")
    rules = rules.replace("32766:\tfrom all lookup main\n", "32767:\tfrom all lookup main\n")
    (found,) = findings("VNC252", guest(routes=POLICY_ROUTING, rules=rules, boot=BootConfig(routes=ROUTES)), server())
    assert "rule '32766: from 10.0.0.12 lookup 1003'" in found.message


def test_a_rule_and_rp_filter_that_are_lost_together() -> None:
    """Each alone does no harm; a boot takes both."""
    assert findings("VNC251", policy_routed(sets({"all": 1})))[0].severity == "note"
    (found,) = findings("VNC252", policy_routed(sets({"all": 1})))
    assert found.headline.startswith("from the next boot on tcp")
    assert found.headline.endswith(" are dropped")


@pytest.mark.parametrize(
    "inside",
    [
        None,
        policy_routed(None),
        policy_routed(BootConfig(unknown={"routing": "/etc/NetworkManager/system-connections could not be read"})),
        msgspec.structs.replace(policy_routed(BootConfig()), routes=(), missing={"routes": "timed out"}),
        policy_routed(BootConfig(), missing={"rules": "timed out"}),
        guest(boot=BootConfig()),
    ],
)
def test_where_facts_are_missing_nothing_is_said_of_rules(inside: Guest | None) -> None:
    assert findings("VNC252", inside, server()) == []
