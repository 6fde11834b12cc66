"""How security group and ACL rules name protocols and ports."""

import re

from msgspec import Struct

from vnicheck.model.cloud import AclRule, SecurityGroupRule
from vnicheck.model.flow import Protocol
from vnicheck.model.words import one_line

_ALL = {"all", "any", "icmp_tcp_udp"}
_OTHERS = {"ah", "esp", "gre", "ip_in_ip", "l2tp", "rsvp", "sctp", "vrrp"}
"""The API's words for protocols that are none of ours (SecurityGroupRuleProtocol, NetworkACLRule in ibm-vpc)."""
_NUMBER = re.compile(r"number_(0|[1-9][0-9]{0,2})")
_OURS = {protocol.value for protocol in Protocol}
DIRECTIONS = {"inbound", "outbound"}
ECHO_REQUEST = 8
ECHO_REPLY = 0
Range = tuple[int, int]


class Transport(Struct, frozen=True):
    """A packet's protocol with its own ports, or its ICMP type (code 0)."""

    protocol: Protocol
    sport: int = 0
    dport: int = 0
    icmp_type: int = ECHO_REQUEST


def speaks(rule_protocol: str, protocol: Protocol) -> bool | None:
    """Whether a rule's protocol covers one of ours; None for a word that we do not know, which may.

    `all` is the word of older API versions; a protocol may also be given as `number_N`.
    """
    if rule_protocol in _ALL or rule_protocol in {protocol.value, f"number_{protocol.number}"}:
        return True
    if rule_protocol in _OURS or rule_protocol in _OTHERS or _NUMBER.fullmatch(rule_protocol):
        return False
    return None


def not_understood(rule: SecurityGroupRule | AclRule) -> str | None:
    """What of a rule is not understood, if anything: an end, its direction or its protocol."""
    if rule.unmodelled:
        return rule.unmodelled[0]
    if rule.direction not in DIRECTIONS:
        return f"direction {one_line(rule.direction, 40)}"
    return f"protocol {one_line(rule.protocol, 40)}" if speaks(rule.protocol, Protocol.TCP) is None else None


def in_ports(port: int, first: int | None, last: int | None) -> bool:
    """Whether the port is in a rule's range, where None is unbounded."""
    return (first is None or first <= port) and (last is None or port <= last)


def to_ports(first: int | None, last: int | None) -> str:
    """A rule's range as `443`, `8000-8999` or, where it has none, nothing."""
    if first is None and last is None:
        return ""
    return str(first) if first == last else f"{first if first is not None else 1}-{last if last is not None else 65535}"


def covers(transport: Transport, *, ports: tuple[int | None, int | None], icmp: tuple[int | None, int | None]) -> bool:
    """Whether a rule's destination ports, or its ICMP type and code, cover the packet; None is any."""
    if transport.protocol is Protocol.ICMP:
        return icmp[0] in {None, transport.icmp_type} and icmp[1] in {None, 0}
    return in_ports(transport.dport, *ports)


def representatives(ports: Range, cuts: set[int]) -> list[int]:
    """One port for each part of a range between the cuts."""
    first, last = ports
    return [first, *sorted(cut for cut in cuts if first < cut <= last)]
