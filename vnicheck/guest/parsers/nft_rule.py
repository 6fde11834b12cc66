"""One rule of `nft list ruleset`. Its conditions are read in turn, up to the first word that is not understood; that
and what follows is kept.
"""

import re
from collections.abc import Iterator

import msgspec

from vnicheck.guest.parsers.nft_conditions import SELECTORS, UNANSWERED
from vnicheck.guest.parsers.parsed import capped
from vnicheck.guest.parsers.tcp_flags import nft_flags
from vnicheck.model.address import mask
from vnicheck.model.firewall import FirewallRule, Match, Selector, Verdict

_TOKEN = re.compile(r'"[^"]*"|\{[^{}]*\}|[^\s"]+')
_QUOTED = re.compile(r'"[^"]*"')
_VALUE = re.compile(r'"[^"]*"|[A-Za-z0-9_./:*-]+', re.ASCII)
_SET_NAME = re.compile(r"@[A-Za-z0-9_./-]+", re.ASCII)
_OF_MARKS = {Selector.MARK, Selector.CONNECTION_MARK}
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+", re.ASCII)
_MARKS = (("meta", "mark"), ("ct", "mark"), ("mark",))
_OPERATORS = {"and", "or", "xor", "&", "|", "^", "<<", ">>", "lshift", "rshift"}

_OF_STATUS = ("ct", "status")
_IPV6_ONLY = {("meta", "nfproto", "ipv6"), ("meta", "protocol", "ip6"), ("ip6",), ("icmpv6",)}
_ANY_OF_OURS = (("meta", "nfproto", "ipv4"), ("meta", "protocol", "ip"))
_OF_FAMILIES, _OURS = (("meta", "nfproto"), ("meta", "protocol")), {"ip", "ipv4", "*"}
_PLAIN = {word: Verdict(word) for word in ("accept", "drop", "return", "queue")}
_IN_MAPS: dict[str, Verdict | None] = {**_PLAIN, "jump": Verdict.JUMP, "goto": Verdict.GOTO, "continue": None}
_TRANSLATIONS = {word: Verdict(word) for word in ("dnat", "snat", "masquerade", "redirect", "tproxy")}
_DECIDES = {"vmap", "jump", "goto", "set", "target", "synproxy", "fwd", "flow", *_TRANSLATIONS}
_CLAMPING = ("tcp", "option", "maxseg", "size", "set")
_GOING_ON = {"CHECKSUM", "CLASSIFY", "DSCP", "LOG", "NFLOG", "TCPMSS", "TOS", "TRACE"}
"""Targets of xtables that neither decide nor mark."""
_LOG_VALUES = {"prefix", "level", "group", "snaplen", "queue-threshold"}
_NAT_FLAGS = {"random", "fully-random", "persistent", "random,persistent", "fully-random,persistent"}


def depth(line: str) -> int:
    """How many braces it opens and does not close."""
    bare = _QUOTED.sub("", line)
    return bare.count("{") - bare.count("}")


def read_rule(line: str, *, of_iptables: bool = False) -> Iterator[FirewallRule]:
    """The rule of a line; in two where it marks the packet, or hands it to a proxy, before it asks more. Nothing of a
    rule that is for IPv6 alone. `of_iptables`: it is told in nft's words, but iptables made it.
    """
    words = _Words(line, of_iptables=of_iptables)
    if words.list[:1] == ["comment"]:
        return
    rule = FirewallRule(text=capped(line))
    if depth(line) > 0:  # a chain without a name: `jump {`
        yield msgspec.structs.replace(rule, verdict=Verdict.OTHER, unmodelled=(rule.text,))
        return
    done = False
    while words.left():
        if any(words.begins(head) for head in _IPV6_ONLY):
            return
        if (by_the_way := words.by_the_way(rule)) is not None:
            yield by_the_way
            done = True
        elif words.skip_statement():
            continue
        elif (choices := words.verdict_map()) is not None:
            for also, (verdict, target) in choices:
                yield msgspec.structs.replace(rule, matches=(*rule.matches, *also), verdict=verdict, target=target)
            return
        elif (matches := words.condition()) is not None:
            rule = msgspec.structs.replace(rule, matches=(*rule.matches, *matches))
        elif (asked := words.unanswered()) is not None:
            rule = msgspec.structs.replace(rule, unmodelled=(*rule.unmodelled, asked))
        elif (decided := words.verdict()) is not None:
            verdict, target = decided
            yield msgspec.structs.replace(rule, verdict=verdict, target=target)
            return
        else:
            may, marks, rest = words.abandon()
            yield msgspec.structs.replace(
                rule,
                verdict=may,
                sets_mark=marks,
                untracks="notrack" in rest.split() or (may is Verdict.OTHER and _by_xtables(rest.split())),
                unmodelled=(*rule.unmodelled, capped(rest)),
            )
            return
    if not done:
        yield rule


class _Words:
    """The words of a rule, from the first that is not yet read. Methods that find what they are for step behind it."""

    def __init__(self, line: str, *, of_iptables: bool = False) -> None:
        self._of_iptables = of_iptables
        self.list = _TOKEN.findall(line)
        self._place = 0

    def left(self) -> bool:
        return self._place < len(self.list)

    def next(self) -> str:
        word = self.list[self._place] if self.left() else ""
        self._place += 1
        return word

    def begins(self, head: tuple[str, ...]) -> bool:
        return tuple(self.list[self._place : self._place + len(head)]) == head

    def take(self, *head: str) -> bool:
        found = self.begins(head)
        self._place += len(head) if found else 0
        return found

    def by_the_way(self, rule: FirewallRule) -> FirewallRule | None:
        """The rule, where what comes next is done to the packet before more is asked."""
        if self.take("meta", "mark", "set") or self.take("ct", "mark", "set"):
            self._skip_mark()
            return msgspec.structs.replace(rule, sets_mark=True)
        if self.take("notrack"):
            return msgspec.structs.replace(rule, untracks=True)
        if self.take("tproxy"):
            return msgspec.structs.replace(rule, verdict=Verdict.TPROXY, target=self.destination())
        return None

    def _skip_mark(self) -> None:
        """What a mark is set to: numbers and marks, with operators between them. Behind it a rule may ask on."""
        while any(self.take(*mark) for mark in _MARKS) or self._number():
            if not (self.left() and self.list[self._place] in _OPERATORS):
                return
            self._place += 1

    def _number(self) -> bool:
        found = self.left() and _NUMBER.fullmatch(self.list[self._place]) is not None
        self._place += found
        return found

    def skip_statement(self) -> bool:
        """What neither asks nor decides."""
        if self.take("counter"):
            if self.take("name"):
                self.next()
            elif self.take("packets"):
                self._place += 3
        elif self.take("comment"):
            self.next()
        elif self.take("log"):
            self._skip_log()
        elif self._by_xtables() in {("match", "comment"), *(("target", each) for each in _GOING_ON)}:
            self._place += 3
        elif not (self.take("continue") or any(self.take(*head) for head in _ANY_OF_OURS)):
            return False
        return True

    def _by_xtables(self) -> tuple[str, str] | None:
        """Of `xt target "LOG"` what xtables does here."""
        if not self.begins(("xt",)) or self._place + 2 >= len(self.list):
            return None
        return self.list[self._place + 1], self.list[self._place + 2].strip('"')

    def _skip_log(self) -> None:
        while self.left():
            word = self.list[self._place]
            if word in _LOG_VALUES:
                self._place += 2
            elif word == "flags":
                self._place += 3 if self.list[self._place + 1 : self._place + 2] in (["tcp"], ["ip"]) else 2
            else:
                return

    def condition(self) -> tuple[Match, ...] | None:
        if self.begins(("tcp", "flags")):
            return self._flags()
        for head, (selector, protocol) in SELECTORS.items():
            if self.begins(head):
                start = self._place
                self._place += len(head)
                match = self._status() if head == _OF_STATUS else self._operand(selector)
                if match is None:
                    self._place = start
                    return None
                return (match,) if protocol is None else (Match(selector=Selector.PROTOCOL, values=(protocol,)), match)
        return None

    def _flags(self) -> tuple[Match, ...] | None:
        told = nft_flags(" ".join(self.list[self._place :]))
        if told is None:
            return None
        value, negated, length = told
        self._place += length
        tcp = Match(selector=Selector.PROTOCOL, values=("tcp",))
        return (tcp, Match(selector=Selector.TCP_FLAGS, values=(value,), negated=negated))

    def verdict_map(self) -> list[tuple[tuple[Match, ...], tuple[Verdict | None, str | None]]] | None:
        """Of `ct state vmap { established : accept, new : jump new }` the conditions, each with its verdict."""
        start = self._place
        heads = [head for head in (*SELECTORS, *_OF_FAMILIES) if head != _OF_STATUS]
        head = next((head for head in heads if self.begins((*head, "vmap"))), None)
        body = "" if head is None else "".join(self.list[self._place + len(head) + 1 :][:1])
        entries = [entry.rpartition(" : ") for entry in body[1:-1].split(",")] if body[:1] == "{" else []
        choices: list[tuple[tuple[Match, ...], tuple[Verdict | None, str | None]]] = []
        for key, _, verdict in entries:
            value, (word, *target) = key.strip(), verdict.split() or [""]
            if head is None or word not in _IN_MAPS or not _VALUE.fullmatch(value):
                return None
            decided = (_IN_MAPS[word], target[0] if target else None)
            if head in _OF_FAMILIES:
                choices.append(((), decided if value in _OURS else (None, None)))
                continue
            selector, protocol = SELECTORS[head]
            also: tuple[Match, ...] = (Match(selector=selector, values=(value.strip('"'),)),)
            if protocol is not None:
                also = (Match(selector=Selector.PROTOCOL, values=(protocol,)), *also)
            choices.append((also, decided))
        self._place += len(head or ()) + 2 if choices else 0
        while choices and self.skip_statement():
            continue
        if not choices or self.left():
            self._place = start
            return None
        return choices

    def _operand(self, selector: Selector) -> Match | None:
        masked = ""
        if selector in _OF_MARKS and (self.take("&") or self.take("and")):
            masked = f"/{self.next()}"
            if not (self.begins(("==",)) or self.begins(("!=",))):
                return None
        whole = self.take("!=")  # of flags such as states this, and `==`, ask for the whole value
        none_of = not whole and selector is Selector.CONNECTION_STATE and self.take("!")
        negated = whole or none_of
        whole = whole or self.take("==")
        word = self.next()
        values = [part.strip() for part in word[1:-1].split(",")] if word[:1] == "{" else [word]
        if selector is Selector.CONNECTION_STATE and word[:1] != "{":
            values = word.split(",")
            if whole and len(values) > 1:
                return None
        following = self.list[self._place : self._place + 1]
        plain = all(_VALUE.fullmatch(value) for value in values) or _SET_NAME.fullmatch(word)
        known = plain and word not in {"vmap", "map", "set", "."}
        if not known or following in (["."], ["&"], ["|"], ["/"], ["map"], ["vmap"]):
            return None
        if selector in _OF_MARKS:
            values = [_masked(value) for value in values]
        return Match(selector=selector, values=tuple(value.strip('"') + masked for value in values), negated=negated)

    def _status(self) -> Match | None:
        """A connection has several at once: `ct status dnat` asks for one of them, `== dnat`, `!= dnat`, sets and maps
        for all. Of `! --ctstate DNAT` and `--ctstate NEW,DNAT` of iptables nft tells (iptables 1.8.9) just that.
        """
        whole = self._of_iptables or self.begins(("==",)) or self.begins(("!=",))
        match = None if whole else self._operand(Selector.CONNECTION_STATE)
        return None if match is None or self.list[self._place - 1][:1] == "{" else match

    def unanswered(self) -> str | None:
        match = UNANSWERED.match(" ".join(self.list[self._place :]))
        self._place += len(match[0].split()) if match is not None else 0
        return None if match is None else match[0]

    def verdict(self) -> tuple[Verdict, str | None] | None:
        """Only where nothing follows that is not understood."""
        start = self._place
        word = self.next()
        decided: tuple[Verdict, str | None] | None = None
        if word == "queue":
            self._place = len(self.list)
            decided = Verdict.QUEUE, None
        elif word in _PLAIN:
            decided = _PLAIN[word], None
        elif word == "reject":
            if self.take("with"):
                while self.left() and not self.begins(("comment",)):
                    self.next()
            decided = Verdict.REJECT, None
        elif word in {"jump", "goto"}:
            decided = Verdict(word), self.next()
        elif word in _TRANSLATIONS:
            decided = _TRANSLATIONS[word], self.destination()
            while self.left() and self.list[self._place] in _NAT_FLAGS:
                self.next()
        while decided is not None and self.skip_statement():
            continue
        if decided is None or self.left():
            self._place = start
            return None
        return decided

    def destination(self) -> str | None:
        """Of `ip to 10.0.0.1:80`."""
        self.take("ip")
        return self.next().strip('"') if self.take("to") else None

    def abandon(self) -> tuple[Verdict | None, bool, str]:
        """What the rest may decide, whether it may mark, and the rest itself, without its comments."""
        rest: list[str] = []
        while self.left():
            if self.take("comment"):
                self.next()
            elif self.take("log"):
                self._skip_log()
            elif self.take(*_CLAMPING):
                rest.append(" ".join(_CLAMPING))
            else:
                rest.append(self.next())
        decided = [word for word in rest if word in _PLAIN or word == "reject"]
        strange = not decided and _by_xtables(rest)
        marks = strange or ("mark" in rest and "set" in rest)
        if strange or any(word in _DECIDES for word in rest) or len(decided) > 1:
            return Verdict.OTHER, marks, " ".join(rest)
        return (Verdict(decided[0]) if decided else None), marks, " ".join(rest)


def _masked(mark: str) -> str:
    """`0x10000/0xffff0000` for `0x00010000/16`: of a mask whose bits are all in front nft tells how many they are."""
    value, slash, bits = mark.partition("/")
    return f"{value}/{mask(int(bits)):#x}" if slash and bits.isdecimal() and int(bits) <= 32 else mark


def _by_xtables(rest: list[str]) -> bool:
    """Whether there is a target of xtables that nft has no words for (`xt target "HMARK"`; of earlier versions, behind
    `#`, as iptables prints it). It may do anything.
    """
    return ("xt" in rest and "target" in rest) or any(word.startswith("#") for word in rest)
