"""What became of a flow, held against the class of predicted flows that it is in."""

from collections.abc import Iterable

from msgspec import UnsetType

from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.flow import DropCode, Flow, Outcome, Scope, Verdict
from vnicheck.model.rehearsal import Judgement, Place
from vnicheck.rehearse.packets import Tried
from vnicheck.rehearse.requests import Fate

_BY_GUEST = {
    DropCode.RP_FILTER,
    DropCode.MARTIAN_SOURCE,
    DropCode.NOT_LOCAL,
    DropCode.INTERFACE_DOWN,
    DropCode.NO_ROUTE,
    DropCode.BLACKHOLE,
    DropCode.UNREACHABLE,
    DropCode.PROHIBIT,
}
_NO_WAY_OUT = {DropCode.IP_SPOOFING_CHECK, DropCode.FLOATING_IP}
"""Both say that a foreign source does not get to the internet; which stage says so first is not documented."""


def judge(flow: Flow | None, fate: Fate, died: Place | None, scope: Scope) -> tuple[Judgement, str | None]:
    """Whether what happened is what was predicted, and why not. `died`: where, as it is told."""
    if flow is None:
        return "not_judged", "nothing is predicted of it"
    if flow.verdict is Verdict.UNKNOWN:
        return "not_judged", next((hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN), "unknown")
    if (flow.verdict is Verdict.DELIVERED) is not fate.delivered:
        return "differs", "packets do not do what was predicted"
    if died is None or not flow.drops or any(hop.outcome is Outcome.UNKNOWN for hop in flow.hops):
        return "agrees", None  # where it dies is not known, or not predicted: something unknown may come first
    first = flow.drops[0]
    if died.by is None:  # where in the guest, packets do not tell: it takes a request, and sends no reply
        agrees = first.by in _BY_GUEST
    elif died.leg is not first.leg:
        return "differs", f"predicted was a drop of the {first.leg}"
    else:
        # the order of one VNI's stages is not documented: any that is said to drop this packet may be the first
        no_way_out = scope is Scope.INTERNET and {first.by, died.by} <= _NO_WAY_OUT
        agrees = no_way_out or died.by in {drop.by for drop in flow.drops if drop.leg is first.leg}
    return ("agrees", None) if agrees else ("differs", f"predicted was a drop by {first.by}")


def class_of(flows: Iterable[Flow], tried: Tried) -> Flow | None:
    """The class that a flow is in, if it is in one."""
    remote = parse_address(tried.remote)
    for flow in flows:
        if (flow.direction, flow.protocol) != (tried.direction, tried.protocol):
            continue
        if isinstance(flow.local_prefixes, UnsetType):
            is_end = flow.local == tried.local
        else:
            is_end = _is_within(parse_address(tried.local), flow.local_prefixes)
        if not is_end or not _is_within(remote, flow.remote):
            continue
        if tried.port is None or any(_holds(text, tried.port) for text in flow.ports or ()):
            return flow
    return None


def _is_within(address: int, prefixes: Iterable[str]) -> bool:
    return any(first <= address <= last for first, last in map(prefix_range, prefixes))


def _holds(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)
