"""interfaces(5), read by us and by ifupdown itself: which stanzas boot carries out. Each has a table."""

import re

import pytest

from tests.lab.managers import IFUP, boot_ifupdown, require_manager
from tests.support.boot_sandbox import machine
from tests.support.carried_out import Told, told

pytestmark = pytest.mark.root

FILES = {
    "/etc/network/interfaces": """
auto lo eth1
allow-auto eth2
allow-hotplug eth3
auto /pat*
auto mac/02:00:00:00:00:05
auto nosuch
no-auto-down eth6
auto eth7
auto eth8=other
auto /log*=logical
allow-manual eth9
source interfaces.d/*.cfg

iface lo inet loopback
  up ip rule add from 10.9.0.1 table 1000
iface eth1 inet manual
  up ip rule add from 10.9.0.1 table 1001
iface eth2 inet manual
  up ip rule add from 10.9.0.1 table 1002
iface eth3 inet manual
  up ip rule add from 10.9.0.1 table 1003
iface pat4 inet manual
  up ip rule add from 10.9.0.1 table 1004
iface eth5 inet manual
  up ip rule add from 10.9.0.1 table 1005
iface eth6 inet manual
  up ip rule add from 10.9.0.1 table 1006
iface common inet manual
  up ip rule add from 10.9.0.1 table 1007
iface eth7 inet manual inherits common
iface other inet manual
  up ip rule add from 10.9.0.1 table 1008
iface eth8 inet manual
  up ip rule add from 10.9.0.1 table 1108
iface eth9 inet manual
  up ip rule add from 10.9.0.1 table 1009
iface unused inet manual
  up ip rule add from 10.9.0.1 table 1010
iface eth1 inet manual
  up ip rule add from 10.9.0.2 table 1011
iface eth1:1 inet manual
  up ip rule add from 10.9.0.1 table 1012
iface logical inet manual
  up ip rule add from 10.9.0.1 table 1013
""",
    "/etc/network/interfaces.d/more.cfg": """
auto eth15
iface eth14 inet manual
  up ip rule add from 10.9.0.1 table 1014
iface eth15 inet manual
  up ip rule add from 10.9.0.1 table 1015
""",
}
LINKS = "eth1 eth2 eth3 pat4 eth5 eth6 eth7 eth8 eth9 log13 eth14 eth15"
TABLES: dict[int, Told] = {
    1000: "set", 1001: "set", 1002: "set", 1003: "set", 1004: "set", 1005: "set", 1006: "not set", 1007: "set",
    1008: "set", 1108: "not set", 1009: "not set", 1010: "not set", 1011: "set", 1012: "not set", 1013: "unknown",
    1014: "not set", 1015: "set",
}  # fmt: skip


@pytest.fixture(scope="module")
def booted() -> tuple[set[int], dict[int, Told]]:
    require_manager(IFUP)
    with machine(FILES) as host:
        host.sh(
            f"n=0; for i in {LINKS}; do n=$((n+1)); ip link add $i type veth peer name p$n; ip link set p$n up; done\n"
            "ip link set eth5 address 02:00:00:00:00:05"
        )
        boot_ifupdown(host.namespace, hotplugged=LINKS.split())
        theirs = re.findall(r"lookup (\d+)", host.sh("ip rule").stdout)
        return set(map(int, theirs)), told(host)


@pytest.mark.parametrize("table", TABLES)
def test_boot_carries_out_what_ifup_does(booted: tuple[set[int], dict[int, Told]], table: int) -> None:
    theirs, ours = booted
    expected = TABLES[table]
    assert ours[table] == expected
    assert expected == "unknown" or (table in theirs) == (expected == "set")
