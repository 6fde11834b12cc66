# ruff: noqa: UP006, UP035, UP045, B905, RUF005 - it runs on servers' Python 3.6, too
"""Runs on a server or a client while flows are probed: watches, answers, opens. Standard library only.

It ends when its standard input does, when nobody reads its output any more, or after `seconds`; it writes no file and
starts no process. Standard output, a line of JSON each: `{"ready": ...}`; after a line that says go, `{"opened": ...}`;
at the end of its input `{"packets": ...}`; an empty line every quarter of a second.
"""

import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple  # noqa: F401 - in comments

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PACKET_OUTGOING, SO_ATTACH_FILTER, SOL_PACKET, PACKET_STATISTICS = 4, 26, 263, 6
WAIT = 0.9  # seconds for an answer: a SYN is repeated after one (RFC 6298), and one packet is to be one try
TRIES = 2
QUESTION, MOST_ANSWERS = b"vnicheck", 600  # to one remote: its flows, each tried twice
MOST_PACKETS, BEAT = 4000, 0.25
NAMES = {1: "icmp", 6: "tcp", 17: "udp"}


def say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n" if said else "\n")
    sys.stdout.flush()


def echo_request(identity: int, number: int) -> bytes:
    rest = struct.pack("!HH", identity, number) + b"vnicheck"
    total = 0x0800 + sum(struct.unpack("!6H", rest))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH", 8, 0, ~(total + (total >> 16)) & 0xFFFF) + rest


class Watch:
    """What comes and goes between this machine and some remotes; None of `sock`: that is not allowed."""

    def __init__(self, remotes: List[str]) -> None:
        self.packets = []  # type: List[List[Any]]
        self.sock = None  # type: Optional[socket.socket]
        self.why = ""
        try:
            # what is sent is shown to ETH_P_ALL alone
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self._filter(sock, remotes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            sock.setblocking(False)
            self.sock = sock
        except OSError as error:
            self.why = os.strerror(error.errno or 0)

    @staticmethod
    def _filter(sock: socket.socket, remotes: List[str]) -> None:
        """Classic BPF: of packets without their link header, those whose source or destination is a remote."""
        numbers = [struct.unpack("!I", socket.inet_aton(remote))[0] for remote in remotes]
        code = []  # type: List[Tuple[int, int, int, int]]
        total = 2 * (len(numbers) + 1)
        for offset in (12, 16):
            code.append((0x20, 0, 0, offset))
            for number in numbers:
                code.append((0x15, total - len(code), 0, number))
        code += [(0x06, 0, 0, 0), (0x06, 0, 0, 128)]
        buffer = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
        program = struct.pack("HL", len(code), ctypes.addressof(buffer))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def read(self) -> None:
        while self.sock is not None:
            try:
                data, (interface, protocol, kind, _, _) = self.sock.recvfrom(256)
            except OSError:
                return
            if protocol == ETH_P_IP and kind in (0, PACKET_OUTGOING) and len(self.packets) < MOST_PACKETS:
                packet = parsed(data)
                if packet is not None:
                    self.packets.append([interface, kind == PACKET_OUTGOING] + packet)

    def lost(self) -> int:
        """Packets that came and could not be kept."""
        if self.sock is None:
            return 0
        _, dropped = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return int(dropped) + (len(self.packets) == MOST_PACKETS)


def parsed(data: bytes) -> Optional[List[Any]]:
    """Protocol, ends with their ports (of an echo its number), and TCP's flags or the kind of echo."""
    if len(data) < 20 or data[0] >> 4 != 4 or struct.unpack("!H", data[6:8])[0] & 0x1FFF:
        return None
    name, rest = NAMES.get(data[9]), data[(data[0] & 15) * 4 :]
    if name is None or len(rest) < 8:
        return None
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    first, second = struct.unpack("!HH", rest[:4])
    flags = ""
    if name == "icmp":
        if rest[0] not in (0, 8):
            return None
        flags = "request" if rest[0] == 8 else "reply"
        first = second = struct.unpack("!H", rest[4:6])[0]
    elif name == "tcp":
        if len(rest) < 14:
            return None
        bits = rest[13]
        flags = "".join(letter for bit, letter in ((2, "S"), (1, "F"), (4, "R"), (8, "P"), (16, ".")) if bits & bit)
    return [name, source, first, destination, second, flags]


class Answers:
    """Sockets that answer: TCP is accepted and reset, a question of the remotes by UDP answered, an answer never.
    `asked`: who asked, and at which address."""

    def __init__(self, wanted: List[List[Any]], remotes: List[str]) -> None:
        self.sockets = {}  # type: Dict[int, socket.socket]
        self.failed, self.asked = [], set()  # type: List[List[Any]], Set[Tuple[str, str]]
        self._left = dict.fromkeys(remotes, MOST_ANSWERS)
        for protocol, address, port in wanted:
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            sock = socket.socket(socket.AF_INET, kind)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if protocol == "tcp" else 0)
                sock.setblocking(False)
                sock.bind((address, port))
                if protocol == "tcp":
                    sock.listen(64)
                self.sockets[sock.fileno()] = sock
            except OSError as error:
                sock.close()
                self.failed.append([protocol, address, port, errno.errorcode.get(error.errno or 0, "")])

    def answer(self, number: int) -> None:
        sock = self.sockets[number]
        try:
            if sock.type == socket.SOCK_STREAM:
                taken, peer = sock.accept()
                reset(taken)
            else:
                data, peer = sock.recvfrom(64)
                if data != QUESTION or not self._left.get(peer[0], 0):
                    return
                self._left[peer[0]] -= 1
                sock.sendto(b"answered", peer)
            self.asked.add((peer[0], sock.getsockname()[0]))
        except OSError:
            return


def reset(sock: socket.socket) -> None:
    """Close without a further word but RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Opened:
    """A flow that is opened from here, at most TRIES times, each with one opening packet from a port of its own.

    `answer`: `answered`, `refused` (a reset, or ICMP), `none`, or why it could not be sent. `tries`: how many.
    """

    def __init__(self, flow: Dict[str, Any]) -> None:
        self.flow = flow
        self.sock = None  # type: Optional[socket.socket]
        self.answer = ""
        self.tries = 0
        self.until = 0.0
        self.source = ""

    def go(self, now: float) -> None:
        """The next try, when the one before has had its time."""
        if self.answer or now < self.until:
            return
        self.close()
        if self.tries == TRIES:
            self.answer = "none"
            return
        self.tries += 1
        self.until = now + WAIT
        try:
            self._send()
        except OSError as error:
            self._failed(error)

    def _send(self) -> None:
        protocol, there = self.flow["protocol"], (self.flow["to"], self.flow["port"])
        if protocol == "icmp":
            self.sock = sock = ping_socket()
        else:
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            self.sock = sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        if self.flow["local"]:
            sock.bind((self.flow["local"], 0))
        if protocol == "tcp":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
            code = sock.connect_ex(there)
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, os.strerror(code))
        elif protocol == "udp":
            sock.connect(there)
            sock.send(QUESTION)
        else:
            sock.connect((there[0], 0))
            sock.send(echo_request(self.flow["id"], self.tries))
        self.source = sock.getsockname()[0]

    def look(self) -> None:
        """Whether an answer is there."""
        sock = self.sock
        if sock is None or self.answer:
            return
        try:
            if self.flow["protocol"] == "tcp":
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code not in (0, errno.ECONNRESET):  # established, and reset by who answered
                    raise OSError(code, os.strerror(code))
                self.answer = "answered"
                reset(sock)
                self.sock = None
                return
            data = sock.recv(256)
            if self.flow["protocol"] == "udp" or self._is_reply(data):
                self.answer = "answered"
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK):
                self._failed(error)

    def _is_reply(self, data: bytes) -> bool:
        raw = data[:1] and data[0] >> 4 == 4 and len(data) >= 28
        message = data[(data[0] & 15) * 4 :] if raw else data
        return message[:1] == b"\0" and (not raw or message[4:6] == struct.pack("!H", self.flow["id"]))

    def _failed(self, error: OSError) -> None:
        self.close()
        if error.errno == errno.ECONNREFUSED:
            self.answer = "refused"
        elif error.errno not in (errno.ETIMEDOUT, errno.EHOSTUNREACH):  # nobody answered in time, or for the address
            self.answer = "not sent: " + os.strerror(error.errno or 0)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock = None


def ping_socket() -> socket.socket:
    """Without root where the system lets groups ping (net.ipv4.ping_group_range)."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except OSError:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)


def source_of(address: str) -> Optional[str]:
    """Which address of ours a packet to there would come from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))
            return str(sock.getsockname()[0])
        except OSError:
            return None


def lines_of(path: str) -> List[str]:
    try:
        with open(path) as file:
            return file.read().splitlines()
    except OSError:
        return []


def counters() -> Dict[str, int]:
    """Those of /proc/net/netstat that tell of drops."""
    found = {}  # type: Dict[str, int]
    lines = lines_of("/proc/net/netstat")
    for names, values in zip(lines[::2], lines[1::2]):
        found.update({n: int(v) for n, v in zip(names.split()[1:], values.split()[1:])})
    return {name: found[name] for name in ("IPReversePathFilter",) if name in found}


def half_open(remotes: List[str]) -> Dict[str, int]:
    """Connections of the remotes whose SYN was answered, and of which no more was heard, by the address here."""
    found = {}  # type: Dict[str, int]
    for words in (line.split() for line in lines_of("/proc/net/tcp")[1:]):
        here, there = (socket.inet_ntoa(struct.pack("=I", int(end.split(":")[0], 16))) for end in words[1:3])
        if words[3] == "03" and there in remotes:
            found[here] = found.get(here, 0) + 1
    return found


def turns(watch: Watch, answers: Answers, flows: List[Opened]) -> Iterator[bool]:
    """Waits for what comes, again and again; each time whether our input has a line, ends at its end."""
    beat = 0.0
    while True:
        reading = [0, *answers.sockets]  # type: List[Any]
        if watch.sock is not None:
            reading.append(watch.sock)
        pending = [flow for flow in flows if flow.sock is not None]
        writing = [flow.sock for flow in pending if flow.flow["protocol"] == "tcp"]  # type: List[Any]
        reading.extend(flow.sock for flow in pending if flow.flow["protocol"] != "tcp")
        ready, done, _ = select.select(reading, writing, [], 0.05)
        watch.read()
        for number in ready:
            if isinstance(number, int) and number in answers.sockets:
                answers.answer(number)
        for flow in pending:
            if flow.sock in ready or flow.sock in done:
                flow.look()
        if time.monotonic() - beat > BEAT:
            beat = time.monotonic()
            say()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            yield b"go" in data
        else:
            yield False


def main(job: Dict[str, Any], drops: Any) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.alarm(job["seconds"])
    os.chdir("/")
    if "ask" in job:
        say(sources={address: source_of(address) for address in job["ask"]}, watches=Watch([]).sock is not None)
        return
    before, dropped = counters(), drops(job["counts_drops"])
    watch, answers = Watch(job["remotes"]), Answers(job["listen"], job["remotes"])
    flows = [Opened(flow) for flow in job["open"]]
    say(ready=watch.sock is not None, why=watch.why, failed=answers.failed)
    going = told = False
    for heard in turns(watch, answers, flows):
        going |= heard
        if going and not told:
            for flow in flows:
                flow.go(time.monotonic())
            if all(flow.answer for flow in flows):
                told = True
                say(opened=[[flow.flow["number"], flow.answer, flow.tries, flow.source] for flow in flows])
    watch.read()
    grown = {name: now - before[name] for name, now in counters().items() if name in before}
    said = {"drops": dropped.counts(), "drops_unknown": dropped.why, "half_open": half_open(job["remotes"])}
    say(packets=watch.packets, asked=sorted(answers.asked), lost=watch.lost(), counters=grown, **said)
