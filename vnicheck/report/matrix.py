"""The matrix: of each address, in and out, what becomes of flows by where their remotes are. Shared by the formats that
people read.

A cell is judged over what is open: flows that the VPC's policy closes, or that nobody is meant to have, say something
only where there are no others. Flows that stay inside the server say nothing of its addresses.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from msgspec import Struct, UnsetType

from vnicheck.engine.partition import parse_ports, to_ports
from vnicheck.findings.terms import SHORT, SHORT_STAGES
from vnicheck.model.address import prefix_range
from vnicheck.model.flow import Direction, DropCode, Flow, Outcome, Protocol, Scope, Stage, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import listed
from vnicheck.report.reach import remotes

COLUMNS = ("subnet", "VPC", "private", "services", "internet")
"""What the scopes are called, in the order of Scope."""
WAYS = {Direction.INBOUND: "in", Direction.OUTBOUND: "out", Direction.TRANSIT: "via"}
_PORTS = 3
_DEVICES = 3
_ROWS = 6
"""Addresses beyond which those that fare alike share their rows."""
ALL_PORTS = ("1-65535",)
_PROTOCOL_WORDS = {Protocol.ICMP: "ping"}
_WORDS = {
    "state": "state: the VNI saw no SYN",
    "spoofing": "spoofing: not the VNI's own source",
    "no FIP": "FIP: floating IP",
    "other FIP": "FIP: floating IP",
    "no PGW": "PGW: public gateway",
}
"""What readers who come from elsewhere than IBM Cloud would look up: short enough to stand in one line, all of them."""


class Mark(StrEnum):
    """What becomes of flows; `at risk` of an address, or a server, as a whole."""

    WORKS = "works"
    DROPPED = "dropped"
    AT_RISK = "at risk"
    UNKNOWN = "unknown"
    CLOSED = "closed"


class Part(Struct, frozen=True):
    """Flows of a cell that fare alike. `what`: their protocols and ports, where they are not all that is open; `why`:
    the stage that drops them or that is not known.
    """

    mark: Mark
    what: str = ""
    why: str = ""


class Cell(Struct, frozen=True):
    """One address, direction and scope. `mixed`: who fares how, where it depends on the remote; the parts are then
    those of all remotes together.
    """

    parts: tuple[Part, ...] = ()
    mixed: tuple[tuple[Part, str], ...] = ()

    @property
    def marks(self) -> frozenset[Mark]:
        """What becomes of its flows."""
        return frozenset(part.mark for part in self.parts)


class Row(Struct, frozen=True):
    """One direction of an address of the server (of transit: of the VPC route's destination)."""

    direction: Direction
    cells: tuple[Cell, ...]
    """In the order of Scope."""

    @property
    def marks(self) -> frozenset[Mark]:
        """What becomes of its open flows."""
        return frozenset(mark for cell in self.cells for mark in cell.marks) - {Mark.CLOSED}


class AddressRows(Struct, frozen=True):
    """An address, where it belongs (the guest's interface, or the VNI's name), and its rows."""

    address: str
    place: str
    rows: tuple[Row, ...]

    def row(self, direction: Direction) -> Row | None:
        """That of one direction."""
        return next((row for row in self.rows if row.direction is direction), None)


def matrix_of(instance: InstanceReport) -> tuple[AddressRows, ...]:
    """The rows of every address, in the order of the interfaces; none where there are no flows."""
    place_of = {
        address: interface.name
        for interface in instance.interfaces
        if interface.vni is not None
        for address in (*interface.vni.addresses, *interface.vni.floating_ips)
    }
    by_address: dict[tuple[bool, str], dict[Direction, list[Flow]]] = {}
    for flow in instance.flows:
        if flow.is_of_vpc:
            key = (flow.direction is Direction.TRANSIT, flow.local)
            by_address.setdefault(key, {}).setdefault(flow.direction, []).append(flow)
    order = {address: position for position, address in enumerate(place_of)}
    keys = sorted(by_address, key=lambda key: (key[0], order.get(key[1], len(order))))
    return tuple(
        AddressRows(
            address,
            "" if transit else place_of.get(address, ""),
            tuple(
                Row(direction, tuple(_cells(by_address[transit, address][direction], instance.flows)))
                for direction in Direction
                if direction in by_address[transit, address]
            ),
        )
        for transit, address in keys
    )


def legend(matrix: Sequence[AddressRows], instance: InstanceReport) -> str:
    """What words of the cells mean, in one line, and what is left out; empty where they say it themselves."""
    devices = dict.fromkeys(flow.egress for flow in instance.flows if flow.stays_inside is True and flow.egress)
    left_out = [f"left out: the server's own networks behind {listed(list(devices), _DEVICES)}"] if devices else []
    cells = [cell for rows in matrix for row in rows.rows for cell in row.cells]
    used = {part.why for cell in cells for part in cell.parts}
    return "; ".join([*dict.fromkeys(said for word, said in _WORDS.items() if word in used), *left_out])


def alike(matrix: Sequence[AddressRows]) -> list[list[AddressRows]]:
    """Addresses one by one; where there are many, those that fare alike together."""
    if len(matrix) <= _ROWS:
        return [[rows] for rows in matrix]
    groups = grouped((tuple((row.direction, row.cells) for row in rows.rows), rows) for rows in matrix)
    return list(groups.values())


def _cells(flows: Sequence[Flow], everything: Sequence[Flow]) -> Iterator[Cell]:
    by_scope = grouped((flow.remote_scope, flow) for flow in flows)
    return (_cell(by_scope.get(scope, []), everything) for scope in Scope)


def _cell(flows: Sequence[Flow], everything: Sequence[Flow]) -> Cell:
    fates = grouped((fate_of(flow), flow) for flow in flows)
    closed = [flow for (mark, _), them in fates.items() if mark is Mark.CLOSED for flow in them]
    open_ = {fate: them for fate, them in fates.items() if fate[0] is not Mark.CLOSED}
    if not open_:
        return Cell(tuple(Part(mark, "", why) for mark, why in list(fates)[:1]))
    named = _names(open_, closed)
    parts = tuple(Part(mark, what, why) for ((mark, why), _), what in zip(open_.items(), named, strict=True))
    return Cell(parts, tuple(_by_remote(open_, everything)) if len(open_) > 1 else ())


def fate_of(flow: Flow) -> tuple[Mark, str]:
    """What becomes of a flow, and the short word for what does it."""
    match flow.verdict:
        case Verdict.DELIVERED:
            return Mark.WORKS, ""
        case Verdict.UNKNOWN:
            hop = next((hop for hop in flow.hops if hop.outcome is Outcome.UNKNOWN), None)
            return Mark.UNKNOWN, "" if hop is None else SHORT_STAGES[hop.stage]
        case Verdict.DROPPED:
            first = flow.drops[0]
            forwards = flow.direction is Direction.TRANSIT and first.by is DropCode.NOT_LOCAL
            why = "not forwarded" if forwards else SHORT[first.by]
            if any(drop.by is DropCode.NO_FLOATING_IP for drop in flow.drops):  # whatever else drops it
                why = "no FIP" if flow.direction is Direction.INBOUND else "no PGW"
            if any(hop.outcome is Outcome.DROP and hop.stage is Stage.REMOTE_ACL for hop in flow.hops):
                why = SHORT_STAGES[Stage.REMOTE_ACL]
            return (Mark.DROPPED if flow.findings else Mark.CLOSED), why


def _names(open_: dict[tuple[Mark, str], list[Flow]], closed: Sequence[Flow]) -> list[str]:
    """What tells the parts apart: nothing where there is one, of all that there is. Of several that fare alike for
    other reasons the largest, the rest, goes without.
    """
    words = [_protocols_and_ports(them) for them in open_.values()]
    if closed:
        return words
    if len(words) == 1:
        return [""]
    marks = [mark for mark, _ in open_]
    sizes = [len({flow.protocol for flow in them}) if marks.count(mark) > 1 else 0 for (mark, _), them in open_.items()]
    rest = max(range(len(words)), key=lambda position: sizes[position]) if any(sizes) else None
    return ["" if position == rest else word for position, word in enumerate(words)]


def _protocols_and_ports(flows: Iterable[Flow]) -> str:
    """`22,443 ping`: ports without a protocol are tcp's; nothing where it is all of every protocol."""
    ports: dict[Protocol, dict[str, None]] = {}
    for flow in flows:
        known = ports.setdefault(flow.protocol, {})
        known.update(dict.fromkeys(() if isinstance(flow.ports, UnsetType) else flow.ports))
    words = []
    for protocol in Protocol:
        if protocol not in ports:
            continue
        listed_ports = to_ports(map(parse_ports, ports[protocol]))
        if protocol is Protocol.ICMP:
            words.append(_PROTOCOL_WORDS[protocol])
        elif tuple(listed_ports) == ALL_PORTS:
            words.append(protocol.value)
        else:
            more = f",+{len(listed_ports) - _PORTS}" if len(listed_ports) > _PORTS else ""
            said = ",".join(listed_ports[:_PORTS]) + more
            words.append(said if protocol is Protocol.TCP else f"{protocol.value} {said}")
    return "" if words == [_PROTOCOL_WORDS.get(each, each.value) for each in Protocol] else " ".join(words)


def _by_remote(open_: dict[tuple[Mark, str], list[Flow]], everything: Sequence[Flow]) -> Iterator[tuple[Part, str]]:
    """Where the remotes of the parts differ: of protocols that fare alike together, each fate with its remotes, the
    fewest first; the last has the rest. What is so of several protocols is said once.
    """
    alike: dict[tuple[tuple[tuple[Mark, str], frozenset[str]], ...], list[Protocol]] = {}
    for protocol in Protocol:
        fares = []
        for fate, them in open_.items():
            mine = frozenset(prefix for flow in them if flow.protocol is protocol for prefix in flow.remote)
            if mine:
                fares.append((fate, mine))
        if fares:
            alike.setdefault(tuple(fares), []).append(protocol)
    if all(len({mine for _, mine in reach}) == 1 for reach in alike):
        return
    said: dict[tuple[tuple[Mark, str], frozenset[str], str], list[Protocol]] = {}
    for reach, protocols in alike.items():
        for number, (fate, prefixes) in enumerate(sorted(reach, key=lambda each: _size(each[1])), 1):
            flows = [flow for flow in open_[fate] if flow.protocol is protocols[0] and prefixes >= {*flow.remote}]
            last = number == len(reach) > 1
            key = (fate, prefixes, "the rest" if last else remotes(flows, everything))
            before = said.pop(key, []) if last else said.get(key, [])  # the rest stands behind what it is the rest of
            said[key] = [*before, *protocols]
    everyone = {protocol for protocols in alike.values() for protocol in protocols}
    for ((mark, why), _, who), protocols in said.items():
        names = (_PROTOCOL_WORDS.get(each, each.value) for each in protocols)
        yield Part(mark, "" if everyone == {*protocols} else " ".join(names), why), who


def _size(prefixes: Iterable[str]) -> int:
    """How many addresses there are in them."""
    return sum(last - first + 1 for first, last in map(prefix_range, prefixes))
