"""A guest in a network namespace of its own: run shell lines there, and the collect script after them."""

import os
import subprocess
from pathlib import Path

from tests.support.sshd import require
from vnicheck.guest.ssh.runner import collect_script_text

CONFIGURATION = r"""
set -e
ip link set lo up
ip link add eth0 type veth peer name p0
ip link add eth1 type veth peer name p1
for link in eth0 p0 eth1 p1; do ip link set $link up; done
ip link set eth1 group 5
ip addr add 10.0.0.11/24 brd + dev eth0
ip addr add 10.0.0.13/24 dev eth0
ip addr add 10.0.0.12/24 brd + dev eth1
ip addr add 192.168.1.1 peer 192.168.1.2/32 dev eth1
ip link add macvlan.1 link eth0 type macvlan
ip link add br0 type bridge
ip link set p0 master br0
ip route add default via 10.0.0.1 dev eth0
ip route add default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 100
ip route add 10.9.0.0/16 proto static nexthop via 10.0.0.1 dev eth0 weight 3 nexthop via 10.0.0.2 dev eth1 onlink
ip route add blackhole 10.10.0.0/16
ip route add unreachable 10.11.0.0/16 metric 5
ip route add prohibit 10.12.1.1
ip route add throw 10.13.0.0/16 table 100
ip route add default via 10.0.0.1 dev eth1 table 100 src 10.0.0.12
ip route add 10.14.0.0/16 dev eth0 scope link mtu 1400 advmss 1000 proto 99 realms 1/2 tos 0x10
ip route add local 10.15.0.0/16 dev lo table 77
ip route add 10.16.0.0/16 via inet6 fe80::1 dev eth0
ip route add 10.17.0.0/16 dev eth0 scope 66 congctl cubic features ecn
ip nexthop add id 1 via 10.0.0.1 dev eth0
ip nexthop add id 2 via 10.0.0.2 dev eth1
ip nexthop add id 3 group 1,2/2
ip nexthop add id 4 blackhole
ip nexthop add id 5 dev eth1
ip route add 10.20.0.0/16 nhid 1
ip route add 10.21.0.0/16 nhid 3
ip route add 10.22.0.0/16 nhid 4
ip route add 10.23.0.0/16 nhid 5 metric 3
ip route add 10.24.0.0/16 via 10.0.0.9 dev eth1 onlink table 70000
ip route add multicast 224.5.0.0/16 dev eth0
ip rule add from 10.0.0.12 lookup 100
ip rule add pref 100 not from 10.0.0.0/24 to 10.1.0.0/16 iif eth0 oif gone fwmark 1/0xff lookup main \
  suppress_prefixlength 0
ip rule add pref 101 iif gone lookup 5
ip rule add pref 102 fwmark 7 tos 0x10 ipproto tcp sport 22 dport 80-90 uidrange 5-10 lookup 7000
ip rule add pref 103 to 1.2.3.4 goto 200
ip rule add pref 99 goto 103
ip rule add pref 104 nop
ip rule add pref 105 blackhole from 9.9.9.9
ip rule add pref 106 prohibit
ip rule add pref 107 unreachable to 1.1.0.0/16
ip rule add pref 108 lookup 10 suppress_ifgroup 5 realms 3/4
ip rule add pref 109 l3mdev
ip rule add pref 110 from 0.0.0.0 ipproto 253 lookup 8 protocol static
ip rule add pref 111 fwmark 0/0xff lookup local
ip rule add pref 112 lookup 5 tun_id 9
ip rule add pref 113 lookup 5 uidrange 0-0
"""
"""Every kind of route and rule that this kernel and iproute2 can be told of."""


def run_in_namespace(script: str) -> bytes:
    """The script's output, from `unshare -n` with no way out."""
    require("unshare", "ip")
    how = "-n" if os.geteuid() == 0 else "-rn"
    done = subprocess.run(
        ["unshare", how, "sh", "-c", script], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def collect_in_namespace(
    folder: Path, variants: dict[str, str], configuration: str = CONFIGURATION, after: str = ""
) -> dict[str, bytes]:
    """One namespace, configured once, and the collect script's output there by the command that runs each variant."""
    script = folder / "collect.sh"
    script.write_text(collect_script_text())
    lines = [f"{command} < {script} > {folder / name}.out" for name, command in variants.items()]
    run_in_namespace("\n".join([configuration, *lines, after]))
    return {name: (folder / f"{name}.out").read_bytes() for name in variants}
