"""The article's `sysctl -w` on a real kernel with real files: collected by the script, found by the rule."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.configured import configured_guest
from tests.support.servers import MACS, report, server, two_vnis
from vnicheck.model.guest import Guest
from vnicheck.model.report import InstanceReport

NETWORK = f"""
ip link set eth0 address {MACS[0]}; ip link set eth1 address {MACS[1]}
for link in lo eth0 p0 eth1 p1; do ip link set $link up; done
ip addr add 10.0.0.11/24 dev eth0; ip addr add 10.0.0.12/24 dev eth1
ip route add default via 10.0.0.1 dev eth0
"""
LOOSENED = "for name in all eth0 eth1; do echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter; done\n"
POLICY = """
ip route add 10.0.0.0/24 dev eth1 table 1003
ip route add default via 10.0.0.1 dev eth1 table 1003
ip rule add from 10.0.0.12 table 1003 priority 1003
"""
STRICT: dict[str, str | Path | None] = {"/usr/lib/sysctl.d/50-redhat.conf": "net.ipv4.conf.default.rp_filter = 1\n"}


def collected(folder: Path, files: Mapping[str, str | Path | None], first: str) -> Guest:
    return configured_guest(folder, files, first=NETWORK + first)


def found(guest: Guest, mode: str) -> InstanceReport:
    return report(server(*two_vnis(protocol_state_filtering_mode=mode), guest=guest))


def of_boot(instance: InstanceReport) -> list[tuple[str, str, str]]:
    return [(each.rule, each.severity, each.confidence) for each in instance.findings if each.rule.startswith("VNC25")]


def test_what_sysctl_w_loosened_is_strict_again(tmp_path: Path) -> None:
    instance = found(collected(tmp_path, STRICT, LOOSENED), "disabled")
    assert of_boot(instance) == [("VNC251", "warning", "computed"), ("VNC251", "note", "computed")]
    (warning,) = [each for each in instance.findings if each.rule == "VNC251" and each.severity == "warning"]
    assert "/usr/lib/sysctl.d/50-redhat.conf:1 sets 1 by way of net.ipv4.conf.default" in warning.message
    assert "eth1" in warning.message
    assert {instance.flows[index].verdict for index in warning.flows} == {"delivered"}


def test_what_a_file_keeps_loose_is_no_finding(tmp_path: Path) -> None:
    files = {**STRICT, "/etc/sysctl.d/99-vni.conf": "net.ipv4.conf.*.rp_filter = 0\n"}
    assert of_boot(found(collected(tmp_path, files, LOOSENED), "disabled")) == []


def test_policy_routing_by_hand_and_by_configuration(tmp_path: Path) -> None:
    by_hand = found(collected(tmp_path / "hand", {}, LOOSENED + POLICY), "auto")
    assert of_boot(by_hand) == [("VNC252", "warning", "assumed")]
    script = {"/etc/rc.local": f"#!/bin/sh{POLICY}"}
    assert of_boot(found(collected(tmp_path / "kept", script, LOOSENED + POLICY), "auto")) == []
