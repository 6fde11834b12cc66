"""Netfilter's rules from the collect script: `@nft`, then `nft list ruleset`; or `@iptables`, then what iptables tells
of them, and `@unlisted` where nftables may have more. `@iptables-legacy`, then the rules of the older iptables, nothing
where none could list them; `@arptables-legacy` where there are such tables. `@end STATUS`, which is not there where the
rules are more than the script takes. Earlier scripts have `@iptables` beside `@nft` for those of the older iptables.
"""

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.guest.parsers.nftables import parse_nftables
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.firewall import Firewall, FirewallChain

UNLISTED = "there is no nft to list nftables' rules, of which iptables tells only its own"
_NFT, _IPTABLES, _LEGACY = "@nft", "@iptables", "@iptables-legacy"
_ARP, _UNLISTED = "@arptables-legacy", "@unlisted"
_Read = tuple[tuple[FirewallChain, ...], tuple[str, ...]]


def parse_firewall(text: str, errors: str = "") -> tuple[Firewall, str | None]:
    """The rules, and why there may be more of them, if there may. `errors`: what the programs said on stderr: nft
    leaves an expression that it does not know out of a rule, says so there, and goes on. Raises CollectionError
    `guest_unreadable` where the rules are not whole.
    """
    lines = text.split("\n")
    ends = lines[-1].split()
    if ends[:1] != ["@end"]:
        raise CollectionError("guest_unreadable", "its rules are more than are read")
    if ends[1:] != ["0"]:
        raise CollectionError("guest_unreadable", "not all of its rules could be listed")
    parts: dict[str, list[str]] = {}
    part: list[str] = []
    for line in lines[:-1]:
        if line in {_NFT, _IPTABLES, _LEGACY, _ARP, _UNLISTED}:
            part = parts.setdefault(line, [])
        else:
            part.append(line)
    if _NFT in parts and _IPTABLES in parts:
        parts[_LEGACY] = parts.pop(_IPTABLES)
    found = [parse_nftables("\n".join(parts.get(_NFT, ()))), parse_iptables("\n".join(parts.get(_IPTABLES, ())))]
    if _LEGACY in parts:
        found.append(_legacy(parts[_LEGACY]))
    strange = [line for _, lines in found for line in lines]
    strange += [capped(line) for line in errors.split("\n") if "Error:" in line]
    if _ARP in parts:
        strange.append("the rules of arptables-legacy, which are not listed")
    chains = tuple(chain for chains, _ in found for chain in chains)
    return Firewall(chains=chains, unmodelled=tuple(strange)), UNLISTED if _UNLISTED in parts else None


def _legacy(lines: list[str]) -> _Read:
    """Those of the older iptables, whose tables have the names of the newer one's."""
    found = parse_iptables("\n".join(lines), "legacy ")
    if not found[0] or any("(nf_tables)" in line for line in lines if line.startswith("#")):
        return (), ("the rules of iptables-legacy, which could not be listed",)
    return found
