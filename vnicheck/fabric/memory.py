"""What was compiled of a fabric, kept while the fabric is in use: a region's servers share groups, ACLs and subnets.

Nothing in the model changes once it is made, so what was compiled of a fabric stays true of it; it is known again by
its identity. A few fabrics are kept: the one at hand, and what a plan is tried on.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar

from vnicheck.model.cloud import Fabric
from vnicheck.model.memo import Memo

T = TypeVar("T")
KEPT = 4
MOST = 1 << 18

_changing = Lock()
_known: dict[int, tuple[Fabric, Memo]] = {}
"""By `id`, which stays the fabric's own as long as the fabric stands here. The oldest comes first."""


def memory_of(fabric: Fabric) -> Memo:
    """What is known of a fabric, by keys that begin with a stage's name."""
    known = _known.get(id(fabric))
    if known is None:
        with _changing:
            while len(_known) >= KEPT:
                del _known[next(iter(_known))]
            known = _known[id(fabric)] = (fabric, Memo(MOST))
    return known[1]


def remembered(fabric: Fabric, key: Hashable, compute: Callable[[], T]) -> T:
    """What `compute` says of the fabric, computed once for each key."""
    return memory_of(fabric).once(key, compute)
