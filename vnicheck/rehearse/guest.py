"""The server's own side: its devices, addresses, routes, policy rules and sysctls set on a real kernel.

What this kernel cannot make has a stand-in, or is left out; either is told. Nothing of a snapshot reaches a shell: its
lines go to `ip -batch`, and hold only names that mean nothing but themselves.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.guest import Guest, PolicyRule, Route
from vnicheck.model.interface import Interface
from vnicheck.model.lines import format_route, format_rule, is_plain_interface
from vnicheck.model.words import listed, one_line
from vnicheck.rehearse.fabric import device
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.rehearse.network import Network
from vnicheck.rehearse.topology import Rebuilt

_REAL_KINDS = ("bridge", "dummy")
_FAILED = re.compile(r"Command failed -:([0-9]+)")
_SYSCTL = re.compile(r"net/ipv4/([A-Za-z0-9_-]+|conf/[A-Za-z0-9_.@-]{1,15}/[a-z_]+)", re.ASCII)
_SET_FLAGS = {"onlink", "pervasive"}
"""Of a next hop: those that are set with the route; others tell of the state of its device."""
_NAMED = 6
"""How many devices with a stand-in are named."""
_PASSES = 5
"""How often lines that fail are tried again: a route may need another one first."""


class RebuiltServer(Rebuilt):
    """A network with the server as it was seen inside. `told`: what differs from that, a line each."""

    def __init__(self, network: Network, guest: Guest) -> None:
        super().__init__(network)
        self.guest = guest
        self.told: list[str] = []

    def configure_guest(self) -> None:
        """Devices first, then what needs them."""
        self.beyond = self.keep(Namespace.create("beyond"))
        self.told += [
            f"device {one_line(link.name, 40)!r} is left out: this name is not put into commands"
            for link in self.guest.interfaces
            if not is_plain_interface(link.name)
        ]
        links = [link for link in self.guest.interfaces if is_plain_interface(link.name)]
        self._set_sysctls(of_devices=False)
        self._make_devices(links)
        self._set_sysctls(of_devices=True)
        self._try(line for link in links for line in _addresses(link))
        self._set_states(links)
        self._set_routes()
        self._set_rules()
        self._set_neighbours()

    def _make_devices(self, links: Sequence[Interface]) -> None:
        carrying = {vni.interface for vni in self.network.vnis}
        others = [link for link in links if link.name != "lo" and link.name not in carrying]
        played = [link.name for link in others if self._make_device(link)]
        if played:
            said = "is" if len(played) == 1 else "are each"
            self.told.append(f"{listed(played, _NAMED)} {said} played by one end of a veth pair")
        bridges = {link.name for link in links if link.kind == "bridge"}
        for link in links:
            if link.master in bridges:
                self._try([f"link set {link.name} master {link.master}"])
            elif link.master is not None:
                self.told.append(f"{link.name} is not put under {one_line(link.master, 20)}, which is no bridge")
            if not link.asks_neighbours and link.name != "lo":
                self._try([f"link set {link.name} arp off"])

    def _make_device(self, link: Interface) -> bool:
        """As what it is, or as one end of a veth pair whose other end is beyond the server. Whether that is a
        stand-in.
        """
        mac = f" address {link.mac}" if link.mac is not None and link.link_type in {None, "ether"} else ""
        if link.kind in _REAL_KINDS and not self._run([f"link add {link.name}{mac} type {link.kind}"]):
            return False
        far = f"b{link.index}"
        self._try([f"link add {link.name}{mac} type veth peer name {far} netns {self.beyond.pid}"])
        if link.carrier:
            self.beyond.run(["ip", "link", "set", far, "up"], check=False)
        return link.kind != "veth"

    def _set_states(self, links: Sequence[Interface]) -> None:
        numbers = {vni.interface: index for index, vni in enumerate(self.network.vnis)}
        for link in links:
            self._try([f"link set {link.name} {'up' if link.up else 'down'}"])
            if link.up and not link.carrier and link.name in numbers:
                self.fabric.ip(f"link set {device(numbers[link.name])} down")

    def _set_routes(self) -> None:
        """The routes that were seen, and none beside; some the kernel has made of the addresses already."""
        listed = parse_routes(self.target.run(["ip", "-4", "-d", "route", "show", "table", "all"]).stdout).items
        tables = {route.table for route in self.guest.routes}
        present = {_route_line(route) for route in listed if route.table in tables}
        wanted = [_route_line(route) for route in self.guest.routes]
        self._try(f"route del {line}" for line in sorted(present.difference(wanted)))
        self._try(f"route append {line}" for line in wanted if line not in present)

    def _set_rules(self) -> None:
        listed = parse_rules(self.target.run(["ip", "-4", "-d", "rule", "show"]).stdout).items
        present = [_rule_line(rule) for rule in listed]
        wanted = [_rule_line(rule) for rule in self.guest.rules]
        self._try(f"rule add {line}" for line in wanted if line not in present)
        self._try(f"rule del {line}" for line in present if line not in wanted)

    def _set_neighbours(self) -> None:
        """The entries that were set by hand, gateways excepted: those lead into the VPC that is rebuilt here."""
        gateways = {subnet.gateway for subnet in self.network.subnets}
        self._try(
            f"neighbour replace {each.address} lladdr {each.mac} dev {each.interface} nud permanent"
            for each in self.guest.neighbours or ()
            if each.mac is not None and each.address not in gateways and is_plain_interface(each.interface)
        )

    def _set_sysctls(self, *, of_devices: bool) -> None:
        lines = [
            f"{path}={value}"
            for path, value in self.guest.sysctls.items()
            if _SYSCTL.fullmatch(path) and path.startswith("net/ipv4/conf/") is of_devices and "/../" not in path
        ]
        if lines:
            done = self.target.run(["sysctl", "-q", "-w", *lines], check=False)
            self.told += [f"a sysctl cannot be set here: {one_line(line, 150)}" for line in done.stderr.splitlines()]

    def _try(self, lines: Iterable[str]) -> None:
        """Runs lines of iproute2, those that fail again after the others, and tells what fails for good."""
        left = list(lines)
        failed: dict[str, str] = {}
        for _ in range(_PASSES):
            failed = self._run(left)
            if not failed or len(failed) == len(left):
                break
            left = list(failed)
        self.told += [f"'ip {line}' fails here: {why}" for line, why in failed.items()]

    def _run(self, lines: Sequence[str]) -> dict[str, str]:
        """The lines that fail, each with what `ip` says of it."""
        done = self.target.run(
            ["ip", "-force", "-batch", "-"], input="".join(f"{line}\n" for line in lines), check=False
        )
        failed: dict[str, str] = {}
        said: list[str] = []
        for line in done.stderr.splitlines():
            match = _FAILED.fullmatch(line.strip())
            if match is None:
                said.append(line)
            else:
                failed[lines[int(match[1]) - 1]] = one_line(" ".join(said), 120)
                said = []
        return failed


def _addresses(link: Interface) -> Iterator[str]:
    for address in link.addresses:
        if link.name == "lo" and address.prefix == "127.0.0.1/8":
            continue
        words = [f"address add {address.prefix}"]
        if address.peer is not None:
            words = [f"address add {address.address} peer {address.peer}"]
        if address.broadcast is not None:
            words.append(f"broadcast {address.broadcast}")
        words.append(f"dev {link.name} scope {_plain(address.scope, 'global')}")
        if address.noprefixroute:
            words.append("noprefixroute")
        yield " ".join(words)


def _route_line(route: Route) -> str:
    """As `ip route` takes it; what a nexthop object led to, as nexthops of its own."""
    nexthops = tuple(
        msgspec.structs.replace(
            hop,
            interface=None if hop.interface is None or not is_plain_interface(hop.interface) else hop.interface,
            flags=tuple(flag for flag in hop.flags if flag in _SET_FLAGS),
        )
        for hop in route.nexthops
    )
    plain = msgspec.structs.replace(
        route,
        nexthop_id=None,
        protocol=_plain(route.protocol, "boot"),
        scope=_plain(route.scope, "global"),
        nexthops=nexthops,
    )
    return format_route(plain)


def _rule_line(rule: PolicyRule) -> str:
    """As `ip rule` takes it."""
    named = {name: getattr(rule, name) for name in ("iif", "oif")}
    plain = {name: device if device is None or is_plain_interface(device) else "?" for name, device in named.items()}
    settable = msgspec.structs.replace(rule, iif_detached=False, oif_detached=False, **plain)
    _, _, words = format_rule(settable).partition(": ")
    return f"{words.replace('lookup [l3mdev-table]', 'l3mdev')} priority {rule.priority}"


def _plain(word: str, otherwise: str) -> str:
    """A word that a command may hold."""
    return word if re.fullmatch(r"[a-z0-9_-]{1,20}", word, re.ASCII) else otherwise
