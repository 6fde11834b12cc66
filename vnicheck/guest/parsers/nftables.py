"""`nft list ruleset`: chains and rules.

table inet filter {
        set admins {
                type ipv4_addr
                elements = { 10.8.0.4, 10.8.0.5 }
        }
        chain input {
                type filter hook input priority filter; policy drop;
                iifname != "docker0" tcp dport { 22, 80-90 } counter packets 0 bytes 0 accept comment "ssh"
        }
}
"""

import re
from typing import Any

from vnicheck.guest.parsers.nft_rule import depth, read_rule
from vnicheck.guest.parsers.nft_sets import NamedSets
from vnicheck.guest.parsers.parsed import capped, text_lines
from vnicheck.model.firewall import FirewallChain, FirewallRule, Verdict

FAMILIES = {"ip", "inet", "netdev", "arp", "bridge"}
_OF_IPTABLES = {"filter", "nat", "mangle", "raw", "security"}
"""Tables of family ip that iptables makes in nftables, or may have made."""
_TABLE = re.compile(r"table (\S+) (\S+) \{(?: #.*)?", re.ASCII)
"""Behind it, as behind a chain's, stand the handle and who owns it: `# progname firewalld`."""
_CHAIN = re.compile(r"chain (\S+) \{(?: #.*)?", re.ASCII)
_HOOK = re.compile(
    r"type (\w+) hook (\w+)(?: devices? (?:= )?(\{[^}]*\}|\S+))? priority ([^;]+);(?:.* policy (accept|drop);)?",
    re.ASCII,
)


def parse_nftables(text: str) -> tuple[tuple[FirewallChain, ...], tuple[str, ...]]:
    """The chains of the families that IPv4 packets meet, and lines that are none of what we know.

    Raises CollectionError `guest_unreadable` on more lines than we read.
    """
    chains: list[FirewallChain] = []
    unmodelled: list[str] = []
    family = table = ""
    dormant = False
    first = 0
    chain: dict[str, Any] | None = None
    rules: list[FirewallRule] = []
    skipped = 0
    sets = NamedSets()
    for raw in text_lines(text, "nft"):
        line = raw.strip()
        if skipped:
            skipped += depth(line)
            (sets.read if chain is None else sets.meet_rule)(line)
        elif (match := _TABLE.fullmatch(line)) is not None:
            family, table, dormant, first, sets = match[1], match[2], False, len(chains), NamedSets()
        elif (match := _CHAIN.fullmatch(line)) is not None:
            chain, rules = {"family": family, "table": table, "name": match[1]}, []
        elif line == "}" and chain is not None:
            chains.append(FirewallChain(rules=tuple(rules), **chain))
            chain = None
        elif line == "}":
            met = [] if dormant or family not in FAMILIES else chains[first:]
            chains[first:] = sets.filled_in(met)
            family = table = ""
        elif chain is not None and (match := _HOOK.match(line)) is not None:
            chain |= _hook(match)
        elif chain is not None and line.startswith(("type ", "devices ", "hook ")):
            unmodelled.append(capped(line))
        elif chain is not None:
            rules += read_rule(line, of_iptables=family == "ip" and table in _OF_IPTABLES)
            sets.meet_rule(line)
            skipped = depth(line)
        elif line.startswith("flags "):
            dormant = dormant or "dormant" in re.split(r"[\s,]+", line)
        elif table and depth(line) > 0:
            skipped = depth(line)
            sets.begin(line)
        elif not line.startswith(("comment ", "#")):
            unmodelled.append(capped(line))
    if chain is not None or table:
        unmodelled.append("the rules end in the middle")
    return tuple(chains), tuple(unmodelled)


def _hook(match: re.Match[str]) -> dict[str, Any]:
    policy = Verdict(match[5]) if match[5] is not None else Verdict.ACCEPT
    return {
        "type": match[1],
        "hook": match[2],
        "device": match[3].strip("{} ").replace('"', "") if match[3] is not None else None,
        "priority": match[4],
        "policy": policy,
    }
