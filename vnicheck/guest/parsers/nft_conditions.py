"""What nft's words ask of a packet."""

import re

from vnicheck.model.firewall import Selector

SELECTORS: dict[tuple[str, ...], tuple[Selector, str | None]] = {
    **{(*meta, name): (Selector.IIF, None) for meta in ((), ("meta",)) for name in ("iif", "iifname")},
    **{(*meta, name): (Selector.OIF, None) for meta in ((), ("meta",)) for name in ("oif", "oifname")},
    ("ip", "saddr"): (Selector.SOURCE, None),
    ("ip", "daddr"): (Selector.DESTINATION, None),
    ("ip", "protocol"): (Selector.PROTOCOL, None),
    ("meta", "l4proto"): (Selector.PROTOCOL, None),
    ("th", "sport"): (Selector.SOURCE_PORT, None),
    ("th", "dport"): (Selector.DESTINATION_PORT, None),
    **{(name, "sport"): (Selector.SOURCE_PORT, name) for name in ("tcp", "udp", "sctp", "dccp", "udplite")},
    **{(name, "dport"): (Selector.DESTINATION_PORT, name) for name in ("tcp", "udp", "sctp", "dccp", "udplite")},
    ("icmp", "type"): (Selector.ICMP_TYPE, "icmp"),
    ("ct", "state"): (Selector.CONNECTION_STATE, None),
    ("ct", "status"): (Selector.CONNECTION_STATE, None),
    ("meta", "mark"): (Selector.MARK, None),
    ("ct", "mark"): (Selector.CONNECTION_MARK, None),
    ("fib", "daddr", "type"): (Selector.DESTINATION_KIND, None),
    ("fib", "saddr", "type"): (Selector.SOURCE_KIND, None),
}
"""What a condition begins with, and the protocol that it asks for by the way."""
_STATUS = r"(?:expected|seen-reply|assured|confirmed|snat|dnat|dying)"
UNANSWERED = re.compile(
    r"ct direction (?:!= )?(?:original|reply)(?= |$)"
    rf"|ct status (?:(?:!=|==|!) )?{_STATUS}(?:(?:,| \| ){_STATUS})*(?= |$)"
    r"|limit rate (?:over )?\S+(?: \w?bytes/\w+)?(?: burst \d+ \S+)?"
    r"|socket (?:transparent|wildcard) (?:!= )?[01]"
    r"|fib [sd]addr(?: \. (?:mark|iif|oif))* (?:"
    r"type (?:!= )?(?:local|unicast|broadcast|anycast|multicast|blackhole|unreachable|prohibit)"
    r"|(?:oif|oifname|check) (?:!= )?(?:missing|exists|\d+|\"[^\" ]*\"))(?= |$)",
    re.ASCII,
)
"""Whole conditions that no flow answers: of a connection's direction or status (but what `SELECTORS` has of them), a
rate, a socket, a lookup of the FIB.
"""
