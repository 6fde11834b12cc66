"""What the collect script tells of things beside routing: netfilter's looks at the way back, tc filters, IPsec."""

import pytest

from tests.support.guest_namespace import run_in_namespace
from tests.support.sshd import require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.hooks import parse_hooks
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.guest import Hook, HookKind

MODULE = "module {} 16384 {} {} Live 0x0000000000000000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (MODULE.format("ipt_rpfilter", 1, "-"), ["kernel module ipt_rpfilter in use"]),
        (MODULE.format("ipt_rpfilter", 0, "-"), []),
        (MODULE.format("nft_fib_ipv4", 1, "nft_fib_inet,"), []),
        (MODULE.format("nft_fib_ipv4", 2, "nft_fib_inet,"), ["kernel module nft_fib_ipv4 in use"]),
        (MODULE.format("nft_fib_inet", 1, "-"), ["kernel module nft_fib_inet in use"]),
        (MODULE.format("nft_fib_inet", 1, "-") + "\nprocess firewalld", []),
        (MODULE.format("nft_fib_inet", 1, "-") + "\nnft listed\nnft table inet f {", []),
        (
            "nft listed\nnft table ip f {\nnft fib saddr . iif oif missing drop",
            ["nft: fib saddr . iif oif missing drop"],
        ),
        ("nft listed\nnft table ip6 f {\nnft fib saddr . iif oif missing drop", []),
        ("nft listed\nnft table inet f {\nnft meta nfproto ipv6 fib saddr . mark . iif oif missing drop", []),
        ('nft listed\nnft table ip f {\nnft tcp dport 22 accept comment "fib saddr"', []),
        (
            'nft listed\nnft table inet f {\nnft fib saddr . iif oif missing drop comment "not ip6 yet"',
            ['nft: fib saddr . iif oif missing drop comment "not ip6 yet"'],
        ),
        (
            "nft listed\nnft table inet f {\nnft meta l4proto { icmp, icmpv6 } fib saddr . iif oif 0 drop",
            ["nft: meta l4proto { icmp, icmpv6 } fib saddr . iif oif 0 drop"],
        ),
        ("nft listed\nnft table ip nat {\nnft fib daddr type local jump DOCKER", []),
        ("tc qdisc clsact ffff: dev eth0 parent ffff:fff1", ["tc: qdisc clsact ffff: dev eth0 parent ffff:fff1"]),
        ("tc qdisc noqueue 0: dev lo root refcnt 2", []),
        (
            "ipsec src 10.1.0.0/16 dst 10.2.0.0/16 \\\tdir out priority 0",
            ["ip xfrm policy: src 10.1.0.0/16 dst 10.2.0.0/16"],
        ),
        ("ipsec src fd00::/64 dst fd01::/64 \\\tdir out", []),
        ("something else", []),
    ],
)
def test_parse(text: str, expected: list[str]) -> None:
    assert [hook.text for hook in parse_hooks(text)] == expected


def test_a_policy_that_is_not_understood_is_kept_for_every_address() -> None:
    (hook,) = parse_hooks("ipsec src 10.1.2.3/16 dst 10.2.0.0/16 \\\tdir out")
    assert (hook.kind, hook.src, hook.dst) == (HookKind.IPSEC, None, None)


def test_collected_as_root() -> None:
    require_root()
    require("nft", "tc", "ip", "setpriv")
    configuration = """
nft 'add table ip t; add chain ip t c { type filter hook prerouting priority -300; }'
nft 'add rule ip t c fib saddr . iif oif missing drop'
ip xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out tmpl src 1.1.1.1 dst 2.2.2.2 proto esp mode tunnel
"""
    script = collect_script_text()
    root = read_guest(run_in_namespace(configuration + script), via="file")
    assert root.hooks == (
        Hook(
            kind=HookKind.IPSEC,
            text="ip xfrm policy: src 10.1.0.0/16 dst 10.2.0.0/16",
            src="10.1.0.0/16",
            dst="10.2.0.0/16",
        ),
    )
    assert root.firewall is not None
    assert [rule.text for chain in root.firewall.chains for rule in chain.rules] == ["fib saddr . iif oif missing drop"]
    assert root.missing == {}


def test_collected_without_privilege() -> None:
    require_root()
    require("setpriv")
    other = f"setpriv --reuid 65534 --clear-groups sh <<'EOF'\n{collect_script_text()}\nEOF\n"
    guest = read_guest(run_in_namespace(other), via="file")
    assert guest.hooks == ()
    assert guest.missing == {}
    assert guest.interfaces
