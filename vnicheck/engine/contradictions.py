"""What a server's kernel contradicts, for the model of its kernel."""

from collections.abc import Iterable

from msgspec import UnsetType

from vnicheck.engine.partition import parse_ports
from vnicheck.kernel.contradicted import Contradiction
from vnicheck.kernel.fib import Failure
from vnicheck.kernel.receive import Received, Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Unknown
from vnicheck.kernel.worlds import Outcome
from vnicheck.model.address import merge_ranges, parse_address, prefix_range
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, DropCode, Leg
from vnicheck.model.observation import InformedConfig, KnownHop, facts_of
from vnicheck.model.snapshot import Server
from vnicheck.model.verification import KernelSays


def contradictions_of(server: Server, config: Config) -> tuple[Contradiction, ...]:
    """The contradictions that were seen of the server as it is."""
    known = config.known.get(server.id) if isinstance(config, InformedConfig) else None
    contradicted = [] if known is None else [hop for hop in known.hops if hop.can_be_followed]
    if known is None or not contradicted or known.facts != facts_of(server):
        return ()
    return tuple(_contradictions(contradicted))


def _contradictions(hops: Iterable[KnownHop]) -> Iterable[Contradiction]:
    for known in hops:
        hop, says = known.hop, known.says
        if says is None or isinstance(hop.remotes, UnsetType):
            continue
        comes_in = (hop.direction is Direction.INBOUND) is (hop.leg is Leg.REQUEST)
        ports = None if isinstance(hop.ports, UnsetType) else merge_ranges(map(parse_ports, hop.ports))
        yield Contradiction(
            local=parse_address(hop.local),
            entering=hop.at if comes_in else None,
            protocol=hop.protocol.number,
            of_source=hop.leg is Leg.REPLY,
            remote=parse_address(hop.remote),
            outcome=_received(says, known.said) if comes_in else _sent(says, known.said),
            alike=tuple(merge_ranges(map(prefix_range, hop.remotes))),
            doubt=Unknown(f"another of these remotes does otherwise: {known.said}"),
            port=None if ports is None else hop.port,
            ports=tuple(ports or ()),
        )


_REFUSED: dict[DropCode | None, Reception] = {
    DropCode.RP_FILTER: Reception.RP_FILTER,
    DropCode.MARTIAN_SOURCE: Reception.MARTIAN_SOURCE,
}
_NOT_SENT: dict[DropCode | None, Failure] = {DropCode(failure.value): failure for failure in Failure}


def _received(says: KernelSays, said: str) -> Outcome:
    if says.outcome == "taken":
        return Received(Reception.DELIVERED, "the guest takes it", said)
    if says.outcome == "drops":
        return Received(_REFUSED.get(says.drop, Reception.NOT_LOCAL), "the guest refuses it", said)
    return _unclear(says, said)


def _sent(says: KernelSays, said: str) -> Outcome:
    if says.outcome == "leaves" and says.interface is not None:
        return Sent(says.interface, says.gateway, said)
    if says.outcome == "drops":
        return NotSent(_NOT_SENT.get(says.drop, Failure.NO_ROUTE), "the guest refuses to send it", said)
    return _unclear(says, said)


def _unclear(says: KernelSays, said: str) -> Unknown:
    return Unknown(f"{says.why or 'that is not followed'}: {said}")
