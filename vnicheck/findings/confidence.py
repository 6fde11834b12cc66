"""How sure hops are, by the assumptions that they cite."""

from collections.abc import Iterable

from msgspec import UnsetType

from vnicheck.fabric.assumptions import ASSUMPTIONS
from vnicheck.model.finding import Confidence
from vnicheck.model.flow import Hop

_BASIS = {assumption.id: assumption.basis for assumption in ASSUMPTIONS if not assumption.shared}


def confidence_of_hops(hops: Iterable[Hop]) -> Confidence:
    """The lowest of what the hops rest on, but for the assumptions that all flows share."""
    hops = list(hops)
    unseen = [hop for hop in hops if isinstance(hop.observed, UnsetType)]
    if hops and not unseen:
        return "observed"
    bases = {_BASIS[hop.assumption] for hop in unseen if hop.assumption in _BASIS}
    return "computed" if bases <= {"documented", "recorded"} else "assumed"
