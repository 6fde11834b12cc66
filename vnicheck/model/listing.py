"""A listing: which servers there are, with their interfaces as the VPC has them. Nothing is judged."""

from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.cloud import Fabric, Ref, ServerKind, Vni
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.words import shown_json

LISTING_SCHEMA: Literal["vnicheck.list/1"] = "vnicheck.list/1"


class ListedSubnet(Struct, frozen=True, kw_only=True):
    """A subnet; `name` and `cidr` are None where the subnets were not read."""

    id: str
    name: str | None
    cidr: str | None


class ListedInterface(Struct, frozen=True, kw_only=True):
    """A VNI, or a legacy network interface. The mode is the API's word (`auto`, `enabled`, `disabled`), None for a
    legacy one; None elsewhere: not read.
    """

    id: str
    name: str
    primary: bool
    legacy: bool
    mac: str | None
    subnet: ListedSubnet
    addresses: tuple[str, ...]
    """The primary address first."""
    floating_ips: tuple[str, ...]
    security_groups: tuple[str, ...] | None
    """Names; the id where a name is not known."""
    protocol_state_filtering_mode: str | None
    allow_ip_spoofing: bool | None


class ListedServer(Struct, frozen=True, kw_only=True):
    """A server; the primary interface comes first. `status` is the API's word."""

    id: str
    name: str
    crn: str
    kind: ServerKind
    status: str
    profile: str | None
    vpc: Ref
    zone: str
    region: str
    interfaces: tuple[ListedInterface, ...]
    problems: tuple[Problem, ...] = ()


class RegionProblem(Struct, frozen=True, kw_only=True):
    """What of a region could not be read."""

    region: str
    code: str
    message: str


class Listing(Struct, frozen=True, kw_only=True):
    """The document of `vnicheck list -f json`. `complete`: there are no problems, neither of regions nor of servers."""

    schema: Literal["vnicheck.list/1"]
    tool: Tool
    listed_at: str
    """UTC, ISO 8601."""
    complete: bool
    servers: tuple[ListedServer, ...]
    problems: tuple[RegionProblem, ...] = ()


def listed_server(server: Server, fabric: Fabric) -> ListedServer:
    """The server as a listing has it."""
    vnis = sorted(server.vnis, key=lambda vni: not vni.primary)
    return ListedServer(
        id=server.id,
        name=server.name,
        crn=server.crn,
        kind=server.kind,
        status=server.status,
        profile=server.profile,
        vpc=server.vpc,
        zone=server.zone,
        region=server.region,
        interfaces=tuple(_interface(vni, fabric) for vni in vnis),
        problems=server.problems,
    )


def encode_listing(listing: Listing) -> bytes:
    """Indented JSON with a final newline."""
    return shown_json(msgspec.json.format(msgspec.json.encode(listing), indent=2)) + b"\n"


def _interface(vni: Vni, fabric: Fabric) -> ListedInterface:
    subnet = fabric.subnets.get(vni.subnet)
    groups = vni.security_groups
    return ListedInterface(
        id=vni.id,
        name=vni.name,
        primary=vni.primary,
        legacy=vni.legacy,
        mac=vni.mac,
        subnet=ListedSubnet(
            id=vni.subnet,
            name=subnet.name if subnet is not None else None,
            cidr=subnet.cidr if subnet is not None else None,
        ),
        addresses=vni.addresses,
        floating_ips=tuple(floating_ip.address for floating_ip in vni.floating_ips),
        security_groups=None if groups is None else tuple(_group(group, fabric) for group in groups),
        protocol_state_filtering_mode=vni.protocol_state_filtering_mode,
        allow_ip_spoofing=vni.allow_ip_spoofing,
    )


def _group(key: str, fabric: Fabric) -> str:
    group = fabric.security_groups.get(key)
    return key if group is None else group.name
