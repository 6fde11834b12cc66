"""Whether something on the guest marks packets of its own, or packets that come in (SO_MARK aside, which only programs
that mean it set).
"""

import re

from msgspec import Struct

from vnicheck.kernel.filter_chains import Chains
from vnicheck.model.firewall import Firewall
from vnicheck.model.guest import Guest

_REFLECTING = {
    "net/ipv4/tcp_fwmark_accept": "net.ipv4.tcp_fwmark_accept gives connections the mark of their SYN",
    "net/ipv4/fwmark_reflect": "net.ipv4.fwmark_reflect gives answers the mark of what they answer",
}
_WITH_MASK = (
    re.compile(r"--(?:set-x?mark|or-mark) 0x[0-9a-f]+/(0x[0-9a-f]+)", re.IGNORECASE),
    re.compile(r"--or-mark (0x[0-9a-f]+)", re.IGNORECASE),
    re.compile(r"mark set (?:meta )?mark (?:or|\|) (0x[0-9a-f]+)", re.IGNORECASE),
)
"""Forms of a rule that touch some bits of the mark alone."""


class Marked(Struct, frozen=True):
    """Why packets that come in, and packets that the server's programs send, may be marked; None: nothing says so."""

    incoming: str | None = None
    sent: str | None = None


NOTHING = Marked()


def marked(guest: Guest) -> Marked:
    """What the guest shows of it, as far as policy rules read the bits that are set."""
    read = 0
    for rule in guest.rules:
        read |= rule.fwmask if rule.fwmark is not None else 0
    if not read:
        return NOTHING
    reflected = next((words for key, words in _REFLECTING.items() if guest.sysctls.get(key, 0) != 0), None)
    incoming = _marking(guest.firewall, ("prerouting", "ingress"), read) or reflected
    sent = _marking(guest.firewall, ("output",), read) or reflected
    return Marked(incoming, sent)


def _marking(firewall: Firewall | None, hooks: tuple[str, ...], read: int) -> str | None:
    """A rule that packets at these hooks may meet and that sets bits of the mark that some policy rule reads."""
    if firewall is None:
        return None
    rules = Chains(firewall).rules_of(*hooks)
    rule = next((rule for rule in rules if rule.sets_mark and _bits(rule.text) & read), None)
    return None if rule is None else f"netfilter may set it ({rule.text})"


def _bits(text: str) -> int:
    """The bits of the mark that a rule may change."""
    for form in _WITH_MASK:
        match = form.search(text)
        if match is not None:
            return int(match[1], 16)
    return 0xFFFFFFFF
