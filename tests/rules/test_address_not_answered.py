"""VNC107: addresses that no interface answers for, and ways out that are dead."""

from typing import Any

import pytest

from tests.support.drop_cases import OPEN_DISABLED
from tests.support.servers import findings_of, guest, link, server, vni


@pytest.mark.parametrize("state", [{"up": False}, {"carrier": False}])
def test_a_dead_interface(state: dict[str, Any]) -> None:
    inside = guest(link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24", **state))
    findings = findings_of(server(*OPEN_DISABLED, guest=inside), "VNC107")
    assert [finding.message for finding in findings] == [
        f"nothing answers for 10.0.0.12 (eth1): eth1 {'is down' if 'up' in state else 'has no carrier'}."
    ]


@pytest.mark.parametrize(
    ("held", "severities"),
    [
        (("10.0.0.11/24",), ["warning"]),  # a secondary address alone
        (("10.0.0.13/24",), ["error"]),  # the primary one
        ((), ["error"]),
    ],
)
def test_an_address_that_dhcp_sets_is_missed_more(held: tuple[str, ...], severities: list[str]) -> None:
    of = server(vni(0, "10.0.0.11", "10.0.0.13"), guest=guest(link("eth0", 0, *held), routes="default dev eth0"))
    assert [finding.severity for finding in findings_of(of, "VNC107")] == severities


@pytest.mark.parametrize("state", [{"up": False}, {"carrier": False}])
def test_an_interface_that_is_dead_is_an_error_for_secondary_addresses_too(state: dict[str, Any]) -> None:
    inside = guest(link("eth0", 0, "10.0.0.11/24", "10.0.0.13/24", **state))
    of = server(vni(0, "10.0.0.11", "10.0.0.13"), guest=inside)
    assert {finding.severity for finding in findings_of(of, "VNC107")} == {"error"}


def test_a_dead_way_out() -> None:
    inside = guest(link("eth0", 0, "10.0.0.11/24", carrier=False), link("eth1", 1, "10.0.0.12/24"))
    messages = [f.message for f in findings_of(server(*OPEN_DISABLED, guest=inside), "VNC107")]
    assert messages == [
        "nothing answers for 10.0.0.11 (eth0): eth0 has no carrier.",
        "packets that the guest sends from 10.0.0.12 (eth1) are lost: eth0 has no carrier.",
        "packets that the guest sends from 10.0.0.12 (eth1) are lost: eth0 has no carrier.",
    ]
