"""A published port of a container behind a bridge, with real packets: the answer goes by the container's address, so
that a rule for the server's address never sees it; and what connection marks do about that.
"""

import pytest

from tests.support.cases import find
from tests.support.guest_namespace import run_in_namespace
from tests.support.servers import report, server, vni
from tests.support.sshd import require
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.flow import Flow, Outcome, Stage, Verdict

pytestmark = pytest.mark.root

NETWORK = r"""
set -e
unshare -n sleep 100 & net=$!
unshare -n sleep 100 & pod=$!
trap 'kill $net $pod' EXIT
while ! nsenter -t $net -n true || [ "$(readlink /proc/$net/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do :; done
while ! nsenter -t $pod -n true || [ "$(readlink /proc/$pod/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link set lo up
for n in 0 1; do
  ip link add eth$n address 02:00:00:00:00:0$((n + 1)) type veth peer name v$n
  ip link set v$n netns $net
  ip addr add 10.0.$n.1$((n + 1))/24 brd + dev eth$n
  ip link set eth$n up
  nsenter -t $net -n ip addr add 10.0.$n.1/24 dev v$n
  nsenter -t $net -n ip link set v$n up
done
nsenter -t $net -n ip link set lo up
nsenter -t $net -n ip addr add 10.8.0.4/32 dev lo
ip route add default via 10.0.0.1 dev eth0
# what a plan for 10.0.1.12 makes
ip route add 10.0.1.0/24 dev eth1 table 1003
ip route add default via 10.0.1.1 dev eth1 table 1003
ip rule add from 10.0.1.12 table 1003 priority 1003
for key in all default eth0 eth1; do echo 0 > /proc/sys/net/ipv4/conf/$key/rp_filter; done
# a container
ip link add docker0 type bridge
ip addr add 172.17.0.1/16 dev docker0
ip link add veth0 type veth peer name ceth0
ip link set veth0 master docker0
ip link set ceth0 netns $pod
for link in docker0 veth0; do ip link set $link up; done
nsenter -t $pod -n ip addr add 172.17.0.2/16 dev ceth0
nsenter -t $pod -n ip link set ceth0 up
nsenter -t $pod -n ip route add default via 172.17.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 0 > /proc/sys/net/ipv4/conf/docker0/rp_filter
nft -f - <<'RULES'
table ip nat {
  chain PREROUTING {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local jump DOCKER
  }
  chain POSTROUTING {
    type nat hook postrouting priority srcnat; policy accept;
    oifname != "docker0" ip saddr 172.17.0.0/16 masquerade
  }
  chain DOCKER {
    iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80
  }
}
table inet guard {
  chain input {
    type filter hook input priority filter; policy accept;
    ct state { established, related } accept
    ip saddr 10.8.0.0/16 tcp dport 9 drop
  }
}
RULES
# a VNI that filters protocol states passes no SYN-ACK of a connection whose SYN it has not seen
nsenter -t $net -n nft 'table ip f {
  chain c {
    type filter hook input priority 0
    iifname "v0" tcp flags & (syn|ack) == syn|ack drop
  }
}'
serve() {
  exec python3 -c 'import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    server.accept()[0].close()' "$@"
}
: > ready
serve 0.0.0.0 22 >> ready & one=$!
serve 0.0.0.0 9 >> ready & two=$!
nsenter -t $pod -n python3 -c 'import socket
server = socket.create_server(("172.17.0.2", 80))
print("ready", flush=True)
while True:
    server.accept()[0].close()' >> ready & three=$!
trap 'kill $net $pod $one $two $three' EXIT
while [ "$(wc -l < ready)" -lt 3 ]; do sleep 0.1; done
try() {
  nsenter -t $net -n python3 -c 'import socket, sys
try:
    socket.create_connection(("10.0.1.12", int(sys.argv[1])), timeout=1.5, source_address=("10.8.0.4", 0))
    print("connected")
except OSError:
    print("dead")' "$1"
}
"""

CONNECTION_MARKS = """
nft -f - <<'RULES'
table ip ways {
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    iifname "eth1" ct state new ct mark set 0x3eb
    iifname "docker0" ct mark 0x3eb meta mark set ct mark
  }
}
RULES
ip rule add fwmark 0x3eb table 1003 priority 1002
"""
"""The way that docs/fixes.md shows."""


def packets(ports: tuple[int, ...], more: str = "") -> list[str]:
    tries = "\n".join(f"try {port}" for port in ports)
    script = f"cd $(mktemp -d)\n{NETWORK}{more}\n{tries}"
    return run_in_namespace(script).decode().split()


def predicted(port: int, more: str = "") -> Flow:
    script = f"cd $(mktemp -d)\n{NETWORK}{more}\nset +e\n{collect_script_text()}"
    guest = read_guest(run_in_namespace(script), via="file")
    of = server(
        vni(0, "10.0.0.11", mac="02:00:00:00:00:01"),
        vni(1, "10.0.1.12", mac="02:00:00:00:00:02", subnet="b"),
        guest=guest,
    )
    return find(report(of), f"inbound tcp/{port} 10.8.0.4 -> 10.0.1.12")


def test_packets_and_what_is_predicted_of_them() -> None:
    require("nft", "ip", "unshare", "nsenter")
    assert packets((22, 8080, 9)) == ["connected", "dead", "dead"]
    assert predicted(22).verdict is Verdict.DELIVERED
    for port, stage, words in (
        (8080, Stage.LOCAL_DELIVERY, "172.17.0.2:80"),
        (9, Stage.GUEST_FIREWALL, "dport 9 drop"),
    ):
        flow = predicted(port)
        assert flow.verdict is Verdict.UNKNOWN
        (doubt,) = [hop for hop in flow.hops if hop.outcome is Outcome.UNKNOWN]
        assert doubt.stage is stage
        assert words in doubt.reason


def test_connection_marks_lead_answers_of_containers_back() -> None:
    require("nft", "ip", "unshare", "nsenter")
    assert packets((22, 8080), CONNECTION_MARKS) == ["connected", "connected"]
    assert predicted(22, CONNECTION_MARKS).verdict is Verdict.DELIVERED
