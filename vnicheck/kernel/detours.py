"""Where a change of a guest's rules and routes leads packets another way, over all packets: every mark, TOS, user,
protocol and port.
"""

from collections.abc import Hashable, Iterable, Iterator
from functools import partial

from msgspec import Struct

from vnicheck.kernel.host import HiddenState, Host
from vnicheck.kernel.lookup import TableMaps
from vnicheck.kernel.open_fields import ZERO, Effort, Tree, Unlike
from vnicheck.kernel.send import Departures, NotSent, Ways
from vnicheck.kernel.undetermined import Undetermined, Unknown
from vnicheck.model.address import LAST, Range
from vnicheck.model.address_map import zipped
from vnicheck.model.guest import Guest
from vnicheck.model.memo import Memo

_TOUCHED = HiddenState(custom_rules=True, custom_local_routes=True)


class Detour(Struct, frozen=True):
    """Packets to some destinations that go another way after the change. `old`: how they went before. `singled_out`:
    by their mark, TOS or user they went another way than plain packets do.
    """

    destinations: Range
    old: Ways
    singled_out: bool


class Detours:
    """Those of packets that are sent from a guest's addresses, for any changes of its rules and routes."""

    def __init__(self, guest: Guest) -> None:
        self._tables = TableMaps()
        self._then = Host(guest, _TOUCHED, tables=self._tables)
        self._departures = Memo()
        self._plain = Memo()

    def after(self, changed: Guest, sources: Iterable[int]) -> Iterator[Detour]:
        """All that a change makes for packets from some addresses. The guest has rules and routes more now, none of
        which read more of a packet than its addresses.
        """
        now = Host(changed, _TOUCHED, fields=self._then.fields, tables=self._tables)
        for source in sources:
            old = self._departures.once(source, partial(Departures, self._then, source))
            yield from self._of_source(old, Departures(now, source), now.effort)

    def _of_source(self, old: Departures, new: Departures, effort: Effort) -> Iterator[Detour]:
        apart = Unlike(effort)
        known: dict[tuple[int, int], list[tuple[Ways, bool]]] = {}
        for first, last, (was, becomes) in zipped([old.found, new.found]).stretches(0, LAST):
            key = (id(was), id(becomes))
            if key not in known:
                known[key] = list(self._changed(old, was, new, becomes, apart))
            for ways, singled_out in known[key]:
                yield Detour((first, last), ways, singled_out)

    def _changed(
        self, old: Departures, was: Tree, new: Departures, becomes: Tree, apart: Unlike
    ) -> Iterator[tuple[Ways, bool]]:
        """The ways that change, and whether packets were singled out that went there."""
        try:
            pairs = list(apart.pairs(was, becomes, self._then.fields.everything()))
            plain = self._plain.once((id(old), id(was)), lambda: self._of_plain(old, was))
        except Undetermined as reason:
            yield Unknown(str(reason)), False
            return
        for before, after in ((old.ways_of(before), new.ways_of(after)) for before, after in pairs):
            if _essence(before) != _essence(after):
                yield before, _essence(before) not in plain

    def _of_plain(self, old: Departures, was: Tree) -> set[Hashable]:
        """How packets without mark, TOS and user go."""
        plain = self._then.fields.everything()._replace(mark=ZERO, tos=ZERO, uid=ZERO)
        return {_essence(old.ways_of(leaf)) for leaf, _ in Unlike(Effort()).pairs(was, None, plain)}


def _essence(ways: Ways) -> Hashable:
    if isinstance(ways, Unknown):
        return ways.reason
    if isinstance(ways, NotSent):
        return ways.essence
    return tuple((way.interface, way.gateway) for way in ways)
