"""tcpdump's text, read: `tcpdump -nn -i any` on a server, or `-i eth1`, as new and old versions write it.

Source of the forms: tcpdump(8), "OUTPUT FORMAT"; 4.9 and earlier name no interface with `any`, 4.99 and later do.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from vnicheck.model.address import is_address
from vnicheck.model.flow import Protocol
from vnicheck.model.words import one_line

MAX_BYTES = 32 << 20
MAX_LINES = 2_000_000
MAX_LINE = 2000
"""Characters of a line that are looked at; what counts is at its beginning."""
PortNumber = Callable[[str, Protocol], int | None]
"""The number of a port that is given by its name, as in `10.0.0.12.http`."""

_TIME = re.compile(
    r"\s*(?:[0-9]{1,9}\s+)??(?:([0-9]{4}-[0-9]{2}-[0-9]{2})\s+)?(?:([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)"
    r"|([0-9]{1,10}\.[0-9]{6,9}))\s+"
)
"""-tttt's date, then the time of day (also -ttt's and -ttttt's), or -tt's seconds; before it -#'s number."""
_WAY = re.compile(r"(?:(\S{1,64})\s+)?(In|Out|B|M|P)\s+")
_ENDS = re.compile(
    r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:\.([A-Za-z0-9][A-Za-z0-9-]{0,30}))? > "
    r"([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?:\.([A-Za-z0-9][A-Za-z0-9-]{0,30}))?: (.*)"
)
_NAMED = re.compile(r"IP \S+ > \S+: ")
_LINK = re.compile(r".*?ethertype IPv4(?: \(0x0800\))?, (?:length [0-9]+: )?")
_CUT = re.compile(r"^truncated-ip - [0-9]{1,9} bytes missing! ")
_FLAGS = re.compile(r"Flags \[([A-Z.e]{1,10}|none)\]")
_FLAGS_BEFORE_4 = re.compile(r"([SFPRUWE]{1,7}|\.) (?:[0-9]+:[0-9]+\([0-9]+\)( ack)?|ack )")
_ICMP = re.compile(r"ICMP echo (request|reply), id ([0-9]{1,5}), seq ([0-9]{1,5})")
_FRAGMENT = re.compile(r"offset ([0-9]+)")
_NOT_PACKETS = (
    "tcpdump:",
    "tcpdump ",
    "dropped privs",
    "listening on",
    "reading from",
    "Warning:",
    "Got ",
    "$ ",
    "# ",
    "^C",
)
_TALLY = re.compile(r"([0-9]{1,18}) packets? (captured|received by filter|dropped by kernel|dropped by interface)")
_OTHERS = re.compile(r"(IP6|ARP|RARP|LLDP|STP|Request|Reply|IP)\b|.*ethertype |\S+ > \S+")


class CaptureError(ValueError):
    """A file that is no capture, or none that can be trusted; the message is one line, without the file's name."""


class Packet(Struct, frozen=True, kw_only=True):
    """An IPv4 packet of TCP, UDP or ICMP echo. `at`: seconds, where lines begin with a time. `interface`, `out`: None
    where the capture does not say. `flags`: TCP's, as tcpdump writes them (`S.`); of an echo `request` or `reply`.
    """

    at: float | None
    interface: str | None
    out: bool | None
    protocol: Protocol
    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: str = ""


class Capture(Struct, kw_only=True):
    """How a file was read: `lines` of packets, of which `named` have names for addresses, and `without_interface` do
    not say by which interface they went. `lost`: packets that tcpdump says the kernel did not give it, or that it has
    only in part (-s).
    """

    lines: int = 0
    read: int = 0
    named: int = 0
    without_interface: int = 0
    lost: int = 0


def read_capture(
    lines: Iterable[str], told: Capture, port_number: PortNumber, *, interface: str | None = None
) -> Iterator[Packet]:
    """The packets, in order, of lines with their ends. `interface`: of a capture of that interface alone. `told` is
    filled in as they are read.

    A line that is no packet's, after the first, ends it: payloads (-A) hold what a stranger wrote, which may look like
    packets. Raises CaptureError.
    """
    reader = _Reader(told, port_number, interface)
    for number, line in enumerate(lines, start=1):
        if number > MAX_LINES:
            raise CaptureError(f"it has more than {MAX_LINES} lines; capture fewer packets, as in: host ADDRESS")
        try:
            packet = reader.packet(line[:MAX_LINE].rstrip("\r\n"))
        except CaptureError as error:
            if not line.endswith("\n"):
                break  # the last one, cut off as tcpdump was ended
            raise CaptureError(f"line {number} {error}") from error
        if packet is not None:
            yield packet
    if not told.lines:
        raise CaptureError("it holds no packet as tcpdump prints them; write it with: tcpdump -nn -i any")
    if not told.read and told.named:
        raise CaptureError("its addresses are names; print it with tcpdump -nn")
    if not told.read:
        raise CaptureError("it holds no IPv4 packet of TCP, UDP or ICMP echo")


class _Reader:
    def __init__(self, told: Capture, port_number: PortNumber, interface: str | None) -> None:
        self._told, self._port_number, self._interface = told, port_number, interface
        self._timed: bool | None = None
        self._head: tuple[float | None, str | None, bool | None, str] | None = None
        """Of a packet whose ends are on the next line, as -v writes it."""

    def packet(self, line: str) -> Packet | None:
        if not line.strip():
            self._head = None
            return None
        if line[:1] in " \t" and not self._is_timed(line):
            return self._continued(line)
        self._head = None
        tally = _TALLY.match(line)
        if tally is not None and tally[2].startswith("dropped"):
            self._told.lost += int(tally[1])
        if tally is not None or line.startswith(_NOT_PACKETS):
            return None
        return self._begun(line)

    def _is_timed(self, line: str) -> bool:
        """-ttt and -# put blanks before a packet's first word."""
        return self._timed is not False and not line.startswith("\t") and _TIME.match(line) is not None

    def _begun(self, line: str) -> Packet | None:
        time = _TIME.match(line)
        rest = line[time.end() :] if time is not None else line
        way = _WAY.match(rest)
        if way is not None:
            rest = rest[way.end() :]
        if self._timed is None and (way is not None or _OTHERS.match(rest)) and (time or way or rest.startswith("IP ")):
            self._timed = time is not None
        if self._timed is None:
            return None  # what stands before the first packet: a shell's lines
        if self._timed is not (time is not None) or (way is None and not _OTHERS.match(rest)):
            raise CaptureError(
                f"is no packet's ({one_line(line, 40)!r}): print packets without their contents (no -A, no -X)"
            )
        self._told.lines += 1
        out = None if way is None or way[2] not in {"In", "Out"} else way[2] == "Out"
        if way is not None and way[2] not in {"In", "Out"}:
            return None  # broadcast, multicast, or to another host
        interface = way[1] if way is not None and way[1] is not None else self._interface
        at = _seconds(time) if time is not None else None
        link = _LINK.match(rest) if "ethertype IPv4" in rest[:200] else None
        rest = rest[link.end() :] if link is not None else rest
        if link is None and not rest.startswith("IP "):
            return None
        rest = _CUT.sub("", rest.removeprefix("IP "))
        if rest.startswith("(tos "):
            self._head = (at, interface, out, rest)
            return None
        return self._made(at, interface, out, rest, "")

    def _continued(self, line: str) -> Packet | None:
        """The second line of a packet of -v. Others (a packet within an ICMP error, options) say nothing of ours."""
        head, self._head = self._head, None
        if head is None or line.startswith("\t"):
            return None
        at, interface, out, said = head
        return self._made(at, interface, out, line.strip(), said)

    def _made(self, at: float | None, interface: str | None, out: bool | None, text: str, said: str) -> Packet | None:
        ends = _ENDS.match(text)
        if ends is None:
            if _NAMED.match(f"IP {text}"):
                self._told.named += 1
            return None
        fragment = _FRAGMENT.search(said)
        if fragment is not None and int(fragment[1]) > 0:
            return None
        source, source_name, destination, destination_name, rest = ends.groups()
        if not (is_address(source) and is_address(destination)):
            return None
        if rest.lstrip().startswith("[|"):
            self._told.lost += 1
            return None
        told = _told(rest, said, ported=source_name is not None and destination_name is not None)
        if told is None:
            return None
        protocol, flags = told
        ports = (0, 0)
        if protocol is Protocol.ICMP:
            echo = _ICMP.match(rest)
            ports = (int(echo[2]), int(echo[2])) if echo is not None else ports
        else:
            numbers = [self._number(name, protocol) for name in (source_name or "", destination_name or "")]
            if numbers[0] is None or numbers[1] is None:
                self._told.named += 1
                return None
            ports = (numbers[0], numbers[1])
        self._told.read += 1
        if interface is None:
            self._told.without_interface += 1
        return Packet(
            at=at,
            interface=interface,
            out=out,
            protocol=protocol,
            source=source,
            source_port=ports[0],
            destination=destination,
            destination_port=ports[1],
            flags=flags,
        )

    def _number(self, name: str, protocol: Protocol) -> int | None:
        if name.isdecimal():
            return int(name) if len(name) <= 5 and int(name) <= 65535 else None
        return self._port_number(name, protocol)


def _told(rest: str, said: str, *, ported: bool) -> tuple[Protocol, str] | None:
    """The protocol of what is told of a packet after its ends, and its flags; None where it is none of ours."""
    flags = _FLAGS.match(rest)
    if flags is not None and ported:
        return Protocol.TCP, "" if flags[1] == "none" else flags[1]
    flags = _FLAGS_BEFORE_4.match(rest)
    if flags is not None and ported:
        return Protocol.TCP, flags[1] + ("." if flags[2] else "")
    echo = _ICMP.match(rest)
    if echo is not None and not ported:
        return Protocol.ICMP, echo[1]
    if not ported or "proto TCP" in said or rest.startswith(("ICMP", "SCTP", "sctp", "DCCP", "tcp ")):
        return None
    return Protocol.UDP, ""


def _seconds(time: re.Match[str]) -> float:
    """Of the day, or since whatever; a difference within one capture is what is asked for."""
    if time[5] is not None:
        return float(time[5])
    return int(time[2]) * 3600 + int(time[3]) * 60 + float(time[4])
