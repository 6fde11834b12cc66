"""Loosen reverse path filtering: per interface, only from strict to loose, never one that drops none of these flows."""

from collections.abc import Iterable

from vnicheck.findings.facts import Facts
from vnicheck.fixes.effects import Effect, SetRpFilter
from vnicheck.model.flow import DropCode, Flow
from vnicheck.model.lines import is_plain_interface

STRICT, LOOSE = 1, 2


def propose(facts: Facts, flows: Iterable[Flow]) -> tuple[Effect, ...]:
    """Loose filters on the interfaces at which strict ones drop these flows."""
    guest = facts.guest_with("sysctls")
    if guest is None:
        return ()
    places = dict.fromkeys(drop.at for flow in flows for drop in flow.drops if drop.by is DropCode.RP_FILTER)
    effects = []
    for interface in places:
        everywhere = guest.sysctls.get("net/ipv4/conf/all/rp_filter")
        own = guest.sysctls.get(f"net/ipv4/conf/{interface}/rp_filter")
        if everywhere is None or own is None or max(everywhere, own) != STRICT or not is_plain_interface(interface):
            continue
        effects.append(SetRpFilter(interface=interface, old=own, new=LOOSE))
    return tuple(effects)
