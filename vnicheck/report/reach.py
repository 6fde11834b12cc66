"""Which protocols and remotes flows reach, in words: shared by the formats that people read."""

from collections.abc import Iterable, Sequence

from msgspec import UnsetType

from vnicheck.findings.terms import SCOPES
from vnicheck.model.address import format_prefix, mask, prefix_range
from vnicheck.model.flow import Flow, Protocol, Scope
from vnicheck.model.words import counted, listed


def protocols(flows: Iterable[Flow]) -> list[str]:
    """The protocols of the flows, in the order of the model."""
    present = {flow.protocol for flow in flows}
    return [protocol.value for protocol in Protocol if protocol in present]


def reached(chosen: Sequence[Flow], everything: Sequence[Flow]) -> str:
    """Where flows get through, the nearest first; a place of which some class is not among them is named in part."""
    phrases = []
    for place, inside in _by_place(chosen):
        whole = not _others_there(inside, chosen, everything)
        phrases.append(place if whole else f"part of {place}")
    return "everywhere" if phrases == list(SCOPES.values()) else listed(phrases)


def remotes(chosen: Sequence[Flow], everything: Sequence[Flow]) -> str:
    """Who is concerned: whole scopes and named networks by name, parts of them by their prefixes."""
    phrases = []
    for place, inside in _by_place(chosen):
        others = _others_there(inside, chosen, everything)
        rest = _prefixes(others)
        if not others:
            phrases.append(place)
        elif len(rest) <= 3 < len(_prefixes(inside)):
            phrases.append(f"{place} except {listed(rest)}")
        else:
            phrases.append(f"{_brief(_prefixes(inside))} ({_short(inside[0])})")
    return listed(phrases)


def _prefixes(flows: Iterable[Flow]) -> list[str]:
    return list(dict.fromkeys(prefix for flow in flows for prefix in flow.remote))


def _brief(prefixes: Sequence[str]) -> str:
    """A few prefixes as they are; many by the one around them, if they make up nearly all of it."""
    if len(prefixes) <= 3:
        return ", ".join(prefixes)
    ranges = [prefix_range(prefix) for prefix in prefixes]
    size = sum(last - first + 1 for first, last in ranges)
    low, high = min(first for first, _ in ranges), max(last for _, last in ranges)
    length = 32 - (low ^ high).bit_length()
    if size >= 0.9 * (1 << (32 - length)):
        return f"most of {format_prefix(low & mask(length), length)}"
    return f"{', '.join(prefixes[:3])} and {counted(len(prefixes) - 3, 'more prefix', 'more prefixes')}"


def _by_place(flows: Sequence[Flow]) -> list[tuple[str, list[Flow]]]:
    """The flows by where their remotes are, the nearest scope first, named networks before the rest of theirs."""
    order = list(Scope)
    places: dict[tuple[int, bool, str], list[Flow]] = {}
    for flow in flows:
        key = (order.index(flow.remote_scope), isinstance(flow.remote_network, UnsetType), _place(flow))
        places.setdefault(key, []).append(flow)
    return [(key[2], places[key]) for key in sorted(places)]


def _place(flow: Flow) -> str:
    return SCOPES[flow.remote_scope] if isinstance(flow.remote_network, UnsetType) else flow.remote_network


def _short(flow: Flow) -> str:
    return flow.remote_scope.value if isinstance(flow.remote_network, UnsetType) else flow.remote_network


def _others_there(inside: Sequence[Flow], chosen: Sequence[Flow], everything: Sequence[Flow]) -> list[Flow]:
    """The classes beside the chosen ones of the same address, direction, protocol and place."""
    taken = {id(flow) for flow in chosen}
    first = inside[0]
    key = (first.local, first.direction, first.protocol, _place(first))
    return [
        flow
        for flow in everything
        if (flow.local, flow.direction, flow.protocol, _place(flow)) == key and id(flow) not in taken and flow.is_of_vpc
    ]
