"""What people call things: stages, drops, scopes and values, one table for findings, plans and reports."""

from typing import NamedTuple

from vnicheck.model.cause import CauseKind
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
    DropCode.INTERFACE_DOWN: Dropper("interface down", "the dead interface"),
    DropCode.NO_ROUTE: Dropper("no route", "the missing route"),
    DropCode.BLACKHOLE: Dropper("blackhole", "a blackhole route"),
    DropCode.UNREACHABLE: Dropper("unreachable", "an unreachable route"),
    DropCode.PROHIBIT: Dropper("prohibit", "a prohibit route"),
    DropCode.IP_SPOOFING_CHECK: Dropper("spoofing check", "the IP spoofing check"),
    DropCode.PROTOCOL_STATE_FILTERING: Dropper("state filter", "the state filter"),
    DropCode.FLOATING_IP: Dropper("floating IP elsewhere", "the floating IP, which is on another VNI"),
    DropCode.VPC_ROUTE: Dropper("VPC route", "a VPC route"),
}

SHORT = {
    DropCode.NETWORK_ACL: "ACL",
    DropCode.SECURITY_GROUP: "group",
    DropCode.NO_FLOATING_IP: "no public IP",
    DropCode.RP_FILTER: "rp_filter",
    DropCode.MARTIAN_SOURCE: "source check",
    DropCode.NOT_LOCAL: "no address",
    DropCode.INTERFACE_DOWN: "down",
    DropCode.NO_ROUTE: "no route",
    DropCode.BLACKHOLE: "blackhole",
    DropCode.UNREACHABLE: "unreachable",
    DropCode.PROHIBIT: "prohibit",
    DropCode.IP_SPOOFING_CHECK: "spoofing",
    DropCode.PROTOCOL_STATE_FILTERING: "state",
    DropCode.FLOATING_IP: "other FIP",
    DropCode.VPC_ROUTE: "VPC route",
}
"""Drops, where there is room for a word."""

SHORT_STAGES = {
    Stage.NETWORK_ACL: "ACL",
    Stage.REMOTE_ACL: "their ACL",
    Stage.SECURITY_GROUP: "group",
    Stage.PROTOCOL_STATE_FILTERING: "state",
    Stage.IP_SPOOFING_CHECK: "spoofing",
    Stage.FLOATING_IP: "FIP",
    Stage.VPC_ROUTE: "VPC route",
    Stage.INGRESS_ROUTE: "VPC route",
    Stage.GUEST_INTERFACE: "interface",
    Stage.INTERFACE_STATE: "interface",
    Stage.SOURCE_VALIDATION: "rp_filter",
    Stage.GUEST_FIREWALL: "firewall",
    Stage.LOCAL_DELIVERY: "delivery",
    Stage.FORWARDING: "forwarding",
    Stage.REPLY_ROUTE: "route",
    Stage.REQUEST_ROUTE: "route",
    Stage.ECHO_REPLY: "echo",
}
"""Stages, where there is room for a word."""

STAGES = {
    Stage.NETWORK_ACL: "network ACL",
    Stage.REMOTE_ACL: "ACL of the remote's subnet",
    Stage.SECURITY_GROUP: "security groups",
    Stage.PROTOCOL_STATE_FILTERING: "state filter",
    Stage.IP_SPOOFING_CHECK: "IP spoofing check",
    Stage.FLOATING_IP: "floating IP",
    Stage.VPC_ROUTE: "VPC routes",
    Stage.INGRESS_ROUTE: "ingress routes of the VPC",
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

CAUSES = {
    CauseKind.WRONG_INTERFACE: "no policy routing: packets leave by the wrong interface",
    CauseKind.UNUSED_TABLE: "a routing table that no rule uses",
    CauseKind.EMPTY_TABLE: "a policy rule that leads to an empty routing table",
    CauseKind.EQUAL_ROUTES: "two default routes of the same metric",
    CauseKind.ADDRESS_MISSING: "an address of the VPC that the server does not have",
    CauseKind.INTERFACE_DOWN: "an interface that is down",
    CauseKind.NO_ROUTE: "no route for what the server sends",
    CauseKind.NETWORK_ACL: "a network ACL refuses the reply",
    CauseKind.SECURITY_GROUP: "security groups refuse the reply",
    CauseKind.SOURCE_CHECK: "the server's source check refuses what comes in",
    CauseKind.STATE_FILTER: "the state filter drops connections that it has not seen opened",
    CauseKind.SPOOFING_CHECK: "the IP spoofing check drops what the server sends",
    CauseKind.FLOATING_IP: "a floating IP on another VNI",
    CauseKind.VPC_ROUTE: "a VPC route that leads elsewhere",
    CauseKind.TRANSIT: "traffic through the server is lost",
    CauseKind.OWN_NETWORK: "a policy rule leads the server's own networks out by a VNI",
    CauseKind.BALANCER_MEMBER: "a load balancer member that is a secondary interface",
    CauseKind.SERVICE_SOURCE: "UDP services that answer from another address",
    CauseKind.EXPECTATION: "an expectation of the configuration that does not hold",
    CauseKind.LOST_AT_BOOT: "settings that the next boot changes",
    CauseKind.NOT_SEEN: "the server itself was not looked at",
    CauseKind.UNKNOWN_FLOWS: "some flows are unknown",
    CauseKind.NO_INTERFACE: "a VNI without an interface in the server",
    CauseKind.IDLE_RULE: "a policy rule that never matches",
    CauseKind.LOOSE_SETTINGS: "settings looser than needed",
}
"""What makes findings, said of any server."""
