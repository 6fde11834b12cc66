"""What agents told of flows that they opened, as sightings."""

from collections.abc import Iterable, Mapping, Sequence

from vnicheck.engine.server_view import ServerView
from vnicheck.model.flow import Direction, Protocol
from vnicheck.verify.agents import Heard, Told
from vnicheck.verify.capture import Packet
from vnicheck.verify.probes import SERVER, Probe
from vnicheck.verify.sightings import Sightings

_UNSENT = "not sent: "


def sightings_of(view: ServerView, probes: Sequence[Probe], heard: Mapping[str, Heard]) -> Sightings:
    """What was seen of the flows. `heard`: by the names of hosts, and of the SERVER."""
    floating = {fip.address: vni.primary_address for vni in view.server.vnis for fip in vni.floating_ips}
    seen = Sightings(view.own_addresses(), floating)
    seen.unfiltered = True
    by_number = {probe.number: probe for probe in probes}
    for name, each in heard.items():
        if each.opened is not None:
            for number, answer, tries, _ in each.opened.opened:
                probe = by_number.get(number)
                if probe is not None and probe.opener == name:
                    _opened(seen, probe, answer, tries)
    for probe in probes:
        key, answerer = probe.key, heard.get(SERVER if probe.opener != SERVER else probe.host)
        if answerer is not None and answerer.ready is not None:
            place = _place(probe)
            served = place not in {(kind, at, port) for kind, at, port, _ in answerer.ready.failed}
            seen.of(key).served = served
            if answerer.watched is not None and served and key.protocol is not Protocol.ICMP:
                ends = (key.remote, key.local) if key.direction is Direction.INBOUND else (key.local, key.remote)
                seen.met[key.direction, key.local, key.remote] = ends in answerer.watched.asked
    known = {(probe.key.protocol, probe.key.port, _answerer(probe)): probe for probe in probes}
    for name, each in heard.items():
        if each.watched is None or each.ready is None or not each.ready.ready:
            continue
        if name == SERVER:
            seen.add_server(_packets(each.watched.packets, known), whole=not each.watched.lost)
        else:
            for remote, near in {(probe.key.remote, probe.near) for probe in probes if probe.host == name}:
                own = [packet for packet in each.watched.packets if near in (packet[3], packet[5])]
                seen.add_remote(_packets(own, known), remote)
                if each.watched.lost:
                    seen.watched_remotes.discard(remote)
    for key in set(seen.flows) - {probe.key for probe in probes}:
        del seen.flows[key]  # others' packets between the same ends
    return seen


def _opened(seen: Sightings, probe: Probe, answer: str, tries: int) -> None:
    sighting = seen.of(probe.key)
    sighting.tried = tries
    sighting.taken = answer in {"answered", "refused"}
    sighting.refused = answer == "refused"
    if answer.startswith(_UNSENT):
        sighting.unsent = answer.removeprefix(_UNSENT)
        sighting.tried = 0 if probe.opener != SERVER else tries


def _place(probe: Probe) -> tuple[str, str, int]:
    return probe.key.protocol.value, _answerer(probe), probe.key.port


def _answerer(probe: Probe) -> str:
    """The address, as the answering side itself has it."""
    return probe.key.local if probe.key.direction is Direction.INBOUND else probe.key.remote


def _packets(packets: Iterable[Told], known: Mapping[tuple[Protocol, int, str], Probe]) -> Iterable[Packet]:
    """Of UDP it is known which end opened: the other has the probed port."""
    ports = {(protocol, port) for protocol, port, _ in known}
    for interface, out, protocol, source, source_port, destination, destination_port, flags in packets:
        said = flags
        if protocol is Protocol.UDP:
            said = "request" if (protocol, destination_port) in ports else "reply"
        yield Packet(
            at=None,
            interface=interface,
            out=out,
            protocol=protocol,
            source=source,
            source_port=source_port,
            destination=destination,
            destination_port=destination_port,
            flags=said,
        )
