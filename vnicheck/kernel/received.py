"""What becomes of a packet that comes in: the answer of source validation, and of all that is behind it."""

from enum import StrEnum

from msgspec import Struct

from vnicheck.kernel.fib import Failure
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.flow import Decider


class Reception(StrEnum):
    """What becomes of the packet: the contract's drop codes, and three fates that are no drop."""

    DELIVERED = "delivered"
    BROADCAST = "broadcast"
    FORWARDED = "forwarded"
    INTERFACE_DOWN = "interface_down"
    NOT_LOCAL = "not_local"
    MARTIAN_SOURCE = "martian_source"
    RP_FILTER = "rp_filter"


class Received(Struct, frozen=True):
    """The answer, its reason (without the remote's address), and the line that decided it.

    `delivered` means handed to the transport protocol; `broadcast` the same for a broadcast address. `failure` tells
    how the lookup of the destination ended where it found no route. `egress` and `gateways`: the interfaces by which a
    forwarded packet may leave, and the next hops that it may be handed to (None: on-link).
    """

    reception: Reception
    reason: str
    by: Decider = ""
    failure: Failure | None = None
    egress: tuple[str, ...] = ()
    gateways: tuple[str | None, ...] = ()
    ruling: Unknown | None = None
    """What the guest's firewall, where it was read, may make of it beside that."""
    led: str | None = None
    """Where netfilter led it first: `172.17.0.2:80`."""

    @property
    def essence(self) -> tuple[object, ...]:
        """What it comes to, whatever its words: by this worlds are compared."""
        return self.reception, self.egress, self.gateways
