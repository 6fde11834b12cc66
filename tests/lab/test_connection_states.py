"""What rules that ask for the state of connections do to real ones, beside what is said of them: to those of the server
that see both directions, and to those in transit of which it sees one half.
"""

from dataclasses import dataclass

import pytest

from tests.support.guest_namespace import run_in_namespace
from tests.support.patience import SECONDS
from tests.support.sshd import require
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.published import PublishingKernel
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import parse_address

pytestmark = pytest.mark.root

NETWORK = r"""
set -e
unshare -n sleep 100 & near=$!
unshare -n sleep 100 & far=$!
trap 'kill $near $far' EXIT
for each in $near $far; do
  while [ "$(readlink /proc/$each/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do :; done
done
near() { nsenter -t $near -n "$@"; }
far() { nsenter -t $far -n "$@"; }
ip link set lo up
ip link add eth0 type veth peer name v0
ip link add eth1 type veth peer name v1
ip link set v0 netns $near
ip link set v1 netns $far
ip addr add 10.0.0.11/24 brd + dev eth0
ip addr add 10.0.1.11/24 brd + dev eth1
for link in eth0 eth1; do ip link set $link up; done
near ip link add past type veth peer name past netns $far
near ip addr add 10.0.0.1/24 dev v0
near ip addr add 192.0.2.1/30 dev past
near ip addr add 10.0.2.5/32 dev lo
far ip addr add 10.0.1.1/24 dev v1
far ip addr add 192.0.2.2/30 dev past
far ip addr add 10.8.0.4/32 dev lo
for link in lo v0 past; do near ip link set $link up; done
for link in lo v1 past; do far ip link set $link up; done
ip route add 10.0.2.0/24 via 10.0.0.1
ip route add 10.8.0.0/16 via 10.0.1.1
near ip route add 10.8.0.0/16 via 10.0.0.11 src 10.0.2.5
far ip route add 10.0.2.0/24 via 10.0.1.11
for key in all default eth0 eth1; do echo 0 > /proc/sys/net/ipv4/conf/$key/rp_filter; done
near sh -c 'for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $each; done'
far sh -c 'for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $each; done'
echo 1 > /proc/sys/net/ipv4/ip_forward
cat > answer.py <<'END'
import socket, threading
def tcp():
    server = socket.create_server(("0.0.0.0", 22))
    print("ready", flush=True)
    while True:
        threading.Thread(target=echo, args=server.accept()).start()
def echo(of, _):
    try:
        while of.send(of.recv(9)):
            pass
    except OSError:
        pass
def udp():
    of = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    of.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    of.bind(("0.0.0.0", 22))
    print("ready", flush=True)
    while True:
        data, told, _, whence = of.recvmsg(9, 99)
        asked = bytes(4) + told[0][2][8:] * 2  # struct in_pktinfo: by no interface, from the address
        try:
            of.sendmsg([data], [(socket.IPPROTO_IP, 8, asked)], 0, whence)
        except OSError:  # a rule of output drops it
            pass
threading.Thread(target=tcp).start()
udp()
END
cat > talk.py <<'END'
import os, socket, struct, sys
kind, whence, where, patience = sys.argv[1:]
try:
    if kind == "icmp":
        of = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    else:
        of = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    of.bind((whence, 0))
    of.settimeout(float(patience))
    of.connect((where, 22))
    for word in b"ab":
        data = bytes([word])
        if kind == "icmp":
            head = lambda total: struct.pack("!BBHHHB", 8, 0, total, os.getpid() & 0xffff, word, word)
            data = head(0) + b"\0"
            total = sum(struct.unpack("!5H", data))
            data = head(~((total & 0xffff) + (total >> 16)) & 0xffff) + b"\0"
        of.send(data)
        while True:
            got = of.recv(99)
            if got == data or (kind == "icmp" and got[20:21] == b"\0" and got[26:28] == data[6:8]):
                break
    print("alive")
except OSError:
    print("dead")
END
: > ready
python3 answer.py >> ready & one=$!
nsenter -t $near -n python3 answer.py >> ready & two=$!
nsenter -t $far -n python3 answer.py >> ready & three=$!
trap 'kill $near $far $one $two $three' EXIT
while [ "$(wc -l < ready)" -lt 6 ]; do sleep 0.1; done
"""
HALF = "far ip route replace 10.0.2.0/24 via 192.0.2.1\n"
TRIES = {
    "in": "near python3 talk.py {kind} 10.0.2.5 10.0.0.11 {patience}",
    "out": "python3 talk.py {kind} 10.0.0.11 10.0.2.5 {patience}",
    "whole": "near python3 talk.py {kind} 10.0.2.5 10.8.0.4 {patience}",
    "half": f"{HALF}near python3 talk.py {{kind}} 10.0.2.5 10.8.0.4 {{patience}}",
}
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1}


@dataclass
class Tried:
    """What real packets come to, and whether the firewall is said to let them through, of each try."""

    alive: dict[str, bool]
    passes: dict[str, bool]


def tried(setup: str, expected: dict[str, bool]) -> Tried:
    """Of tries `in tcp`, `half udp`; `half` ones come last."""
    lines = []
    for each, lives in expected.items():
        way, kind = each.split()
        lines.append(TRIES[way].format(kind=kind, patience=SECONDS if lives else 1))
    tries = "\n".join(f"{line} >> tried" for line in lines)
    script = f"cd $(mktemp -d)\n{NETWORK}{setup}\n{tries}\ncat tried; echo @end\nset +e\n{collect_script_text()}"
    seen, _, collected = run_in_namespace(script).partition(b"@end\n")
    kernel = PublishingKernel(read_guest(collected, via="file"), unmarked=True)
    alive = dict(zip(expected, (word == "alive" for word in seen.decode().split()), strict=True))
    return Tried(alive, {each: passes(kernel, *each.split()) for each in expected})


def passes(kernel: PublishingKernel, way: str, kind: str) -> bool:
    """Whether the firewall is said to let the flow's packets through, both ways."""
    number = NUMBERS[kind]
    client, port = ((0, 0), (0, 0)) if kind == "icmp" else ((1024, 65535), (22, 22))
    opens, answers = Transport(number, client, port), Transport(number, port, client, of_source=True)
    own, near, far = (parse_address(each) for each in ("10.0.0.11", "10.0.2.5", "10.8.0.4"))
    at = port[0]
    if way == "in":
        both = kernel.received("eth0", own, opens), kernel.answered("eth0", own, answers)
        return all(_gets_through(each.at(near).at(at)) for each in both)
    if way == "out":
        both = kernel.sent(own, opens), kernel.received("eth0", own, answers)
        return all(_gets_through(each.at(near).at(at)) for each in both)
    asked = kernel.passed_on("eth0", "eth1", near, far, opens, answered=way == "whole")
    answered = kernel.passed_on("eth1", "eth0", far, near, answers) if way == "whole" else None
    return asked is None and answered is None


def _gets_through(found: object) -> bool:
    assert isinstance(found, Received | Sent | Unknown)
    return not isinstance(found, Unknown) and found.ruling is None


def chain(hook: str, *rules: str, name: str = "c", policy: str = "accept") -> str:
    told = "\n".join(f"    {rule}" for rule in rules)
    head = f"type filter hook {hook}; policy {policy};"
    return f"table ip {name} {{\n  chain c {{\n    {head}\n{told}\n  }}\n}}\n"


def nft(*tables: str) -> str:
    return "nft -f - <<'RULES'\n{}RULES\n".format("".join(tables))


def iptables(text: str) -> str:
    return f"iptables-nft-restore <<'RULES'\n{text}RULES\n"


RAW_IN, RAW_OUT = "prerouting priority raw", "output priority raw"
INPUT, OUTPUT, FORWARD = (f"{hook} priority filter" for hook in ("input", "output", "forward"))
PORT, SOURCE = (f"meta l4proto {{ tcp, udp }} th {end} 22" for end in ("dport", "sport"))
ALIVE, DEAD = True, False
NO_INVALID = nft(chain(FORWARD, "ct state invalid drop"))
LIBERAL = "echo 1 > /proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal\n"
STRICT = "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose\n"


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        pytest.param(
            NO_INVALID,
            {"in tcp": ALIVE, "whole tcp": ALIVE, "half udp": ALIVE, "half icmp": ALIVE, "half tcp": DEAD},
            id="invalid",
        ),
        pytest.param(
            LIBERAL + STRICT + NO_INVALID,
            {"whole tcp": ALIVE, "half tcp": DEAD},
            id="liberal",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(
                chain(FORWARD, "ct state established,related accept", "ct state new th dport 22 accept", policy="drop")
            ),
            {"whole tcp": ALIVE, "whole udp": ALIVE, "half udp": ALIVE, "half tcp": DEAD},
            id="closed",
            marks=pytest.mark.long,
        ),
        pytest.param(
            iptables("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m state ! --state NEW,ESTABLISHED -j DROP\nCOMMIT\n"),
            {"whole tcp": ALIVE, "half udp": ALIVE, "half tcp": DEAD},
            id="iptables",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(INPUT, "ct state new accept", policy="drop")),
            {"in tcp": DEAD, "in udp": DEAD, "in icmp": DEAD, "out tcp": DEAD, "out udp": DEAD, "whole tcp": ALIVE},
            id="the first packet alone",
        ),
        pytest.param(
            nft(chain(INPUT, "ct state vmap { new : accept, established : drop }")),
            {"in tcp": DEAD},
            id="vmap",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(OUTPUT, "ct state new,established accept", policy="drop")),
            {"in tcp": ALIVE, "in udp": ALIVE, "in icmp": ALIVE, "out tcp": ALIVE, "out icmp": ALIVE},
            id="both directions",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(RAW_IN, f"{PORT} notrack", "icmp type echo-request notrack", name="r"),
                chain(OUTPUT, "ct state invalid drop")),
            {"in tcp": DEAD, "in icmp": DEAD, "out tcp": ALIVE, "out udp": ALIVE, "out icmp": ALIVE},
            id="the request is not tracked",
        ),
        pytest.param(
            nft(chain(RAW_IN, f"{PORT} notrack", name="r"),
                chain(OUTPUT, "ct state established,related accept", policy="drop")),
            {"in tcp": DEAD, "in udp": DEAD, "in icmp": ALIVE},
            id="the request is not tracked, the answer not accepted",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(RAW_OUT, f"{SOURCE} notrack", name="r"), chain(INPUT, "ct state invalid drop", name="i")),
            {"in tcp": DEAD, "in icmp": ALIVE, "out tcp": ALIVE},
            id="the answer is not tracked",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(RAW_IN, f"{PORT} notrack", 'iifname "lo" notrack', name="r"),
                chain(RAW_OUT, f"{SOURCE} notrack", name="o"),
                chain(INPUT, "ct state untracked,established accept", "icmp type 8 accept", policy="drop", name="i"),
                chain(OUTPUT, "ct state established,untracked accept", "ct state new accept", policy="drop")),
            {"in tcp": ALIVE, "in udp": ALIVE, "in icmp": ALIVE, "out tcp": ALIVE},
            id="neither is tracked",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(RAW_IN, 'iifname "eth1" notrack', name="r"), chain(FORWARD, "ct state invalid drop")),
            {"in tcp": ALIVE, "whole tcp": DEAD},
            id="one way is not tracked",
            marks=pytest.mark.long,
        ),
        pytest.param(
            nft(chain(RAW_OUT, f"{PORT} notrack", name="r"), chain(INPUT, "ct state invalid drop", name="i")),
            {"out tcp": DEAD, "in tcp": ALIVE},
            id="what the server opens is not tracked",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "echo 1 > /proc/sys/net/ipv4/tcp_fwmark_accept\n"
            + nft(
                chain("prerouting priority mangle", "meta mark set 0x1", name="m"), chain(OUTPUT, "meta mark 0x1 drop")
            ),
            {"in tcp": DEAD, "out tcp": ALIVE},
            id="answers get the mark of what they answer",
            marks=pytest.mark.long,
        ),
    ],
)  # fmt: skip
def test_states_are_told_as_they_are(setup: str, expected: dict[str, bool]) -> None:
    require("nft", "iptables-nft-restore", "ip", "unshare", "nsenter")
    found = tried(setup, expected)
    assert found.alive == expected
    assert found.passes == expected
