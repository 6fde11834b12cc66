"""What differs between a server as it was planned for and as it is now, among all that a plan rests on."""

from collections.abc import Iterator

from vnicheck.engine.interfaces import match_interfaces
from vnicheck.model.cloud import Fabric
from vnicheck.model.guest import Guest, Interface
from vnicheck.model.snapshot import Server

_OF_GUEST = {
    "routes": "its routes",
    "rules": "its policy rules",
    "hooks": "what else judges its packets",
    "missing": "what could be collected of it",
    "unmodelled": "lines that are not understood",
    "boot": "its configuration",
    "network_managers": "what manages its network",
    "owners": "what configures its interfaces",
}
_OF_FABRIC = {
    "vpcs": "the VPC's own settings",
    "subnets": "the VPC's subnets",
    "security_groups": "the VPC's security groups",
    "network_acls": "the VPC's network ACLs",
    "routing_tables": "the VPC's routing tables",
    "public_address_ranges": "the VPC's public address ranges",
    "load_balancers": "the VPC's load balancers",
    "load_balancer_members": "the members of the VPC's load balancers",
}


def drift(planned: Server, now: Server, fabric: Fabric, fabric_now: Fabric) -> tuple[str, ...]:
    """The facts that differ, in words: `its policy rules`; nothing where all are the same.

    Interfaces of containers come and go: those that lead to no VNI, and their settings, are left out.
    """
    return tuple(dict.fromkeys(_differing(planned, now, fabric, fabric_now)))


def _differing(planned: Server, now: Server, fabric: Fabric, fabric_now: Fabric) -> Iterator[str]:
    if planned.status != now.status:
        yield "whether it runs"
    if planned.vnis != now.vnis:
        yield "its VNIs"
    if match_interfaces(planned) != match_interfaces(now) or _links(planned) != _links(now):
        yield "its interfaces"
    if _settings(planned) != _settings(now):
        yield "its network settings"
    for name, words in _OF_GUEST.items():
        if _of(planned.guest, name) != _of(now.guest, name):
            yield words
    for name, words in _OF_FABRIC.items():
        if getattr(fabric, name) != getattr(fabric_now, name):
            yield words
    if _unread(fabric) != _unread(fabric_now):
        yield "what could be read of the VPC"


def _unread(fabric: Fabric) -> dict[str, str]:
    """Without other servers that could not be read: it is not told where one is asked for by its name."""
    return {key: reason for key, reason in fabric.missing.items() if key != "servers"}


def _links(server: Server) -> list[Interface]:
    names = set(match_interfaces(server).values())
    return [link for link in server.guest.interfaces if link.name in names] if server.guest is not None else []


def _settings(server: Server) -> dict[str, int]:
    if server.guest is None:
        return {}
    names = {"all", *match_interfaces(server).values()}
    return {
        path: value
        for path, value in server.guest.sysctls.items()
        if not path.startswith("net/ipv4/conf/") or path.split("/")[3] in names
    }


def _of(guest: Guest | None, name: str) -> object:
    return None if guest is None else getattr(guest, name)
