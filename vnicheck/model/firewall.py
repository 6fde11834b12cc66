"""A server's netfilter rules, as far as they were read. Facts only: no packet is judged here."""

from enum import StrEnum

from msgspec import Struct


class Selector(StrEnum):
    """What a firewall rule asks of a packet."""

    IIF = "iif"
    OIF = "oif"
    SOURCE = "source"
    DESTINATION = "destination"
    PROTOCOL = "protocol"
    SOURCE_PORT = "source_port"
    DESTINATION_PORT = "destination_port"
    ICMP_TYPE = "icmp_type"
    CONNECTION_STATE = "connection_state"
    """`new`, `established`, `related`, `invalid`, `untracked`; also statuses, such as `dnat`."""
    DESTINATION_KIND = "destination_kind"
    """`local`: the destination is an address of the server (`fib daddr type local`, `--dst-type LOCAL`)."""
    SOURCE_KIND = "source_kind"
    """The same of the source (`fib saddr type local`, `--src-type LOCAL`)."""
    MARK = "mark"
    """`0x1` or `0x1/0xff`."""
    CONNECTION_MARK = "connection_mark"
    TCP_FLAGS = "tcp_flags"
    """Bits of the flags and which of them are asked for: `0x2/0x17` is SYN without FIN, RST and ACK."""


class Match(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One condition: the packet's `selector` is one of `values`, or none of them where `negated`.

    Values are those of the tool: names of interfaces (`veth*` for all that begin so), addresses, prefixes or ranges
    `10.0.0.1-10.0.0.9`, names or numbers of protocols, ports or ranges `80-90`.
    """

    selector: Selector
    values: tuple[str, ...]
    negated: bool = False


class Verdict(StrEnum):
    """What a rule does with a packet that it matches."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    DNAT = "dnat"
    SNAT = "snat"
    MASQUERADE = "masquerade"
    REDIRECT = "redirect"
    TPROXY = "tproxy"
    QUEUE = "queue"
    OTHER = "other"
    """Something that is not known here, or that a map decides; it may be any of the above."""


class FirewallRule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule, in its order. `text` is its evidence, on one line.

    It applies to no packet that `matches` exclude. Where `unmodelled` is empty it applies to all others; else it asks
    more, which is not understood, and may apply or not.
    """

    text: str
    matches: tuple[Match, ...] = ()
    verdict: Verdict | None = None
    """None: the packet goes on to the next rule (it is counted, logged, marked)."""
    target: str | None = None
    """The chain of a jump or goto; of dnat and redirect the new destination, `172.17.0.2:80` or `:8080`."""
    sets_mark: bool = False
    """It sets the packet's mark, also from the connection's."""
    untracks: bool = False
    """It keeps the packet out of connection tracking."""
    unmodelled: tuple[str, ...] = ()


class FirewallChain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chain of rules. One without `hook` is only jumped to."""

    family: str
    """`ip`, `inet`, `netdev`, `arp`; those for IPv6 alone, and for bridges, are left out."""
    table: str
    name: str
    type: str | None = None
    """`filter`, `nat`, `route`."""
    hook: str | None = None
    """`prerouting`, `input`, `forward`, `output`, `postrouting`, `ingress`, `egress`."""
    priority: str | None = None
    """As the tool tells it: a number, or a name such as `filter`, `mangle - 5`."""
    policy: Verdict | None = None
    """What becomes of a packet at the chain's end: accept or drop. None: it has no hook."""
    device: str | None = None
    """What it is bound to, in family netdev and for ingress and egress."""
    rules: tuple[FirewallRule, ...] = ()


class Firewall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Netfilter's rules. `unmodelled`: lines that belong to no rule that was understood as one."""

    chains: tuple[FirewallChain, ...] = ()
    unmodelled: tuple[str, ...] = ()
