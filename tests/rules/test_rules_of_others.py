"""Findings about policy rules that do what nobody meant: own networks led out, rules that never match; and findings
that claim only what is so.
"""

from typing import Any

import msgspec
import pytest

from tests.support.reports import render
from tests.support.servers import TWO_DEFAULTS, guest, link, report, server, two_vnis, vni
from vnicheck.analysis.server import assemble_report
from vnicheck.model.finding import Finding
from vnicheck.model.flow import Verdict
from vnicheck.model.guest import Guest, Interface
from vnicheck.model.snapshot import Server

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
BRIDGE = link("cni9", 3, "10.88.0.1/24", mac="02:42:00:00:00:07", kind="bridge", kind_shown=True)
PODS = "10.88.0.0/24 dev cni9 proto kernel scope link src 10.88.0.1\n"
TABLE = "default via 10.0.0.1 dev eth1 table 7\n10.0.0.0/24 dev eth1 table 7 scope link\n"


def rules_of(*lines: str) -> str:
    return "\n".join(
        ("0: from all lookup local", *lines, "32766: from all lookup main", "32767: from all lookup default")
    )


def of(*rules: str, routes: str = TWO_DEFAULTS + TABLE, links: tuple[Interface, ...] = LINKS, **more: Any) -> Server:
    return server(*two_vnis(), guest=guest(*links, routes=routes, rules=rules_of(*rules), **more))


def found(of_server: Server, rule: str) -> list[Finding]:
    return [finding for finding in report(of_server).findings if finding.rule == rule]


class TestOwnNetworkLedOut:
    @pytest.mark.parametrize(
        ("device", "routes", "network"),
        [
            (BRIDGE, PODS, "10.88.0.0/24"),
            (
                link("tun0", 3, "10.9.0.1/32", mac="02:42:00:00:00:07", kind="tun", kind_shown=True),
                "10.9.0.0/16 dev tun0 scope link\n",
                "10.9.0.0/16",
            ),
            (
                link("x1", 3, mac="02:42:00:00:00:07", kind="veth", kind_shown=True, peer_index=3, elsewhere=True),
                "blackhole 192.168.234.0/26 proto bird\n192.168.234.1 dev x1 scope link\n",
                "192.168.234.0/26",
            ),
        ],
    )
    def test_the_rule_the_network_and_the_device_are_named(self, device: Interface, routes: str, network: str) -> None:
        led = of("30400: from 10.0.0.12 lookup 7", routes=TWO_DEFAULTS + TABLE + routes, links=(*LINKS, device))
        (finding,) = found(led, "VNC110")
        assert "rule '30400: from 10.0.0.12 lookup 7' leads packets from 10.0.0.12 for " in finding.message
        for words in (network, f"behind {device.name}", "out by eth1"):
            assert words in finding.message
        assert f"'ip rule add to {network} table main priority 30399'" in finding.fixes[0].title
        flows = report(led).flows
        assert {flows[index].verdict for index in finding.flows} == {Verdict.UNKNOWN}

    @pytest.mark.parametrize(
        "rules",
        [
            (),
            ("30399: from all to 10.88.0.0/24 lookup main", "30400: from 10.0.0.12 lookup 7"),
            ("30400: from 10.9.9.9 lookup 7",),
        ],
    )
    def test_what_stays_inside_is_no_finding(self, rules: tuple[str, ...]) -> None:
        inside = of(*rules, routes=TWO_DEFAULTS + TABLE + PODS, links=(*LINKS, BRIDGE))
        assert found(inside, "VNC110") == []

    def test_it_is_told_apart_from_the_priority(self) -> None:
        """A program that makes its rule again gives it another one."""
        one, other = (
            of(f"{n}: from 10.0.0.12 lookup 7", routes=TWO_DEFAULTS + TABLE + PODS, links=(*LINKS, BRIDGE))
            for n in (30400, 30401)
        )
        assert found(one, "VNC110")[0].fingerprint == found(other, "VNC110")[0].fingerprint

    def test_without_rules_nothing_is_claimed(self) -> None:
        led = of("30400: from 10.0.0.12 lookup 7", routes=TWO_DEFAULTS + TABLE + PODS, links=(*LINKS, BRIDGE))
        assert isinstance(led.guest, Guest)
        blind = msgspec.structs.replace(led.guest, rules=(), missing={"rules": "timed out"})
        assert found(msgspec.structs.replace(led, guest=blind), "VNC110") == []


class TestRuleNeverMatches:
    @pytest.mark.parametrize(
        ("rules", "words"),
        [
            (("40000: from 10.0.0.12 lookup 7",), "no packet gets past '32766: from all lookup main'"),
            (("50: from all unreachable", "60: from 10.0.0.12 lookup 7"), "past '50: from all unreachable'"),
            (("50: from 10.0.0.12 iif eth9 [detached] lookup 7",), "does not exist"),
            (("50: from all iif eth1 lookup 7",), "a reply is looked up as coming from lo"),
        ],
    )
    def test_it_is_pointed_out(self, rules: tuple[str, ...], words: str) -> None:
        ordered = sorted((*rules, "0: from all lookup local", "32766: from all lookup main"), key=_priority)
        known = guest(*LINKS, routes=TWO_DEFAULTS + TABLE, rules="\n".join(ordered))
        (finding,) = found(server(guest=known), "VNC209")
        assert words in finding.message
        assert finding.severity == "note"

    @pytest.mark.parametrize(
        "rules",
        [
            ("50: from 10.0.0.12 lookup 7",),
            ("50: from all lookup 9", "60: from 10.0.0.12 lookup 7"),
            ("50: from all goto 32766", "60: from 10.0.0.12 lookup 7"),
            ("50: from all lookup main suppress_prefixlength 0", "60: from 10.0.0.12 lookup 7"),
            ("50: from all iif docker9 [detached] lookup 7",),
            ("50: from all iif eth1 lookup main",),
            ("50: from all lookup [l3mdev-table]", "60: from 10.0.0.12 lookup 7"),
        ],
    )
    def test_rules_that_may_match_are_not(self, rules: tuple[str, ...]) -> None:
        assert found(of(*rules), "VNC209") == []

    def test_a_server_that_forwards_may_mean_what_comes_in(self) -> None:
        assert found(of("50: from all iif eth1 lookup 7", sysctls={"conf/eth1/forwarding": 1}), "VNC209") == []


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


def _priority(line: str) -> int:
    return int(line.partition(":")[0])
