"""What says that packets may be marked, and what is only said to be possible."""

import pytest

from tests.support.kernel_guests import TCP, make_guest, packet, replaced
from tests.support.one_packet import sent_by
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.marks import NOTHING, marked
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.firewall import Firewall, FirewallChain, FirewallRule
from vnicheck.model.guest import Guest

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12 metric 100
    default via 10.0.0.1 dev eth1 table 100
"""
READS = "100: from all fwmark 0x80000/0xff0000 lookup 100"


def guest(*, sysctls: dict[str, int] | None = None, firewall: Firewall | None = None, rules: str = READS) -> Guest:
    known = make_guest(routes=ROUTES, rules=rules)
    values = {f"net/ipv4/{key}": value for key, value in (sysctls or {}).items()}
    return replaced(known, sysctls={**known.sysctls, **values}, firewall=firewall)


def chain(hook: str | None, text: str, name: str = "c", target: str | None = None) -> FirewallChain:
    rule = FirewallRule(text=text, sets_mark="mark" in text.lower(), target=target)
    return FirewallChain(family="ip", table="mangle", name=name, hook=hook, rules=(rule,))


def egress(known: Guest, *, unmarked: bool = True) -> str:
    sent = sent_by(Kernel(known, unmarked=unmarked), packet("10.0.0.12", "203.0.113.9", TCP), (22, 22), (1024, 65535))
    assert isinstance(sent, Sent)
    return sent.interface


def test_own_packets_are_unmarked() -> None:
    assert egress(guest()) == "eth0"
    with pytest.raises(Undetermined, match=r"mark.*; rule '100: .*' reads it; unmarked packets leave by eth0"):
        egress(guest(), unmarked=False)


@pytest.mark.parametrize("key", ["tcp_fwmark_accept", "fwmark_reflect"])
def test_a_setting_that_gives_answers_a_mark_leaves_it_open(key: str) -> None:
    assert egress(guest(sysctls={key: 0})) == "eth0"
    with pytest.raises(Undetermined, match="mark"):
        egress(guest(sysctls={key: 1}))


@pytest.mark.parametrize(
    ("hook", "text", "opens"),
    [
        ("output", "-A OUTPUT -j MARK --set-xmark 0x80000/0xff0000", True),
        ("output", "-A OUTPUT -j CONNMARK --restore-mark", True),
        ("output", "meta mark set ct mark", True),
        ("output", "meta mark set 0x00080000", True),
        ("output", "meta mark set 0x00000001", False),
        ("output", "ip daddr 10.8.0.4 meta mark set 0x00000001 accept", False),
        ("output", "meta mark set 0x00000001 | ct mark", True),
        ("output", "meta mark set 0x00000001 counter packets 0 bytes 0 meta mark set ct mark", True),
        ("output", 'meta mark set 0x00000001 comment "meta mark set ct mark"', True),
        ("output", "meta mark set 0x00000001 meta mark set ct mark", True),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x1/0xffffffff", False),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x80000/0xffffffff", True),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x0/0xff0000", False),
        ("output", '-A OUTPUT -m comment --comment "-j MARK --set-xmark 0x1/0x1" -j CONNMARK --restore-mark', True),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x4000/0x4000", False),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x80000/0x0", True),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x80000/0x4000", True),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x4000/0x0", False),
        ("output", "-A OUTPUT -j MARK --set-xmark 0x0/0xfff7ffff", False),
        ("output", "meta mark set meta mark or 0x00004000", False),
        ("output", "meta mark set meta mark | 0x00004000 ^ 0x00080000", True),
        ("output", "meta mark set mark or 0x00004000 xor 0x00080000", True),
        ("output", "meta mark set meta mark ^ 0x00080000 | 0x00004000", True),
        ("output", "meta mark set meta mark ^ 0x00080000", True),
        ("output", "meta mark set mark and 0xffffff00 xor 0x00080000", True),
        ("output", "meta mark set meta mark or 0x00004000 meta mark set ct mark", True),
        ("output", "meta mark set meta mark or 0x00004000 counter…", True),
        ("forward", "-A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000", False),
        ("output", "-A OUTPUT -j ACCEPT", False),
    ],
)
def test_a_ruleset_leaves_it_open_where_it_sets_bits_that_a_rule_reads(hook: str, text: str, opens: bool) -> None:
    known = guest(firewall=Firewall(chains=(chain(hook, text),)))
    if not opens:
        assert egress(known) == "eth0"
        return
    with pytest.raises(Undetermined, match="mark"):
        egress(known)


def test_a_chain_that_is_jumped_to_counts_as_the_one_that_jumps() -> None:
    jump, sets = chain("output", "-A OUTPUT -j sets", target="sets"), chain(None, "meta mark set 0x80000", name="sets")
    assert marked(guest(firewall=Firewall(chains=(jump, sets)))).sent == frozenset({0, 0x80000})
    assert marked(guest(firewall=Firewall(chains=(sets,)))) == NOTHING


def test_incoming_marks_leave_what_is_sent_alone() -> None:
    known = guest(firewall=Firewall(chains=(chain("prerouting", "meta mark set 0x80000"),)))
    assert marked(known).incoming == frozenset({0, 0x80000})
    assert egress(known) == "eth0"


def test_too_many_marks_to_tell_apart_do_not_matter_to_unmarked_packets() -> None:
    rules = "\n".join(f"{100 + bit}: from all fwmark 0x{1 << bit:x}/0x{1 << bit:x} lookup 100" for bit in range(12))
    assert egress(guest(rules=rules)) == "eth0"
