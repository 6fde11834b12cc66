"""Whether something on the guest marks packets of its own, or packets that come in (SO_MARK aside, which only programs
that mean it set).
"""

import re
from functools import reduce
from operator import or_

from msgspec import Struct

from vnicheck.kernel.filter_chains import Chains
from vnicheck.model.firewall import Firewall
from vnicheck.model.guest import Guest

_REFLECTING = ("net/ipv4/tcp_fwmark_accept", "net/ipv4/fwmark_reflect")
"""Settings that give connections the mark of their SYN, and answers the mark of what they answer."""
_WITH_MASK = (
    re.compile(r"--(?:set-x?mark|or-mark) (0x[0-9a-f]+)/(0x[0-9a-f]+)", re.IGNORECASE),
    re.compile(r"--or-mark (0x[0-9a-f]+)", re.IGNORECASE),
    re.compile(r"mark set (?:meta )?mark (?:or|\|) (0x[0-9a-f]+)\b(?! *(?:[&|^<>]|and\b|x?or\b))", re.IGNORECASE),
)
"""Forms of a rule that touch some bits of the mark alone: those of a mask, which are cleared, and of a value."""
_TOLD = re.compile(
    r"-A .* -j (?:MARK --set-xmark|TPROXY .*--tproxy-mark) (?P<bits>0x[0-9a-f]+)/(?P<mask>0x[0-9a-f]+)"
    r"|(?!-A )(?:(?!mark set).)*meta mark set (?P<mark>0x[0-9a-f]+)(?: (?:accept|return|counter)(?:(?!mark set|…).)*)?",
    re.ASCII,
)
"""Forms that say which mark they make: of the bits of a mask, or of the whole mark."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_MOST_MARKS = 256
_ALL = 0xFFFFFFFF
Marks = frozenset[int] | None
"""None: any."""
_UNMARKED = frozenset({0})


class Marked(Struct, frozen=True):
    """The marks that packets that come in, and packets that the server's programs send, may carry."""

    incoming: Marks = _UNMARKED
    sent: Marks = _UNMARKED

    def may_be(self, value: int, mask: int) -> bool:
        """Whether some packet may have a value in the bits of a mask."""
        known = (self.incoming, self.sent)
        return any(marks is None or any((mark ^ value) & mask == 0 for mark in marks) for marks in known)


NOTHING = Marked()


def marked(guest: Guest) -> Marked:
    """What the guest shows of it, as far as policy rules, or policies of IPsec, read the bits that are set."""
    read = 0
    for rule in guest.rules:
        read |= rule.fwmask if rule.fwmark is not None else 0
    for hook in guest.hooks:
        read |= hook.fwmask if hook.fwmark is not None else 0
    if not read:
        return NOTHING
    if reflects_marks(guest):
        return Marked(None, None)
    return Marked(
        _marks_set(guest.firewall, ("prerouting", "ingress"), read), _marks_set(guest.firewall, ("output",), read)
    )


def reflects_marks(guest: Guest) -> bool:
    """Whether answers may get the mark of what they answer."""
    return any(guest.sysctls.get(key, 0) != 0 for key in _REFLECTING)


def _marks_set(firewall: Firewall | None, hooks: tuple[str, ...], read: int) -> Marks:
    """What rules that packets at these hooks may meet make of mark 0, in any order, in bits that policy rules read."""
    rules = () if firewall is None else Chains(firewall, {}).rules_of(*hooks)
    found, before = _UNMARKED, frozenset[int]()
    changes = [_change(rule.text) for rule in rules if rule.sets_mark and _bits(rule.text) & read]
    told = [change for change in changes if change is not None]
    if len(told) < len(changes):
        return None
    while found != before:
        found, before = found | {(mark & ~mask) ^ bits for mark in found for mask, bits in told}, found
        if len(found) > _MOST_MARKS:
            return None
    return found


def _change(text: str) -> tuple[int, int] | None:
    """The bits of the mark that a rule clears, and those that it turns over then; None: it does not say."""
    match = _TOLD.fullmatch(_QUOTED.sub("", text).strip())
    if match is None:
        return None
    return (int(match["mask"], 16), int(match["bits"], 16)) if match["mark"] is None else (_ALL, int(match["mark"], 16))


def _bits(text: str) -> int:
    """The bits of the mark that a rule may change."""
    bare = _QUOTED.sub("", text)
    for form in _WITH_MASK if bare.count("mark set") <= 1 and "…" not in bare else ():
        match = form.search(bare)
        if match is not None:
            return reduce(or_, (int(bits, 16) for bits in match.groups()))
    return _ALL
