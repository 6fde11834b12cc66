"""Whether a netfilter rule applies to packets: yes, no, or None where the rule asks what is not known of them."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from vnicheck.kernel.packet import ICMP, NO_PORTS, TCP
from vnicheck.model.address import Range, merge_ranges, parse_address, prefix_range
from vnicheck.model.firewall import FirewallRule, Match, Selector

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
_ANY_PROTOCOL = {"all", "ip", "hopopt", "0", "*"}
_ECHOES = {"echo-reply": "0", "echo-request": "8"}
_MARKS = {Selector.MARK, Selector.CONNECTION_MARK}
_STATES = {"new", "established", "related", "invalid", "untracked", "dnat"}
"""States, and what of a connection's statuses is known."""
_KINDS = {"local", "unicast", "broadcast", "multicast", "anycast", "blackhole", "unreachable", "prohibit"}


_SYN, _FIN_RST_PSH, _ACK, _URG, _CONGESTION = 2, (0, 1, 8, 9, 4), 16, 32, (0, 64, 128, 192)
_OPENING = {_SYN | more for more in _CONGESTION}
_FLAGS = {
    base | more
    for base in (_SYN, 4, *(_ACK | urgent | each for each in (*_FIN_RST_PSH, _SYN) for urgent in (0, _URG)))
    for more in _CONGESTION
}
"""The flags that packets of a connection may have (RFC 9293): SYN, RST, all else with ACK."""


class Turn(StrEnum):
    """Which packets of a connection they are."""

    OPENS = "opens"
    """The first."""
    ANSWERS = "answers"
    """All that come back."""
    FOLLOWS = "follows"
    """What the opener sends behind the first: the end of TCP's handshake, data, further datagrams and echo requests."""


_FLAGS_AT = {
    Turn.OPENS: _OPENING,
    Turn.ANSWERS: _FLAGS - _OPENING,
    Turn.FOLLOWS: {flags for flags in _FLAGS if not flags & _SYN},
}


class Packets(Struct, frozen=True, kw_only=True):
    """Packets at one of netfilter's hooks, that nothing but marks and what no flow says tells apart.

    `iif`, `oif`: the interfaces; None: the hook knows none. `source`, `destination`: one address each. `sports`,
    `dports`: (0, 0) for ICMP. `state`: what connection tracking says of them, as rules ask for it; None: not tracked
    yet, or not known. `own`: the destination is the server's own; None: not known. `sent`: the source is. `marked`,
    `connection_marked`: something may have set the mark. `led_to`: what the connection's first packet was surely led
    to at prerouting, where it was: so are these.
    """

    iif: str | None
    oif: str | None
    source: int
    destination: int
    proto: int
    sports: Range
    dports: Range
    turn: Turn
    state: str | None
    led_to: tuple[int, Range] | None = None
    translated: bool = False
    own: bool | None = None
    sent: bool = False
    marked: bool = False
    connection_marked: bool = False


def applies(rule: FirewallRule, packets: Packets) -> bool | None:
    """Whether the rule applies to the packets, all of them."""
    found: bool | None = None if rule.unmodelled else True
    for match in rule.matches:
        holds = _of_flags(match, packets) if match.selector is Selector.TCP_FLAGS else _holds(match, packets)
        if holds is False:
            return False
        if holds is None:
            found = None
    return found


def _of_flags(match: Match, packets: Packets) -> bool | None:
    if packets.proto != TCP:
        return False
    value, mask = (int(part, 0) for part in match.values[0].split("/"))
    found = {(flags & mask == value) is not match.negated for flags in _FLAGS_AT[packets.turn]}
    return found.pop() if len(found) == 1 else None


def _holds(match: Match, packets: Packets) -> bool | None:
    holds = _of_mark(match, packets) if match.selector in _MARKS else _one_of(match, packets)
    return holds if holds is None or not match.negated else not holds


def _one_of(match: Match, packets: Packets) -> bool | None:
    values = match.values
    match match.selector:
        case Selector.IIF:
            return _named(values, packets.iif)
        case Selector.OIF:
            return _named(values, packets.oif)
        case Selector.SOURCE:
            return _addressed(values, packets.source)
        case Selector.DESTINATION:
            return _addressed(values, packets.destination)
        case Selector.PROTOCOL:
            return _any(_is_protocol(value, packets.proto) for value in values)
        case Selector.SOURCE_PORT:
            return _ported(values, packets.sports, packets.proto)
        case Selector.DESTINATION_PORT:
            return _ported(values, packets.dports, packets.proto)
        case Selector.ICMP_TYPE:
            return _any(_is_echo(value, packets) for value in values)
        case Selector.CONNECTION_STATE:
            return _any(_is_state(value, packets) for value in values)
        case Selector.DESTINATION_KIND:
            return _any(_is_kind(value, packets.own) for value in values)
        case Selector.SOURCE_KIND:
            return _any(_is_kind(value, packets.sent) for value in values)
        case _:
            return None


def _any(found: Iterable[bool | None]) -> bool | None:
    """Whether one of them holds."""
    doubt: bool | None = False
    for each in found:
        if each:
            return True
        if each is None:
            doubt = None
    return doubt


def _named(values: tuple[str, ...], name: str | None) -> bool | None:
    return None if name is None else is_named(values, name)


def is_named(values: tuple[str, ...], name: str) -> bool:
    """Whether one of the values means an interface: its name, or what it begins with (`veth*`)."""
    return any(name.startswith(value[:-1]) if value.endswith("*") else name == value for value in values)


def _addressed(values: tuple[str, ...], address: int) -> bool | None:
    ranges = map(address_range, values)
    return _any(None if each is None else each[0] <= address <= each[1] for each in ranges)


def address_range(value: str) -> Range | None:
    """The addresses of `10.0.0.1`, `10.0.0.0/8` or `10.0.0.1-10.0.0.9`; None: it is none of them."""
    first, dash, last = value.partition("-")
    try:
        return (parse_address(first), parse_address(last)) if dash else prefix_range(value)
    except ValueError:
        return None


@lru_cache(maxsize=1 << 10)
def _is_protocol(value: str, proto: int) -> bool | None:
    if value in _ANY_PROTOCOL:
        return None
    ends = [_number(end) for end in value.split("-")]
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
        return ends[0] <= proto <= ends[1]
    return _number(value) == proto


def _number(protocol: str) -> int | None:
    return int(protocol) if protocol.isdecimal() else _PROTOCOLS.get(protocol)


def port_range(value: str) -> Range | None:
    """The ports of `80` or `80-90`; None where they have names."""
    first, dash, last = value.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return None
    return int(first), int(last if dash else first)


def _ported(values: tuple[str, ...], ports: Range, proto: int) -> bool | None:
    if proto == ICMP:
        return None
    told, named = _port_ranges(values)
    if any(first <= ports[0] and ports[1] <= last for first, last in told):
        return True
    apart = all(ports[1] < first or last < ports[0] for first, last in told)
    return False if apart and not named else None


def cuts_of(rule: FirewallRule, packets: Packets) -> Iterator[int]:
    """The ports at which a rule that may apply to packets begins, or ceases, to."""
    ports_of = {Selector.SOURCE_PORT: packets.sports, Selector.DESTINATION_PORT: packets.dports}
    for match in rule.matches:
        first, last = ports_of.get(match.selector, NO_PORTS)
        if first < last:
            for told in _port_ranges(match.values)[0]:
                yield from (cut for cut in (told[0], told[1] + 1) if first < cut <= last)


@lru_cache(maxsize=1 << 12)
def _port_ranges(values: tuple[str, ...]) -> tuple[list[Range], bool]:
    """The ports that they tell, and whether some have names."""
    ranges = [port_range(value) for value in values]
    return merge_ranges(each for each in ranges if each is not None), None in ranges


def _is_echo(value: str, packets: Packets) -> bool | None:
    if packets.proto != ICMP or value == "any":
        return packets.proto == ICMP
    kind, _, code = _ECHOES.get(value, value).partition("/")
    if not kind.isdecimal():
        return None
    return kind == ("0" if packets.turn is Turn.ANSWERS else "8") and code in {"", "0"}


def _is_state(value: str, packets: Packets) -> bool | None:
    if packets.state is None or value not in _STATES:
        return None
    if value == "dnat":  # without a connection nft's `ct status` holds of nothing, not even `! dnat`
        return packets.translated if packets.state in {"new", "established"} else None
    return value == packets.state


def _is_kind(value: str, own: bool | None) -> bool | None:
    if value not in _KINDS or own is None:
        return None
    if value == "local":
        return own
    return False if own else None


def _of_mark(match: Match, packets: Packets) -> bool | None:
    if packets.marked if match.selector is Selector.MARK else packets.connection_marked:
        return None
    return _any(_is_zero(value) for value in match.values)


def _is_zero(value: str) -> bool | None:
    number, _, mask = value.partition("/")
    try:
        return int(number, 0) == 0 and int(mask or "0", 0) >= 0  # the value is compared with all of its bits
    except ValueError:
        return None
