"""Which forms of netfilter's rules are followed to a container, and which leave it open. Packets are in
tests/lab/test_published_ports.py.
"""

from typing import Any

import pytest

from tests.support.servers import guest as make_guest
from tests.support.servers import link
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.guest.parsers.nftables import parse_nftables
from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.published import PublishingKernel
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.kernel.worlds import Outcome
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.firewall import Firewall
from vnicheck.model.guest import Hook, HookKind, Interface, RouteType

ROUTES = """
default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1
10.244.0.0/16 via 172.17.0.9 dev docker0
"""
PLAIN = "tcp dport 8080 dnat to 172.17.0.2:80"
BRIDGE = link("docker0", 2, "172.17.0.1/16", kind="bridge", index=9)
MEMBER = link("veth1", 3, kind="veth", index=10, master="docker0")
ANY = (1024, 65535)


def rules(line: str, more: str = "") -> str:
    return f"""
table ip nat {{
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		{line}
	}}
}}
{more}
"""


def chain(hook: str, line: str, family: str = "ip") -> str:
    return f"table {family} z {{\n\tchain c {{\n\t\ttype {hook};\n\t\t{line or 'counter'}\n\t}}\n}}"


def saved(match: str, more: str) -> str:
    rule = f"-A PREROUTING -p tcp {match}-m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    return f"{more}*nat\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT"


def fates(
    text: str,
    *,
    port: int = 8080,
    bridge: Interface = BRIDGE,
    hooks: tuple[Hook, ...] = (),
    addresses: tuple[str, ...] = ("10.0.0.11/24",),
    inside: frozenset[str] = frozenset({"docker0"}),
    seen: tuple[Contradiction, ...] = (),
    client: str = "10.8.0.4",
) -> tuple[Outcome, Outcome]:
    """What becomes of the request, and of the answer, of a client and 10.0.0.11."""
    chains, strange = (parse_iptables if text.lstrip().startswith("*") else parse_nftables)(text)
    guest = make_guest(
        link("eth0", 0, *addresses),
        bridge,
        MEMBER,
        routes=ROUTES,
        sysctls={f"conf/{name}/forwarding": 1 for name in ("eth0", "docker0")},
        firewall=Firewall(chains=chains, unmodelled=strange),
        hooks=hooks,
    )
    kernel = PublishingKernel(guest, unmarked=True, inside=inside, seen=seen)
    local, remote = parse_address("10.0.0.11"), parse_address(client)
    asked = kernel.received("eth0", local, Transport(6, ANY, (1, 65535)))
    answered = kernel.answered("eth0", local, Transport(6, (1, 65535), ANY, of_source=True))
    return asked.at(remote).at(port), answered.at(remote).at(port)


def is_open(text: str, **more: Any) -> bool:
    asked, answered = fates(text, **more)
    doubts = [
        isinstance(each, Unknown) or (not isinstance(each, NotSent) and each.ruling) for each in (asked, answered)
    ]
    return any(doubts)


@pytest.mark.parametrize(
    "line",
    [
        PLAIN,
        'iifname { "eth0", "eth1" } ip daddr 10.0.0.0/24 tcp dport 8000-8090 counter dnat to 172.17.0.2:80',
        "fib daddr type local tcp dport 8080 dnat ip to 172.17.0.2:80 persistent",
        "tcp dport 8080 dnat to 172.17.0.2",
    ],
)
def test_plain_rules_are_followed(line: str) -> None:
    asked, answered = fates(rules(line))
    assert isinstance(asked, Received)
    assert (asked.egress, asked.ruling) == (("docker0",), None)
    assert isinstance(answered, Sent)
    assert (answered.interface, answered.sender, answered.ruling) == ("eth0", ("172.17.0.2", "docker0"), None)


def test_other_ports_are_the_servers_own() -> None:
    asked, answered = fates(rules(PLAIN), port=8081)
    assert isinstance(asked, Received)
    assert asked.led is None
    assert isinstance(answered, Sent)
    assert answered.sender is None


def test_what_is_not_tracked_is_not_led() -> None:
    asked, answered = fates(rules(PLAIN, chain("filter hook prerouting priority raw", "tcp dport 8080 notrack")))
    assert isinstance(asked, Received)
    assert (asked.reception, asked.led, asked.ruling) == (Reception.DELIVERED, None, None)
    assert isinstance(answered, Sent)


@pytest.mark.parametrize(
    "text",
    [
        rules("tcp dport 8080 dnat to 172.17.0.2-172.17.0.9"),
        rules("tcp dport 8080 dnat to 172.17.0.2:80-90"),
        rules("tcp dport 8080 dnat to tcp dport map { 8080 : 172.17.0.2 }"),
        rules("ip saddr @friends " + PLAIN),
        rules("numgen random mod 2 == 0 " + PLAIN + "\n\t\ttcp dport 8080 dnat to 172.17.0.3:80"),
        rules("tcp dport 8080 dnat to 127.0.0.1:80"),
        rules("tcp dport 8080 dnat to 172.17.0.1:80"),
        rules("tcp dport 8080 dnat to 10.9.0.1:80"),
        rules("tcp dport 8080 dnat to 10.244.0.1:80"),
        rules(PLAIN, chain("filter hook prerouting priority raw", "ct zone set 1")),
        rules(PLAIN, chain("filter hook prerouting priority raw", "ip daddr 172.17.0.2 notrack")),
        rules(PLAIN, chain("filter hook prerouting priority raw", "limit rate 1/second notrack")),
        rules(PLAIN, chain("filter hook prerouting priority raw", "ip saddr 172.17.0.2 notrack")),
        rules("tcp dport 8080 redirect to :22", chain("filter hook output priority raw", "tcp sport 22 notrack")),
        rules(PLAIN, chain("filter hook forward priority 0", "ct state established drop")),
        rules(PLAIN, chain("filter hook forward priority 0", "ip daddr 172.17.0.2 ct state established drop")),
        rules(
            "tcp dport 8080 redirect to :22",
            chain("filter hook input priority 0", "tcp dport 22 ct state established drop"),
        ),
        rules("tcp dport 8080 redirect to :22", chain("filter hook output priority 0", "ct status dnat drop")),
        rules(PLAIN, chain("filter hook prerouting priority -100", "accept")),
        rules(PLAIN, chain("filter hook forward priority 0", "flow add @f")),
        rules(PLAIN, chain("filter hook forward priority 0; policy drop", "")),
        rules(PLAIN, chain("nat hook postrouting priority 0", "masquerade")),
        rules(PLAIN, chain("filter hook input priority 0; policy drop", "", "bridge")),
        rules(PLAIN, chain("filter hook prerouting priority 0", "ether type arp drop", "bridge")),
        saved("-m statistic --mode random --probability 0.5 ", ""),
        saved("", "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --zone 1\nCOMMIT\n"),
    ],
)
def test_what_is_not_plain_is_left_open(text: str) -> None:
    assert is_open(text)


def test_what_answers_an_address_of_no_host_is_not_sent() -> None:
    """As of the server's own answers: such a flow makes no address `works in part`."""
    _, answered = fates(rules(PLAIN), client="10.0.0.255")
    assert isinstance(answered, NotSent)
    assert answered.kind is RouteType.BROADCAST


def test_rules_of_bridges_that_let_all_pass_leave_nothing_open() -> None:
    passing = chain("filter hook input priority 0; policy accept", "ether type arp accept", "bridge")
    assert not is_open(rules(PLAIN, passing))


def test_what_the_running_kernel_does_otherwise_leaves_them_open() -> None:
    """It was asked about a flow of the server's own: of what is led to a container its answer says nothing sure."""
    refused = Received(Reception.RP_FILTER, "the guest refuses it")
    contradiction = Contradiction(
        local=parse_address("10.0.0.11"),
        entering="eth0",
        protocol=6,
        of_source=False,
        remote=parse_address("10.8.0.4"),
        outcome=refused,
        alike=(prefix_range("10.8.0.0/16"),),
        doubt=Unknown("another of these remotes does otherwise"),
    )
    assert not is_open(rules(PLAIN))
    assert is_open(rules(PLAIN), seen=(contradiction,))


def test_an_answer_that_is_not_tracked_keeps_its_source() -> None:
    raw = chain("filter hook prerouting priority raw", 'iifname "docker0" notrack')
    _, answered = fates(rules("tcp dport 80 dnat to 172.17.0.2:80", raw), port=80)
    assert isinstance(answered, Sent)
    assert answered.ruling is not None
    assert "connection tracking" in answered.ruling.reason


@pytest.mark.parametrize(
    "more",
    [
        {"bridge": link("docker0", 2, "172.17.0.1/16", kind="bridge", index=9, carrier=False)},
        {"bridge": link("docker0", 2, "172.17.0.1/16", kind="wireguard", index=9)},
        {"inside": frozenset()},
        {"hooks": (Hook(kind=HookKind.INGRESS_PROGRAM, interface="docker0", text="bpf"),)},
        {"hooks": (Hook(kind=HookKind.INGRESS_PROGRAM, interface="veth1", text="bpf"),)},
    ],
)
def test_a_device_that_may_do_more_leaves_it_open(more: dict[str, Any]) -> None:
    assert is_open(rules(PLAIN), **more)


@pytest.mark.parametrize(
    ("line", "addresses", "known"),
    [
        ("tcp dport 8080 redirect to :80", ("10.0.0.11/24",), True),
        ("tcp dport 8080 dnat to 10.0.0.11:80", ("10.0.0.11/24",), True),
        ("tcp dport 8080 redirect to :80", ("10.0.0.11/24", "10.0.0.77/24"), False),
        ("tcp dport 8080 dnat to 10.0.0.77:80", ("10.0.0.11/24", "10.0.0.77/24"), False),
    ],
)
def test_another_port_of_the_address_is_the_servers_own(line: str, addresses: tuple[str, ...], known: bool) -> None:
    asked, answered = fates(rules(line), addresses=addresses)
    assert isinstance(asked, Received) is known
    assert isinstance(answered, Sent) is known
    closed = rules(line, chain("filter hook input priority 0", "tcp dport 80 drop"))
    asked, _ = fates(closed, addresses=addresses)
    assert (isinstance(asked, Received) and asked.ruling is not None) is known


def test_chains_before_the_translation_see_the_address_that_was_asked() -> None:
    for priority, stops in (("raw", False), ("filter", True)):
        asked, _ = fates(rules(PLAIN, chain(f"filter hook prerouting priority {priority}", "ip daddr 172.17.0.2 drop")))
        assert isinstance(asked, Received)
        assert (asked.ruling is not None) is stops


NETAVARK = """
table inet netavark {
	chain INPUT {
		type filter hook input priority filter; policy accept;
		ip saddr 10.88.0.0/16 meta l4proto { tcp, udp } th dport 53 accept
	}
	chain FORWARD {
		type filter hook forward priority filter; policy accept;
		ct state invalid drop
		jump NETAVARK-ISOLATION-1
		ip daddr 172.17.0.0/16 ct state established,related accept
		ip saddr 172.17.0.0/16 accept
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00002000 == 0x00002000 masquerade
		ip saddr 172.17.0.0/16 jump nv_1
	}
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT
	}
	chain OUTPUT {
		type nat hook output priority dstnat; policy accept;
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT
	}
	chain NETAVARK-HOSTPORT-DNAT {
		tcp dport 8080 jump nv_1_dnat
	}
	chain NETAVARK-HOSTPORT-SETMARK {
		meta mark set meta mark | 0x00002000
	}
	chain NETAVARK-ISOLATION-1 {
	}
	chain nv_1 {
		ip daddr 172.17.0.0/16 accept
		ip daddr != 224.0.0.0/4 masquerade
	}
	chain nv_1_dnat {
		ip saddr 172.17.0.0/16 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
		ip saddr 127.0.0.1 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
		tcp dport 8080 dnat ip to 172.17.0.2:80
	}
}
"""
PORTMAP = """
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-DN-abc - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name" -m multiport --dports 8080 -j CNI-DN-abc
-A CNI-DN-abc -s 172.17.0.0/16 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-abc -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-abc -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
COMMIT
"""
KUBE_PROXY = """
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-EXT-X - [0:0]
:KUBE-SVL-X - [0:0]
:KUBE-SVC-X - [0:0]
:KUBE-SEP-Y - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "dns" -m udp --dport 53 -j KUBE-SVC-X
-A KUBE-SERVICES -m comment --comment "nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m comment --comment "web" -m tcp --dport 8080 -j KUBE-EXT-X
-A KUBE-EXT-X -s 10.244.0.0/16 -m comment --comment "pod traffic" -j KUBE-SVC-X
-A KUBE-EXT-X -m comment --comment "masquerade LOCAL traffic" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
-A KUBE-EXT-X -m comment --comment "route LOCAL traffic" -m addrtype --src-type LOCAL -j KUBE-SVC-X
-A KUBE-EXT-X -j KUBE-SVL-X
-A KUBE-SVL-X -j KUBE-SEP-Y
-A KUBE-SEP-Y -s 172.17.0.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-Y -p tcp -m tcp -j DNAT --to-destination 172.17.0.2:80
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "masq" -j MASQUERADE --random-fully
COMMIT
"""
CLUSTER = KUBE_PROXY.replace(
    "-A KUBE-EXT-X -j KUBE-SVL-X", "-A KUBE-EXT-X -j KUBE-MARK-MASQ\n-A KUBE-EXT-X -j KUBE-SVL-X"
)


@pytest.mark.parametrize(
    ("text", "known"),
    [(NETAVARK, True), (PORTMAP, True), (KUBE_PROXY, True), (CLUSTER, False)],
    ids=["podman", "portmap", "kube-proxy, policy Local", "kube-proxy, policy Cluster"],
)
def test_what_agents_publish(text: str, known: bool) -> None:
    """What is masqueraded as it comes in, as by default with a node port, is left open."""
    asked, answered = fates(text)
    assert isinstance(asked, Received)
    assert (asked.led, asked.ruling is None) == ("172.17.0.2:80", known)
    assert isinstance(answered, Sent)
    assert answered.sender == ("172.17.0.2", "docker0")
