"""Scenarios with networks of the server's own behind it: pods, containers, machines of a tailnet, each a namespace that
answers and opens, as `fixtures/lab-own/NAME/scenario.toml` states them.
"""

import fcntl
import os
import select
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tests.lab.scenario import Clients, Scenario, read
from tests.lab.topology import Lab
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.rehearse.network import PROTOCOLS, NetworkError, Protocol
from vnicheck.rehearse.packets import Dialled, Job, exchange

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "lab-own"
_SERVER_SIDE = "02:0a:00:00:00:{index:02x}"
_GATEWAY = "169.254.1.1"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h


class Peer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is behind the server's `device`; its own end is `eth0`, and all that it sends goes there. `serves`:
    the ports that it answers on besides the scenario's, on all its addresses.
    """

    device: str
    kind: Literal["veth", "tun"] = "veth"
    addresses: tuple[str, ...]
    serves: tuple[int, ...] = ()


class Flow(Struct, frozen=True, kw_only=True):
    """From and to any two ends. `port`: None for icmp. `published`: whether the port is answered behind the server."""

    opener: str
    answerer: str
    protocol: Protocol
    port: int | None
    published: bool


class OwnScenario(Scenario, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario with peers. `own`: what gets through of flows that `expect` does not speak of, before a plan and after
    it, `"OPENER... -> ANSWERER..."`: a word is a scope of the clients, an address of a peer, a client or the server
    (0.0.0.0: whichever it takes), or ADDRESS:PORT, which something else than the scenario's servers answers.

    `unknown`: of how many flows at most the program may say that it does not know. `rules`: findings that have to be
    among its findings.
    """

    peers: tuple[Peer, ...]
    own: dict[str, str]
    unknown: int
    rules: tuple[str, ...] = ()

    @property
    def locals(self) -> tuple[str, ...]:
        """The VNIs' addresses that the server itself answers for."""
        behind = {address for peer in self.peers for address in peer.addresses}
        return tuple(address for vni in self.vnis for address in vni.addresses if address not in behind)

    def own_flows(self) -> dict[Flow, bool]:
        """Whether each gets through. Raises NetworkError where a line cannot be read."""
        flows: dict[Flow, bool] = {}
        for line, words in self.own.items():
            openers, arrow, answerers = line.partition(" -> ")
            delivered = words.split()
            if not arrow or not set(delivered) <= set(PROTOCOLS):
                raise NetworkError(f"not an expectation: {line!r} = {words!r}")
            for opener, answerer in product(self._ends(openers), self._ends(answerers)):
                address, published, port = answerer.partition(":")
                for protocol in PROTOCOLS if not published else ("tcp",):
                    on = None if protocol == "icmp" else int(port or self.ports[0])
                    flow = Flow(opener=opener, answerer=address, protocol=protocol, port=on, published=bool(published))
                    flows[flow] = protocol in delivered
        return flows

    def _ends(self, words: str) -> Iterator[str]:
        for word in words.split():
            yield from getattr(self.clients, word) if word in Clients.__struct_fields__ else (word,)


def load(name: str) -> OwnScenario:
    """The scenario of a folder under fixtures/lab-own. Raises NetworkError with the file's name."""
    return read(FOLDER / name, OwnScenario)


def names() -> list[str]:
    """The folders under fixtures/lab-own."""
    return sorted(path.parent.name for path in FOLDER.glob("*/scenario.toml"))


class OwnLab(Lab):
    """A scenario with its peers."""

    scenario: OwnScenario

    def configure_guest(self) -> None:
        self._peers: dict[str, Namespace] = {}
        for index, peer in enumerate(self.scenario.peers):
            namespace = self.keep(Namespace.create(peer.device))
            self._peers |= dict.fromkeys(peer.addresses, namespace)
            self._join(peer, namespace, _SERVER_SIDE.format(index=index))
        super().configure_guest()

    def try_own(self) -> dict[Flow, bool]:
        """Whether each of the scenario's own flows gets through, all tried at the same time."""
        flows = list(self.scenario.own_flows())
        ends = list(dict.fromkeys((self.target, self.client, *self._peers.values())))
        opened = [[flow for flow in flows if self._owner(flow.opener) is end] for end in ends]
        jobs = [
            Job(namespace=end, serves=sorted(set(self._served(flows, end))), opens=[_dial(flow) for flow in of])
            for end, of in zip(ends, opened, strict=True)
        ]
        return {
            flow: delivered
            for of, outcomes in zip(opened, exchange(jobs), strict=True)
            for flow, delivered in zip(of, outcomes, strict=True)
        }

    def _owner(self, address: str) -> Namespace:
        return self._peers.get(address, self.client if address in self.scenario.clients.addresses else self.target)

    def _served(self, flows: Iterable[Flow], end: Namespace) -> Iterator[tuple[str, int]]:
        for flow in flows:
            if flow.port is not None and not flow.published and self._owner(flow.answerer) is end:
                yield flow.answerer, flow.port
        for peer in self.scenario.peers:
            if self._peers[peer.addresses[0]] is end:
                yield from product(peer.addresses, peer.serves)

    def _join(self, peer: Peer, namespace: Namespace, mac: str) -> None:
        if peer.kind == "tun":
            self.keep(_tunnel(self.target, peer.device, namespace))
            gateway = ["route add default dev eth0"]
        else:
            far = f"peer name eth0 netns {namespace.pid}"
            self.target.ip(f"link add {peer.device} address {mac} type veth {far}")
            gateway = [
                f"neighbour replace {_GATEWAY} lladdr {mac} dev eth0 nud permanent",
                f"route add default via {_GATEWAY} dev eth0 onlink",
            ]
        self.target.ip(f"link set {peer.device} up")
        namespace.ip(
            "link set eth0 up", *(f"address add {address}/32 dev eth0" for address in peer.addresses), *gateway
        )


def _dial(flow: Flow) -> Dialled:
    return Dialled(protocol=flow.protocol, local=flow.opener, remote=flow.answerer, port=flow.port)


@contextmanager
def _tunnel(near: Namespace, device: str, far: Namespace) -> Iterator[None]:
    """Two tun devices, what is sent into one coming out of the other, as by a daemon of a tailnet on both sides."""
    ends = [near.call(lambda: _tun(device)), far.call(lambda: _tun("eth0"))]
    stop, stopped = os.pipe()
    carrying = threading.Thread(target=_carry, args=(ends, stop))
    carrying.start()
    try:
        yield
    finally:
        os.close(stopped)
        carrying.join()
        for end in (*ends, stop):
            os.close(end)


def _tun(name: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return end


def _carry(ends: list[int], stop: int) -> None:
    others = dict(zip(ends, reversed(ends), strict=True))
    while stop not in (ready := select.select([*ends, stop], [], [])[0]):
        for end in ready:
            packet = os.read(end, 65536)
            try:
                os.write(others[end], packet)
            except OSError:
                continue  # the other end is down: lost
