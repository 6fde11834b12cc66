"""What netfilter's rules make of a flow: rulesets as the common tools write them, and odd ones."""

import pytest

from tests.support.guest_namespace import run_in_namespace
from tests.support.kernel_guests import make_guest, replaced
from tests.support.sshd import require
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.guest.parsers.nftables import parse_nftables
from vnicheck.kernel.filtered import FilteredKernel
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import parse_address
from vnicheck.model.firewall import Firewall

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12
"""
TCP, UDP, ICMP = 6, 17, 1
ANY = (1024, 65535)
REMOTE = "203.0.113.9"

UFW = """
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-not-local - [0:0]
:ufw-after-input - [0:0]
:ufw-skip-to-policy-input - [0:0]
:ufw-user-input - [0:0]
:ufw-user-limit - [0:0]
:ufw-user-limit-accept - [0:0]
:ufw-before-output - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
-A OUTPUT -j ufw-before-output
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-not-local -j DROP
-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input
-A ufw-skip-to-policy-input -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-input -s 10.8.0.0/16 -p tcp -m multiport --dports 80,443:445 -j ACCEPT
-A ufw-before-output -o lo -j ACCEPT
-A ufw-before-output -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""

FIREWALLD = """
table inet firewalld {
	chain filter_PREROUTING {
		type filter hook prerouting priority filter + 10; policy accept;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop
	}
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited
	}
	chain filter_INPUT_ZONES {
		ip saddr 10.8.0.0/16 goto filter_IN_trusted
		iifname "eth1" goto filter_IN_public
		goto filter_IN_public
	}
	chain filter_IN_trusted {
		accept
	}
	chain filter_IN_public {
		jump filter_IN_public_deny
		jump filter_IN_public_allow
		meta l4proto { icmp, ipv6-icmp } accept
		reject with icmpx admin-prohibited
	}
	chain filter_IN_public_deny {
	}
	chain filter_IN_public_allow {
		tcp dport 22 accept
		ip6 daddr fe80::/64 udp dport 546 accept
	}
	chain filter_OUTPUT {
		type filter hook output priority filter + 10; policy accept;
		ct state { established, related } accept
		oifname "lo" accept
	}
}
"""

DOCKER = """
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A FORWARD -o docker0 -j DOCKER
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
"""


def kernel(text: str, addresses: dict[str, tuple[str, ...]] | None = None) -> FilteredKernel:
    chains, strange = (parse_iptables if text.lstrip().startswith("*") else parse_nftables)(text)
    guest = make_guest(addresses, routes=ROUTES)
    return FilteredKernel(replaced(guest, firewall=Firewall(chains=chains, unmodelled=strange)))


def chain(hook: str, rule: str, table: str) -> str:
    return f"table ip {table} {{\nchain c {{\ntype filter hook {hook}; policy accept;\n{rule}\n}}\n}}\n"


def taken(of: FilteredKernel, port: int, proto: int = TCP, remote: str = REMOTE, interface: str = "eth1") -> str:
    """What becomes of an opening packet: `delivered`, or the reason for which that is not known."""
    local, ports = parse_address("10.0.0.12"), ((0, 0), (0, 0)) if proto == ICMP else (ANY, (1, 65535))
    found = of.received(interface, local, Transport(proto, *ports)).at(parse_address(remote)).at(port)
    return _fate(found)


def answered(of: FilteredKernel, proto: int = TCP) -> str:
    """The answer to what the server opens."""
    ports = ((0, 0), (0, 0)) if proto == ICMP else ((1, 65535), ANY)
    found = of.received("eth1", parse_address("10.0.0.12"), Transport(proto, *ports, of_source=True))
    return _fate(found.at(parse_address(REMOTE)).at(443))


def leaves(of: FilteredKernel, *, answer: bool, port: int = 443, remote: str = REMOTE, local: str = "10.0.0.12") -> str:
    ports = ((1, 65535), ANY) if answer else (ANY, (1, 65535))
    found = of.sent(parse_address(local), Transport(TCP, *ports, of_source=answer)).at(parse_address(remote)).at(port)
    return _fate(found)


def _fate(found: object) -> str:
    if isinstance(found, Unknown):
        return found.reason
    assert isinstance(found, Received | Sent)
    if found.ruling is not None and not is_dropped(found):
        return found.ruling.reason
    return found.reception.value if isinstance(found, Received) else found.interface


def is_dropped(found: Received | Sent) -> bool:
    return isinstance(found, Received) and found.reception is not Reception.DELIVERED


DELIVERED = Reception.DELIVERED.value


def test_ufw() -> None:
    ufw = kernel(UFW)
    assert taken(ufw, 22) == DELIVERED
    assert "policy drop of chain filter INPUT" in taken(ufw, 80)
    assert [taken(ufw, port, remote="10.8.0.4") for port in (80, 444)] == [DELIVERED] * 2
    assert "policy drop" in taken(ufw, 81, remote="10.8.0.4")
    assert "policy drop" in taken(ufw, 53, UDP)
    assert taken(ufw, 0, ICMP) == DELIVERED
    assert answered(ufw) == answered(ufw, UDP) == answered(ufw, ICMP) == DELIVERED
    assert leaves(ufw, answer=True) == leaves(ufw, answer=False) == "eth0"


def test_firewalld() -> None:
    zones = kernel(FIREWALLD)
    assert taken(zones, 22) == DELIVERED
    assert "reject with icmpx" in taken(zones, 80)
    assert taken(zones, 80, remote="10.8.0.4") == DELIVERED
    assert taken(zones, 0, ICMP) == DELIVERED
    assert answered(zones) == DELIVERED
    assert leaves(zones, answer=True) == leaves(zones, answer=False) == "eth0"


@pytest.mark.parametrize(
    ("table", "silent"),
    [
        ("arp f {\n\tchain i {\n\t\ttype filter hook input priority filter; policy drop;\n\t}", True),
        ("arp f {\n\tchain i {\n\t\ttype filter hook input priority filter; policy accept;\n\t}", False),
        ('netdev f {\n\tchain i {\n\t\ttype filter hook ingress device "eth1" priority 0;\n\t\tdrop\n\t}', True),
        (
            "netdev f {\n\tchain i {\n\t\ttype filter hook ingress device x priority 0;\n\t\ttcp dport 5 drop\n\t}",
            False,
        ),
    ],
)
def test_rules_for_arp_may_keep_the_next_hop_from_being_found(table: str, silent: bool) -> None:
    assert ("ARP" in leaves(kernel(f"table {table}\n}}\n"), answer=True)) is silent


def test_what_is_kept_out_of_tracking_by_a_rule_that_is_not_understood() -> None:
    raw = "type filter hook prerouting priority raw;\n\t\ttcp dport 22 tcp flags syn notrack"
    rules = "type filter hook input priority 0;\n\t\tct state { invalid, untracked } drop"
    text = f"table ip f {{\n\tchain p {{\n\t\t{raw}\n\t}}\n\tchain i {{\n\t\t{rules}\n\t}}\n}}\n"
    assert "untracked" in taken(kernel(text), 22)
    assert taken(kernel(text), 23) == DELIVERED


def test_docker() -> None:
    docker = kernel(DOCKER)
    assert taken(docker, 22) == taken(docker, 8080, UDP) == taken(docker, 0, ICMP) == DELIVERED
    assert "leads it to 172.17.0.2:80" in taken(docker, 8080)
    assert answered(docker) == DELIVERED
    assert leaves(docker, answer=True, port=8080) == leaves(docker, answer=False) == "eth0"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("tcp dport vmap { 22 : accept, 80-90 : drop, 443 : jump more }", {22: True, 85: False, 443: False, 444: True}),
        ("ct state vmap { established : accept, related : accept, invalid : drop }", {22: True}),
        ("ct state vmap { new : drop }", {22: False}),
        ('iifname vmap { "eth1" : goto more, "lo" : accept }', {22: False}),
        ('iifname vmap { "eth0" : goto more, "lo" : accept }', {22: True}),
        ("ip saddr @blocked drop", {22: False}),
        ("ip saddr 203.0.113.0/24 tcp dport != 22 drop", {22: True, 23: False}),
        ("ip saddr != 203.0.113.0-203.0.113.255 drop", {22: True}),
        ("limit rate 3/minute drop", {22: False}),
        ("udp dport 22 drop", {22: True}),
        ("meta mark 0x8000 drop", {22: True}),
        ("tcp dport 22 meta mark set 0x8000\nmeta mark 0x8000 drop", {22: False, 23: True}),
        ("meta mark 0x00010000/16 accept\nct mark 0x00010000/16 accept\ndrop", {22: False}),
        ("meta mark 0x00000000/16 accept\ndrop", {22: True}),
        ("meta mark != 0x00010000/16 drop", {22: False}),
        ("meta mark & 0x0000000f == 0x00000010 accept\ndrop", {22: False}),
        ("meta mark & 0x0000000f != 0x00000010 drop", {22: False}),
        ("meta mark & 0x000000ff == { 0x00000000, 0x00000001 } accept\ndrop", {22: True}),
        ("meta mark & 0x000000ff != 0x00000000 drop", {22: True}),
        ("meta mark set 0x1 ct mark 0x5 accept\ndrop", {22: False}),
        ("meta mark set meta mark & 0xfff0ffff\nmeta mark & 0x40000 == 0x40000 drop", {22: True}),
        ("meta mark set meta mark & 0xfff0ffff | 0x40000\nmeta mark & 0x40000 == 0x40000 drop", {22: False}),
        ("jump nowhere", {22: False}),
        ("tcp dport 80 goto more", {22: True, 80: False}),
        ("tcp dport 80 return\ndrop", {80: True, 22: False}),
        ("tcp flags syn tcp option maxseg size set rt mtu", {22: True}),
        ("counter synproxy mss 1460 wscale 7", {22: False}),
        ('xt target "TARPIT"', {22: False}),
        ("queue to 0", {22: False}),
        ('ip6 saddr ::1 drop\nicmpv6 code 1 drop\nmeta protocol ip6 drop\nmeta protocol ip tcp dport 23 drop',
         {22: True, 23: False}),
        ("tcp dport 22 jump {\n drop\n }", {22: False, 23: False}),
        ("meta l4proto tcp-udp drop", {22: False}),
        ("meta l4proto 7-17 drop", {22: True}),
        ("meta l4proto ipv6-icmp drop", {22: True}),
        ("meta l4proto . th dport { tcp . 22 } drop", {22: False}),
        ('iifname . ip saddr { "eth1" . 203.0.113.9 } drop', {22: False}),
        ("meta l4proto . th dport vmap { tcp . 22 : drop }", {22: False}),
        ("meta l4proto vmap { udp : accept, * : drop }", {22: False}),
        ("meta protocol vmap { ip : accept, ip6 : drop }\ndrop", {22: True}),
        ("meta nfproto vmap { ipv6 : accept, ipv4 : goto more }", {22: False}),
        ("meta nfproto vmap { ipv6 : drop }", {22: True}),
        ("ip saddr @met drop\ntcp dport 22 add @met { ip saddr } drop", {22: False}),
        ("ip saddr @met drop\ntcp dport 80 set add ip saddr timeout 30s @met", {22: False}),
        ("ip saddr @pairs drop", {22: False}),
        ("ip saddr @others drop\nip saddr @none drop\ntcp dport @web drop", {22: True, 443: False, 8080: False}),
        ("ip saddr != @others tcp dport != @web drop", {22: False, 443: True}),
        ("tcp flags != syn / fin,syn,rst,ack ct state new drop", {22: True}),
        ("tcp flags & (fin | syn | rst | ack) != syn ct state new drop", {22: True}),
        ("tcp flags != syn / fin,syn,rst,ack drop", {22: False}),
        ("tcp flags & (fin | syn) == fin | syn drop\ntcp flags ! fin,syn,rst,psh,ack,urg drop", {22: True}),
        ("tcp flags syn ct state new drop", {22: False}),
        ("tcp flags & (fin | syn | rst | psh | ack | urg) == 0x0 drop", {22: True}),
        ("ct state ! invalid,established,new drop", {22: True}),
        ("ct state ! established drop", {22: False}),
        ("ct state != established | new drop\nct state new / established,new accept", {22: False}),
        ("ct state != established,new drop", {22: False}),
        ("ct status dnat drop\nct status ! dnat accept\ndrop", {22: True}),
        ("ct status != dnat accept\ndrop", {22: False}),
        ("ct status == dnat drop", {22: False}),
        ("ct status { snat, dnat } drop", {22: False}),
        ("ct status vmap { dnat : drop }", {22: False}),
        ("ct status snat drop", {22: False}),
        ("ct status seen-reply,assured drop", {22: False}),
        ("ct direction reply drop", {22: False}),
        ("ct direction original tcp dport 23 drop", {22: True, 23: False}),
        ("ct state established drop", {22: False}),
        ("ct state vmap { new : accept, established : drop }", {22: False}),
        ("tcp flags syn | ack drop", {22: False}),
    ],
)  # fmt: skip
def test_rules(rules: str, expected: dict[int, bool]) -> None:
    of = kernel(
        "table inet f {\nset others {\ntype ipv4_addr\nelements = { 192.0.2.1 timeout 4h expires 3h59m,\n"
        '198.51.100.0/24 comment "a, }" }\n}\nset none {\ntype ipv4_addr\n}\n'
        "set met {\ntype ipv4_addr\nflags dynamic\n}\n"
        "set pairs {\ntype ipv4_addr . inet_service\nelements = { 192.0.2.1 . 80 }\n}\n"
        "set web {\ntype inet_service\nelements = { 443, 8000-8999 }\n}\n"
        "chain more {\ntcp dport 443 drop\ntcp dport 80 drop\nct state new drop\n}\n"
        f"chain in {{\ntype filter hook input priority filter; policy accept;\n{rules}\n}}\n}}"
    )
    assert {port: taken(of, port) == DELIVERED for port in expected} == expected


@pytest.mark.parametrize(
    ("rules", "proto", "passes"),
    [
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP", TCP, True),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", TCP, False),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP", TCP, True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP", TCP, True),
        ("-p tcp -m tcp --tcp-flags ACK ACK -j DROP", TCP, False),
        ("-j MARK --set-xmark 0x0/0xf0000\n-A INPUT -m mark --mark 0x40000/0x40000 -j DROP", TCP, True),
        ('-m string --string "-p" --algo bm --to 65535 -j DROP', TCP, False),
        ('-m string --string "-s" --algo bm --to 65535 -j DROP', TCP, False),
        ("-m set ! --match-set -i src -j DROP", TCP, False),
        ("-m mark --mark 0x100/0xf -j ACCEPT\n-A INPUT -j DROP", TCP, False),
        ("-m mark ! --mark 0x100/0xf -j DROP", TCP, False),
        ("-m mark ! --mark 0x0/0xff -j DROP", TCP, True),
        ("-m connmark --mark 0x100/0xf -j ACCEPT\n-A INPUT -j DROP", TCP, False),
        ("-j MARK --set-xmark 0x40000/0xf0000\n-A INPUT -m mark --mark 0x40000/0x40000 -j DROP", TCP, False),
        ("-p icmp -m icmp --icmp-type any -j ACCEPT\n-A INPUT -j DROP", ICMP, True),
    ],
)
def test_rules_of_hardening_guides(rules: str, proto: int, passes: bool) -> None:
    of = kernel(f"*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT {rules}\nCOMMIT\n")
    assert (taken(of, 0 if proto == ICMP else 22, proto) == DELIVERED) is passes
    assert (answered(of, proto) == DELIVERED) is passes


def test_connections_are_only_refused_as_they_are_opened() -> None:
    rule = "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REJECT --reject-with icmp-port-unreachable"
    of = kernel(f"*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n")
    assert "REJECT" in taken(of, 22)
    assert answered(of) == DELIVERED


def test_packets_before_tracking_have_no_state() -> None:
    raw = "table ip r {\nchain pre {\ntype filter hook prerouting priority raw; policy accept;\nct state new drop\n}\n}"
    assert "ct state new drop" in taken(kernel(raw), 22)
    untracked = (
        "table ip r {\nchain pre {\ntype filter hook prerouting priority raw; policy accept;\n"
        "tcp sport 443 notrack\n}\n"
        "chain in {\ntype filter hook input priority 0; policy drop;\nct state established accept\n}\n}"
    )
    assert "policy drop" in answered(kernel(untracked))
    assert answered(kernel(untracked), UDP) == DELIVERED
    echoes = raw.replace("ct state new", "icmp type echo-reply")
    assert "echo-reply" in answered(kernel(echoes), ICMP)


def test_what_is_not_tracked_has_no_status() -> None:
    raw = chain("output priority raw", "ip protocol tcp notrack", "r")
    assert "drop" in leaves(kernel(raw + chain("output priority 0", "ct status ! dnat accept\ndrop", "o")), answer=True)
    assert (
        leaves(kernel(raw + chain("output priority 0", "ct state untracked accept\ndrop", "o")), answer=True) == "eth0"
    )


def test_what_is_untracked_on_its_way_out_to_one_remote_is_so_for_that_one() -> None:
    """What rules of output name tells apart what comes in, for whose state they decide."""
    of = kernel(
        chain("output priority raw", "ip daddr 203.0.113.9 notrack", "r")
        + chain("input priority 0", "ct state new,established accept\ndrop", "i")
    )
    assert "drop" in taken(of, 22)
    assert taken(of, 22, remote="203.0.113.8") == DELIVERED


def test_output_and_new_sources() -> None:
    out = (
        "table ip o {\nchain out {\ntype filter hook output priority 0; policy accept;\n"
        'oifname "eth0" ip saddr 10.0.0.12 tcp dport 25 drop\n}\n'
        "chain post {\ntype nat hook postrouting priority srcnat; policy accept;\n"
        'oifname "eth0" tcp dport 80 masquerade\n}\n}'
    )
    of = kernel(out)
    assert leaves(of, answer=False) == "eth0"
    assert "tcp dport 25 drop" in leaves(of, answer=False, port=25)
    assert "other addresses" in leaves(of, answer=False, port=80)
    assert leaves(of, answer=False, port=80, local="10.0.0.11") == "eth0"
    assert leaves(of, answer=True, port=80) == "eth0"
    several = {"eth0": ("10.0.0.11/24", "203.0.113.7/32"), "eth1": ("10.0.0.12/24",)}
    assert "other addresses" in leaves(kernel(out, several), answer=False, port=80, local="10.0.0.11")


PODMAN = """
table inet netavark {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local jump NETAVARK-HOSTPORT-DNAT
	}
	chain NETAVARK-HOSTPORT-DNAT {
		tcp dport 8080 jump nv_dnat
	}
	chain nv_dnat {
		ip saddr 10.88.0.0/16 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
		ip saddr 127.0.0.1 tcp dport 8080 jump NETAVARK-HOSTPORT-SETMARK
		tcp dport 8080 dnat ip to 10.88.0.2:80
	}
	chain NETAVARK-HOSTPORT-SETMARK {
		meta mark set meta mark | 0x00002000
	}
	chain INPUT {
		type filter hook input priority filter; policy accept;
		ip saddr 10.88.0.0/16 meta l4proto { tcp, udp } th dport 53 accept
	}
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		meta mark & 0x00002000 == 0x00002000 masquerade
		ip saddr 10.88.0.0/16 masquerade
	}
}
"""
KUBE = """
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-A
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-SVC-A
-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1
-A KUBE-SVC-A -j KUBE-SEP-2
-A KUBE-SEP-1 -s 10.244.0.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.244.0.2:80
-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.244.0.3:80
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m comment --comment "dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
"""
REDIRECTED = """
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth1 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
COMMIT
"""


@pytest.mark.parametrize(
    ("text", "port", "words"),
    [
        (PODMAN, 8080, "leads it to 10.88.0.2:80"),
        (KUBE, 30080, "may lead it to 10.244.0.2:80"),
        (REDIRECTED, 80, "leads it to :8080"),
    ],
)
def test_published_ports_alone_are_led_elsewhere(text: str, port: int, words: str) -> None:
    of = kernel(text)
    assert words in taken(of, port)
    assert taken(of, 22) == taken(of, port, UDP) == taken(of, 0, ICMP) == answered(of) == DELIVERED
    assert leaves(of, answer=True) == leaves(of, answer=False) == "eth0"


@pytest.mark.root
@pytest.mark.parametrize("text", [UFW, DOCKER])
def test_the_same_rules_as_nft_lists_them(text: str) -> None:
    """What iptables makes of them in nftables, as Debian's and Ubuntu's does."""
    require("nft", "iptables-nft-restore")
    listed = run_in_namespace(f"iptables-nft-restore <<'END'\n{text}\nEND\nnft list ruleset").decode()
    told, same = kernel(text), kernel(listed)
    for port in (22, 80, 8080):
        assert (taken(told, port) == DELIVERED) is (taken(same, port) == DELIVERED)
    assert taken(same, 22) == taken(same, 0, ICMP) == answered(same) == DELIVERED
    assert leaves(same, answer=True) == leaves(same, answer=False) == "eth0"


@pytest.mark.root
@pytest.mark.parametrize(
    "state", ["! --ctstate DNAT", "--ctstate NEW,DNAT", "! --ctstate SNAT,DNAT", "--ctstatus NONE"]
)
def test_statuses_that_nft_lists_otherwise_than_iptables_means_them(state: str) -> None:
    require("nft", "iptables-nft-restore")
    text = f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m conntrack {state} -j DROP\nCOMMIT\n"
    of = kernel(run_in_namespace(f"iptables-nft-restore <<'END'\n{text}\nEND\nnft list ruleset").decode())
    assert "drop" in taken(of, 22)
    assert taken(of, 22, UDP) == DELIVERED


@pytest.mark.parametrize("key", ["tcp_fwmark_accept", "fwmark_reflect"])
def test_answers_that_get_the_mark_of_what_they_answer_may_meet_rules_for_it(key: str) -> None:
    marks = chain("prerouting priority mangle", "meta mark set 0x1", "a")
    of = kernel(marks + chain("output priority 0", "meta mark 0x1 drop", "b"))
    assert leaves(of, answer=True) == leaves(of, answer=False) == "eth0"
    reflects = replaced(of._guest, sysctls={**of._guest.sysctls, f"net/ipv4/{key}": 1})
    for again in (FilteredKernel(reflects), FilteredKernel(reflects, of)):
        assert "mark 0x1 drop" in leaves(again, answer=True)
        assert leaves(again, answer=False) == "eth0"


def test_a_drop_of_the_kernel_stays_one() -> None:
    chains, _ = parse_iptables(UFW)
    guest = make_guest(routes=ROUTES, sysctls={"eth1.rp_filter": 1})
    of = FilteredKernel(replaced(guest, firewall=Firewall(chains=chains)))
    assert taken(of, 80) == taken(of, 22) == Reception.RP_FILTER.value
    found = of.received("eth1", parse_address("10.0.0.12"), Transport(TCP, ANY, (1, 65535)))
    rulings = [getattr(found.at(parse_address(REMOTE)).at(port), "ruling", None) for port in (22, 80)]
    assert [ruling is None for ruling in rulings] == [True, False], "what the drop hides is told apart"


def test_lines_that_are_not_understood_leave_all_open() -> None:
    of = FilteredKernel(replaced(make_guest(routes=ROUTES), firewall=Firewall(unmodelled=("what is this",))))
    assert "what is this" in taken(of, 22)
    assert "what is this" in leaves(of, answer=True)


@pytest.mark.parametrize("device", ["bus0", "{ eth9, bus0 }", '"bus*"'])
def test_a_chain_of_the_device_that_an_interface_stands_on_sees_its_packets(device: str) -> None:
    hook = f"type filter hook ingress device {device} priority 0; policy accept;"
    of = kernel(f"table netdev f {{\n\tchain i {{\n\t\t{hook}\n\t\tip saddr 10.0.0.0/8 tcp dport 5 drop\n\t}}\n}}\n")
    assert taken(of, 5, remote="10.8.0.4") == DELIVERED
    stacked = tuple(
        replaced(link, parent={"eth1": "eth7", "eth7": "bus0"}.get(link.name))
        for link in make_guest({"eth1": ("10.0.0.12/24",), "eth7": (), "bus0": ()}).interfaces
    )
    of = FilteredKernel(replaced(of._guest, interfaces=stacked))
    assert "dport 5 drop" in taken(of, 5, remote="10.8.0.4")
    assert taken(of, 6, remote="10.8.0.4") == DELIVERED


def test_long_chains_are_followed_in_their_order() -> None:
    """As kube-proxy, CSF and fail2ban make them: a rule for each of many addresses."""
    blocked = [f"ip saddr 192.0.2.{number} drop" for number in range(1, 200)]
    special = ["ip saddr 10.8.0.4 tcp dport 22 accept", "ip saddr 10.8.0.4 drop"]
    special += ["ip saddr != 10.8.0.4 tcp dport 24 drop"]
    rules = [*blocked[:100], *special, *blocked[100:], "ip saddr 10.8.0.5 ip daddr 10.0.0.12 drop"]
    head = "type filter hook input priority 0; policy accept;"
    of = kernel("\n".join(["table ip f {", "chain in {", head, *rules, "}", "}"]))
    ways = {"192.0.2.7": "192.0.2.7 drop", "10.8.0.4": "10.8.0.4 drop", "10.8.0.5": "10.0.0.12 drop"}
    for remote, rule in ways.items():
        assert rule in taken(of, 23, remote=remote)
    assert taken(of, 22, remote="10.8.0.4") == taken(of, 23) == DELIVERED
    assert "dport 24 drop" in taken(of, 24)


def test_a_cluster_with_many_services_is_no_more_than_is_asked() -> None:
    addresses = [f"10.96.{number // 250}.{number % 250}" for number in range(400)]
    services = [f"-A SERVICES -d {address}/32 -p tcp -m tcp --dport 80 -j SVC" for address in addresses]
    ports = [f"-A NODEPORTS -p tcp -m tcp --dport {30000 + number} -j SVC" for number in range(20)]
    head = ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:SERVICES - [0:0]\n:NODEPORTS - [0:0]\n:SVC - [0:0]"
    tail = "-A SERVICES -m addrtype --dst-type LOCAL -j NODEPORTS\n-A SVC -p tcp -j DNAT --to-destination 10.244.1.5:80"
    jumps = "-A PREROUTING -j SERVICES\n-A OUTPUT -j SERVICES"
    of = kernel("\n".join(["*nat", head, jumps, *services, *ports, tail, "COMMIT", ""]))
    assert leaves(of, answer=False, port=80) == leaves(of, answer=True) == "eth0"
    assert "other addresses" in leaves(of, answer=False, port=80, remote="10.96.0.7")
    assert "leads it to 10.244.1.5" in taken(of, 30007)
