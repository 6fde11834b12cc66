"""VNC251: where it fires, where it must not, and where facts are missing."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, findings_of, guest, report, server, two_vnis
from vnicheck.model.finding import Fix
from vnicheck.model.guest import BootConfig, BootValue, Guest

UNFILTERED = two_vnis(protocol_state_filtering_mode="disabled")
FILE = "/usr/lib/sysctl.d/50-redhat.conf"


def sets(values: Mapping[str, int | None], **more: Any) -> BootConfig:
    """A boot that sets rp_filter of these interfaces."""
    sysctls = {
        f"net/ipv4/conf/{name}/rp_filter": BootValue(value=value, source=f"{FILE}:{line}")
        for line, (name, value) in enumerate(values.items(), 1)
    }
    return BootConfig(sysctls=sysctls, **more)


def test_the_articles_sysctl_w() -> None:
    """Loosened by hand, strict by the distribution's file."""
    breaks, rest = findings_of(server(*UNFILTERED, guest=guest(boot=sets({"all": 0, "eth0": 1, "eth1": 1}))), "VNC251")
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
    (found,) = findings_of(
        server(*UNFILTERED, guest=guest(rp_filter={"eth1": 1}, boot=sets({"eth1": 2, "all": 0}))), "VNC251"
    )
    assert found.severity == "note"
    assert found.flows
    assert found.headline.endswith("dropped now, would be delivered then")
    assert "strict on eth1 now and loose after a boot" in found.message


def test_nobody_sets_it() -> None:
    """The kernel starts at 0; that nothing else sets it is assumed."""
    (found,) = findings_of(server(*UNFILTERED, guest=guest(rp_filter={"eth1": 2}, boot=BootConfig())), "VNC251")
    assert (found.severity, found.confidence, found.flows) == ("note", "assumed", ())
    assert "no file sets it" in found.message


def test_policy_routing_does_not_hang_on_it() -> None:
    inside = guest(routes=POLICY_ROUTING, rules=POLICY_RULES, boot=sets({"all": 1}))
    assert {found.severity for found in findings_of(server(*UNFILTERED, guest=inside), "VNC251")} == {"note"}


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
    assert findings_of(server(*UNFILTERED, guest=guest(rp_filter=running, boot=boot)), "VNC251") == []


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
    assert findings_of(server(*UNFILTERED, guest=inside), "VNC251") == []


def test_routes_that_are_missing_leave_a_note() -> None:
    """The values differ all the same; whether a flow depends on them is not known."""
    inside = msgspec.structs.replace(guest(boot=STRICT), routes=(), missing={"routes": "timed out"})
    (found,) = findings_of(server(*UNFILTERED, guest=inside), "VNC251")
    assert found.severity == "note"
    assert found.headline.endswith("; whether a flow depends on it is not known")
