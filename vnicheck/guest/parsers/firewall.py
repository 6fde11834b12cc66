"""Netfilter's rules from the collect script: `@nft`, then `nft list ruleset`; `@iptables`, then `iptables-save`; and
`@end STATUS`, which is not there where the rules are more than the script takes.
"""

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.guest.parsers.nftables import parse_nftables
from vnicheck.model.firewall import Firewall


def parse_firewall(text: str) -> Firewall:
    """The rules. Raises CollectionError `guest_unreadable` where they are not whole."""
    lines = text.split("\n")
    ends = lines[-1].split()
    if ends[:1] != ["@end"]:
        raise CollectionError("guest_unreadable", "its rules are more than are read")
    if ends[1:] != ["0"]:
        raise CollectionError("guest_unreadable", "not all of its rules could be listed")
    parts: dict[str, list[str]] = {"@nft": [], "@iptables": []}
    part: list[str] = []
    for line in lines[:-1]:
        if line in parts:
            part = parts[line]
        else:
            part.append(line)
    chains, strange = parse_nftables("\n".join(parts["@nft"]))
    more, stranger = parse_iptables("\n".join(parts["@iptables"]))
    return Firewall(chains=chains + more, unmodelled=strange + stranger)
