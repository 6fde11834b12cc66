"""Scenarios: one server in a VPC and the clients around it, as `fixtures/lab/NAME/scenario.toml` states them."""

import ipaddress
import tomllib
from itertools import product
from pathlib import Path
from typing import TypeVar

import msgspec

from vnicheck.rehearse.network import DIRECTIONS, PROTOCOLS, Direction, Network, NetworkError, Protocol, Remotes

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "lab"


class Clients(Remotes, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The addresses that stand for remotes, by their scope as seen from the server."""

    subnet: tuple[str, ...] = ("10.0.0.200",)
    vpc: tuple[str, ...] = ("10.0.5.5",)
    private: tuple[str, ...] = ("10.8.0.4",)
    service: tuple[str, ...] = ("161.26.0.10",)
    internet: tuple[str, ...] = ("203.0.113.9",)


class Scenario(Network, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server in its VPC. `guest` is POSIX sh that configures the server, run as root with every interface up.

    `expect` maps `"OPENER... -> ANSWERER..."` to the protocols that get through (`tcp/8888` for one port of several); a
    word of the pair is an address of the server, a scope of the clients, or one client's address. `ports`: where both
    sides answer. `client_ports`: the range from which they open; without it, what the kernel gives. `drops` names every
    stage that dropped a packet while all were tried: `rp_filter`, or a code of the contract and the VNI.
    """

    title: str
    vpc_prefixes: tuple[str, ...] = ("10.0.0.0/16",)
    guest: str
    clients: Clients = Clients()
    ports: tuple[int, ...] = (7777,)
    expect: dict[str, str]
    drops: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.vnis:
            raise NetworkError("a scenario has at least one VNI")
        if not self.clients.private:
            raise NetworkError("a scenario has a private client: SSH comes from it")
        for group in self.security_groups:
            for rule in group.rules:
                if not rule.remote[:1].isdigit():
                    self.addresses_of(rule.remote)
        for vni in self.vnis:
            self.security_groups_of(vni)
            self.network_acl_of(vni)
            network = ipaddress.ip_network(self.subnet_of(vni).cidr)
            for address in vni.addresses:
                if ipaddress.ip_address(address) not in network:
                    raise NetworkError(f"{address} of {vni.name} is not in {network}")
        owned = [*self.locals, *self.clients.addresses, *(subnet.gateway for subnet in self.subnets)]
        twice = sorted({address for address in owned if owned.count(address) > 1})
        if twice:
            raise NetworkError(f"used twice: {', '.join(twice)}")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is tried between two addresses: `icmp`, `tcp` and `udp`, or `tcp/7777` where there are several ports."""
        ports = ("",) if len(self.ports) == 1 else tuple(f"/{port}" for port in self.ports)
        return ("icmp", *(f"{protocol}{port}" for protocol in ("tcp", "udp") for port in ports))

    def kind_of(self, protocol: Protocol, port: int | None) -> str:
        """One of `kinds`."""
        return protocol if protocol in self.kinds else f"{protocol}/{port}"

    @property
    def management_client(self) -> str:
        """The client address that SSH comes from; its flows to the first address are symmetric in every scenario."""
        return self.clients.private[0]

    def expected(self) -> dict[tuple[str, str, str, str], bool]:
        """Whether each (direction, kind, remote, local) gets through.

        Raises NetworkError unless every one is stated exactly once.
        """
        stated: dict[tuple[str, str, str, str], bool] = {}
        for line, words in self.expect.items():
            opener, arrow, answerer = line.partition(" -> ")
            delivered = words.split()
            if not arrow or not set(delivered) <= {*PROTOCOLS, *self.kinds}:
                raise NetworkError(f"not an expectation: {line!r} = {words!r}")
            for pair in product(self._named(opener), self._named(answerer)):
                direction: Direction = "outbound" if pair[0] in self.locals else "inbound"
                local, remote = pair if direction == "outbound" else pair[::-1]
                if remote in self.locals or local not in self.locals:
                    raise NetworkError(f"{line!r} is not between the server and a client")
                for kind in self.kinds:
                    key = (direction, kind, remote, local)
                    if key in stated:
                        raise NetworkError(f"stated twice: {key}")
                    stated[key] = kind in delivered or kind.partition("/")[0] in delivered
        for key in product(DIRECTIONS, self.kinds, self.clients.addresses, self.locals):
            if key not in stated:
                raise NetworkError(f"nothing is expected of {key}")
        return stated

    def _named(self, words: str) -> list[str]:
        named: list[str] = []
        for word in words.split():
            if word in Clients.__struct_fields__:
                named += getattr(self.clients, word)
            elif word in self.locals or word in self.clients.addresses:
                named.append(word)
            else:
                raise NetworkError(f"{word!r} is no address and no scope of this scenario")
        return named


S = TypeVar("S", bound=Scenario)


def load(name: str) -> Scenario:
    """The scenario of a folder under fixtures/lab. Raises NetworkError with the file's name."""
    return read(FOLDER / name, Scenario)


def read(folder: Path, kind: type[S]) -> S:
    """The scenario of a folder, of that kind. Raises NetworkError with the file's name."""
    path = folder / "scenario.toml"
    try:
        return msgspec.convert({"name": folder.name, **tomllib.loads(path.read_text())}, kind)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, NetworkError) as error:
        raise NetworkError(f"{path}: {error}") from error


def names() -> list[str]:
    """The folders under fixtures/lab that hold a scenario."""
    return sorted(path.parent.name for path in FOLDER.glob("*/scenario.toml"))
