"""The snapshot's structs, field by field: what each text is, and so what becomes of it. One without a role fails."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from vnicheck.model import cloud, firewall, guest
from vnicheck.model.interface import Neighbour
from vnicheck.model.snapshot import Problem, Server, Snapshot
from vnicheck.redaction.addresses import AddressPseudonyms
from vnicheck.redaction.texts import Words

S = TypeVar("S", bound=Struct)

KEEP, ID, CRN, MAC, ADDRESS, PREFIX = "keep", "id", "crn", "mac", "address", "prefix"
INTERFACE, SYSCTL, WORD, LINE, MESSAGE = "interface", "sysctl", "word", "line", "message"
SYSTEM, RELEASE = "system", "release"

ROLES: Mapping[type[Struct], Mapping[str, str]] = {
    Snapshot: {"schema": KEEP, "tool_version": KEEP, "created_at": KEEP},
    Server: {
        "id": ID, "name": "server", "crn": CRN, "kind": KEEP, "zone": KEEP, "region": KEEP, "status": KEEP,
        "profile": KEEP, "image": "image",
    },
    Problem: {"code": KEEP, "message": MESSAGE},
    cloud.Ref: {"id": ID, "name": "name"},
    cloud.FloatingIp: {"id": ID, "name": "name", "address": ADDRESS, "status": KEEP, "target": ID},
    cloud.Vni: {
        "id": ID, "name": "vni", "crn": CRN, "interface_type": KEEP, "mac": MAC, "subnet": ID,
        "primary_address": ADDRESS, "secondary_addresses": ADDRESS, "security_groups": ID,
        "protocol_state_filtering_mode": KEEP,
    },
    cloud.Subnet: {
        "id": ID, "name": "subnet", "cidr": PREFIX, "zone": KEEP, "vpc": ID, "network_acl": ID, "routing_table": ID,
        "public_gateway": ID,
    },
    cloud.Vpc: {"id": ID, "name": "vpc", "prefixes": PREFIX, "default_routing_table": ID},
    cloud.SecurityGroupRule: {
        "id": ID, "direction": KEEP, "protocol": KEEP, "remote": PREFIX, "remote_group": ID, "local": PREFIX,
        "unmodelled": LINE,
    },
    cloud.SecurityGroup: {"id": ID, "name": "group", "addresses": ADDRESS},
    cloud.AclRule: {
        "id": ID, "name": "rule", "action": KEEP, "direction": KEEP, "protocol": KEEP, "source": PREFIX,
        "destination": PREFIX, "unmodelled": LINE,
    },
    cloud.NetworkAcl: {"id": ID, "name": "acl"},
    cloud.VpcRoute: {
        "id": ID, "name": "route", "destination": PREFIX, "action": KEEP, "zone": KEEP, "next_hop": ADDRESS,
        "lifecycle_state": KEEP,
    },
    cloud.NextHopResource: {"id": ID, "name": "name", "kind": KEEP},
    cloud.RoutingTable: {"id": ID, "name": "table", "vpc": ID, "ingress": KEEP, "subnets": ID},
    cloud.PublicAddressRange: {
        "id": ID, "name": "name", "cidr": PREFIX, "vpc": ID, "zone": KEEP, "lifecycle_state": KEEP,
    },
    cloud.LoadBalancerListener: {"id": ID, "protocol": KEEP, "pool": ID},
    cloud.LoadBalancer: {
        "id": ID, "name": "name", "family": KEEP, "vpc": ID, "profile": KEEP, "subnets": ID, "access_mode": KEEP,
        "provisioning_status": KEEP, "private_addresses": ADDRESS, "public_addresses": ADDRESS, "security_groups": ID,
    },
    cloud.LoadBalancerMember: {"family": KEEP, "vpc": ID, "address": ADDRESS, "instance": ID},
    cloud.Fabric: {
        "vpcs": ID, "subnets": ID, "security_groups": ID, "network_acls": ID, "routing_tables": ID,
        "load_balancers": ID, "missing": MESSAGE,
    },
    guest.Guest: {
        "collected_at": KEEP, "via": KEEP, "ip_version": RELEASE, "sysctls": SYSCTL, "counters": KEEP,
        "network_managers": WORD, "owners": INTERFACE, "missing": MESSAGE, "unexamined": MESSAGE,
    },
    guest.OperatingSystem: {
        "id": SYSTEM, "version": RELEASE, "name": RELEASE, "kernel": RELEASE, "hostname": "server",
    },
    guest.Interface: {
        "name": INTERFACE, "altnames": INTERFACE, "mac": MAC, "permanent_mac": MAC, "kind": WORD, "master": INTERFACE,
        "parent": INTERFACE, "peer": INTERFACE, "link_type": WORD, "bus": WORD, "flags": WORD, "unmodelled": LINE,
    },
    Neighbour: {"address": ADDRESS, "interface": INTERFACE, "mac": MAC},
    guest.InterfaceAddress: {"prefix": PREFIX, "scope": WORD, "broadcast": ADDRESS, "peer": PREFIX},
    guest.NextHop: {"interface": INTERFACE, "gateway": ADDRESS, "flags": WORD},
    guest.Route: {
        "prefix": PREFIX, "scope": WORD, "protocol": WORD, "source": ADDRESS, "text": LINE, "unmodelled": LINE,
    },
    guest.PolicyRule: {
        "src": PREFIX, "dst": PREFIX, "iif": INTERFACE, "oif": INTERFACE, "text": LINE, "unmodelled": LINE,
    },
    guest.Hook: {"text": LINE, "interface": INTERFACE, "src": PREFIX, "dst": PREFIX, "protocol": WORD},
    firewall.Match: {"values": LINE},
    firewall.FirewallRule: {"text": LINE, "target": LINE, "unmodelled": LINE},
    firewall.FirewallChain: {
        "family": KEEP, "table": LINE, "name": LINE, "type": WORD, "hook": WORD, "priority": LINE, "device": LINE,
    },
    firewall.Firewall: {"unmodelled": LINE},
    guest.Unmodelled: {"section": WORD, "text": LINE},
    guest.BootConfig: {"sysctls": SYSCTL, "not_again": INTERFACE, "unknown": MESSAGE},
    guest.NotAgain: {"how": KEEP, "why": MESSAGE},
    guest.BootValue: {"source": LINE},
    guest.BootRule: {"source": LINE, "src": PREFIX, "dst": PREFIX},
    guest.BootRoute: {"source": LINE, "prefix": PREFIX},
    guest.Sockets: {"half_open": ADDRESS},
    guest.Owner: {"handle": LINE},
}  # fmt: skip
"""What the texts of a field are; of a mapping to structs or numbers, what its keys are; `missing` and `unknown` are
named by fields of ours, and have their reasons as values. Every other role is the kind of a name.
"""

_BY_REASON = frozenset({"missing", "unexamined", "unknown"})


class Redactor:
    """The pseudonyms of one key, for snapshots that belong together. What is the same in them stays the same."""

    def __init__(self, key: bytes, snapshots: Iterable[Snapshot]) -> None:
        subnets: set[str] = set()
        interfaces: set[str] = set()
        for snapshot in snapshots:
            subnets.update(subnet.cidr for subnet in snapshot.fabric.subnets.values())
            for server in snapshot.servers:
                for interface in server.guest.interfaces if server.guest is not None else ():
                    interfaces.add(interface.name)
                    subnets.update(address.prefix for address in interface.addresses)
        addresses = AddressPseudonyms(key, subnets)
        words = self._words = Words(key, addresses, interfaces)
        self._roles: dict[str, Callable[[str], str]] = {
            KEEP: lambda text: text,
            ID: lambda text: words.named("id", text, 16),
            CRN: lambda text: words.named("crn", text, 16),
            MAC: words.mac,
            ADDRESS: addresses.address,
            PREFIX: addresses.prefix,
            INTERFACE: words.interface,
            SYSCTL: words.sysctl,
            WORD: words.word,
            LINE: words.line,
            MESSAGE: words.message,
            SYSTEM: words.system,
            RELEASE: words.release,
        }

    def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot under pseudonyms, and marked as such."""
        return msgspec.structs.replace(self._struct(snapshot), redacted=True)

    def _struct(self, struct: S) -> S:
        roles = ROLES[type(struct)]
        changed = {
            name: self._value(value, roles.get(name), by_reason=name in _BY_REASON)
            for name, value in msgspec.structs.asdict(struct).items()
        }
        return msgspec.structs.replace(struct, **changed)

    def _value(self, value: Any, role: str | None, *, by_reason: bool = False) -> Any:
        if isinstance(value, Struct):
            return self._struct(value)
        if isinstance(value, tuple):
            return tuple(self._value(each, role) for each in value)
        if isinstance(value, dict) and by_reason:
            return {key: self._text(reason, role) for key, reason in value.items()}
        if isinstance(value, dict):
            return {self._text(key, role): self._value(each, KEEP) for key, each in value.items()}
        if isinstance(value, str) and not isinstance(value, Enum):
            return self._text(value, role)
        return value

    def _text(self, text: str, role: str | None) -> str:
        if role is None:
            raise TypeError("a text without a role")
        change = self._roles.get(role)
        return change(text) if change is not None else self._words.named(role, text)
