"""Where a change of a guest's rules and routes leads packets another way, over all packets: every mark, TOS, user,
protocol and port.
"""

from collections.abc import Hashable, Iterable, Iterator

from msgspec import Struct

from vnicheck.kernel.host import HiddenState, Host
from vnicheck.kernel.lookup import TableMaps
from vnicheck.kernel.open_fields import MARK, TOS, UID, ZERO, Box
from vnicheck.kernel.send import Departures, NotSent, Ways
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import Range
from vnicheck.model.address_map import zipped
from vnicheck.model.guest import Guest

_TOUCHED = HiddenState(custom_rules=True, custom_local_routes=True)


class Detour(Struct, frozen=True):
    """Packets to some destinations that go another way after the change. `old`: how they went before. `singled_out`:
    by their mark, TOS or user they went another way than plain packets do.
    """

    destinations: Range
    old: Ways
    singled_out: bool


def detours(before: Guest, after: Guest, sources: Iterable[int]) -> Iterator[Detour]:
    """All of them of packets that are sent from some addresses. `after` has rules and routes more than `before`, none
    of which read more of a packet than its addresses.
    """
    tables = TableMaps()
    then = Host(before, _TOUCHED, tables=tables)
    now = Host(after, _TOUCHED, fields=then.fields, tables=tables)
    for source in sources:
        yield from _of_source(then, now, source)


def _of_source(then: Host, now: Host, source: int) -> Iterator[Detour]:
    old, new = Departures(then, source), Departures(now, source)
    everything = then.fields.everything()
    known: dict[tuple[int, int], list[tuple[Ways, bool]]] = {}
    for first, last, (was, becomes) in zipped([old.found, new.found]).stretches(0, 0xFFFFFFFF):
        key = (id(was), id(becomes))
        if key not in known:
            known[key] = list(_changed(old.ways(was, everything), new.ways(becomes, everything)))
        for ways, singled_out in known[key]:
            yield Detour((first, last), ways, singled_out)


def _changed(old: list[tuple[Box, Ways]], new: list[tuple[Box, Ways]]) -> Iterator[tuple[Ways, bool]]:
    plain = {_essence(ways) for part, ways in old if part[MARK] & part[TOS] & part[UID] & ZERO}
    for part, was in old:
        for other, becomes in new:
            meets = all(values & others for values, others in zip(part, other, strict=True))
            if meets and _essence(was) != _essence(becomes):
                yield was, _essence(was) not in plain


def _essence(ways: Ways) -> Hashable:
    if isinstance(ways, Unknown):
        return ways.reason
    if isinstance(ways, NotSent):
        return ways.essence
    return tuple((way.interface, way.gateway) for way in ways)
