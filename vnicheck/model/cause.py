"""Causes: what findings have in common, and the one fix for them."""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.finding import Severity
from vnicheck.model.flow import Scope
from vnicheck.model.plan import AtBoot


class CauseKind(StrEnum):
    """What makes findings, in the order in which causes of one severity are told."""

    WRONG_INTERFACE = "wrong_interface"
    UNUSED_TABLE = "unused_table"
    EMPTY_TABLE = "empty_table"
    EQUAL_ROUTES = "equal_routes"
    ADDRESS_MISSING = "address_missing"
    INTERFACE_DOWN = "interface_down"
    NO_ROUTE = "no_route"
    NETWORK_ACL = "network_acl"
    SECURITY_GROUP = "security_group"
    SOURCE_CHECK = "source_check"
    STATE_FILTER = "state_filter"
    SPOOFING_CHECK = "spoofing_check"
    FLOATING_IP = "floating_ip"
    VPC_ROUTE = "vpc_route"
    TRANSIT = "transit"
    OWN_NETWORK = "own_network"
    BALANCER_MEMBER = "balancer_member"
    SERVICE_SOURCE = "service_source"
    EXPECTATION = "expectation"
    LOST_AT_BOOT = "lost_at_boot"
    NOT_SEEN = "not_seen"
    UNKNOWN_FLOWS = "unknown_flows"
    NO_INTERFACE = "no_interface"
    IDLE_RULE = "idle_rule"
    LOOSE_SETTINGS = "loose_settings"


class CausePlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fix of a cause, as `vnicheck fix` plans it for the whole server. `proved`: it was tried on the model; else
    only `strategy` is known. `findings` (fingerprints) are those of the cause of which it fixes something, and `whole`
    says that it fixes all of them. `commands` change the running server, for a root shell of the guest, and
    `vpc_changes` say what changes in the VPC. `keeps` and `next_boot` say what is written to the server's
    configuration, and what the next boot does to it, in words.
    """

    strategy: str
    proved: bool
    findings: tuple[str, ...]
    whole: bool = False
    commands: tuple[str, ...] = ()
    vpc_changes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    next_boot: tuple[str, ...] = ()
    at_boot: AtBoot | UnsetType = UNSET


class Cause(Struct, frozen=True, kw_only=True):
    """What one thing makes. `severity`: the worst of its findings, which `findings` names by their fingerprints.
    `addresses` of the server, and `scopes` of remotes, are those of the flows that it breaks; none where it is about
    the server.
    """

    kind: CauseKind
    title: str
    severity: Severity
    findings: tuple[str, ...]
    addresses: tuple[str, ...]
    scopes: tuple[Scope, ...]
    plan: CausePlan | UnsetType = UNSET
    """Absent where nothing that we know of fixes it, or it was not looked for."""
