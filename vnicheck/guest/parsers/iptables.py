"""`iptables-save`: chains and rules of xtables.

*filter
:INPUT DROP [0:0]
-A INPUT ! -s 10.0.0.0/8 -i eth+ -p tcp -m multiport --dports 80,90:99 -m comment --comment "web" -j ACCEPT
COMMIT
"""

import shlex

import msgspec

from vnicheck.guest.parsers.parsed import capped, text_lines
from vnicheck.guest.parsers.tcp_flags import xtables_flags
from vnicheck.model.firewall import FirewallChain, FirewallRule, Match, Selector, Verdict

_HOOKS = {
    "PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward", "OUTPUT": "output",
    "POSTROUTING": "postrouting",
}  # fmt: skip
_PRIORITIES = {"raw": "raw", "mangle": "mangle", "filter": "filter", "security": "security"}
_SELECTORS = {
    "-s": Selector.SOURCE, "-d": Selector.DESTINATION, "-i": Selector.IIF, "-o": Selector.OIF, "-p": Selector.PROTOCOL,
    "--sport": Selector.SOURCE_PORT, "--sports": Selector.SOURCE_PORT, "--dport": Selector.DESTINATION_PORT,
    "--dports": Selector.DESTINATION_PORT, "--icmp-type": Selector.ICMP_TYPE, "--ctstate": Selector.CONNECTION_STATE,
    "--state": Selector.CONNECTION_STATE, "--dst-type": Selector.DESTINATION_KIND,
    "--src-type": Selector.SOURCE_KIND, "--mark": Selector.MARK,
}  # fmt: skip
_BARE = {"-s", "-d", "-i", "-o", "-p"}
"""What needs no module, and stands before all of them; behind one it is a value (`--string "-p"`)."""
_LOWERED = {Selector.CONNECTION_STATE, Selector.DESTINATION_KIND, Selector.SOURCE_KIND}
_KNOWN_MODULES = {
    "tcp", "udp", "sctp", "dccp", "udplite", "icmp", "multiport", "comment", "conntrack", "state", "addrtype", "mark",
    "connmark",
}  # fmt: skip
_TARGETS = {
    "ACCEPT": Verdict.ACCEPT, "DROP": Verdict.DROP, "REJECT": Verdict.REJECT, "RETURN": Verdict.RETURN,
    "DNAT": Verdict.DNAT, "SNAT": Verdict.SNAT, "MASQUERADE": Verdict.MASQUERADE, "REDIRECT": Verdict.REDIRECT,
    "TPROXY": Verdict.TPROXY, "NFQUEUE": Verdict.QUEUE, "QUEUE": Verdict.QUEUE,
}  # fmt: skip
_GOING_ON = {
    "MARK", "CONNMARK", "LOG", "NFLOG", "ULOG", "TCPMSS", "TRACE", "NOTRACK", "CHECKSUM", "CT", "CLASSIFY", "DSCP",
    "TOS",
}  # fmt: skip
"""Targets after which the packet goes on to the next rule."""
_SETS_MARK = {"MARK", "CONNMARK", "TPROXY"}


def parse_iptables(text: str, prefix: str = "") -> tuple[tuple[FirewallChain, ...], tuple[str, ...]]:
    """The chains of every table, and lines that are none of what we know. `prefix` goes before the tables' names.

    Raises CollectionError `guest_unreadable` on more lines than we read.
    """
    found: dict[tuple[str, str], FirewallChain] = {}
    rules: dict[tuple[str, str], list[FirewallRule]] = {}
    unmodelled: list[str] = []
    table = ""
    for line in text_lines(text, "iptables"):
        words = line.split()
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":") and len(words) > 1:
            found[table, words[0][1:]] = _chain(table, words[0][1:], words[1])
        elif line.startswith("-A ") and (table, words[1]) in found:
            rules.setdefault((table, words[1]), []).append(
                _read_rule(line, {name for of, name in found if of == table})
            )
        elif line != "COMMIT" and (not line.startswith("#") or "incompatible" in line):
            unmodelled.append(capped(line))
    chains = [
        msgspec.structs.replace(chain, table=prefix + chain.table, rules=tuple(rules.get(key, ())))
        for key, chain in found.items()
    ]
    return tuple(chains), tuple(unmodelled)


def _chain(table: str, name: str, policy: str) -> FirewallChain:
    hook = _HOOKS.get(name) if policy in {"ACCEPT", "DROP"} else None
    if hook is None:
        return FirewallChain(family="ip", table=table, name=name)
    translates = "dstnat" if name in {"PREROUTING", "OUTPUT"} else "srcnat"
    return FirewallChain(
        family="ip",
        table=table,
        name=name,
        type="nat" if table == "nat" else "route" if (table, name) == ("mangle", "OUTPUT") else "filter",
        hook=hook,
        priority=translates if table == "nat" else _PRIORITIES.get(table, table),
        policy=_TARGETS[policy],
    )


def _read_rule(line: str, chains: set[str]) -> FirewallRule:
    """Conditions stand before `-j` or `-g`, what the target is told behind it."""
    try:
        words = shlex.split(line)[2:]
    except ValueError:
        return FirewallRule(text=capped(line), verdict=Verdict.OTHER, unmodelled=(capped(line),))
    place = next((place for place, word in enumerate(words) if word in {"-j", "-g"}), len(words))
    matches, unmodelled = _conditions(words[:place])
    verdict, target, sets_mark = _decision(words[place:], chains)
    return FirewallRule(
        text=capped(line),
        matches=matches,
        verdict=verdict,
        target=target,
        sets_mark=sets_mark,
        untracks="NOTRACK" in words[place:] or "--notrack" in words[place:],
        unmodelled=(capped(" ".join(unmodelled)),) if unmodelled else (),
    )


def _conditions(words: list[str]) -> tuple[tuple[Match, ...], list[str]]:
    matches: list[Match] = []
    unmodelled: list[str] = []
    module, negated = "", False
    rest = iter(words)
    for word in rest:
        if word == "!":
            negated = True
            continue
        if word == "-m":
            module = next(rest, "")
            unmodelled += [] if module in _KNOWN_MODULES else ["-m", module]
        elif word == "--comment":
            next(rest, None)
        elif word == "--tcp-flags" and (flags := xtables_flags(next(rest, ""), next(rest, ""))) is not None:
            matches.append(Match(selector=Selector.TCP_FLAGS, values=(flags,), negated=negated))
        elif word in _SELECTORS and (module == "" if word in _BARE else module in _KNOWN_MODULES):
            matches.append(_match(word, next(rest, ""), module, negated=negated))
        else:
            unmodelled += ["!", word] if negated else [word]
        negated = False
    return tuple(matches), unmodelled


def _match(option: str, value: str, module: str, *, negated: bool) -> Match:
    selector = _SELECTORS[option]
    if selector is Selector.MARK and module == "connmark":
        selector = Selector.CONNECTION_MARK
    values = value.split(",")
    if selector in {Selector.SOURCE_PORT, Selector.DESTINATION_PORT}:
        values = [_span(each) for each in values]
    elif selector in {Selector.IIF, Selector.OIF}:
        values = [f"{value[:-1]}*" if value.endswith("+") else value]
    elif selector in _LOWERED:
        values = [each.lower() for each in values]
    return Match(selector=selector, values=tuple(values), negated=negated)


def _span(ports: str) -> str:
    """`80-90` of `80:90`, as iptables-save writes also what has no end."""
    first, colon, last = ports.partition(":")
    return f"{first or 0}-{last or 65535}" if colon else ports


def _decision(words: list[str], chains: set[str]) -> tuple[Verdict | None, str | None, bool]:
    if len(words) < 2:
        return None, None, False
    name = words[1]
    if name in chains:
        return (Verdict.JUMP if words[0] == "-j" else Verdict.GOTO), name, False
    told = dict(zip(words[2:], words[3:], strict=False))  # noqa: RUF007 - options and values
    target = told.get("--to-destination")
    if target is None and "--to-ports" in told and name == "REDIRECT":
        target = f":{told['--to-ports']}"
    sets_mark = name in _SETS_MARK and "--save-mark" not in words
    if name in _GOING_ON and not any(word.startswith("--zone") for word in words):
        return None, None, sets_mark
    return _TARGETS.get(name, Verdict.OTHER), target, sets_mark
