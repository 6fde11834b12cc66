"""What the running kernel said otherwise than is computed: its answer holds for the remote that it was asked about, and
what is computed of the others that would fare the same is not known.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from msgspec import Struct

from vnicheck.kernel.undetermined import Unknown
from vnicheck.kernel.worlds import ByPort, Outcome
from vnicheck.model.address import Range
from vnicheck.model.address_map import AddressMap, choose, constant, zipped


class Contradiction(Struct, frozen=True, kw_only=True):
    """A contradiction. The packets: from or to `local`; coming in by `entering`, or sent (None); of flows of `protocol`
    that are about their source ports (`of_source`) or not, which counts where a policy rule reads such things.

    `outcome`: what becomes of those of `remote`. `alike`: the remotes of which the same was computed, `doubt` what is
    now known of them. `port`, `ports`: the same of ports, where the kernel was asked about one.
    """

    local: int
    entering: str | None
    protocol: int
    of_source: bool
    remote: int
    outcome: Outcome
    alike: tuple[Range, ...]
    doubt: Unknown
    port: int | None = None
    ports: tuple[Range, ...] = ()

    def outdated(self) -> "Contradiction":
        """The same of a guest that was changed: nothing is known of any of them."""
        reason = f"what the guest does once it is changed is not known: {self.doubt.reason}"
        return msgspec.structs.replace(self, outcome=Unknown(reason), doubt=Unknown(reason))


def as_contradicted(
    computed: AddressMap[ByPort], seen: Sequence[Contradiction], judged: Callable[[Contradiction], Outcome]
) -> AddressMap[ByPort]:
    """What becomes of packets by their remote, with what was seen of some. What is not known stays so.

    `judged`: what follows from an answer, as far as it is modelled.
    """
    found = computed
    for each in seen:
        doubted = found.mapped(partial(_instead, ports=each.ports, outcome=each.doubt))
        found = choose(each.alike, doubted, found)
    for each in seen:
        there = found.at(each.remote)
        answered = zipped([computed.at(each.remote), there]).mapped(partial(_answered, judged(each)))
        if each.port is not None:
            answered = choose([(each.port, each.port)], answered, there)
        found = choose([(each.remote, each.remote)], constant(answered), found)
    return found


def _answered(outcome: Outcome, ways: tuple[Outcome, Outcome]) -> Outcome:
    computed, doubted = ways
    return doubted if isinstance(computed, Unknown) else outcome


def _instead(ways: ByPort, *, ports: tuple[Range, ...], outcome: Outcome) -> ByPort:
    """The ways with another outcome at the ports (none: at all), where one is known."""
    changed: ByPort = ways.mapped(lambda way: way if isinstance(way, Unknown) else outcome)
    return choose(ports, changed, ways) if ports else changed
