"""What verifications have shown, from their documents into a configuration: of one thing the latest."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from vnicheck.model.config import Config
from vnicheck.model.flow import Observed
from vnicheck.model.observation import InformedConfig, KnownHop, KnownServer
from vnicheck.model.verification import KernelAnswer, SeenFlow, VerificationDocument


def informed(config: Config, documents: Iterable[VerificationDocument]) -> InformedConfig:
    """The configuration with what the documents say, beside what it knows already; of one thing the latest. Raises
    ValueError where a value is none for its assumption.
    """
    known: dict[str, KnownServer] = dict(config.known) if isinstance(config, InformedConfig) else {}
    for document in sorted(documents, key=verified):
        at = document.verified_at
        for each in document.verifications:
            before = known.get(each.id, KnownServer())
            sure = [name for name in each.assumptions if name.conclusion != "suspected"]
            seen = {name.id: (name, Observed(name.how, at)) for name in sure}
            if each.facts != before.facts:
                before = KnownServer(facts=each.facts, assumptions=before.assumptions)
            hops = tuple(
                KnownHop(hop, answer.conclusion == "confirmed", _both(answer, at), Observed("kernel", at), answer.says)
                for answer in each.kernel
                if answer.conclusion != "not_tested"
                for hop in answer.hops
            )
            flows = [(flow, Observed(flow.how, at)) for flow in each.flows]
            known[each.id] = KnownServer(
                facts=each.facts,
                hops=tuple({_place(hop): hop for hop in (*before.hops, *hops)}.values()),
                flows=tuple({_ends(flow): (flow, seen_at) for flow, seen_at in (*before.flows, *flows)}.values()),
                assumptions=before.assumptions | seen,
            )
    made = InformedConfig(**{name: getattr(config, name) for name in Config.__struct_fields__}, known=known)
    for server, said in known.items():
        made.for_server(server, sorted({vni for each, _ in said.assumptions.values() for vni in each.vnis}))
    return made


def verified(document: VerificationDocument) -> datetime:
    """When it was; a time without a zone is UTC. Raises ValueError."""
    at = datetime.fromisoformat(document.verified_at)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def without_answers(config: Config) -> Config:
    """The configuration without what kernels have answered."""
    if not isinstance(config, InformedConfig):
        return config
    known = {server: msgspec.structs.replace(each, hops=()) for server, each in config.known.items()}
    return msgspec.structs.replace(config, known=known, resolved={})


def _both(answer: KernelAnswer, at: str) -> str:
    return f"predicted: {answer.predicted}; the server's kernel, asked at {at}: {answer.answered} ({answer.command})"


def _place(known: KnownHop) -> tuple[object, ...]:
    """What a question to the kernel was about: of one thing the latest answer counts."""
    hop = known.hop
    return hop.direction, hop.protocol, hop.local, hop.remote, hop.port, hop.leg


def _ends(flow: SeenFlow) -> tuple[object, ...]:
    return flow.direction, flow.protocol, flow.local, flow.remote, flow.port
