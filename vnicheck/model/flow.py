"""The prediction: flows, the hops that each rests on, and their verdicts, in the words of the report contract."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self, overload

from msgspec import UNSET, Struct, UnsetType


class Direction(StrEnum):
    """Who opens the flow: a remote, the server, or one remote to another through the server."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    TRANSIT = "transit"


class Protocol(StrEnum):
    """The protocols that flows are predicted for; `icmp` is echo."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"

    @property
    def number(self) -> int:
        """The IP protocol number."""
        return {"icmp": 1, "tcp": 6, "udp": 17}[self]


class Scope(StrEnum):
    """Where a remote is, seen from the local address."""

    SUBNET = "subnet"
    VPC = "vpc"
    PRIVATE = "private"
    SERVICE = "service"
    INTERNET = "internet"


class Verdict(StrEnum):
    """What becomes of a flow. `unknown` is an answer: it never hides a guess."""

    DELIVERED = "delivered"
    DROPPED = "dropped"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What one stage does to the packet."""

    PASS = "pass"  # noqa: S105
    DROP = "drop"
    UNKNOWN = "unknown"


class Leg(StrEnum):
    """Which packet: the opening one, or its answer."""

    REQUEST = "request"
    REPLY = "reply"


class Stage(StrEnum):
    """What is asked of a packet: by the VPC on its way, by the guest, and at the border between them."""

    NETWORK_ACL = "network_acl"
    REMOTE_ACL = "remote_acl"
    SECURITY_GROUP = "security_group"
    PROTOCOL_STATE_FILTERING = "protocol_state_filtering"
    IP_SPOOFING_CHECK = "ip_spoofing_check"
    FLOATING_IP = "floating_ip"
    VPC_ROUTE = "vpc_route"
    INGRESS_ROUTE = "ingress_route"
    GUEST_INTERFACE = "guest_interface"
    INTERFACE_STATE = "interface_state"
    SOURCE_VALIDATION = "source_validation"
    GUEST_FIREWALL = "guest_firewall"
    LOCAL_DELIVERY = "local_delivery"
    FORWARDING = "forwarding"
    REPLY_ROUTE = "reply_route"
    REQUEST_ROUTE = "request_route"
    ECHO_REPLY = "echo_reply"


class DropCode(StrEnum):
    """The contract's `dropped_by` codes."""

    NETWORK_ACL = "network_acl"
    SECURITY_GROUP = "security_group"
    NO_FLOATING_IP = "no_floating_ip"
    RP_FILTER = "rp_filter"
    MARTIAN_SOURCE = "martian_source"
    NOT_LOCAL = "not_local"
    INTERFACE_DOWN = "interface_down"
    NO_ROUTE = "no_route"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    IP_SPOOFING_CHECK = "ip_spoofing_check"
    PROTOCOL_STATE_FILTERING = "protocol_state_filtering"
    FLOATING_IP = "floating_ip"
    VPC_ROUTE = "vpc_route"


class GuestLines(Struct, frozen=True):
    """The policy rule and the route of the guest that decided, each as the guest lists it; None: it is not known, or
    did not matter. As text: `rule '...', route '...'`.
    """

    rule: str | None = None
    route: str | None = None

    def __str__(self) -> str:
        lines = {"rule": self.rule, "route": self.route}
        return ", ".join(f"{kind} '{line}'" for kind, line in lines.items() if line is not None)


Decider = GuestLines | str
"""What decides at a stage: lines of the guest, or something of the VPC by its name."""
By = tuple[Decider, ...]


class Observed(Struct, frozen=True):
    """That a hop was seen to be so: by whom (`kernel`, `capture`, `probe`, `reported`), and when (UTC, ISO 8601)."""

    how: Literal["kernel", "capture", "probe", "reported"]
    at: str


class Hop(Struct, frozen=True, kw_only=True, dict=True):
    """One stage that a packet meets. `at`: the guest's interface, or the VNI's name where the guest has none for it.

    A hop that drops carries the `drop` code.
    """

    leg: Leg
    at: str
    stage: Stage
    outcome: Outcome
    reason: str
    assumption: str | None = None
    drop: DropCode | None = None
    observed: Observed | UnsetType = UNSET
    """Absent where it is not seen, only computed."""

    @property
    def by(self) -> By:
        """What decided, where the engine has just said so: it is no part of a document, and not read from one."""
        by: By = self.__dict__.get("decided", ())
        return by

    def decided(self, by: By) -> Self:
        """This hop, once made, with what decided."""
        self.__dict__["decided"] = by
        return self

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.DROP) is not (self.drop is not None):
            raise ValueError("a hop has a drop code if and only if it drops")


class LazyHops(Sequence[Hop]):
    """Hops that are made when they are first read: most flows' never are. Equal to a tuple of the same."""

    def __init__(self, make: Callable[[], tuple[Hop, ...]]) -> None:
        self._make: Callable[[], tuple[Hop, ...]] | None = make
        self._made: tuple[Hop, ...] = ()

    @property
    def made(self) -> tuple[Hop, ...]:
        """As a tuple."""
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made

    def __len__(self) -> int:
        return len(self.made)

    def __iter__(self) -> Iterator[Hop]:
        return iter(self.made)

    @overload
    def __getitem__(self, index: int) -> Hop: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hop, ...]: ...
    def __getitem__(self, index: int | slice) -> Hop | tuple[Hop, ...]:
        return self.made[index]

    def __eq__(self, other: object) -> bool:
        return self.made == (other.made if isinstance(other, LazyHops) else other)

    def __hash__(self) -> int:
        return hash(self.made)


if TYPE_CHECKING:
    Hops = tuple[Hop, ...] | LazyHops
else:
    Hops = tuple[Hop, ...]  # as they are decoded


def plain(value: object) -> object:
    """What an encoder writes for a value that it does not know: for hops, which may be yet to be made, a list."""
    if isinstance(value, LazyHops):
        return value.made
    raise TypeError(f"{type(value).__name__} cannot be encoded")


class Drop(Struct, frozen=True, kw_only=True):
    """A stage that would drop the flow, were those before it fixed."""

    by: DropCode
    leg: Leg
    at: str


class Flow(Struct, frozen=True, kw_only=True):
    """A class of flows: all remotes and ports that meet the same fate at the same hops."""

    direction: Direction
    protocol: Protocol
    ports: tuple[str, ...] | UnsetType = UNSET
    """Destination ports of the opening packet, as `"1-65535"` or `"22"`; absent for icmp."""
    remote: tuple[str, ...]
    remote_scope: Scope
    remote_network: str | UnsetType = UNSET
    """The name that the configuration gives the remotes' network; absent where it gives none."""
    local: str
    """The server's address; of a transit flow the destination of the VPC route that leads it through the server."""
    local_prefixes: tuple[str, ...] | UnsetType = UNSET
    """Of a transit flow: the answering side's addresses within that destination."""
    ingress: str | None
    egress: str | None
    symmetric: bool | None
    verdict: Verdict
    dropped_by: DropCode | None
    drops: tuple[Drop, ...]
    hops: Hops
    findings: tuple[str, ...] = ()
    to_no_host: Literal[True] | UnsetType = UNSET
    """Set where the remotes are broadcast addresses of the guest's own networks: nobody is there to miss anything."""
    stays_inside: Literal[True] | UnsetType = UNSET
    """Set where packets go to one of the server's own networks (containers) by a device of its own, past all VNIs."""

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.DROPPED) is not bool(self.drops):
            raise ValueError("a flow is dropped if and only if a stage drops it")
        if self.dropped_by is not (self.drops[0].by if self.drops else None):
            raise ValueError("dropped_by is the first of drops")
        hops = self.hops if isinstance(self.hops, tuple) else ()
        if self.verdict is Verdict.DELIVERED and any(hop.outcome is not Outcome.PASS for hop in hops):
            raise ValueError("a delivered flow passes every hop")
        if (self.protocol is Protocol.ICMP) is not isinstance(self.ports, UnsetType):
            raise ValueError("a class of flows has ports if and only if its protocol has")
        if (self.direction is Direction.TRANSIT) is isinstance(self.local_prefixes, UnsetType):
            raise ValueError("a class of flows has local prefixes if and only if it is in transit")
        if not self.remote:
            raise ValueError("a class of flows has at least one remote")

    @property
    def is_of_vpc(self) -> bool:
        """Whether it says something of the server's addresses in the VPC: there is somebody, and beyond the server."""
        return isinstance(self.to_no_host, UnsetType) and isinstance(self.stays_inside, UnsetType)
