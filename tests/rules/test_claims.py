"""Findings claim only what is so."""

import pytest

from tests.support.reports import render
from tests.support.servers import TWO_DEFAULTS, guest, link, report, rules_of, server, vni
from vnicheck.analysis.server import assemble_report

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
TABLE = "default via 10.0.0.1 dev eth1 table 7\n10.0.0.0/24 dev eth1 table 7 scope link\n"


class TestClaims:
    def test_addresses_with_fewer_remotes_stand_with_these(self) -> None:
        """10.0.0.14 follows the main table; of 10.0.0.12 only the way to 10.77.0.0/24 is broken."""
        links = (LINKS[0], link("eth1", 1, "10.0.0.12/24", "10.0.0.14/24"))
        known = guest(
            *links,
            routes=TWO_DEFAULTS + TABLE + "10.77.0.0/24 via 10.0.0.1 dev eth0 table 7\n",
            rules=rules_of("102: from 10.0.0.12 lookup 7"),
        )
        vnis = (vni(0, "10.0.0.11"), vni(1, "10.0.0.12", "10.0.0.14"))
        instance = report(server(*vnis, guest=known))
        error = next(finding for finding in instance.findings if finding.severity == "error")
        assert "10.0.0.14 (eth1) and 10.0.0.12 (eth1) with 10.77.0.0/24 alone are dropped at eth0" in error.message
        affected = {(each.local, each.remotes) for each in error.affected if each.local == "10.0.0.12"}
        assert affected == {("10.0.0.12", ("10.77.0.0/24",))}
        text = render(assemble_report((instance,), generated_at="2026-11-23T00:00:00Z"), 100, explain=True)
        assert any("10.77.0.0/24" in line and line.endswith("(10.0.0.12)") for line in text.splitlines())

    def test_a_reply_of_which_the_way_is_unknown_is_not_said_to_stay(self) -> None:
        """The request is dropped; where a reply would go depends on its TOS."""
        rules = rules_of("100: from all iif lo tos 0x10 lookup 7")
        routes = TWO_DEFAULTS + "default via 10.0.0.9 dev eth1 table 7\n"
        instance = report(server(guest=guest(*LINKS, routes=routes, rules=rules, rp_filter={"eth1": 1})))
        text = render(assemble_report((instance,), generated_at="2026-11-23T00:00:00Z"), 100, explain=True)
        assert "reply would not leave" not in text

    @pytest.mark.parametrize(
        ("everywhere", "own", "mode"), [(-1, -1, "loose"), (-1, 1, "strict"), (0, -1, "off"), (-1, 7, "loose")]
    )
    def test_rp_filter_below_zero(self, everywhere: int, own: int, mode: str) -> None:
        instance = report(server(guest=guest(*LINKS, rp_filter={"all": everywhere, "eth1": own, "eth0": own})))
        text = render(assemble_report((instance,), generated_at="2026-11-23T00:00:00Z"), 100, explain=True)
        assert f"rp_filter {mode} (all={everywhere}, eth1={own})" in text
        strict = any(finding.rule == "VNC101" for finding in instance.findings)
        off = any(finding.rule == "VNC303" for finding in instance.findings)
        assert (strict, off and mode == "off") == (mode == "strict", off)
