"""A scenario as the VPC API shows it: the stand-in's world, and the way of its changes back into the lab."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from tests.api import World
from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from vnicheck.rehearse.network import Vni


def world_of(scenario: Scenario, *, region: str = "us-south") -> World:
    """The world of a scenario: VPC `lab`, one server that is named as the scenario, and one for each member of a group.

    Subnets, VNIs, security groups and network ACLs keep their names.
    """
    return add_server(World(region=region).vpc("lab", prefixes=list(scenario.vpc_prefixes)), scenario)


def add_server(world: World, scenario: Scenario) -> World:
    """The world with the scenario's server too, and all that is around it."""
    for acl in scenario.network_acls:
        world.network_acl(acl.name, rules=[_stated(rule) for rule in acl.rules])
    for group in scenario.security_groups:
        world.security_group(group.name, rules=[_stated(rule) for rule in group.rules])
    for subnet in scenario.subnets:
        if subnet.routes:
            world.routing_table(subnet.name, routes=[_stated(route) for route in subnet.routes])
        world.subnet(
            subnet.name,
            subnet.cidr,
            network_acl=subnet.network_acl or "default",
            routing_table=subnet.name if subnet.routes else "default",
            public_gateway=subnet.public_gateway is not None,
        )
    for group in scenario.security_groups:
        for member in group.members:
            around = next(s for s in scenario.subnets if ip_address(member) in ip_network(s.cidr))
            interface = {"subnet": around.name, "address": member, "security_groups": [group.name]}
            world.instance(f"peer-{member.replace('.', '-')}", interfaces=[interface])
    interfaces = [_interface(vni) for vni in scenario.vnis]
    if scenario.kind == "instance":
        return world.instance(scenario.name, interfaces=interfaces)
    return world.bare_metal_server(scenario.name, interfaces=interfaces)


def follow(lab: Lab) -> Callable[[dict[str, Any]], None]:
    """For `StandIn(on_patch=...)`: what a PATCH changes of a VNI, the lab's fabric does from then on."""

    def patched(vni: dict[str, Any]) -> None:
        lab.set_vni(
            vni["name"],
            protocol_state_filtering_mode=vni["protocol_state_filtering_mode"],
            allow_ip_spoofing=vni["allow_ip_spoofing"],
        )

    return patched


def _interface(vni: Vni) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "vni_name": vni.name,
        "subnet": vni.subnet,
        "mac": vni.mac,
        "address": vni.addresses[0],
        "secondary": list(vni.addresses[1:]),
        "mode": vni.protocol_state_filtering_mode,
        "allow_ip_spoofing": vni.allow_ip_spoofing,
        "floating_ip": vni.floating_ip,
    }
    if vni.security_groups is not None:
        fields["security_groups"] = list(vni.security_groups)
    return fields


def _stated(rule: msgspec.Struct) -> dict[str, Any]:
    """A rule's fields; the API leaves out ports that are not set."""
    return {key: value for key, value in msgspec.structs.asdict(rule).items() if value is not None}
