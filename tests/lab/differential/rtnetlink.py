"""RTM_GETROUTE over one netlink socket: what the kernel of this thread's network namespace does with a packet.

The question and the answer are struct rtmsg with attributes (linux/rtnetlink.h).
"""

import socket
import struct
from types import TracebackType
from typing import Self

from msgspec import Struct

from tests.support.packet import Packet

_RTM_NEWROUTE, _RTM_GETROUTE, _NLMSG_ERROR, _REQUEST = 24, 26, 2, 1
_DST, _SRC, _IIF, _OIF, _GATEWAY, _PREFSRC, _MARK, _UID, _PROTO, _SPORT, _DPORT = 1, 2, 3, 4, 5, 7, 16, 25, 27, 28, 29
_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast"}


class Question(Struct, frozen=True, kw_only=True):
    """A packet to ask for: `interface` where it comes in, or None where this host sends it. Addresses as integers; of
    what this host sends, source 0 leaves it to the kernel.
    """

    interface: str | None
    source: int
    destination: int
    proto: int
    sport: int = 0
    dport: int = 0
    mark: int = 0
    tos: int = 0
    uid: int = 0

    def packet(self) -> Packet:
        """The same packet as the model takes it."""
        return Packet(self.source, self.destination, self.proto, self.sport, self.dport, self.mark, self.tos, self.uid)


class KernelAnswer(Struct, frozen=True):
    """`errno`, or the type of the route with the interface and the gateway by which the packet leaves, and the source
    that is chosen where none is given.
    """

    errno: int = 0
    type: str = ""
    interface: str | None = None
    gateway: int | None = None
    source: int | None = None


class RouteSocket:
    """Asks the namespace in which it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._names = dict(socket.if_nameindex())
        self._indexes = {name: index for index, name in self._names.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def knows(self, interface: str) -> bool:
        """Whether the namespace has that interface."""
        return interface in self._indexes

    def ask(self, question: Question) -> KernelAnswer:
        """The kernel's answer."""
        named = 32 if question.source else 0
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, named, question.tos, 0, 0, 0, 0, 0)
        body += _attribute(_DST, struct.pack("!I", question.destination))
        if named:
            body += _attribute(_SRC, struct.pack("!I", question.source))
        if question.interface is not None:
            body += _attribute(_IIF, struct.pack("=I", self._indexes[question.interface]))
        else:
            body += _attribute(_UID, struct.pack("=I", question.uid))
        body += _attribute(_MARK, struct.pack("=I", question.mark))
        body += _attribute(_PROTO, struct.pack("=B", question.proto))
        if question.sport:
            body += _attribute(_SPORT, struct.pack("!H", question.sport))
        if question.dport:
            body += _attribute(_DPORT, struct.pack("!H", question.dport))
        self._socket.send(struct.pack("=IHHII", 16 + len(body), _RTM_GETROUTE, _REQUEST, 1, 0) + body)
        return self._read(self._socket.recv(8192))

    def _read(self, reply: bytes) -> KernelAnswer:
        _, kind, _, _, _ = struct.unpack_from("=IHHII", reply)
        if kind == _NLMSG_ERROR:
            return KernelAnswer(errno=-struct.unpack_from("=i", reply, 16)[0])
        if kind != _RTM_NEWROUTE:
            raise RuntimeError(f"netlink message {kind} in reply to RTM_GETROUTE")
        length, kind = struct.unpack_from("=I", reply)[0], reply[16 + 7]
        interface, gateway, source, offset = None, None, None, 16 + 12
        while offset + 4 <= length:
            size, attribute = struct.unpack_from("=HH", reply, offset)
            if attribute == _OIF:
                interface = self._names.get(struct.unpack_from("=I", reply, offset + 4)[0])
            elif attribute == _GATEWAY:
                gateway = struct.unpack_from("!I", reply, offset + 4)[0]
            elif attribute == _PREFSRC:
                source = struct.unpack_from("!I", reply, offset + 4)[0]
            offset += (size + 3) & ~3
        return KernelAnswer(type=_TYPES.get(kind, str(kind)), interface=interface, gateway=gateway, source=source)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
