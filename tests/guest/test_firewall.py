"""Netfilter's rules, loaded into a real kernel and listed by the real tools."""

import pytest

from tests.support.guest_namespace import run_in_namespace
from tests.support.sshd import require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.parsers.firewall import parse_firewall
from vnicheck.guest.parsers.nft_rule import read_rule
from vnicheck.guest.parsers.programs import bpf_hooks, ipsec_hooks, traffic_hooks
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.firewall import FirewallChain, Match, Selector, Verdict
from vnicheck.model.guest import Guest, Hook, HookKind

RULESET = """
table inet f {
  set s { type ipv4_addr; elements = { 10.0.0.1, 1.2.3.4 }
  }
  chain sub {
    ct state vmap { established : accept, invalid : drop }
  }
  chain in {
    type filter hook input priority filter - 5; policy drop;
    ct state { new, untracked } tcp dport { 22, 80-90 } accept comment "fib saddr drop {"
    ip saddr @s drop
    iifname "veth*" limit rate 3/minute drop
    ip6 saddr ::1 accept
    meta nfproto ipv6 drop
    ip daddr != 10.2.0.1-10.2.0.9 udp sport 53 reject with icmp port-unreachable
    meta mark set ct mark
    meta mark & 0xff == 1 jump sub
    fib saddr . iif oif missing drop
    meta mark & 0xffff0000 == 0x10000 return
  }
}
table ip sleeping { flags dormant
  chain c { type filter hook input priority 0; drop
  }
}
table ip6 six { chain c { drop
  }
}
"""
TCP = Match(selector=Selector.PROTOCOL, values=("tcp",))


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    require_root()
    require("nft", "iptables-legacy", "iptables-legacy-save")
    rules = tmp_path_factory.mktemp("rules") / "rules.nft"
    rules.write_text(RULESET)
    old = """
iptables-legacy -t nat -N DOCKER
iptables-legacy -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables-legacy -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables-legacy -t mangle -A OUTPUT -o eth+ -m mark --mark 1/0xff -j MARK --set-mark 7
iptables-legacy -A INPUT -p udp -m multiport --dports 53,90:99 -m limit --limit 3/min -m comment --comment "-j DROP" \\
  -j ACCEPT
"""
    return read_guest(run_in_namespace(f"set -e\nnft -f {rules}{old}set +e\n{collect_script_text()}"), via="file")


def chains(guest: Guest) -> dict[tuple[str, str], FirewallChain]:
    assert guest.firewall is not None
    assert guest.firewall.unmodelled == ()
    return {(chain.table, chain.name): chain for chain in guest.firewall.chains}


def test_base_chains(guest: Guest) -> None:
    chain = chains(guest)["f", "in"]
    assert (chain.family, chain.type, chain.hook, chain.priority, chain.policy) == (
        "inet", "filter", "input", "filter - 5", Verdict.DROP,
    )  # fmt: skip
    assert {table for table, _ in chains(guest)} == {"f", "legacy nat", "legacy mangle", "legacy filter"}
    docker = chains(guest)["legacy nat", "DOCKER"]
    assert (docker.hook, docker.policy) == (None, None)


def test_rules_of_nftables(guest: Guest) -> None:
    services, listed, slow, dns, marking, marked, strict, high = chains(guest)["f", "in"].rules
    assert services.matches == (
        Match(selector=Selector.CONNECTION_STATE, values=("new", "untracked")),
        TCP,
        Match(selector=Selector.DESTINATION_PORT, values=("22", "80-90")),
    )
    assert (services.verdict, services.unmodelled) == (Verdict.ACCEPT, ())
    blocked = Match(selector=Selector.SOURCE, values=("1.2.3.4", "10.0.0.1"))
    assert (listed.matches, listed.verdict, listed.unmodelled) == ((blocked,), Verdict.DROP, ())
    assert (slow.matches[0].values, slow.verdict, slow.unmodelled) == (
        ("veth*",), Verdict.DROP, ("limit rate 3/minute",),
    )  # fmt: skip
    assert dns.matches[0] == Match(selector=Selector.DESTINATION, values=("10.2.0.1-10.2.0.9",), negated=True)
    assert (dns.verdict, marking.verdict, marking.sets_mark) == (Verdict.REJECT, None, True)
    assert (marked.matches[0].values, marked.verdict, marked.target) == (
        ("0x00000001/0x000000ff",), Verdict.JUMP, "sub",
    )  # fmt: skip
    assert (strict.verdict, strict.unmodelled) == (Verdict.DROP, ("fib saddr . iif oif missing",))
    assert (high.matches[0].values, high.text) == (("0x00010000/0xffff0000",), "meta mark 0x00010000/16 return")
    by_map = chains(guest)["f", "sub"].rules
    assert {rule.matches[0].values: rule.verdict for rule in by_map} == {
        ("established",): Verdict.ACCEPT,
        ("invalid",): Verdict.DROP,
    }


def test_a_look_at_the_way_back_is_a_rule_and_no_hook(guest: Guest) -> None:
    assert [hook for hook in guest.hooks if hook.kind is HookKind.SOURCE_MATCH] == []


@pytest.mark.parametrize(
    ("line", "asked", "verdict"),
    [
        ("socket transparent 1 meta mark set 0x1 accept", ("socket transparent 1",), Verdict.ACCEPT),
        ("socket wildcard 0 tcp dport 22 drop", ("socket wildcard 0",), Verdict.DROP),
        ('fib saddr . iif oif != "eth0" drop', ('fib saddr . iif oif != "eth0"',), Verdict.DROP),
        ("fib saddr . mark . iif check missing drop", ("fib saddr . mark . iif check missing",), Verdict.DROP),
        ("fib daddr . iif type != local snat to 10.0.0.11", ("fib daddr . iif type != local",), Verdict.SNAT),
        ("limit rate over 10 mbytes/second burst 5 packets drop", None, Verdict.DROP),
        ("fib daddr . iif type vmap { local : drop }", ("fib daddr . iif type vmap { local : drop }",), Verdict.OTHER),
        ("fib saddr . iif type { local } drop", ("fib saddr . iif type { local } drop",), Verdict.DROP),
        ("socket mark 0x1 jump sub", ("socket mark 0x1 jump sub",), Verdict.OTHER),
        ("meta mark set socket mark drop", ("socket mark drop",), Verdict.DROP),
    ],
)
def test_conditions_that_no_flow_answers(line: str, asked: tuple[str, ...] | None, verdict: Verdict) -> None:
    *marking, rule = read_rule(line)
    assert rule.verdict is verdict
    assert rule.unmodelled == (asked or (line.removesuffix(" drop"),))
    assert all(each.sets_mark and each.verdict is None for each in marking)


@pytest.mark.parametrize("value", ["0x1", "mark and 0xffffff00 xor 0x2", "meta mark & 0xff | 0x1", "ct mark << 4"])
def test_what_a_rule_asks_behind_the_mark_that_it_sets_is_asked(value: str) -> None:
    marking, rule = read_rule(f"meta mark set {value} ct mark 0x5 accept")
    assert (marking.sets_mark, marking.matches) == (True, ())
    assert rule.matches == (Match(selector=Selector.CONNECTION_MARK, values=("0x5",)),)
    assert rule.unmodelled == ()


def test_published_ports_of_iptables(guest: Guest) -> None:
    (rule,) = chains(guest)["legacy nat", "DOCKER"].rules
    assert rule.matches == (
        Match(selector=Selector.IIF, values=("docker0",), negated=True),
        TCP,
        Match(selector=Selector.DESTINATION_PORT, values=("8080",)),
    )
    assert (rule.verdict, rule.target, rule.unmodelled) == (Verdict.DNAT, "172.17.0.2:80", ())
    (jump,) = chains(guest)["legacy nat", "PREROUTING"].rules
    assert (jump.verdict, jump.target) == (Verdict.JUMP, "DOCKER")
    assert jump.matches == (Match(selector=Selector.DESTINATION_KIND, values=("local",)),)
    (mark,) = chains(guest)["legacy mangle", "OUTPUT"].rules
    assert (mark.verdict, mark.sets_mark) == (None, True)
    assert mark.matches == (
        Match(selector=Selector.OIF, values=("eth*",)),
        Match(selector=Selector.MARK, values=("0x1/0xff",)),
    )
    (dns,) = chains(guest)["legacy filter", "INPUT"].rules
    assert (dns.verdict, dns.unmodelled) == (Verdict.ACCEPT, ("-m limit --limit 3/min",))
    assert dns.matches[1].values == ("53", "90-99")


@pytest.mark.parametrize("text", ["", "@nft\ntable ip f {", "@nft\n@end 1"])
def test_rules_that_are_not_whole(text: str) -> None:
    with pytest.raises(CollectionError):
        parse_firewall(text)


TWO_BACKENDS = """
iptables-legacy -N OWN
iptables-legacy -A OWN -j ACCEPT
iptables-legacy -A INPUT -p tcp --dport 80 -j OWN
iptables-nft -N OWN
iptables-nft -A OWN -j DROP
iptables-nft -A INPUT -p tcp --dport 81 -j OWN
nft add table inet own
"""
"""Rules of both, in tables and chains of the same names."""


def listed_without(*programs: str) -> Guest:
    require_root()
    require("nft", "iptables-legacy", "iptables-nft", "iptables-legacy-save", "iptables-nft-save")
    hidden = "\n".join(f"mount --bind /dev/null $(readlink -f $(command -v {each}))" for each in programs)
    script = f"{hidden}\n{collect_script_text()}"
    return read_guest(
        run_in_namespace(f"set -e\n{TWO_BACKENDS}set +e\nunshare -m sh <<'END'\n{script}\nEND\n"), via="file"
    )


@pytest.mark.parametrize("hidden", [(), ("nft",)])
def test_both_backends_of_iptables_are_listed_and_kept_apart(hidden: tuple[str, ...]) -> None:
    """Where there is no nft, what only nft would list is not known, which is said, and nothing is called whole."""
    guest = listed_without(*hidden)
    decided = {name: chain.rules[0].verdict for name, chain in chains(guest).items() if name[1] == "OWN"}
    assert decided == {("filter", "OWN"): Verdict.DROP, ("legacy filter", "OWN"): Verdict.ACCEPT}
    assert ("firewall" in guest.unexamined) is bool(hidden)


@pytest.mark.parametrize("hidden", [("iptables-legacy-save",), ("iptables-legacy-save", "nft")])
def test_older_rules_that_nobody_can_list_are_not_taken_for_none(hidden: tuple[str, ...]) -> None:
    """All of xtables-legacy-multi is hidden; `iptables` is the newer one."""
    firewall = listed_without(*hidden).firewall
    assert firewall is not None
    assert firewall.unmodelled == ("the rules of iptables-legacy, which could not be listed",)
    assert {chain.table for chain in firewall.chains if chain.family == "ip"} == {"filter"}


def test_a_rule_of_which_nft_leaves_out_what_it_does_not_know_is_not_taken_as_it_stands() -> None:
    """An older nft beside newer rules: it says so on stderr, and ends with status 0."""
    require_root()
    rules = (
        r"table ip f {\n\tchain in {\n\t\ttype filter hook input priority filter; policy drop;\n\t\taccept\n\t}\n}\n"
    )
    said = "netlink: Error: unknown expression type later"
    nft = f"""mount -t tmpfs none /mnt && printf '#!/bin/sh\\nprintf "{rules}"; echo "{said}" >&2' > /mnt/nft
chmod +x /mnt/nft && mount --bind /mnt/nft $(readlink -f $(command -v nft))"""
    data = run_in_namespace(f"unshare -m sh <<'END'\n{nft}\n{collect_script_text()}\nEND\n")
    firewall = read_guest(data, via="file").firewall
    assert firewall is not None
    assert [rule.verdict for chain in firewall.chains for rule in chain.rules] == [Verdict.ACCEPT]
    assert firewall.unmodelled == (said,)


OWNED = """@nft
# Warning: table ip filter is managed by iptables-nft, do not touch!
table ip filter {
	chain INPUT { # handle 1
		type filter hook input priority filter; policy accept;
		xt match "string" counter packets 0 bytes 0 drop
		xt match "comment" tcp dport 22 counter packets 0 bytes 0 xt target "TCPMSS"
		tcp dport 23 counter packets 0 bytes 0 xt target "HMARK"
		tcp dport 24 counter packets 0 bytes 0 #IDLETIMER timeout:5 label:a
		tcp dport 25 #STRING match  "a" ALGO name bm TO 65535 counter packets 0 bytes 0 drop
	}
}
table inet firewalld { # progname firewalld
	flags owner,persist

	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		reject with icmpx admin-prohibited
	}
}
table inet asleep {
	flags owner,dormant
	chain c {
		type filter hook input priority filter; policy drop;
	}
}
@end 0"""


def test_tables_that_a_program_owns_and_rules_of_xtables_are_read() -> None:
    firewall, partly = parse_firewall(OWNED)
    assert (firewall.unmodelled, partly) == ((), None)
    old, new = firewall.chains
    assert (new.table, new.hook, [rule.verdict for rule in new.rules]) == ("firewalld", "input", [Verdict.REJECT])
    told = [(rule.verdict, bool(rule.unmodelled), rule.sets_mark) for rule in old.rules]
    assert told == [
        (Verdict.DROP, True, False),
        (None, False, False),
        (Verdict.OTHER, True, True),
        (Verdict.OTHER, True, True),
        (Verdict.DROP, True, False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "@arptables-legacy",
        "@iptables-legacy",
        "@nft\n@iptables\n# Generated by iptables-nft-save v1.8.9 (nf_tables) on\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT",
        "@nft\nsomething {\n}",
        "@nft\ntable ip f {\nchain c {\ntype filter hook input at last;\ndrop\n}\n}",
    ],
)
def test_what_may_hide_rules_leaves_all_unknown(text: str) -> None:
    firewall, _ = parse_firewall(f"{text}\n@end 0")
    assert firewall.unmodelled != ()


PLACE = "qdisc clsact ffff: dev eth0 parent ffff:fff1\n"
BPF = (
    "filter protocol all pref 1 bpf chain 0\nfilter protocol all pref 1 bpf chain 0 handle 0x1 cil direct-action id 5\n"
)


OUT, ALL, DROP = "egress_program", "parent 1: protocol all pref 1", "\taction order 1: gact action drop"
DRR = "qdisc drr 1: dev eth0 root"
HFSC = "qdisc hfsc 1: dev eth0 root refcnt 2 default 0x10"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qdisc fq_codel 0: dev eth0 root refcnt 2", []),
        (f"{PLACE}@eth0 ingress\n@end\n@eth0 egress\n@end", []),
        (f"{PLACE}@eth0 ingress\n@end\n@eth0 egress\n{BPF}@end", ["egress_program"]),
        (f"{PLACE}@eth0 ingress\n{BPF}@end\n@eth0 egress\n", ["ingress_program", "egress_program"]),
        (PLACE, ["ingress_program", "egress_program"]),
        ("qdisc ingress ffff: dev eth0 parent ffff:fff1 ----", ["ingress_program"]),
        ("qdisc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 100%", ["egress_program"]),
        ("qdisc netem 8001: dev eth0 root refcnt 2 limit 1000 delay 5ms", []),
        ("qdisc blackhole 8005: dev eth0 root refcnt 3", ["egress_program"]),
        ("qdisc pfifo 8004: dev eth0 root refcnt 3 limit 0p", ["egress_program"]),
        ("qdisc pfifo 8004: dev eth0 root refcnt 3 limit 1000p", []),
        ("qdisc htb 1: dev eth0 root refcnt 2 r2q 10\n@eth0 root\n@end", []),
        ("qdisc htb 1: dev eth0 root refcnt 2 r2q 10\n@eth0 root\nfilter u32 chain 0 fh 800: flowid 1:10\n@end", []),
        ("qdisc htb 1: dev eth0 root refcnt 2 r2q 10\n@eth0 root\n", ["egress_program"]),
        (
            "qdisc htb 1: dev eth0 root refcnt 2\n@eth0 root\nfilter u32 chain 0\n\taction order 1: gact drop\n@end",
            ["egress_program"],
        ),
        ("qdisc htb 8: dev eth0 parent 1:10 refcnt 2", ["egress_program"]),
        ("qdisc htb 8: dev eth0 parent 1:10 refcnt 2\n@eth0 8:\n@end", []),
        (f"qdisc prio 8: dev eth0 parent 1:10 bands 3\n@eth0 8:\nfilter {ALL} matchall chain 0\n{DROP}\n@end", [OUT]),
        (f"qdisc fq_codel 8: dev eth0 root refcnt 2\n@eth0 root\nfilter {ALL} matchall chain 0\n{DROP}\n@end", [OUT]),
        ("qdisc fq_codel 8: dev eth0 root refcnt 2\n@eth0 root\n@end", []),
        ("qdisc fq_codel 0: dev eth0 parent :1 limit 10240p flows 1024", []),
        ("qdisc drr 1: dev eth0 root refcnt 2\n@eth0 root\n@end", [OUT]),
        ("qdisc qfq 1: dev eth0 root refcnt 2\n@eth0 root\nfilter protocol ip pref 1 u32 flowid 1:1\n@end", [OUT]),
        (
            f"{DRR} refcnt 2\n@eth0 root\nfilter {ALL} matchall chain 0 handle 0x1 flowid 1:1\n@end",
            [],
        ),
        (
            f"{DRR}\n@eth0 root\nfilter {ALL} flow chain 0 handle 0x1 hash keys src baseclass 1:1\n@end",
            [],
        ),
        (
            "qdisc drr 1: dev eth0 root\n@eth0 root\nfilter protocol ip matchall chain 0 handle 0x1 flowid 1:1\n@end",
            [OUT],
        ),
        (f"{HFSC}\n@eth0 root\nclass hfsc 1: root\nclass hfsc 1:10 parent 1: ls m1 0bit d 0us m2 10Mbit\n@end", []),
        (f"{HFSC}\n@eth0 root\nclass hfsc 1: root\nclass hfsc 1:11 parent 1: ls m1 0bit d 0us m2 10Mbit\n@end", [OUT]),
        ("qdisc hfsc 1: dev eth0 root refcnt 2\n@eth0 root\nclass hfsc 1: root\n@end", [OUT]),
        ("qdisc etf 8: dev eth0 root refcnt 2 clockid TAI delta 100000", [OUT]),
        ("qdisc plug 8: dev eth0 root refcnt 2", [OUT]),
        ("qdisc fq 8: dev eth0 root refcnt 2 limit 10000p flow_limit 100p buckets 1024", []),
        ("qdisc fq 8: dev eth0 root refcnt 2 limit 10000p flow_limit 0p buckets 1024", [OUT]),
        ("qdisc netem 8: dev eth0 root refcnt 2 limit 0 delay 5ms", [OUT]),
    ],
)
def test_filters_of_tc(text: str, expected: list[str]) -> None:
    hooks = traffic_hooks(text)
    assert [hook.kind.value for hook in hooks] == expected
    assert {hook.interface for hook in hooks} <= {"eth0"}


@pytest.mark.parametrize(("action", "told"), [("flowid 1:10", False), ("action mirred egress redirect dev lo", True)])
def test_filters_of_classes_of_a_real_kernel(action: str, told: bool) -> None:
    require_root()
    require("tc")
    script = f"""ip link add eth0 type veth peer name far
tc qdisc add dev eth0 root handle 1: htb
tc filter add dev eth0 parent 1: protocol ip u32 match u32 0 0 {action}
{collect_script_text()}"""
    hooks = read_guest(run_in_namespace(script), via="file").hooks
    assert [(hook.kind.value, hook.interface) for hook in hooks] == ([("egress_program", "eth0")] if told else [])


@pytest.mark.parametrize(("action", "told"), [("flowid 8:10", False), ("action mirred egress redirect dev lo", True)])
def test_filters_of_a_discipline_within_another(action: str, told: bool) -> None:
    require_root()
    require("tc")
    script = f"""ip link add eth0 type veth peer name far
tc qdisc add dev eth0 root handle 1: htb default 1
tc class add dev eth0 parent 1: classid 1:1 htb rate 1mbit
tc qdisc add dev eth0 parent 1:1 handle 8: htb
tc filter add dev eth0 parent 8: protocol ip u32 match u32 0 0 {action}
{collect_script_text()}"""
    hooks = read_guest(run_in_namespace(script), via="file").hooks
    assert [(hook.kind.value, hook.interface) for hook in hooks] == ([(OUT, "eth0")] if told else [])


def test_ipsec_defaults_and_sockets() -> None:
    text = "src 0.0.0.0/0 dst 0.0.0.0/0 \\\tsocket in priority 0\nDefault policies:\n in:  accept\n out: block"
    assert ipsec_hooks(text) == (Hook(kind=HookKind.IPSEC, text="ip xfrm policy getdefault: out block"),)


def test_ipsec_default_of_a_real_kernel() -> None:
    require_root()
    done = run_in_namespace(f"ip xfrm policy setdefault out block\n{collect_script_text()}")
    assert [hook.text for hook in read_guest(done, via="file").hooks] == ["ip xfrm policy getdefault: out block"]


def test_bpf_programs() -> None:
    net = (
        '[{"xdp":[{"devname":"eth0","ifindex":2,"mode":"driver","id":4}],'
        '"tc":[{"devname":"eth1","ifindex":3,"kind":"tcx/egress","name":"cil_to","prog_id":9}],"flow_dissector":[]}]'
    )
    groups = (
        '[{"cgroup":"/sys/fs/cgroup","programs":[{"id":1,"attach_type":"cgroup_inet_egress","name":"sd_fw"},'
        '{"id":2,"attach_type":"cgroup_device","name":"sd_dev"}]},'
        '{"cgroup":"/sys/fs/cgroup/system.slice/systemd-logind.service","programs":[{"id":3,'
        '"attach_type":"cgroup_inet_egress","name":"sd_fw_egress"}]},'
        '{"cgroup":"/sys/fs/cgroup/system.slice/web.service","programs":[{"id":4,'
        '"attach_type":"cgroup_inet_ingress","name":"sd_fw_ingress"}]}]'
    )
    hooks = bpf_hooks(f"{net}\n@cgroups\n{groups}\n@end")
    assert [(hook.kind.value, hook.interface, hook.text) for hook in hooks] == [
        ("ingress_program", "eth0", "bpftool: xdp id 4"),
        ("egress_program", "eth1", "bpftool: tcx/egress cil_to"),
        ("bpf_program", None, "bpftool: /sys/fs/cgroup cgroup_inet_egress sd_fw"),
        ("bpf_program", None, "bpftool: /sys/fs/cgroup/system.slice/web.service cgroup_inet_ingress sd_fw_ingress"),
    ]
    with pytest.raises(CollectionError):
        bpf_hooks(f"{net}\n@cgroups\n{groups[:60]}")
