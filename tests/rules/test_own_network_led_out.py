"""VNC110: a rule that leads packets for the server's own networks out."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import TWO_DEFAULTS, findings_of, guest, link, report, rules_of, server, two_vnis
from vnicheck.model.flow import Verdict
from vnicheck.model.guest import Guest, Interface
from vnicheck.model.snapshot import Server

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
BRIDGE = link("cni9", 3, "10.88.0.1/24", mac="02:42:00:00:00:07", kind="bridge", kind_shown=True)
PODS = "10.88.0.0/24 dev cni9 proto kernel scope link src 10.88.0.1\n"
TABLE = "default via 10.0.0.1 dev eth1 table 7\n10.0.0.0/24 dev eth1 table 7 scope link\n"


def of(*rules: str, routes: str = TWO_DEFAULTS + TABLE, links: tuple[Interface, ...] = LINKS, **more: Any) -> Server:
    return server(*two_vnis(), guest=guest(*links, routes=routes, rules=rules_of(*rules), **more))


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
        (finding,) = findings_of(led, "VNC110")
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
        assert findings_of(inside, "VNC110") == []

    def test_it_is_told_apart_from_the_priority(self) -> None:
        """A program that makes its rule again gives it another one."""
        one, other = (
            of(f"{n}: from 10.0.0.12 lookup 7", routes=TWO_DEFAULTS + TABLE + PODS, links=(*LINKS, BRIDGE))
            for n in (30400, 30401)
        )
        assert findings_of(one, "VNC110")[0].fingerprint == findings_of(other, "VNC110")[0].fingerprint

    def test_without_rules_nothing_is_claimed(self) -> None:
        led = of("30400: from 10.0.0.12 lookup 7", routes=TWO_DEFAULTS + TABLE + PODS, links=(*LINKS, BRIDGE))
        assert isinstance(led.guest, Guest)
        blind = msgspec.structs.replace(led.guest, rules=(), missing={"rules": "timed out"})
        assert findings_of(msgspec.structs.replace(led, guest=blind), "VNC110") == []
