"""Real packets on the far ends of the veth pairs, and what the kernel's counters say became of them."""

import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from tests.lab.differential.compare import Disagreement, Tally
from tests.lab.differential.rtnetlink import Question
from vnicheck.guest.parsers.counters import parse_counters
from vnicheck.kernel.receive import Received, Reception
from vnicheck.model.address import prefix_range
from vnicheck.model.guest import Guest, RouteType

UDP = 17
_TRIES = 4
_IPV4 = 0x0800


def inject(guest: Guest, asked: Iterable[tuple[Question, Received]], tally: Tally) -> None:
    """Send each question as a UDP datagram and compare its fate with the model's answer, made for UDP and no mark.

    Datagrams from the guest's own and broadcast addresses are sent only where they should be refused: the ICMP error
    that answers them would come back to the guest and be counted too.
    """
    own = [prefix_range(route.prefix) for route in guest.routes if route.type is not RouteType.UNICAST]
    links = {link.name: link for link in guest.interfaces}
    for question, received in asked:
        link = links[question.interface or ""]
        far = links.get(link.name.replace("v", "p"))
        if far is None or link.name == far.name or not (link.up and link.carrier and far.up and far.carrier):
            continue
        refused = received.reception in {Reception.MARTIAN_SOURCE, Reception.RP_FILTER}
        if not refused and any(first <= question.source <= last for first, last in own):
            continue
        delta = _effect(far.name, link.mac or "", question)
        if delta is None:
            continue
        tally.packets += 1
        if delta != expected(received.reception):
            tally.disagreements.append(Disagreement("packet", question, str(delta), str(received)))


def _effect(interface: str, mac: str, question: Question) -> dict[str, int] | None:
    """How the counters change. Another packet may be counted in between, such as an ICMP error for an earlier one
    whose next hop did not answer: then it is sent again, and after a few times given up.
    """
    for _ in range(_TRIES):
        before = _counters()
        _send(interface, mac, question)
        after = _counters()
        delta = {name: after[name] - before[name] for name in before}
        if delta["IpInReceives"] == 1:
            return delta
    return None


def expected(reception: Reception) -> dict[str, int]:
    """How the counters change with a packet of that fate."""
    return {
        "IpInReceives": 1,
        "IpInDelivers": int(reception in {Reception.DELIVERED, Reception.BROADCAST}),
        "IpForwDatagrams": int(reception is Reception.FORWARDED),
        "TcpExtIPReversePathFilter": int(reception is Reception.RP_FILTER),
    }


def _counters() -> dict[str, int]:
    text = Path("/proc/self/net/snmp").read_text() + Path("/proc/self/net/netstat").read_text()
    counters = parse_counters(text)
    return {name: counters[name] for name in expected(Reception.DELIVERED)}


def _send(interface: str, mac: str, question: Question) -> None:
    payload = struct.pack("!HHHH", question.sport, question.dport, 8, 0)
    header = struct.pack("!BBHHHBBHII", 0x45, question.tos, 28, 1, 0, 64, UDP, 0, question.source, question.destination)
    header = header[:10] + struct.pack("!H", _checksum(header)) + header[12:]
    frame = bytes.fromhex(mac.replace(":", "")) + b"\x02\0\0\0\0\x99" + struct.pack("!H", _IPV4) + header + payload
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((interface, 0))
        sender.send(frame)


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
