"""What people call things: stages, drops, scopes and values, one table for findings, plans and reports."""

from typing import NamedTuple

from vnicheck.model.flow import DropCode, Scope, Stage


class Dropper(NamedTuple):
    """What drops a packet: as a label (`state filter`), and as the one who does it (`dropped by the state filter`)."""

    label: str
    agent: str


DROPS = {
    DropCode.NETWORK_ACL: Dropper("network ACL", "the network ACL"),
    DropCode.SECURITY_GROUP: Dropper("security groups", "the security groups"),
    DropCode.NO_FLOATING_IP: Dropper("no floating IP or public gateway", "the missing floating IP"),
    DropCode.RP_FILTER: Dropper("rp_filter", "rp_filter"),
    DropCode.MARTIAN_SOURCE: Dropper("source check of the guest", "the guest's source check"),
    DropCode.NOT_LOCAL: Dropper("address not in the guest", "the guest, which lacks the address"),
    DropCode.INTERFACE_DOWN: Dropper("interface down", "the interface, which is down"),
    DropCode.NO_ROUTE: Dropper("no route", "the missing route"),
    DropCode.BLACKHOLE: Dropper("blackhole", "a blackhole route"),
    DropCode.UNREACHABLE: Dropper("unreachable", "an unreachable route"),
    DropCode.PROHIBIT: Dropper("prohibit", "a prohibit route"),
    DropCode.IP_SPOOFING_CHECK: Dropper("spoofing check", "the IP spoofing check"),
    DropCode.PROTOCOL_STATE_FILTERING: Dropper("state filter", "the state filter"),
    DropCode.FLOATING_IP: Dropper("floating IP elsewhere", "the floating IP, which is on another VNI"),
    DropCode.VPC_ROUTE: Dropper("VPC route", "a VPC route"),
}

STAGES = {
    Stage.NETWORK_ACL: "network ACL",
    Stage.REMOTE_ACL: "ACL of the remote's subnet",
    Stage.SECURITY_GROUP: "security groups",
    Stage.PROTOCOL_STATE_FILTERING: "state filter",
    Stage.IP_SPOOFING_CHECK: "IP spoofing check",
    Stage.FLOATING_IP: "floating IP",
    Stage.VPC_ROUTE: "VPC routes",
    Stage.INGRESS_ROUTE: "ingress_route",
    Stage.GUEST_INTERFACE: "interface in the guest",
    Stage.INTERFACE_STATE: "interface",
    Stage.SOURCE_VALIDATION: "source validation",
    Stage.GUEST_FIREWALL: "firewall in the guest",
    Stage.LOCAL_DELIVERY: "local delivery",
    Stage.FORWARDING: "forwarding",
    Stage.REPLY_ROUTE: "reply's route",
    Stage.REQUEST_ROUTE: "request's route",
    Stage.ECHO_REPLY: "echo reply",
}

SCOPES = {
    Scope.SUBNET: "its subnet",
    Scope.VPC: "the VPC",
    Scope.PRIVATE: "other private networks",
    Scope.SERVICE: "IBM services",
    Scope.INTERNET: "the internet",
}

RP_FILTER = {0: "off", 1: "strict", 2: "loose"}
