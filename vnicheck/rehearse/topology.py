"""The server, the VPC, and the remotes, each in a network namespace of its own."""

from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self, TypeVar

from vnicheck.rehearse.fabric import ANSWERERS, CLIENTS, Filter, Traffic, device
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.rehearse.network import Network, Subnet

_T = TypeVar("_T")
_FABRIC_SIDE = "02:fa:b0:00:00:{index:02x}"
_CLIENT_MAC = "02:c1:00:00:00:01"
_CLIENT_SIDE = "02:fa:b0:00:00:ff"
_ANSWERER_MAC = "02:c1:00:00:00:02"
_ANSWERER_SIDE = "02:fa:b0:00:00:fe"
_FIRST_TABLE = 1000
"""Of the fabric's tables that lead to one VNI each."""
_CLIENT_GATEWAY = "169.254.77.1"

_QUIET_GUEST = {
    # A new namespace copies the machine's `all` and `default`: start from the kernel's own values instead.
    "ip_forward": 0,
    "fwmark_reflect": 0,
    "icmp_echo_ignore_all": 0,
    **{
        f"conf__{scope}__{key}": 0
        for scope in ("all", "default")
        for key in (
            "rp_filter",
            "accept_local",
            "arp_announce",
            "arp_filter",
            "arp_ignore",
            "bc_forwarding",
            "ignore_routes_with_linkdown",
            "log_martians",
            "route_localnet",
            "src_valid_mark",
        )
    },
}
_ROUTER = {
    "ip_forward": 1,
    "conf__all__rp_filter": 0,
    "conf__default__rp_filter": 0,
    "conf__all__send_redirects": 0,
    "conf__default__send_redirects": 0,
    "conf__all__proxy_arp": 1,
}


class Rebuilt:
    """A network built of real interfaces, for the length of a `with` block.

    `target` is the server, whose interfaces have no addresses yet; `client` owns all addresses of remotes, `fabric` is
    the VPC between them; `answerer` owns those that answer flows in transit, where there are any. With `own_files` the
    server has a copy of this machine's /etc and an empty /run, to be written to. Raises RehearsalError where the
    machine cannot build it.
    """

    target: Namespace
    client: Namespace
    answerer: Namespace | None = None
    fabric: Namespace

    def __init__(self, network: Network, *, own_files: bool = False) -> None:
        self.network = network
        self._folders: dict[str, list[str]] = {"copied": ["/etc"], "empty": ["/run"]} if own_files else {}
        self._stack = self._making = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._making = stack
            self.fabric = stack.enter_context(Namespace.create("fabric"))
            self.client = stack.enter_context(Namespace.create("client"))
            self.target = stack.enter_context(Namespace.create("target", **self._folders))
            self.fabric.sysctl(**_ROUTER)
            self.client.sysctl(**_QUIET_GUEST)
            self.target.sysctl(**_QUIET_GUEST)
            if self.network.client_ports is not None:
                first, last = self.network.client_ports
                for opener in (self.client, self.target):
                    opener.sysctl(ip_local_port_range=f"{first} {last}")
            self._filter = Filter(self.network, self.fabric)
            self._wire()
            self._configure_client()
            if self.network.transits:
                self.answerer = stack.enter_context(Namespace.create("answerer"))
                self.answerer.sysctl(**_QUIET_GUEST)
                self._wire_transit(self.answerer)
            self.target.ip(*(f"link set {vni.interface} up" for vni in self.network.vnis))
            self.configure_guest()
            self.introduce_gateways()
            self._stack = stack.pop_all()
        return self

    def configure_guest(self) -> None:
        """For those that know what the server looks like inside: its interfaces are up, and its gateways unknown."""

    def keep(self, part: AbstractContextManager[_T]) -> _T:
        """One more namespace, or what joins them, which ends with the others."""
        return self._making.enter_context(part)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def set_vni(self, name: str, **changes: object) -> None:
        """Change fields of a VNI while packets flow, by their names in the VPC API's PATCH.

        For example `rebuilt.set_vni("vni-1", protocol_state_filtering_mode="disabled", allow_ip_spoofing=True)`.
        Raises NetworkError for a VNI, field or value that does not exist.
        """
        self.network.vni(name)
        self._filter.change(name, **changes)

    def drops(self) -> dict[str, int]:
        """Packets dropped so far by stage: those of the fabric (`Filter.drops`), and `rp_filter` for the guest."""
        dropped = self._filter.drops()
        filtered = self.reverse_path_drops()
        return dropped | {"rp_filter": filtered} if filtered else dropped

    def seen(self) -> Traffic:
        """What the fabric has seen of packets so far."""
        return self._filter.seen()

    def forget_packets(self) -> None:
        """What was seen of packets so far counts no more, and what stages know of connections."""
        self._filter.forget()

    def reverse_path_drops(self) -> int:
        """TcpExtIPReversePathFilter of the server."""
        names, values = [
            line.split() for line in self.target.run(["grep", "^TcpExt:", "/proc/net/netstat"]).stdout.splitlines()
        ]
        return int(dict(zip(names, values, strict=True))["IPReversePathFilter"])

    def _gateways(self) -> list[tuple[str, Subnet]]:
        return [(vni.interface, self.network.subnet_of(vni)) for vni in self.network.vnis]

    def _wire(self) -> None:
        """Both ends of every veth are created inside namespaces, from within the fabric's."""
        network = self.network
        lines = [f"address add {subnet.gateway}/32 dev lo" for subnet in network.subnets]
        for index, vni in enumerate(network.vnis):
            near = device(index)
            mac = _FABRIC_SIDE.format(index=index)
            lines += [
                _veth(near, mac, vni.interface, vni.mac, self.target),
                f"link set {near} up",
            ]
            for address in vni.addresses:
                lines += [
                    f"route add {address}/32 dev {near}",
                    f"neighbour replace {address} lladdr {vni.mac} dev {near} nud permanent",
                ]
        lines += [
            _veth(CLIENTS, _CLIENT_SIDE, "eth0", _CLIENT_MAC, self.client),
            f"link set {CLIENTS} up",
            "route add blackhole default",
        ]
        for address in network.clients.addresses:
            lines += [
                f"route add {address}/32 dev {CLIENTS}",
                f"neighbour replace {address} lladdr {_CLIENT_MAC} dev {CLIENTS} nud permanent",
            ]
        self.fabric.ip(*lines)
        # An answer to ARP on behalf of a same-subnet peer is otherwise delayed by up to 0.8 s.
        self.fabric.sysctl(**{f"neigh__{device(index)}__proxy_delay": 0 for index in range(len(network.vnis))})

    def _wire_transit(self, answerer: Namespace) -> None:
        """Those that answer, and the ways to them and back by the server where the VPC leads there."""
        network = self.network
        addresses = network.answerers
        ways = [f"route add {address}/32 dev {ANSWERERS}" for address in addresses]
        met = [f"neighbour replace {a} lladdr {_ANSWERER_MAC} dev {ANSWERERS} nud permanent" for a in addresses]
        led = [(CLIENTS, transit.opener, transit.answerer, transit.request_by) for transit in network.transits] + [
            (ANSWERERS, transit.answerer, transit.opener, transit.reply_by) for transit in network.transits
        ]
        indexes = {vni.name: index for index, vni in enumerate(network.vnis)}
        for by, index in indexes.items():
            gateway = network.vni(by).addresses[0]
            ways.append(f"route add default via {gateway} dev {device(index)} onlink table {_FIRST_TABLE + index}")
        rules = [
            f"rule add from {source} to {target} iif {near} lookup {_FIRST_TABLE + indexes[by]}"
            for near, source, target, by in dict.fromkeys(led)
            if by is not None
        ]
        self.fabric.ip(
            _veth(ANSWERERS, _ANSWERER_SIDE, "eth0", _ANSWERER_MAC, answerer),
            f"link set {ANSWERERS} up",
            *ways,
            *met,
            *rules,
        )
        answerer.ip(
            "link set eth0 up",
            *(f"address add {address}/32 dev eth0" for address in addresses),
            f"neighbour replace {_CLIENT_GATEWAY} lladdr {_ANSWERER_SIDE} dev eth0 nud permanent",
            f"route add default via {_CLIENT_GATEWAY} dev eth0 onlink src {addresses[0]}",
        )

    def _configure_client(self) -> None:
        remotes = self.network.clients
        source = [f"src {address}" for address in (*remotes.private, *remotes.addresses)[:1]]
        self.client.ip(
            "link set eth0 up",
            *(f"address add {address}/32 dev eth0" for address in remotes.addresses),
            f"neighbour replace {_CLIENT_GATEWAY} lladdr {_CLIENT_SIDE} dev eth0 nud permanent",
            " ".join([f"route add default via {_CLIENT_GATEWAY} dev eth0 onlink", *source]),
        )

    def introduce_gateways(self) -> None:
        """Tell the server its gateways' MAC addresses, which it forgets where an interface goes down."""
        # -force: an interface may be down.
        lines = [
            f"neighbour replace {subnet.gateway} lladdr {_FABRIC_SIDE.format(index=index)} dev {name} nud noarp"
            for index, (name, subnet) in enumerate(self._gateways())
        ]
        self.target.run(["ip", "-force", "-batch", "-"], input="\n".join(lines) + "\n", check=False)


def _veth(near: str, near_mac: str, far: str, far_mac: str, namespace: Namespace) -> str:
    return f"link add {near} address {near_mac} type veth peer name {far} address {far_mac} netns {namespace.pid}"
