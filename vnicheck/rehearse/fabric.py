"""What the VPC does with packets: an nftables ruleset in the fabric's namespace, whose VNIs can change at run time."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.rehearse import stages
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.rehearse.network import Network, NetworkError, Vni

CLIENTS = "clients"
"""The fabric's interface towards the clients."""
ANSWERERS = "answerers"
"""The one towards those that answer flows in transit."""

_TABLE = "ip vpc"
_TRANSACTION = 16_000
"""Characters of nftables in one transaction; in netlink they are several times as much."""


def device(index: int) -> str:
    """The fabric's interface towards a VNI, by the VNI's number."""
    return f"vni{index}"


Ends = tuple[str, int, str, int, str]
"""Of a packet: source, its port, destination, its port, protocol."""


class Traffic(Struct, frozen=True, kw_only=True):
    """What the fabric has seen of packets. `dead`: the stage and the VNI at which each was dropped first."""

    arrived: frozenset[Ends]
    left: frozenset[Ends]
    dead: dict[Ends, tuple[str, str]]


class Filter:
    """The ruleset of a network, loaded into `namespace`."""

    def __init__(self, network: Network, namespace: Namespace) -> None:
        self._network = network
        self._namespace = namespace
        self._vnis = list(network.vnis)
        rules = [line for index in range(len(self._vnis)) for line in self._rules(index)]
        self._load([*self._declarations(), *rules, *self._hooks()])

    def change(self, name: str, **changes: object) -> None:
        """Change fields of a VNI in one transaction; connections that its stages know stay known.

        Raises NetworkError for a field or value that is not a VNI's.
        """
        index = self._vnis.index(next(vni for vni in self._vnis if vni.name == name))
        fields = msgspec.structs.asdict(self._vnis[index]) | changes
        try:
            self._vnis[index] = msgspec.convert(fields, Vni)
        except msgspec.ValidationError as error:
            raise NetworkError(f"{name}: {error}") from error
        flushed = [f"flush chain {_TABLE} {chain}_{index}" for chain in stages.CHAINS]
        self._transact([*flushed, *self._rules(index)])

    def drops(self) -> dict[str, int]:
        """Packets dropped so far: `{"protocol_state_filtering vni-1": 3}`. Stages that dropped none are absent.

        `no_floating_ip` without a VNI is for packets from the internet to an address that has none.
        """
        listing = json.loads(self._namespace.run(["nft", "-j", "list", "counters", "table", *_TABLE.split()]).stdout)
        dropped = {}
        for entry in listing["nftables"]:
            counter = entry.get("counter")
            if counter is not None and counter["packets"]:
                code, _, index = counter["name"].rpartition("_")
                label = f"{code} {self._vnis[int(index)].name}" if index.isdigit() else counter["name"]
                dropped[label] = counter["packets"]
        return dropped

    def seen(self) -> "Traffic":
        """Which packets came through to the guest, left it, and died at which stage."""
        listing = json.loads(self._namespace.run(["nft", "-j", "list", "sets", "table", *_TABLE.split()]).stdout)
        sets = {entry["set"]["name"]: _ends_of(entry["set"]) for entry in listing["nftables"] if "set" in entry}
        dead: dict[Ends, tuple[str, str]] = {}
        for index, vni in enumerate(self._vnis):
            for code in stages.CODES:
                for ends in sets[f"dead_{code}_{index}"]:
                    dead.setdefault(ends, (code, vni.name))
        return Traffic(arrived=sets["arrived"], left=sets["left"], dead=dead)

    def forget(self) -> None:
        """Empties what `seen` reads, and what stages know of connections: those that come are new ones."""
        named = [*stages.SETS, *(f"dead_{code}" for code in stages.CODES)]
        sets = [*stages.SHARED_SETS, *(f"{name}_{index}" for index in range(len(self._vnis)) for name in named)]
        self._load(f"flush set {_TABLE} {name}" for name in sets)
        self._load(f"flush map {_TABLE} {name}" for name in stages.MAPS)

    def _load(self, lines: Iterable[str]) -> None:
        """In transactions that fit into what a socket without privileges of the machine may send at once."""
        batch: list[str] = []
        for line in lines:
            if batch and sum(map(len, batch)) + len(line) > _TRANSACTION:
                self._transact(batch)
                batch = []
            batch.append(line)
        self._transact(batch)

    def _transact(self, lines: Iterable[str]) -> None:
        self._namespace.run(["nft", "-f", "-"], input="\n".join(lines) + "\n")

    def _declarations(self) -> list[str]:
        internet = self._network.clients.internet
        floating = [f"{vni.floating_ip} : {vni.addresses[0]}" for vni in self._vnis if vni.floating_ip is not None]
        dynamic = "size 65536; flags dynamic"
        lines = [
            f"add table {_TABLE}",
            f"add set {_TABLE} internet {{ type ipv4_addr; {_elements(internet)} }}",
            f"add map {_TABLE} floating {{ type ipv4_addr : ipv4_addr; {_elements(floating)} }}",
            *(f"add map {_TABLE} {name} {{ {kind}; {dynamic}; }}" for name, kind in stages.MAPS.items()),
            *(f"add set {_TABLE} {name} {{ {kind}; {dynamic}; }}" for name, kind in stages.SHARED_SETS.items()),
            f"add counter {_TABLE} no_floating_ip",
        ]
        for index in range(len(self._vnis)):
            lines += [f"add set {_TABLE} {name}_{index} {{ {kind}; {dynamic}; }}" for name, kind in stages.SETS.items()]
            lines += [f"add counter {_TABLE} {code}_{index}" for code in stages.CODES]
            lines += [f"add set {_TABLE} dead_{code}_{index} {{ {stages.ENDS}; {dynamic}; }}" for code in stages.CODES]
            lines += [f"add chain {_TABLE} {chain}_{index}" for chain in stages.CHAINS]
        return lines

    def _rules(self, index: int) -> list[str]:
        chains = stages.chains(self._network, self._vnis[index], index, CLIENTS)
        return [f"add rule {_TABLE} {chain}_{index} {rule}" for chain, rules in chains.items() for rule in rules]

    def _hooks(self) -> list[str]:
        indexes = range(len(self._vnis))
        leaving = ", ".join(f"{device(index)} : jump leaving_{index}" for index in indexes)
        entering = ", ".join(f"{device(index)} : jump entering_{index}" for index in indexes)
        left, arrived = stages.crossings()
        return [
            f"add chain {_TABLE} arrival {{ type filter hook prerouting priority raw; }}",
            *(f"add rule {_TABLE} arrival {rule}" for rule in stages.arrival(CLIENTS)),
            f"add chain {_TABLE} forward {{ type filter hook forward priority filter; }}",
            *(f"add rule {_TABLE} forward {rule}" for rule in left),
            f"add rule {_TABLE} forward iifname vmap {{ {leaving} }}",
            f"add rule {_TABLE} forward oifname vmap {{ {entering} }}",
            *(f"add rule {_TABLE} forward {rule}" for rule in arrived),
        ]


def _elements(elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"elements = {{ {listed} }};" if listed else ""


def _ends_of(listed: dict[str, Any]) -> frozenset[Ends]:
    found = set()
    for element in listed.get("elem", ()):
        ends = element.get("elem", element).get("val", element) if "elem" in element else element
        if isinstance(ends, dict) and "concat" in ends:
            found.add(tuple(ends["concat"]))
    return frozenset(found)
