"""A made region as a snapshot folder, and as a world of the stand-in API.

`python -m benchmarks.region_files 100 DIR` writes one to look at.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.region import REGION, Machine, Network, Nic, acl_rules, group_rules, networks, routes
from benchmarks.region_guests import COLLECTED, guest_of
from tests.api import World
from tests.api.shapes import make_id, make_mac, reference
from vnicheck import __version__
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.model.cloud import (
    AclRule,
    Fabric,
    FloatingIp,
    NetworkAcl,
    Ref,
    RoutingTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vni,
    Vpc,
    VpcRoute,
)
from vnicheck.model.snapshot import SCHEMA, Server, Snapshot

OPEN = [{"action": "allow", "direction": direction} for direction in ("inbound", "outbound")]


def world(servers: int) -> World:
    """The region as the stand-in API serves it."""
    made = World(region=REGION)
    for network in networks(servers):
        made.vpc(network.name, prefixes=[network.prefix])
        for name, rules in group_rules(network).items():
            made.security_group(name, rules=rules)
        for name, rules in acl_rules().items():
            made.network_acl(name, rules=rules)
        for name, entries in routes(network).items():
            made.routing_table(name, routes=entries)
        for name, (cidr, zone, acl, table) in network.subnets.items():
            made.subnet(name, cidr, zone=zone, network_acl=acl, routing_table=table)
        for machine in network.machines:
            add = made.bare_metal_server if machine.metal else made.instance
            interfaces = [_interface(machine, n) for n in range(len(machine.nics))]
            add(machine.name, interfaces=interfaces, legacy=machine.legacy, status=machine.status)
    return made


def snapshot(servers: int) -> Snapshot:
    """The cloud's side of the region, in the model's terms."""
    made = networks(servers)
    found = [(network, machine) for network in made for machine in network.machines]
    found.sort(key=lambda pair: pair[1].metal)  # the API lists instances first; stable
    return Snapshot(
        schema=SCHEMA,
        tool_version=__version__,
        created_at=COLLECTED,
        servers=tuple(_server(network, machine) for network, machine in found),
        fabric=_fabric(made),
    )


def write_folder(servers: int, path: Path) -> SnapshotFolder:
    """The region as a snapshot folder."""
    folder = SnapshotFolder(path)
    folder.write_cloud(REGION, snapshot(servers))
    for network in networks(servers):
        for machine in network.machines:
            result = guest_of(machine, [_mac(network, machine, n) for n in range(len(machine.nics))])
            if result is not None:
                folder.write_guest(REGION, _id(network, machine), result)
    return folder


def _interface(machine: Machine, n: int) -> dict[str, Any]:
    nic = machine.nics[n]
    more: dict[str, Any] = {} if nic.vlan is None else {"interface_type": "vlan", "vlan": nic.vlan}
    return more | {
        "subnet": nic.subnet,
        "address": nic.address,
        "mode": nic.mode,
        "allow_ip_spoofing": nic.spoofing,
        "secondary": list(nic.secondary),
        "floating_ip": nic.floating_ip,
        "security_groups": list(nic.groups),
    }


def _kind(machine: Machine) -> str:
    return "bare-metal-server" if machine.metal else "instance"


def _id(network: Network, machine: Machine) -> str:
    return make_id(_kind(machine), network.name, machine.name)


def _mac(network: Network, machine: Machine, n: int) -> str:
    if machine.legacy:
        return make_mac(_id(network, machine), f"eth{n}")
    return make_mac(network.name, f"{machine.name}-vni-{n}")


def _server(network: Network, machine: Machine) -> Server:
    key = _id(network, machine)
    return Server(
        id=key,
        name=machine.name,
        crn=reference(REGION, _kind(machine), key, machine.name, machine.zone)["crn"],
        kind="bare_metal_server" if machine.metal else "instance",
        vpc=Ref(id=make_id("vpc", network.name), name=network.name),
        zone=machine.zone,
        region=REGION,
        status=machine.status,
        profile="bx2-metal-96x384" if machine.metal else "bx2-2x8",
        vnis=tuple(_vni(network, machine, n, nic) for n, nic in enumerate(machine.nics)),
    )


def _vni(network: Network, machine: Machine, n: int, nic: Nic) -> Vni:
    attachment = make_id("network-attachment", _id(network, machine), f"eth{n}")
    floating = ()
    if nic.floating_ip is not None:
        name = f"{machine.name}-vni-{n}"
        floating = (
            FloatingIp(
                id=make_id("floating-ip", nic.floating_ip),
                name=f"fip-{nic.floating_ip.replace('.', '-')}",
                address=nic.floating_ip,
                status="available",
                target=attachment if machine.legacy else make_id("virtual-network-interface", network.name, name),
            ),
        )
    common: dict[str, Any] = {
        "primary": n == 0,
        "subnet": make_id("subnet", network.name, nic.subnet),
        "primary_address": nic.address,
        "floating_ips": floating,
        "security_groups": tuple(make_id("security-group", network.name, group) for group in nic.groups),
        "allow_ip_spoofing": nic.spoofing,
        "enable_infrastructure_nat": True if machine.metal or not machine.legacy else None,
    }
    if machine.metal:
        common |= {"interface_type": "pci" if nic.vlan is None else "vlan", "vlan": nic.vlan}
    if machine.legacy:
        mac = _mac(network, machine, n) if machine.metal else None
        return Vni(id=attachment, name=f"eth{n}", legacy=True, mac=mac, **common)
    name = f"{machine.name}-vni-{n}"
    key = make_id("virtual-network-interface", network.name, name)
    return Vni(
        id=key,
        name=name,
        crn=reference(REGION, "virtual-network-interface", key, name)["crn"],
        attachment=Ref(id=attachment, name=f"eth{n}"),
        mac=_mac(network, machine, n),
        secondary_addresses=nic.secondary,
        protocol_state_filtering_mode=nic.mode,
        **common,
    )


def _fabric(made: list[Network]) -> Fabric:
    vpcs, subnets, groups, acls, tables = {}, {}, {}, {}, {}
    for network in made:
        key = make_id("vpc", network.name)
        default = make_id("routing-table", network.name, "default")
        vpcs[key] = Vpc(id=key, name=network.name, prefixes=(network.prefix,), default_routing_table=default)
        for name, (cidr, zone, acl, table) in network.subnets.items():
            subnet = make_id("subnet", network.name, name)
            subnets[subnet] = Subnet(
                id=subnet,
                name=name,
                cidr=cidr,
                zone=zone,
                vpc=key,
                network_acl=make_id("network-acl", network.name, acl),
                routing_table=make_id("routing-table", network.name, table),
            )
        groups |= _groups(network)
        for name, rules in ({"default": OPEN} | acl_rules()).items():
            acl = make_id("network-acl", network.name, name)
            acls[acl] = NetworkAcl(id=acl, name=name, rules=tuple(_acl_rule(acl, n, r) for n, r in enumerate(rules)))
        for name, entries in ({"default": []} | routes(network)).items():
            table = make_id("routing-table", network.name, name)
            tables[table] = RoutingTable(
                id=table,
                name=name,
                vpc=key,
                routes=tuple(_route(network, name, n, entry) for n, entry in enumerate(entries)),
                subnets=tuple(key for key, subnet in subnets.items() if subnet.routing_table == table),
            )
    return Fabric(
        vpcs=vpcs,
        subnets=subnets,
        security_groups=groups,
        network_acls=acls,
        routing_tables=tables,
        public_address_ranges=(),
        load_balancers={},
    )


def _groups(network: Network) -> dict[str, SecurityGroup]:
    members: dict[str, list[str]] = {}
    for machine in network.machines:
        for nic in machine.nics:
            for group in nic.groups:
                members.setdefault(group, []).extend((nic.address, *nic.secondary))
    groups = {}
    for name, rules in group_rules(network).items():
        key = make_id("security-group", network.name, name)
        groups[key] = SecurityGroup(
            id=key,
            name=name,
            rules=tuple(_group_rule(network, key, n, rule) for n, rule in enumerate(rules)),
            addresses=tuple(dict.fromkeys(members.get(name, ()))),
        )
    return groups


def _group_rule(network: Network, group: str, number: int, rule: dict[str, Any]) -> SecurityGroupRule:
    remote = rule.get("remote", "0.0.0.0/0")
    named = not remote[0].isdigit()
    return SecurityGroupRule(
        id=make_id("rule", group, str(number)),
        direction=rule["direction"],
        protocol=rule.get("protocol", "any"),
        remote=None if named else remote,
        remote_group=make_id("security-group", network.name, remote) if named else None,
        local="0.0.0.0/0",
        port_min=rule.get("port_min"),
        port_max=rule.get("port_max"),
        icmp_type=rule.get("type"),
    )


def _acl_rule(acl: str, number: int, rule: dict[str, Any]) -> AclRule:
    protocol = rule.get("protocol", "any")
    ported = protocol in {"tcp", "udp"}
    return AclRule(
        id=make_id("rule", acl, str(number)),
        name=f"rule-{number}",
        action=rule["action"],
        direction=rule["direction"],
        protocol=protocol,
        source=rule.get("source", "0.0.0.0/0"),
        destination=rule.get("destination", "0.0.0.0/0"),
        source_port_min=1 if ported else None,
        source_port_max=65535 if ported else None,
        destination_port_min=rule.get("destination_port_min", 1 if ported else None),
        destination_port_max=rule.get("destination_port_max", 65535 if ported else None),
    )


def _route(network: Network, table: str, number: int, entry: dict[str, Any]) -> VpcRoute:
    return VpcRoute(
        id=make_id("route", network.name, table, f"route-{number}"),
        name=f"route-{number}",
        destination=entry["destination"],
        action=entry.get("action", "deliver"),
        zone=f"{REGION}-1",
        next_hop=entry.get("next_hop"),
        lifecycle_state="stable",
        advertise=False,
    )


def main() -> None:
    """Writes a region of N servers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.region_files", description=__doc__)
    parser.add_argument("servers", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    write_folder(options.servers, options.folder)


if __name__ == "__main__":
    main()
