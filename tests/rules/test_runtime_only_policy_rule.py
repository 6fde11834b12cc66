"""VNC252: where it fires, where it must not, and where facts are missing."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, findings_of, guest, report, server, two_vnis
from vnicheck.model.guest import BootConfig, BootRoute, BootRule, BootValue, Guest

UNFILTERED = two_vnis(protocol_state_filtering_mode="disabled")
LAST = "/etc/rc.local"
RULE = BootRule(source=f"{LAST}:1", table=1003, src="10.0.0.12/32")
ROUTES = (
    BootRoute(source=f"{LAST}:2", table=1003, prefix="0.0.0.0/0"),
    BootRoute(source=f"{LAST}:3", table=1003, prefix="10.0.0.0/24"),
)


def policy_routed(boot: BootConfig | None, **more: Any) -> Guest:
    return guest(routes=POLICY_ROUTING, rules=POLICY_RULES, boot=boot, **more)


def test_rules_and_routes_by_hand_alone() -> None:
    """Without them the state filter of the other VNI drops the replies."""
    (found,) = findings_of(server(guest=policy_routed(BootConfig(), network_managers=("NetworkManager",))), "VNC252")
    assert (found.severity, found.confidence) == ("warning", "assumed")
    assert "rule '1003: from 10.0.0.12 lookup 1003'" in found.message
    assert "route 'default via 10.0.0.1 dev eth1 table 1003'" in found.message
    assert "tcp flows to and opened from 10.0.0.12" in found.headline
    assert found.fixes[0].title.endswith("to the configuration of NetworkManager")
    assert {fact.source for fact in found.evidence} == {"ip rule", "ip route"}


@pytest.mark.parametrize(
    "boot", [BootConfig(carried_out=True, rules=(RULE,)), BootConfig(carried_out=True, routes=ROUTES)]
)
def test_half_of_it_is_not_enough(boot: BootConfig) -> None:
    (found,) = findings_of(server(guest=policy_routed(boot)), "VNC252")
    assert ("rule '" in found.message) is not bool(boot.rules)
    assert ("route '" in found.message) is not bool(boot.routes)


@pytest.mark.parametrize(
    "boot",
    [
        BootConfig(carried_out=True, rules=(RULE,), routes=ROUTES),
        BootConfig(
            carried_out=True,
            rules=(msgspec.structs.replace(RULE, priority=1003),),
            routes=(BootRoute(source="x", table=1003),),
        ),
    ],
)
def test_configured_policy_routing_is_silent(boot: BootConfig) -> None:
    found = report(server(guest=policy_routed(boot))).findings
    assert [each for each in found if each.rule in {"VNC251", "VNC252"}] == []


def test_another_rule_does_not_set_it() -> None:
    for change in ({"priority": 7}, {"src": "10.0.0.13/32"}, {"table": 9}, {"dst": "10.9.0.0/16"}):
        boot = BootConfig(carried_out=True, rules=(msgspec.structs.replace(RULE, **change),), routes=ROUTES)
        assert len(findings_of(server(guest=policy_routed(boot)), "VNC252")) == 1


def test_what_would_be_at_risk_hangs_on_it_too() -> None:
    """With filtering off and spoofing not allowed, whether the replies come through without the rule is open."""
    of = server(*two_vnis(spoofing=False, protocol_state_filtering_mode="disabled"), guest=policy_routed(BootConfig()))
    (found,) = [each for each in report(of).findings if each.rule == "VNC252"]
    assert found.headline.endswith(" are at risk (spoofing-sibling)")
    assert "would be dropped" not in found.message


def test_nothing_hangs_on_it() -> None:
    """With filtering off and spoofing allowed the flows go through without the rule as well."""
    assert findings_of(server(*UNFILTERED, guest=policy_routed(BootConfig())), "VNC252") == []


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
    inside = guest(routes=POLICY_ROUTING, rules=rules, boot=BootConfig(carried_out=True, rules=(RULE,), routes=ROUTES))
    assert findings_of(server(guest=inside), "VNC252") == []


def test_the_kernels_rules_are_not_named_beside_what_is_lost() -> None:
    inside = guest(routes=POLICY_ROUTING, rules=MOVED, boot=BootConfig(carried_out=True, routes=ROUTES))
    (found,) = findings_of(server(guest=inside), "VNC252")
    assert "rule '1003: from 10.0.0.12 lookup 1003'" in found.message
    assert "lookup local" not in found.message


def test_a_rule_at_the_kernels_priority_that_is_another_is_lost() -> None:
    rules = POLICY_RULES.replace("1003:\tfrom 10.0.0.12", "32766:\tfrom 10.0.0.12")
    rules = rules.replace("32766:\tfrom all lookup main\n", "32767:\tfrom all lookup main\n")
    (found,) = findings_of(
        server(guest=guest(routes=POLICY_ROUTING, rules=rules, boot=BootConfig(carried_out=True, routes=ROUTES))),
        "VNC252",
    )
    assert "rule '32766: from 10.0.0.12 lookup 1003'" in found.message


def test_a_rule_and_rp_filter_that_are_lost_together() -> None:
    """Each alone does no harm; a boot takes both."""
    strict = BootValue(value=1, source="/etc/sysctl.d/50-strict.conf:1")
    inside = policy_routed(BootConfig(sysctls={"net/ipv4/conf/all/rp_filter": strict}))
    assert findings_of(server(*UNFILTERED, guest=inside), "VNC251")[0].severity == "note"
    (found,) = findings_of(server(*UNFILTERED, guest=inside), "VNC252")
    assert found.headline.startswith("from the next boot on, tcp")
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
    assert findings_of(server(guest=inside), "VNC252") == []


def test_nothing_is_said_of_what_an_older_version_took_for_set() -> None:
    """It told of every file's settings, whether boot carries them out or not: also one that sets but a part."""
    old = msgspec.json.decode(b'{"rules":[{"source":"/etc/rc.local:1","table":1003}]}', type=BootConfig)
    assert "an older version" in old.unknown["routing"]
    assert findings_of(server(guest=policy_routed(old)), "VNC252") == []
    again = msgspec.json.decode(msgspec.json.encode(old), type=BootConfig)
    assert again == old
