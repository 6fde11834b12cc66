"""Floating IPs that the VPC does not translate: addresses of the server, in the details and where they are counted."""

from tests.support.reports import render
from tests.support.servers import TWO_DEFAULTS, guest, link, report, server, vni
from vnicheck.analysis.server import assemble_report
from vnicheck.model.report import InstanceReport
from vnicheck.report.fleet import how_broken

FLOATING = "203.0.113.7"


def metal(*addresses: str) -> InstanceReport:
    """A server whose guest has these addresses on eth0."""
    vnis = (vni(0, "10.0.0.11", floating_ip=FLOATING, enable_infrastructure_nat=False), vni(1, "10.0.0.12"))
    inside = guest(link("eth0", 0, *addresses), link("eth1", 1, "10.0.0.12/24"), routes=TWO_DEFAULTS)
    return report(server(*vnis, guest=inside))


def details(instance: InstanceReport) -> str:
    whole = assemble_report((instance,), generated_at="2026-01-01T00:00:00Z")
    return " ".join(render(whole, 100, explain=True).split())


def test_one_that_the_guest_has_is_known_to_the_vpc() -> None:
    told = details(metal("10.0.0.11/24", f"{FLOATING}/32"))
    assert "not known to the VPC" not in told
    assert "not in the guest" not in told


def test_one_that_the_guest_lacks_is_told_and_counted() -> None:
    instance = metal("10.0.0.11/24")
    assert f"not in the guest: {FLOATING}" in details(instance)
    assert how_broken(instance).addresses == 3
