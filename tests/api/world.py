"""A builder of worlds: short arguments in, the API's full shapes out.

    world = (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .network_acl("strict", rules=[dict(action="deny", direction="inbound", source="10.9.0.0/16")])
        .security_group("web", rules=[dict(direction="inbound", protocol="tcp", port_min=443, port_max=443),
                                      dict(direction="inbound", protocol="tcp", remote="web")])
        .routing_table("egress", routes=[dict(destination="10.8.0.0/16", action="deliver", next_hop="10.0.0.5")])
        .subnet("a", "10.0.0.0/24")
        .subnet("b", "10.0.1.0/24", zone="us-south-2", network_acl="strict", routing_table="egress",
                public_gateway=True)
        .instance("web-1", interfaces=[
            dict(subnet="a", address="10.0.0.11", mac="02:00:05:02:70:58", mode="auto", allow_ip_spoofing=True),
            dict(subnet="a", address="10.0.0.12", secondary=["10.0.0.13"], floating_ip="203.0.113.7",
                 security_groups=["web"]),
        ])
        .instance("old-1", interfaces=[dict(subnet="a", address="10.0.0.21")], legacy=True)
        .bare_metal_server("metal-1", interfaces=[
            dict(subnet="a", address="10.0.0.31"),
            dict(subnet="b", address="10.0.1.31", interface_type="vlan", vlan=100),
        ])
    )
    world.find("instances", "web-1")["status"] = "stopped"       # any property can be changed afterwards
    world.id("instance", "web-1"), world.vni_id("web-1", 1)       # ids are derived from names
    world.save(Path("world.json"))                                # for python -m tests.api

Each call belongs to the VPC that was made last; names are those of that VPC. A VPC starts with a default security group
and a default ACL that allow everything, and an empty default routing table. Arguments of an interface: Interface;
of rules and routes: `_group_rule`, `_acl_rule`, `route`. The first interface is the primary one.
"""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from tests.api import shapes
from tests.api.resources import FILTERS
from tests.api.shapes import CREATED, Json, make_id, make_mac, reference, without


@dataclass(kw_only=True)
class Interface:
    """One network interface of a server. `name` is the attachment's, `vni_name` the VNI's. Legacy ones have no `mode`,
    no `secondary`, and of instances no `mac`. `floating_ip_on`: what the floating IP's target names, `vni` or
    `attachment`.
    """

    subnet: str
    address: str
    mac: str | None = None
    mode: str = "auto"
    allow_ip_spoofing: bool = False
    secondary: list[str] = field(default_factory=list)
    floating_ip: str | None = None
    floating_ip_on: str = "vni"
    security_groups: list[str] = field(default_factory=lambda: ["default"])
    name: str | None = None
    vni_name: str | None = None
    interface_type: str = "pci"
    vlan: int | None = None
    infrastructure_nat: bool = True


class World:
    """`data` is the world as JSON: the regional lists by name, `regions`, and by the id of what they belong to
    `address_prefixes`, `routing_tables`, `routes`, `network_interfaces`, `network_attachments`, `listeners` and
    `members` (of pools); `faults` (as Fault) may be added.
    """

    def __init__(self, *, region: str = "us-south", resource_group: str = "Default") -> None:
        self.region = region
        self.owner = resource_group
        self.data: Json = {kind: [] for kind in (*FILTERS, "regions")} | {
            name: {}
            for name in (
                "address_prefixes",
                "routing_tables",
                "routes",
                "network_interfaces",
                "network_attachments",
                "listeners",
                "members",
            )
        }
        self._vpc = ""

    def vpc(self, name: str, *, prefixes: list[str] | None = None) -> Self:
        """A VPC, which the following calls belong to; `prefixes` are its address prefixes (zone 1)."""
        self._vpc = name
        ref = self._ref("vpc", name, own=True)
        key = ref["id"]
        self.data["address_prefixes"][key] = [
            {
                "id": make_id("prefix", name, cidr),
                "name": f"prefix-{number}",
                "cidr": cidr,
                "created_at": CREATED,
                "has_subnets": True,
                "href": f"{ref['href']}/address_prefixes/{make_id('prefix', name, cidr)}",
                "is_default": True,
                "zone": shapes.zone(self.region, f"{self.region}-1"),
            }
            for number, cidr in enumerate(prefixes or [])
        ]
        self.data["routing_tables"][key] = []
        self.data["vpcs"].append(
            shapes.vpc(
                self.region,
                ref,
                without(self._ref("network-acl", "default"), "resource_type"),
                self._ref("routing-table", "default"),
                without(self._ref("security-group", "default"), "resource_type"),
                shapes.resource_group(self.owner),
            )
        )
        both = ("inbound", "outbound")
        self.routing_table("default")
        self.network_acl("default", rules=[{"action": "allow", "direction": direction} for direction in both])
        return self.security_group("default", rules=[{"direction": direction} for direction in both])

    def listed_region(self, name: str, endpoint: str, *, status: str = "available") -> Self:
        """A region that `list_regions` names; `endpoint` as the API gives it, without `/v1` (`StandIn.root`)."""
        self.data["regions"].append(
            {"name": name, "endpoint": endpoint, "href": shapes.href(self.region, f"regions/{name}"), "status": status}
        )
        return self

    def subnet(
        self,
        name: str,
        cidr: str,
        *,
        zone: str | None = None,
        network_acl: str = "default",
        routing_table: str = "default",
        public_gateway: bool = False,
    ) -> Self:
        """A subnet; ACL and routing table by name."""
        acl = self._named("network_acls", "network-acl", network_acl)
        ref = without(self._ref("subnet", name))
        acl["subnets"].append(ref)
        tables = self.data["routing_tables"][make_id("vpc", self._vpc)]
        table = make_id("routing-table", self._vpc, routing_table)
        next(each for each in tables if each["id"] == table)["subnets"].append(self._ref("subnet", name))
        self.data["subnets"].append(
            shapes.subnet(
                self.region,
                ref,
                cidr,
                zone or f"{self.region}-1",
                self._ref("vpc", self._vpc, own=True),
                without(self._ref("network-acl", network_acl), "resource_type"),
                self._ref("routing-table", routing_table),
                self._ref("public-gateway", f"{name}-gateway") if public_gateway else None,
                shapes.resource_group(self.owner),
            )
        )
        return self

    def security_group(self, name: str, *, rules: list[Json]) -> Self:
        """A security group; `rules`: see `_group_rule`."""
        ref = self._ref("security-group", name)
        self.data["security_groups"].append(
            without(ref, "resource_type")
            | {
                "created_at": CREATED,
                "resource_group": shapes.resource_group(self.owner),
                "rules": [self._group_rule(ref, number, **rule) for number, rule in enumerate(rules)],
                "targets": [],
                "vpc": self._ref("vpc", self._vpc, own=True),
            }
        )
        return self

    def network_acl(self, name: str, *, rules: list[Json]) -> Self:
        """A network ACL; `rules` in order: see `_acl_rule`."""
        ref = self._ref("network-acl", name)
        made = [self._acl_rule(ref, number, **rule) for number, rule in enumerate(rules)]
        for rule, following in pairwise(made):
            rule["before"] = {key: following[key] for key in ("id", "name", "href")}
        self.data["network_acls"].append(
            without(ref, "resource_type")
            | {
                "created_at": CREATED,
                "resource_group": shapes.resource_group(self.owner),
                "rules": made,
                "subnets": [],
                "vpc": self._ref("vpc", self._vpc, own=True),
            }
        )
        return self

    def routing_table(self, name: str, *, routes: list[Json] | None = None, ingress: list[str] | None = None) -> Self:
        """A routing table. `ingress`: of internet, transit_gateway, direct_link, vpc_zone; `routes`: see `route`."""
        ref = self._ref("routing-table", name)
        sources = set(ingress or [])
        flags = {f"route_{s}_ingress": s in sources for s in ("internet", "transit_gateway", "direct_link", "vpc_zone")}
        self.data["routing_tables"][make_id("vpc", self._vpc)].append(
            ref
            | flags
            | {
                "accept_routes_from": [],
                "advertise_routes_to": [],
                "created_at": CREATED,
                "is_default": name == "default",
                "lifecycle_state": "stable",
                "resource_group": shapes.resource_group(self.owner),
                "routes": [],
                "subnets": [],
            }
        )
        self.data["routes"][ref["id"]] = []
        for route in routes or []:
            self.route(name, **route)
        return self

    def route(
        self,
        table: str,
        *,
        destination: str,
        action: str = "deliver",
        next_hop: str | None = None,
        zone: str | None = None,
        priority: int = 2,
        name: str | None = None,
        lifecycle_state: str = "stable",
        advertise: bool = False,
    ) -> Self:
        """A route; `next_hop` is an address, or the name of a VPN gateway connection."""
        ref = self._ref("routing-table", table)
        routes = self.data["routes"][ref["id"]]
        label = name or f"route-{len(routes)}"
        key = make_id("route", self._vpc, table, label)
        if next_hop is None or next_hop[0].isdigit():
            hop: Json = {"address": next_hop or "0.0.0.0"}
        else:
            hop = without(self._ref("vpn-gateway-connection", next_hop), "crn")
        routes.append(
            {
                "id": key,
                "name": label,
                "action": action,
                "advertise": advertise,
                "created_at": CREATED,
                "destination": destination,
                "href": f"{ref['href']}/routes/{key}",
                "lifecycle_state": lifecycle_state,
                "next_hop": hop,
                "origin": "user",
                "priority": priority,
                "zone": shapes.zone(self.region, zone or f"{self.region}-1"),
            }
        )
        return self

    def instance(
        self,
        name: str,
        *,
        interfaces: list[Json],
        legacy: bool = False,
        status: str = "running",
        resource_group: str | None = None,
        profile: str | None = None,
    ) -> Self:
        """A virtual server instance; `interfaces`: arguments of Interface. `legacy`: without network attachments."""
        return self._server("instance", name, interfaces, legacy, status, resource_group, profile)

    def bare_metal_server(
        self,
        name: str,
        *,
        interfaces: list[Json],
        legacy: bool = False,
        status: str = "running",
        resource_group: str | None = None,
        profile: str | None = None,
    ) -> Self:
        """A bare metal server; `interface_type` and `vlan` of its interfaces count."""
        return self._server("bare-metal-server", name, interfaces, legacy, status, resource_group, profile)

    def share_vni(self, name: str, *, subnet: str, address: str, mode: str = "auto") -> Self:
        """A virtual network interface of a file share's mount target: no server has it."""
        target = without(self._ref("share-mount-target", f"{name}-target"), "crn")
        self._vni(name, Interface(subnet=subnet, address=address, mode=mode), target)
        return self

    def group_target(self, group: str, kind: str, name: str) -> Self:
        """Another target of a security group: `load-balancer`, `endpoint-gateway`, `vpn-server`."""
        self._named("security_groups", "security-group", group)["targets"].append(self._ref(kind, name))
        return self

    def load_balancer(
        self,
        name: str,
        *,
        subnet: str,
        family: str = "network",
        members: list[Json],
        listeners: list[Json] | None = None,
        access_mode: str = "private",
        route_mode: bool = False,
        private_ips: list[str] | None = None,
        public_ips: list[str] | None = None,
        security_groups: list[str] | None = None,
    ) -> Self:
        """A load balancer with one pool, `{name}-pool`. A member is an `address`, an `instance` by name, or a `fqdn`,
        and a `port` (80); a listener a `protocol` (tcp) and a `port` (80), or `ports`, the first and the last. It is a
        target of the `security_groups` named, as the API tells it.
        """
        ref = self._ref("load-balancer", name)
        key = make_id("pool", ref["id"])
        pool = {"id": key, "name": f"{name}-pool", "href": f"{ref['href']}/pools/{key}"}
        of = self._named("subnets", "subnet", subnet)
        groups = security_groups or []
        balancer = shapes.load_balancer(
            ref,
            {"family": family, "href": shapes.href(self.region, f"load_balancer/profiles/{family}"), "name": family},
            without(self._ref("subnet", subnet)),
            pool,
            shapes.resource_group(self.owner),
            access_mode=access_mode,
            route_mode=route_mode,
            private_ips=[shapes.reserved_ip(of, address) for address in private_ips or []],
            public_ips=public_ips or [],
            security_groups=[without(self._ref("security-group", group), "resource_type") for group in groups],
        )
        self.data["load_balancers"].append(balancer)
        for group in groups:
            self.group_target(group, "load-balancer", name)
        self.data["members"][key] = [self._member(pool, number, **member) for number, member in enumerate(members)]
        made = [self._listener(ref, pool, number, **each) for number, each in enumerate(listeners or [])]
        self.data["listeners"][ref["id"]] = made
        balancer["listeners"] = [{"id": each["id"], "href": each["href"]} for each in made]
        return self

    def public_address_range(self, name: str, cidr: str, *, zone: str | None = None, bound: bool = True) -> Self:
        """A public address range, bound to the VPC in a zone."""
        vpc = self._ref("vpc", self._vpc, own=True)
        self.data["public_address_ranges"].append(
            shapes.public_address_range(
                self._ref("public-address-range", name),
                cidr,
                shapes.resource_group(self.owner),
                {"vpc": vpc, "zone": shapes.zone(self.region, zone or f"{self.region}-1")} if bound else None,
            )
        )
        return self

    def floating_ip(self, address: str, *, target: Json | None = None, name: str | None = None) -> Self:
        """A floating IP, unbound without a `target` (a reference)."""
        label = name or f"fip-{address.replace('.', '-')}"
        self.data["floating_ips"].append(
            without(reference(self.region, "floating-ip", make_id("floating-ip", address), label), "resource_type")
            | {
                "address": address,
                "created_at": CREATED,
                "resource_group": shapes.resource_group(self.owner),
                "status": "available",
                "zone": shapes.zone(self.region, f"{self.region}-1"),
            }
            | ({} if target is None else {"target": target})
        )
        return self

    def id(self, kind: str, name: str, *, vpc: str | None = None) -> str:
        """The id of a resource of the last VPC, or of `vpc`: `world.id("subnet", "a")`."""
        return make_id(kind, name) if kind == "vpc" else make_id(kind, vpc or self._vpc, name)

    def vni_id(self, server: str, number: int = 0, *, vpc: str | None = None) -> str:
        """The id of a server's VNI, by the interface's number, where the VNI has no name of its own."""
        return self.id("virtual-network-interface", f"{server}-vni-{number}", vpc=vpc)

    def find(self, kind: str, name: str) -> Json:
        """The resource of this name in a regional list (`instances`), to be changed at will."""
        return next(item for item in self.data[kind] if item["name"] == name)

    def save(self, path: Path) -> Path:
        """Writes the world for `python -m tests.api`."""
        path.write_text(json.dumps(self.data, indent=1))
        return path

    def _ref(self, kind: str, name: str, *, own: bool = False) -> Json:
        key = make_id(kind, name) if own else make_id(kind, self._vpc, name)
        ref = reference(self.region, kind, key, name)
        if kind == "routing-table":
            ref["href"] = f"{shapes.href(self.region, 'vpcs')}/{make_id('vpc', self._vpc)}/routing_tables/{key}"
        return ref

    def _named(self, listed: str, kind: str, name: str) -> Json:
        key = make_id(kind, self._vpc, name)
        return next(item for item in self.data[listed] if item["id"] == key)

    def _member(self, pool: Json, number: int, *, port: int = 80, **target: str) -> Json:
        key = make_id("member", pool["id"], str(number))
        instance = target.get("instance")
        return {
            "id": key,
            "href": f"{pool['href']}/members/{key}",
            "created_at": CREATED,
            "health": "ok",
            "port": port,
            "provisioning_status": "active",
            "target": target if instance is None else without(self._ref("instance", instance), "resource_type"),
        }

    def _listener(
        self,
        balancer: Json,
        pool: Json,
        number: int,
        *,
        protocol: str = "tcp",
        port: int = 80,
        ports: tuple[int, int] | None = None,
    ) -> Json:
        key = make_id("listener", balancer["id"], str(number))
        return shapes.listener(key, balancer, pool, protocol, ports or (port, port))

    def _end(self, text: str) -> Json:
        """A rule's remote or local: a prefix, an address, or the name of a security group."""
        if text[0].isdigit():
            return {"cidr_block": text} if "/" in text else {"address": text}
        return without(self._ref("security-group", text), "resource_type")

    def _group_rule(
        self,
        group: Json,
        number: int,
        *,
        direction: str,
        protocol: str = "any",
        remote: str = "0.0.0.0/0",
        local: str = "0.0.0.0/0",
        **more: Any,
    ) -> Json:
        """`more`: `port_min`, `port_max`, `type`, `code`, or any property in the API's words."""
        key = make_id("rule", group["id"], str(number))
        return {
            "id": key,
            "name": f"rule-{number}",
            "href": f"{group['href']}/rules/{key}",
            "resource_type": "security_group_rule",
            "direction": direction,
            "ip_version": "ipv4",
            "protocol": protocol,
            "remote": self._end(remote),
            "local": self._end(local),
        } | more

    def _acl_rule(
        self,
        acl: Json,
        number: int,
        *,
        action: str,
        direction: str,
        protocol: str = "any",
        source: str = "0.0.0.0/0",
        destination: str = "0.0.0.0/0",
        **more: Any,
    ) -> Json:
        """`more`: `source_port_min`, ..., `type`, `code`; tcp and udp have all ports unless told."""
        key = make_id("rule", acl["id"], str(number))
        ports = {f"{end}_port_{edge}": value for end in ("source", "destination") for edge, value in _EDGES}
        return (
            {
                "id": key,
                "name": f"rule-{number}",
                "href": f"{acl['href']}/rules/{key}",
                "action": action,
                "created_at": CREATED,
                "direction": direction,
                "ip_version": "ipv4",
                "protocol": protocol,
                "source": source,
                "destination": destination,
            }
            | (ports if protocol in ("tcp", "udp") else {})
            | more
        )

    def _server(
        self,
        kind: str,
        name: str,
        interfaces: list[Json],
        legacy: bool,
        status: str,
        resource_group: str | None,
        profile: str | None,
    ) -> Self:
        ref = self._ref(kind, name)
        made = [Interface(**interface) for interface in interfaces]
        subnets = [self._named("subnets", "subnet", interface.subnet) for interface in made]
        zone = subnets[0]["zone"]["name"]
        ref["crn"] = reference(self.region, kind, ref["id"], name, zone)["crn"]
        item = shapes.server(
            self.region,
            kind,
            ref,
            self._ref("vpc", self._vpc, own=True),
            zone,
            status,
            shapes.resource_group(resource_group or self.owner),
            profile,
        )
        type_ = ref["resource_type"]
        attachments: list[Json] = []
        shadows: list[Json] = []
        for number, (interface, subnet) in enumerate(zip(made, subnets, strict=True)):
            label = interface.name or f"eth{number}"
            key = make_id("network-attachment", ref["id"], label)
            short: Json = {
                "id": key,
                "name": label,
                "primary_ip": shapes.reserved_ip(subnet, interface.address),
                "subnet": self._ref("subnet", interface.subnet),
            }
            shadow = short | {"href": f"{ref['href']}/network_interfaces/{key}", "resource_type": "network_interface"}
            shadows.append(shadow)
            if legacy:
                self._legacy(kind, ref, shadow, interface, primary=number == 0)
                continue
            attachment = short | {
                "href": f"{ref['href']}/network_attachments/{key}",
                "resource_type": f"{type_}_network_attachment",
            }
            target = {field: attachment[field] for field in ("id", "name", "href", "resource_type")}
            vni = self._vni(interface.vni_name or f"{name}-vni-{number}", interface, target)
            attachment["virtual_network_interface"] = vni
            attachments.append(attachment)
            if kind == "bare-metal-server":
                self._metal_attachment(ref, attachment, interface, primary=number == 0)
            if interface.floating_ip is not None:
                on_vni = vni | {"primary_ip": short["primary_ip"], "subnet": short["subnet"]}
                self.floating_ip(
                    interface.floating_ip,
                    target=on_vni if interface.floating_ip_on == "vni" else without(shadow, "subnet"),
                )
        item |= {"network_interfaces": shadows, "primary_network_interface": shadows[0]}
        if kind == "instance" or not legacy:
            item["network_attachments"] = attachments
        if not legacy:
            item["primary_network_attachment"] = attachments[0]
        self.data["instances" if kind == "instance" else "bare_metal_servers"].append(item)
        return self

    def _vni(self, name: str, interface: Interface, target: Json) -> Json:
        ref = self._ref("virtual-network-interface", name)
        subnet = self._named("subnets", "subnet", interface.subnet)
        primary = shapes.reserved_ip(subnet, interface.address)
        groups = [without(self._ref("security-group", group), "resource_type") for group in interface.security_groups]
        self.data["virtual_network_interfaces"].append(
            ref
            | {
                "allow_ip_spoofing": interface.allow_ip_spoofing,
                "auto_delete": True,
                "created_at": CREATED,
                "enable_infrastructure_nat": interface.infrastructure_nat,
                "ips": [primary, *(shapes.reserved_ip(subnet, address) for address in interface.secondary)],
                "lifecycle_state": "stable",
                "mac_address": interface.mac or make_mac(self._vpc, name),
                "primary_ip": primary,
                "protocol_state_filtering_mode": interface.mode,
                "resource_group": shapes.resource_group(self.owner),
                "security_groups": groups,
                "subnet": self._ref("subnet", interface.subnet),
                "target": target,
                "vpc": self._ref("vpc", self._vpc, own=True),
                "zone": subnet["zone"],
            }
        )
        bound = ref | {"primary_ip": primary, "subnet": self._ref("subnet", interface.subnet)}
        for group in interface.security_groups:
            self._named("security_groups", "security-group", group)["targets"].append(bound)
        return ref

    def _legacy(self, kind: str, server: Json, shadow: Json, interface: Interface, *, primary: bool) -> None:
        bound = without(shadow, "primary_ip", "subnet")
        full = shadow | {
            "allow_ip_spoofing": interface.allow_ip_spoofing,
            "created_at": CREATED,
            "floating_ips": [],
            "port_speed": 1000,
            "security_groups": [
                without(self._ref("security-group", group), "resource_type") for group in interface.security_groups
            ],
            "status": "available",
            "type": "primary" if primary else "secondary",
        }
        if kind == "bare-metal-server":
            full |= {
                "enable_infrastructure_nat": interface.infrastructure_nat,
                "mac_address": interface.mac or make_mac(server["id"], shadow["name"]),
                **_on_wire(interface, "allow_interface_to_float"),
            }
        for group in interface.security_groups:
            self._named("security_groups", "security-group", group)["targets"].append(bound)
        self.data["network_interfaces"].setdefault(server["id"], []).append(full)
        if interface.floating_ip is not None:
            self.floating_ip(interface.floating_ip, target=without(shadow, "subnet"))
            floating = self.data["floating_ips"][-1]
            full["floating_ips"] = [{key: floating[key] for key in ("id", "name", "address", "crn", "href")}]

    def _metal_attachment(self, server: Json, attachment: Json, interface: Interface, *, primary: bool) -> None:
        self.data["network_attachments"].setdefault(server["id"], []).append(
            attachment
            | {
                "created_at": CREATED,
                "lifecycle_state": "stable",
                "port_speed": 1000,
                "type": "primary" if primary else "secondary",
                **_on_wire(interface, "allow_to_float"),
            }
        )


_EDGES = (("min", 1), ("max", 65535))


def _on_wire(interface: Interface, floats: str) -> Json:
    """How a bare metal interface is told apart: a PCI interface allows VLANs, a VLAN interface has one."""
    if interface.interface_type == "vlan":
        return {"interface_type": "vlan", "vlan": interface.vlan, floats: False}
    return {"interface_type": interface.interface_type, "allowed_vlans": []}
