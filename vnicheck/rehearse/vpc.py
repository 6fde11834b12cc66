"""The VPC of a server, as the rebuilt one is to obey it: what the snapshot says, and what is assumed or configured."""

from collections.abc import Iterable, Iterator
from typing import get_args

from vnicheck.engine.server_view import ServerView
from vnicheck.fabric.transport import speaks
from vnicheck.model import cloud
from vnicheck.model.flow import Protocol
from vnicheck.rehearse.network import (
    AclRule,
    Network,
    NetworkAcl,
    Obeys,
    Remotes,
    RouteAction,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Transit,
    Vni,
    VpcRoute,
)

_GATEWAYS = "198.18.255.{number}"
"""Public gateways: of the addresses for benchmarks (RFC 2544), where no remote is."""


def network_of(view: ServerView, remotes: Remotes, transits: Iterable[Transit] = ()) -> Network:
    """The network around the server's VNIs that have an interface in the guest. Names that the snapshot chose stay out
    of it, but for those of VNIs and their interfaces.
    """
    vnis = rebuilt_vnis(view)
    groups = _groups(view, vnis, remotes)
    subnets = {vni.subnet: view.subnet(vni) for vni in vnis}
    assume = view.assume
    return Network(
        name=view.server.name,
        kind=view.server.kind,
        subnets=tuple(_subnet(view, subnet, number) for number, subnet in enumerate(subnets.values(), start=1)),
        vnis=tuple(_vni(view, vni) for vni in vnis),
        security_groups=groups,
        network_acls=tuple(_acl(acl) for acl in _acls(view, subnets.values())),
        clients=remotes,
        transits=tuple(dict.fromkeys(transits)),
        client_ports=_ephemeral(assume.client_port_range),
        obeys=Obeys(
            psf_auto=view.auto_filters,
            psf_opening=assume.psf_opening,
            psf_protocols=tuple(protocol.value for protocol in assume.psf_protocols),
            spoofing_check=assume.spoofing_check,
            spoofing_sibling=view.sibling or "dropped",
            spoofing_arrival=view.arrival or "passed",
            fip_return=assume.fip_return,
            sg_stateless=assume.sg_stateless,
        ),
    )


def rebuilt_vnis(view: ServerView) -> list[cloud.Vni]:
    """The VNIs that have an interface in the guest, and a MAC address."""
    return [vni for vni in view.server.vnis if vni.id in view.interface_of and _mac(view, vni) is not None]


def _mac(view: ServerView, vni: cloud.Vni) -> str | None:
    guest = view.server.guest
    links = {link.name: link.mac for link in guest.interfaces} if guest is not None else {}
    return links.get(view.interface_of[vni.id]) or vni.mac


def _vni(view: ServerView, vni: cloud.Vni) -> Vni:
    mode = "auto" if vni.legacy else vni.protocol_state_filtering_mode
    translated = vni.enable_infrastructure_nat is not False
    return Vni(
        name=vni.id,
        interface=view.interface_of[vni.id],
        subnet=vni.subnet,
        mac=_mac(view, vni) or "",
        addresses=vni.addresses,
        protocol_state_filtering_mode="enabled" if mode == "enabled" else "disabled" if mode == "disabled" else "auto",
        allow_ip_spoofing=vni.allow_ip_spoofing is True,
        floating_ip=vni.floating_ips[0].address if vni.floating_ips and translated else None,
        translated=translated,
        security_groups=None if vni.security_groups is None else tuple(map(_group_name, vni.security_groups)),
    )


def _subnet(view: ServerView, subnet: cloud.Subnet, number: int) -> Subnet:
    acl = subnet.network_acl
    return Subnet(
        name=subnet.id,
        cidr=subnet.cidr,
        public_gateway=None if subnet.public_gateway is None else _GATEWAYS.format(number=number),
        network_acl=acl if acl in view.fabric.network_acls else None,
        routes=tuple(_routes(view.fabric, subnet)),
    )


def _routes(fabric: cloud.Fabric, subnet: cloud.Subnet) -> Iterator[VpcRoute]:
    """Those that count in the subnet's zone; of equal destinations the one that wins first."""
    table = fabric.routing_tables.get(subnet.routing_table) if subnet.routing_table is not None else None
    users = tuple(
        other.cidr
        for other in fabric.subnets.values()
        if other.vpc == subnet.vpc and other.routing_table == subnet.routing_table
    )
    for route in sorted(table.routes if table is not None else (), key=lambda route: route.priority):
        action = next((known for known in get_args(RouteAction) if known == route.action), None)
        if route.zone in {"", subnet.zone} and action is not None:
            hop = route.next_hop_resource
            of_vpn = hop is not None and hop.kind == "vpn_gateway_connection"
            yield VpcRoute(
                destination=route.destination,
                action=action,
                next_hop=route.next_hop,
                sources=users if of_vpn else None,
            )


def _groups(view: ServerView, vnis: Iterable[cloud.Vni], remotes: Remotes) -> tuple[SecurityGroup, ...]:
    """The groups of the VNIs, and those that their rules name. Of members only those count that packets go to."""
    known = view.fabric.security_groups
    present = set(remotes.addresses)
    own = {vni.id: vni for vni in vnis}
    attached = {group for vni in own.values() for group in vni.security_groups or ()}
    named = {rule.remote_group for group in attached if group in known for rule in known[group].rules}
    return tuple(
        SecurityGroup(
            name=_group_name(group),
            rules=tuple(_group_rules(known[group], known)) if group in attached and group in known else (),
            members=_members(known.get(group), present),
        )
        for group in sorted(attached | {group for group in named if group is not None})
    )


def _members(group: cloud.SecurityGroup | None, present: set[str]) -> tuple[str, ...]:
    return tuple(address for address in (group.addresses or () if group is not None else ()) if address in present)


def _group_rules(group: cloud.SecurityGroup, known: dict[str, cloud.SecurityGroup]) -> Iterator[SecurityGroupRule]:
    for rule in group.rules:
        if rule.unmodelled or rule.direction not in {"inbound", "outbound"}:
            continue
        remote = rule.remote
        if rule.remote_group is not None:
            if rule.remote_group not in known:
                continue
            remote = _group_name(rule.remote_group)
        for protocol in _protocols(rule.protocol):
            yield SecurityGroupRule(
                direction="inbound" if rule.direction == "inbound" else "outbound",
                protocol=protocol.value,
                remote=remote or "0.0.0.0/0",
                local=rule.local or "0.0.0.0/0",
                port_min=rule.port_min,
                port_max=rule.port_max,
                icmp_type=rule.icmp_type,
            )


def _group_name(group: str) -> str:
    """Never one that begins as a prefix does."""
    return f"group {group}"


def _acls(view: ServerView, subnets: Iterable[cloud.Subnet]) -> list[cloud.NetworkAcl]:
    names = dict.fromkeys(subnet.network_acl for subnet in subnets)
    return [view.fabric.network_acls[name] for name in names if name is not None and name in view.fabric.network_acls]


def _acl(acl: cloud.NetworkAcl) -> NetworkAcl:
    rules = [
        AclRule(
            name=rule.name,
            action="allow" if rule.action == "allow" else "deny",
            direction="inbound" if rule.direction == "inbound" else "outbound",
            protocol=protocol.value,
            source=rule.source,
            destination=rule.destination,
            source_port_min=rule.source_port_min,
            source_port_max=rule.source_port_max,
            destination_port_min=rule.destination_port_min,
            destination_port_max=rule.destination_port_max,
            icmp_type=rule.icmp_type,
        )
        for rule in acl.rules
        for protocol in _protocols(rule.protocol)
    ]
    return NetworkAcl(name=acl.id, rules=tuple(rules))


def _protocols(word: str) -> list[Protocol]:
    return [protocol for protocol in Protocol if speaks(word, protocol)]


def _ephemeral(ports: tuple[int, int]) -> tuple[int, int] | None:
    """The range that a kernel is told to open from: None for its own, which lies within the usual assumption."""
    return None if ports == (1024, 65535) else ports
