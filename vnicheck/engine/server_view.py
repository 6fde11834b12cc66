"""One server with all that the stages ask of it, looked up once."""

from collections.abc import Hashable

from msgspec.structs import replace

from vnicheck.engine.contradictions import contradictions_of
from vnicheck.engine.interfaces import match_interfaces, why_unmatched
from vnicheck.engine.own_devices import own_devices, own_networks
from vnicheck.engine.partition import NO_PORTS
from vnicheck.fabric.public_range import held_addresses
from vnicheck.fabric.scope import ScopeMap, networks_of, scopes_from
from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.published import PublishingKernel
from vnicheck.kernel.touched import Touched, touched
from vnicheck.model.address import Range, parse_address
from vnicheck.model.address_map import membership
from vnicheck.model.cloud import Fabric, Subnet, Vni
from vnicheck.model.config import Config, OpenValue, setting_for
from vnicheck.model.flow import Flow, Protocol
from vnicheck.model.guest import Guest
from vnicheck.model.memo import Memo
from vnicheck.model.observation import routing_of
from vnicheck.model.snapshot import Server


class ServerView:
    """A server, its fabric, its kernel (None where the guest was not collected), and who belongs to whom."""

    def __init__(
        self,
        server: Server,
        fabric: Fabric,
        config: Config,
        like: "ServerView | None" = None,
        *,
        contradicted: tuple[Contradiction, ...] | None = None,
    ) -> None:
        """`like`: the view of a server of which this is a changed copy. `contradicted`: what its kernel said otherwise,
        where that is known from elsewhere than from the configuration.
        """
        self.server = server
        self.config = config = config.for_server(server.id, [vni.id for vni in server.vnis])
        self.fabric = fabric
        self.assume = config.assumptions
        self._client_ports = config.assumptions.client_port_range
        names = names_of(server)
        self.auto_filters = self.assume.auto_filters(server.kind, *names)
        self.sibling: OpenValue | None = setting_for(self.assume.spoofing_sibling, names)
        self.arrival: OpenValue | None = setting_for(self.assume.spoofing_arrival, names)
        self.networks = networks_of(fabric, config)
        self.reserved = frozenset(address for vni in server.vnis for address in vni.carried)
        unmarked = setting_for(self.assume.packets_unmarked, names) is not False
        self.public = held_addresses(fabric, server.vpc.id, server.vnis, _held(server))
        """Its addresses of public address ranges, each with the VNI that an ingress route leads it to."""
        if contradicted is None:
            contradicted = contradictions_of(server, config) if like is None else like.contradicted_of(server)
        self.contradicted = contradicted
        """What the server's kernel said otherwise than the model."""
        self.interface_of = match_interfaces(server)
        self.own_devices = own_devices(server, self.interface_of.values())
        self.kernel: PublishingKernel | None = None
        if like is not None and server.guest is like.server.guest:
            self.kernel = like.kernel
        elif server.guest is not None:
            known = None if like is None else like.kernel
            self.kernel = PublishingKernel(
                server.guest, known, unmarked=unmarked, seen=self.contradicted, inside=self.own_devices
            )
        self.own_networks = self._own_networks()
        """Private networks behind them: no remotes of flows that come in by a VNI."""
        self.own_network_map = membership([self.own_networks]).mapped(lambda held: (held, None))
        self._vni_of = {interface: vni for vni in server.vnis if (interface := self.interface_of.get(vni.id))}
        self._scopes = {vni.subnet: scopes_from(fabric, self.subnet(vni), self.assume) for vni in server.vnis}
        shares = like is not None and like._basis() == self._basis()
        self.classes: dict[Hashable, tuple[Flow, ...]] = like.classes if like is not None and shares else {}
        """Classes of flows by what they come from (`RemoteSets.origin`), of changed copies too."""
        change = self._change_of(like.first) if like is not None and shares else None
        self.first: Guest | None = server.guest if like is None or change is None else like.first
        """The guest that changes are told from."""
        self.asked: Memo = Memo() if like is None or change is None else like.asked
        """What kernels do with packets of flows (`RemoteSets.way`), by the change that may touch them."""
        self._change = change or Touched({}, {})

    def contradicted_of(self, copy: Server) -> tuple[Contradiction, ...]:
        """What counts of the contradictions for a changed copy of the server."""
        now, then = self.server.guest, copy.guest
        if not self.contradicted or (now is not None and then is not None and routing_of(now) == routing_of(then)):
            return self.contradicted
        return tuple(each.outdated() for each in self.contradicted)

    def _basis(self) -> tuple[object, ...]:
        """What classes come from beside their origins."""
        guest = self.server.guest
        facts = None if guest is None else (guest.interfaces, guest.missing)
        kernel = self.kernel
        says = None if kernel is None else (kernel.ignores_echo(), kernel.takes_marks_for_none)
        vnis = [replace(vni, protocol_state_filtering_mode=None, allow_ip_spoofing=None) for vni in self.server.vnis]
        return id(self.fabric), id(self.config), facts, says, vnis, self.interface_of, self.own_networks

    def _change_of(self, first: Guest | None) -> Touched | None:
        """What is changed for packets between own addresses and those of others; None: it cannot be told."""
        guest = self.server.guest
        if first is None or guest is None or self.contradicted:
            return None
        change = touched(first, guest)
        own = {parse_address(address) for address in self.own_addresses()}
        # by an interface without a VNI comes what containers answer, whatever the address that was asked
        if change is None or not (change.by_source.keys() <= own and change.by_interface.keys() <= self._vni_of.keys()):
            return None
        return change

    def change_for(self, local: "LocalAddress") -> Hashable:
        """What may be changed of what the kernel does with packets of an address."""
        return self._change.of(local.number, self.interface_of.get(local.vni.id))

    def _own_networks(self) -> tuple[tuple[int, int], ...]:
        guest, fabric = self.server.guest, self.fabric
        if guest is None or not self.own_devices:
            return ()
        elsewhere = [prefix for named in self.config.networks.values() for prefix in named]
        elsewhere += [prefix for vpc in fabric.vpcs.values() for prefix in vpc.prefixes]
        elsewhere += [subnet.cidr for subnet in fabric.subnets.values()]
        return own_networks(guest, self.own_devices, elsewhere)

    def vni_of(self, interface: str) -> Vni | None:
        """The VNI behind a guest interface."""
        return self._vni_of.get(interface)

    def subnet(self, vni: Vni) -> Subnet:
        """The subnet of a VNI. Raises KeyError where the snapshot lacks it (see `readable`)."""
        return self.fabric.subnets[vni.subnet]

    def scopes(self, vni: Vni) -> ScopeMap:
        """Tells where remotes are, seen from the VNI."""
        return self._scopes[vni.subnet]

    def client_ports(self, protocol: Protocol) -> Range:
        """The ports that an opening side may use."""
        return NO_PORTS if protocol is Protocol.ICMP else self._client_ports

    def at(self, vni: Vni) -> str:
        """Where a hop on the VNI's side is: its guest interface, or its own name where the guest has none."""
        return self.interface_of.get(vni.id, vni.name)

    def why_unmatched(self, vni: Vni) -> str:
        """Why the VNI has no guest interface."""
        return why_unmatched(self.server, vni)

    def own_addresses(self) -> set[str]:
        """The server's own addresses, by the VPC and by the guest."""
        addresses = set(self.reserved)
        if self.server.guest is not None:
            for interface in self.server.guest.interfaces:
                addresses.update(address.address for address in interface.addresses)
        return addresses


def names_of(server: Server) -> tuple[str, ...]:
    """What settings may call a server, the more telling ones first."""
    return (server.name, server.id, *([server.profile] if server.profile is not None else []), server.kind)


def _held(server: Server) -> frozenset[str]:
    """The addresses that the guest has on its interfaces."""
    links = server.guest.interfaces if server.guest is not None else ()
    return frozenset(address.address for link in links for address in link.addresses)


class LocalAddress:
    """One address of the server with the VNI that the VPC delivers it to. `key`: what tells it from the server's
    others, also where the API gives two VNIs one address.
    """

    __slots__ = ("address", "key", "number", "vni")

    def __init__(self, address: str, number: int, vni: Vni) -> None:
        self.address = address
        self.number = number
        self.vni = vni
        self.key = address, vni.id
