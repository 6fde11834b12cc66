"""How security group and ACL rules name protocols and ports."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from vnicheck.model.address import Range
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


EVERY_PORT: Range = (0, 65535)
"""As bounds of a rule that names none; 0 stands for those of a protocol that has none."""


class Kind(NamedTuple):
    """What rules tell packets apart by, beside addresses and ports; the ICMP type is `ECHO_REQUEST` for others."""

    direction: str
    protocol: Protocol
    icmp_type: int


def kind_of(direction: str, protocol: Protocol, icmp_type: int) -> Kind:
    """The kind of a packet, of which the ICMP type counts only if it is one (its code is 0)."""
    return _KINDS[direction, protocol, icmp_type if protocol is Protocol.ICMP else ECHO_REQUEST]


KINDS = tuple(
    Kind(direction, protocol, icmp_type)
    for direction in ("inbound", "outbound")
    for protocol in Protocol
    for icmp_type in ((ECHO_REQUEST, ECHO_REPLY) if protocol is Protocol.ICMP else (ECHO_REQUEST,))
)
_KINDS = {tuple(kind): kind for kind in KINDS}


class CrossingPacket(Struct, frozen=True, kw_only=True):
    """Packets that enter (`inbound`) or leave (`outbound`) a subnet or VNI, with the ranges in which their ports lie.

    `remotes` are some far ends that the rules treat alike, by whichever rule.
    """

    direction: str
    protocol: Protocol
    remotes: tuple[int, ...]
    local: int
    sports: tuple[Range, ...]
    dports: tuple[Range, ...]
    icmp_type: int = ECHO_REQUEST

    def ends(self, remote: int) -> tuple[int, int]:
        """Source and destination of the packet whose far end this is."""
        return (remote, self.local) if self.direction == "inbound" else (self.local, remote)


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


def is_meant(rule: SecurityGroupRule | AclRule, kind: Kind) -> bool:
    """Whether a rule may be about packets of this kind: also where its direction or protocol is a word that we do not
    know.
    """
    if rule.direction != kind.direction and rule.direction in DIRECTIONS:
        return False
    spoken = speaks(rule.protocol, kind.protocol)
    if spoken and kind.protocol is Protocol.ICMP:
        return rule.icmp_type in {None, kind.icmp_type} and rule.icmp_code in {None, 0}
    return spoken is not False


def port_range(first: int | None, last: int | None) -> Range:
    """A rule's range, where None is unbounded. From 1 on is every port: no packet has port 0."""
    low, high = EVERY_PORT
    if (first is None or first <= 1) and (last is None or last >= high):
        return EVERY_PORT
    return low if first is None else first, high if last is None else last


def to_ports(first: int | None, last: int | None) -> str:
    """A rule's range as `443`, `8000-8999` or, where it has none, nothing."""
    if first is None and last is None:
        return ""
    return str(first) if first == last else f"{first if first is not None else 1}-{last if last is not None else 65535}"


def representatives(ranges: Iterable[Range], cuts: Iterable[int]) -> list[int]:
    """One port for each part of the ranges between the cuts."""
    cuts = sorted(cuts)
    return [port for first, last in ranges for port in (first, *(cut for cut in cuts if first < cut <= last))]
