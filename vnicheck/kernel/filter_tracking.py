"""What connection tracking says, which rules ask for, of a connection's packets: of the first, of what answers it, and
of what follows the first.

Both directions of a flow cross one kernel, so its answer is ESTABLISHED and so is all behind that: unless rules keep
either out of tracking, or the answer goes past the guest.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec.structs import replace

from vnicheck.kernel.filter_chains import Chains
from vnicheck.kernel.filter_match import Packets, Turn, is_named
from vnicheck.kernel.packet import TCP
from vnicheck.model.address import Range
from vnicheck.model.firewall import FirewallRule, Selector

T = TypeVar("T")
Ways = tuple[str, str]
TO_OWN, FROM_OWN, ON = ("prerouting", "output"), ("output", "prerouting"), ("prerouting", "prerouting")
"""The hooks at which packets, and those the other way, meet connection tracking."""
_TURNS = {Selector.CONNECTION_STATE, Selector.TCP_FLAGS}


class Tracking:
    """Of a guest's chains, and the interfaces by which packets may come in."""

    def __init__(self, chains: Chains, rules: list[FirewallRule], interfaces: Iterable[str]) -> None:
        self._chains = chains
        self._tells_turns = any(match.selector in _TURNS for rule in rules for match in rule.matches)
        self._entrances = _told_apart([name for name in interfaces if name != "lo"], rules)

    def all_of(
        self,
        packets: Packets,
        ways: Ways,
        judge: Callable[[Packets], T],
        *,
        led_to: tuple[int, Range] | None = None,
        answered: bool = True,
    ) -> T:
        """What is judged of all packets of connections that go one way, the first and those that follow it. `led_to`:
        where the first is led. Not `answered`: nothing comes back by the guest.
        """
        tracked = not self._chains.untracks or self._is_tracked(packets, ways)
        if packets.turn is Turn.ANSWERS:
            return judge(packets if tracked else replace(packets, state=None))
        state = "established"
        if not answered:
            # to nf_conntrack_proto_tcp.c an ACK behind a lone SYN is INVALID, whatever tcp_be_liberal and tcp_loose say
            state = "invalid" if packets.proto == TCP else "new"
        following = replace(packets, turn=Turn.FOLLOWS, state=state if tracked else None, led_to=led_to)
        first = judge(packets)
        return judge(following) if first is None and self._tells_turns else first

    def _is_tracked(self, packets: Packets, ways: Ways) -> bool:
        """Whether connections surely are tracked, as far as it depends on their first packet and on what answers it. Of
        the packets themselves, if these are answers, rules are asked on their way.
        """
        there, back = ways
        opens = packets.turn is Turn.OPENS
        other = replace(
            packets,
            source=packets.destination,
            destination=packets.source,
            sports=packets.dports,
            dports=packets.sports,
            turn=Turn.ANSWERS if opens else Turn.OPENS,
            own=None if back == "prerouting" else False,
            sent=back == "output",
            iif=None,
            oif=None,
        )
        others = [replace(other, iif=name) for name in self._entrances] if back == "prerouting" else [other]
        if opens and self._chains.may_untrack(there, packets):
            return False
        return not any(self._chains.may_untrack(back, each) for each in others)


def _told_apart(names: Iterable[str], rules: Iterable[FirewallRule]) -> tuple[str, ...]:
    """Of interfaces that rules do not tell apart, one each."""
    matches = [match for rule in rules for match in rule.matches if match.selector is Selector.IIF]
    told = sorted({(value,) for match in matches for value in match.values})
    return tuple({tuple(is_named(values, name) for values in told): name for name in names}.values())
