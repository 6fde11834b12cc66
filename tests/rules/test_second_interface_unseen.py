"""VNC403: what an interface beside the primary one would meet by default, of servers that nobody looked into."""

from typing import Any

import pytest

from tests.support.servers import guest, report, server, two_vnis, vni
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.finding import Finding
from vnicheck.model.snapshot import Problem


def found(*args: Any, config: Config | None = None, **more: Any) -> list[Finding]:
    told = report(server(*args, **more), config=config)
    return [finding for finding in told.findings if finding.rule == "VNC403"]


def test_both_checks_of_the_primary_vni_are_named() -> None:
    (finding,) = found(*two_vnis(spoofing=False))
    assert (finding.severity, finding.confidence) == ("warning", "assumed")
    assert finding.message == (
        "the guest was not looked at: unless it routes by source address, what it answers from 10.0.0.12 (vni-2) "
        "leaves by vni-1, where the IP spoofing check drops it and the state filter drops tcp."
    )
    assert [fact.text for fact in finding.evidence] == [
        "vni-1: allow_ip_spoofing = false",
        "vni-1: protocol_state_filtering_mode = auto",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"allow_ip_spoofing": True}, "where the state filter drops tcp."),
        ({"protocol_state_filtering_mode": "disabled"}, "where the IP spoofing check drops it."),
    ],
)
def test_only_what_drops_is_named(more: dict[str, Any], said: str) -> None:
    (finding,) = found(vni(0, "10.0.0.11", **more), vni(1, "10.0.0.12"))
    assert finding.message.endswith(said)


def test_one_finding_for_each_interface_beside_the_primary_one() -> None:
    findings = found(vni(0, "10.0.0.11"), vni(1, "10.0.0.12"), vni(2, "10.0.1.12", subnet="b"))
    assert len({finding.fingerprint for finding in findings}) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"guest": guest()},
        {"problems": (Problem(code="ssh_timeout", message="no answer"),)},
        {"status": "stopped"},
    ],
)
def test_nothing_where_the_guest_was_collected_or_asked_for_or_does_not_run(more: dict[str, Any]) -> None:
    assert found(*two_vnis(spoofing=False), **more) == []


def test_nothing_where_nothing_would_be_dropped() -> None:
    assert found(vni(0, "10.0.0.11")) == []
    free: dict[str, Any] = {"allow_ip_spoofing": True, "protocol_state_filtering_mode": "disabled"}
    assert found(vni(0, "10.0.0.11", **free), vni(1, "10.0.0.12")) == []
    assert found(vni(0, "10.0.0.11", allow_ip_spoofing=True), vni(1, "10.0.0.12"), kind="bare_metal_server") == []
    unread: dict[str, Any] = {"allow_ip_spoofing": None, "protocol_state_filtering_mode": None}
    assert found(vni(0, "10.0.0.11", **unread), vni(1, "10.0.0.12")) == []


def test_overrides_hold() -> None:
    off = Config(assumptions=Assumptions(spoofing_check=False, psf_opening=False))
    assert found(*two_vnis(spoofing=False), config=off) == []
