"""Captures that the user names: `FILE`, `-`, `eth1=FILE`, `client:ADDRESS=FILE`."""

import re
import socket
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence
from functools import reduce
from io import StringIO
from itertools import chain
from pathlib import Path

from msgspec import Struct

from vnicheck.cli.failure import UserError
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import is_address
from vnicheck.model.flow import Protocol
from vnicheck.model.lines import is_plain_interface
from vnicheck.model.snapshot import Server
from vnicheck.model.words import one_line
from vnicheck.system.files import UnreadableError, read_named
from vnicheck.verify.capture import MAX_BYTES, Capture, CaptureError, Packet, read_capture
from vnicheck.verify.sightings import Run, Sightings, place_in_conversation, run_of

_CLIENT = re.compile(r"client:([^=]*)=(.*)", re.DOTALL)


class CaptureFile(Struct, frozen=True, kw_only=True):
    """A capture's text. `name`: as the user knows it; `interface`: of a capture of that alone; `client`: of one on that
    remote, not on the server.
    """

    name: str
    text: str
    interface: str | None = None
    client: str | None = None


def read_captures(specs: Sequence[str]) -> tuple[CaptureFile, ...]:
    """The files. Raises UserError."""
    if sum(spec == "-" or spec.endswith("=-") for spec in specs) > 1:
        raise UserError("--capture: only one can come from stdin")
    return tuple(map(_read, specs))


def _read(spec: str) -> CaptureFile:
    client = _CLIENT.fullmatch(spec)
    if client is not None:
        if not is_address(client[1]):
            raise UserError(f"--capture {one_line(spec, 80)!r}: write client:ADDRESS=FILE, as 10.8.0.4")
        return CaptureFile(name=client[2], text=_text(client[2]), client=client[1])
    name, equals, file = spec.partition("=")
    if equals and is_plain_interface(name) and not Path(spec).exists():
        return CaptureFile(name=file, text=_text(file), interface=None if name == "any" else name)
    return CaptureFile(name=spec, text=_text(spec))


def _text(file: str) -> str:
    if not file:
        raise UserError("--capture names no file; '-' is stdin")
    try:
        if file != "-":
            data = read_named(Path(file), MAX_BYTES)
        elif sys.stdin.isatty():
            raise UserError(
                "--capture -: pipe tcpdump's text in, as in: ssh HOST cat capture.txt | vnicheck verify ..."
            )
        else:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except UnreadableError as error:
        raise UserError(f"--capture: {error}") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"--capture -: more than {MAX_BYTES >> 20} MiB; capture fewer packets, as in: host ADDRESS")
    if data[:4] in _PCAP:
        raise UserError(
            f"--capture {one_line(file, 80)}: this is tcpdump's binary file; print it on the server, where interfaces "
            "have their names: tcpdump -nn -r FILE"
        )
    packed = next((name for start, name in _PACKED.items() if data.startswith(start)), None)
    if packed is not None:
        raise UserError(f"--capture {one_line(file, 80)}: this is compressed ({packed}); unpack it first")
    # a console of Windows writes what a command prints as UTF-16
    return data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig", errors="replace")


_MAGICS = [number.to_bytes(4, "big") for number in (0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34, 0x0A0D0D0A)]
_PCAP = {*_MAGICS, *(magic[::-1] for magic in _MAGICS)}
"""How pcap files (microseconds, nanoseconds, with more of each packet) and pcapng files begin."""
_DAY = 86_400
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}


def sightings_of(view: ServerView, files: Sequence[CaptureFile]) -> tuple[Sightings, tuple[str, ...]]:
    """What the captures show of a server's flows, and what is to be told of how they were read. Raises UserError."""
    server = view.server
    floating = {fip.address: vni.primary_address for vni in server.vnis for fip in vni.floating_ips}
    seen = Sightings(view.own_addresses(), floating)
    notes: list[str] = []
    single: list[list[Packet]] = []
    lost: list[bool] = []
    unnamed = False
    known = [link.name for link in server.guest.interfaces] if server.guest is not None else []
    for file in files:
        if file.interface is not None and file.interface not in known:
            raise UserError(f"--capture {file.interface}=...: {_no_interface(server, file.interface, known)}")
        if file.client is not None and file.client in view.own_addresses():
            raise UserError(f"--capture client:{file.client}=...: that is an address of the server itself")
        told = Capture()
        packets = read_capture(StringIO(file.text), told, _port_number, interface=file.interface)
        before = seen.foreign
        try:
            if file.client is not None:
                seen.add_remote(packets, file.client)
            elif file.interface is None:
                seen.add_server(packets)
            else:
                single.append(list(packets))
        except CaptureError as error:
            raise UserError(f"--capture {one_line(file.name, 80)}: {error}") from error
        if seen.foreign - before == told.read:
            raise UserError(
                f"--capture {one_line(file.name, 80)}: none of its {told.read} packets goes to or from an address of "
                f"{one_line(server.name, 60)}; whose capture is it?"
            )
        notes += _notes(file, told)
        lost.append(bool(told.lost))
        unnamed |= file.client is None and file.interface is None and bool(told.without_interface)
    if single:
        captured = {file.interface for file in files}
        runs = [run_of(file) for file in single]
        together = reduce(Run.within, runs)
        seen.add_server(_merged(single), whole=captured >= set(view.interface_of.values()), run=together)
    names = sorted(seen.named)
    if names and not seen.named & set(known):
        said = _no_interface(server, names[0], known)
        raise UserError(f"--capture: {said}; a binary file is printed on the server, where interfaces have their names")
    if unnamed:  # it may be of one interface alone
        seen.watched_server = False
    if any(lost):  # then what was not seen may have been there
        seen.watched_server = False
        seen.watched_remotes.clear()
    return seen, tuple(notes)


def _merged(files: Sequence[list[Packet]]) -> list[Packet]:
    """The packets of one server's interfaces: requests and answers may be in different files. Where times do not tell
    how they follow each other (none, -ttt, -ttttt, or of different kinds), what opens comes first, then what answers.
    """
    if len(files) == 1:
        return files[0]
    times = [[packet.at for packet in file if packet.at is not None] for file in files]
    whole = all(len(each) == len(file) for each, file in zip(times, files, strict=True))
    comparable = whole and all(each == sorted(each) and each[0] > 0 for each in times)
    if comparable and max(each[-1] for each in times) - min(each[0] for each in times) <= _DAY:
        return sorted(chain(*files), key=lambda packet: packet.at or 0.0)
    return sorted(chain(*files), key=place_in_conversation)


def _no_interface(server: Server, name: str, known: Sequence[str]) -> str:
    some = ", ".join(one_line(each, 20) for each in known[:8])
    return f"{one_line(name, 40)!r} is no interface of {one_line(server.name, 60)}, which has {some}"


def _notes(file: CaptureFile, told: Capture) -> list[str]:
    name = one_line(file.name, 80)
    notes = []
    if told.without_interface and file.client is None:
        notes.append(
            f"{name}: {told.without_interface} of {told.read} packets do not say by which interface they went; tcpdump "
            "before 4.99 does not with 'any': capture each, and give eth0=FILE and eth1=FILE"
        )
    if told.lost:
        notes.append(
            f"{name}: tcpdump lost {told.lost} packets or parts of them, so that what is not shown may have been there"
        )
    if told.named:
        notes.append(
            f"{name}: {told.named} lines have names for addresses or ports, and were left out; use tcpdump -nn"
        )
    return notes


def _port_number(name: str, protocol: Protocol) -> int | None:
    """Of a service, as this machine's /etc/services has it."""
    try:
        return socket.getservbyname(name, protocol.value)
    except OSError:
        return None
