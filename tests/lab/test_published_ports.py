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
from vnicheck.model.flow import Flow, Outcome, Verdict
from vnicheck.model.report import InstanceReport

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
# a VNI that filters protocol states passes no SYN-ACK of a connection whose SYN it has not seen
nsenter -t $net -n nft 'table ip f {
  chain c {
    type filter hook input priority 0
    iifname "v0" ip saddr != 10.0.0.11 tcp flags & (syn|ack) == syn|ack drop
    iifname "v1" ip saddr != 10.0.1.12 tcp flags & (syn|ack) == syn|ack drop
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
serve 0.0.0.0 8081 >> ready & four=$!
nsenter -t $pod -n python3 -c 'import socket
server = socket.create_server(("172.17.0.2", 80))
print("ready", flush=True)
while True:
    server.accept()[0].close()' >> ready & three=$!
trap 'kill $net $pod $one $two $three $four' EXIT
while [ "$(wc -l < ready)" -lt 4 ]; do sleep 0.1; done
try() {
  nsenter -t $net -n python3 -c 'import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1, source_address=("10.8.0.4", 0))
    print("connected")
except OSError:
    print("dead")' "$@"
}
"""

DOCKER = """
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
    ip daddr 127.0.0.1 iifname != "docker0" tcp dport 8081 dnat to 172.17.0.2:80
    ip daddr 10.0.1.12 iifname != "docker0" tcp dport 9090 dnat to 172.17.0.2:80
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
"""
IPTABLES = """
iptables-nft-restore <<'RULES'
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9091 -j DNAT --to-destination 172.17.0.2:81
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
RULES
"""
BY_HAND = """
nft 'table ip mine {
  chain pre {
    type nat hook prerouting priority 5; policy accept;
    iifname { "eth0", "eth1" } tcp dport 8080 dnat to 172.17.0.2:80
    tcp dport 8082 redirect to :22
    ip daddr 10.0.1.12 tcp dport 8083 dnat to 10.0.1.12:22
  }
}'
"""
MASQUERADED = (
    DOCKER
    + """
nft add rule ip nat POSTROUTING oifname docker0 masquerade
"""
)
BALANCED = """
nft 'table ip mine {
  chain pre {
    type nat hook prerouting priority dstnat
    tcp dport 8080 dnat to numgen inc mod 2 map { 0 : 172.17.0.2, 1 : 172.17.0.3 }
  }
}'
"""
AGENT = "\nip rule add from 172.17.0.0/16 table 1003 priority 900\n"
STRICT = "\necho 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter\n"
NOT_FORWARDING = "\necho 0 > /proc/sys/net/ipv4/conf/docker0/forwarding\n"

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
ip rule add iif docker0 fwmark 0x3eb table 1003 priority 1002
"""
"""The way that docs/fixes.md shows."""

ONE, OTHER = "10.0.0.11", "10.0.1.12"
ALIVE, DEAD = "delivered", "dropped"


def tried(setup: str, ends: list[tuple[str, int]]) -> tuple[list[str], list[Flow], InstanceReport]:
    """What real connections come to, `delivered` or `dropped`, what is predicted of them, and the whole report."""
    tries = "\n".join(f"try {address} {port} >> tried" for address, port in ends)
    script = f"cd $(mktemp -d)\n{NETWORK}{setup}\n{tries}\ncat tried; echo @end\nset +e\n{collect_script_text()}"
    seen, _, collected = run_in_namespace(script).partition(b"@end\n")
    of = server(
        vni(0, ONE, mac="02:00:00:00:00:01"),
        vni(1, OTHER, mac="02:00:00:00:00:02", subnet="b"),
        guest=read_guest(collected, via="file"),
    )
    said = report(of)
    came_to = [{"connected": ALIVE, "dead": DEAD}[word] for word in seen.decode().split()]
    return came_to, [find(said, f"inbound tcp/{port} 10.8.0.4 -> {address}") for address, port in ends], said


@pytest.mark.parametrize(
    ("setup", "ends"),
    [
        pytest.param(
            DOCKER,
            {
                (OTHER, 22): ALIVE,
                (ONE, 8080): ALIVE,
                (OTHER, 8080): "dropped: protocol_state_filtering at eth0",
                (OTHER, 9090): "dropped: protocol_state_filtering at eth0",
                (OTHER, 8081): ALIVE,
            },
            id="docker",
        ),
        pytest.param(
            IPTABLES, {(ONE, 8080): ALIVE, (OTHER, 8080): "dropped: protocol_state_filtering at eth0"}, id="iptables"
        ),
        pytest.param(
            DOCKER + AGENT,
            {(ONE, 8080): "dropped: protocol_state_filtering at eth1", (OTHER, 8080): ALIVE},
            id="a source rule of an agent",
        ),
        pytest.param(
            DOCKER + STRICT, {(ONE, 8080): ALIVE, (OTHER, 22): ALIVE, (OTHER, 8080): "dropped: rp_filter at eth1"},
            id="strict",
        ),
        pytest.param(
            DOCKER + NOT_FORWARDING,
            {(ONE, 8080): "dropped: not_local at docker0"},
            id="not forwarding",
            marks=pytest.mark.long,
        ),
        pytest.param(
            BY_HAND,
            {
                (ONE, 8080): ALIVE,
                (OTHER, 8080): "dropped: protocol_state_filtering at eth0",
                (OTHER, 8082): ALIVE,
                (OTHER, 8083): ALIVE,
            },
            id="by hand",
        ),
    ],
)  # fmt: skip
def test_packets_fare_as_predicted(setup: str, ends: dict[tuple[str, int], str]) -> None:
    require("nft", "iptables-nft-restore", "ip", "unshare", "nsenter")
    came_to, flows, _ = tried(setup, list(ends))
    assert came_to == [said.partition(":")[0] for said in ends.values()]
    for flow, expected in zip(flows, ends.values(), strict=True):
        first = f": {flow.drops[0].by} at {flow.drops[0].at}" if flow.drops else ""
        assert f"{flow.verdict}{first}" == expected


@pytest.mark.parametrize(
    ("setup", "end", "words"),
    [
        pytest.param(DOCKER, (OTHER, 9), "dport 9 drop", id="input", marks=pytest.mark.long),
        pytest.param(IPTABLES, (ONE, 9091), "policy drop of chain filter FORWARD", id="forward"),
        pytest.param(MASQUERADED, (ONE, 8080), "masquerade", id="masqueraded", marks=pytest.mark.long),
        pytest.param(BALANCED, (ONE, 8080), "numgen", id="balanced", marks=pytest.mark.long),
        pytest.param(DOCKER + CONNECTION_MARKS, (OTHER, 8080), "mark", id="marks", marks=pytest.mark.long),
    ],
)
def test_what_is_not_plain_is_unknown(setup: str, end: tuple[str, int], words: str) -> None:
    require("nft", "iptables-nft-restore", "ip", "unshare", "nsenter")
    _, (flow,), _ = tried(setup, [end])
    assert flow.verdict is Verdict.UNKNOWN
    assert any(words in hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)


@pytest.mark.parametrize("more", ["", STRICT])
def test_what_findings_advise_leads_answers_of_containers_back(more: str) -> None:
    require("nft", "ip", "unshare", "nsenter")
    came_to, _, said = tried(DOCKER + more, [(OTHER, 8080)])
    assert came_to == [DEAD]
    advised = [fix for finding in said.findings for fix in finding.fixes if fix.by_hand is True]
    commands = "\n".join(command for fix in advised for command in fix.commands)
    came_to, (*_, own), _ = tried(
        f"{DOCKER}{more}\n{{\n{commands}\n}} > /dev/null", [(ONE, 8080), (OTHER, 8080), (OTHER, 22)]
    )
    assert came_to == [ALIVE, ALIVE, ALIVE]
    assert own.verdict is Verdict.DELIVERED
