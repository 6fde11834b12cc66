"""Our own parsers find what we wrote: the rules on the next boot speak before, and are silent after."""

import msgspec
import pytest

from tests.support.boot_sandbox import BASES, SECONDARY, Machine, effects_for, kept, machine, needed, owned
from tests.support.configured import OWN_PROCESSES
from tests.support.servers import MACS, report
from vnicheck.fixes.actions import action_of
from vnicheck.fixes.persist.network_manager import keyfile_lines
from vnicheck.fixes.persist.share import Share, shares
from vnicheck.fixes.planner import Strategy
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.guest import Guest, Manager

pytestmark = pytest.mark.root

RUNNING = f"""
mkdir -p /run/systemd/system
for i in 0 1; do ip link add eth$i type veth peer name p$i; ip link set p$i up; done
ip link add docker0 type veth peer name d; ip link set d up
ip link set eth0 address {MACS[0]}; ip link set eth1 address {MACS[1]}
ip address add 10.0.0.11/24 dev eth0 metric 100; ip address add 10.0.0.12/24 dev eth1 metric 101
ip address add 10.0.0.14/24 dev eth1 metric 101; ip address add 172.17.0.1/16 dev docker0
for i in eth0 eth1 docker0; do ip link set $i up; done
ip route add default via 10.0.0.1 dev eth0
for i in all default eth0 eth1 docker0; do echo 1 >/proc/sys/net/ipv4/conf/$i/rp_filter; done
"""
SYSCTL = {"/etc/sysctl.d/50-strict.conf": "net.ipv4.conf.*.rp_filter = 1\nnet.ipv4.conf.eth1.rp_filter = 1\n"}


def collected(host: Machine) -> Guest:
    return read_guest(host.sh(f"exec {OWN_PROCESSES} sh", stdin=collect_script_text()).stdout.encode(), via="file")


def said(host: Machine, *rules: str) -> list[str]:
    """Which of the rules find something on the server as it is now."""
    inside = collected(host)
    assert inside.boot is not None
    assert inside.boot.unknown == {}
    found = report(msgspec.structs.replace(SECONDARY, guest=inside)).findings
    return sorted({finding.rule for finding in found} & set(rules))


def apply(host: Machine, strategy: Strategy) -> None:
    host.perform([action_of(effect) for effect in effects_for(SECONDARY, strategy)])


@pytest.mark.parametrize("manager", Manager)
def test_policy_routing_is_found_again(manager: Manager) -> None:
    path = needed(manager)
    of = owned(SECONDARY, manager)
    with machine(BASES[manager] | SYSCTL) as host:
        host.sh(RUNNING)
        apply(host, "policy-routing")
        assert said(host, "VNC252") == ["VNC252"]
        if manager is Manager.NETWORK_MANAGER:  # without its daemon: the lines that nmcli is tested to write
            assert of.guest is not None
            (share,) = shares(of.guest, effects_for(SECONDARY))
            assert isinstance(share, Share)
            head = ["[connection]", "type=ethernet", "interface-name=eth1", "[ipv4]"]
            text = "\n".join([*head, *keyfile_lines(share), ""])
            host.write({"/etc/NetworkManager/system-connections/eth1.nmconnection": text})
            host.sh("chmod 600 /etc/NetworkManager/system-connections/*")
        else:
            host.perform(kept(of).actions, path=path)
        assert said(host, "VNC252") == []


def test_rp_filter_is_found_again() -> None:
    with machine(SYSCTL) as host:
        host.sh(RUNNING)
        host.sh("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter")
        apply(host, "rp-filter")
        assert said(host, "VNC251") == ["VNC251"]
        host.perform(kept(owned(SECONDARY, Manager.IFUPDOWN), "rp-filter").actions)
        boot = collected(host).boot
        assert boot is not None
        value = boot.sysctls["net/ipv4/conf/eth1/rp_filter"]
        assert (value.value, value.source) == (2, "/etc/sysctl.d/zz-vnicheck-eth1.conf:2")
        assert said(host, "VNC251") == []
