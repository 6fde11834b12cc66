"""What verifications have shown of servers, for the predictions that come after: `--observations FILE`.

What was seen of an assumption holds for the server on which it was seen, as long as it has the VNIs that it had; what
was seen of a hop, as long as its VNIs, routes, rules and sysctls are the same.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct, field

from vnicheck.model.config import Config
from vnicheck.model.flow import Observed
from vnicheck.model.snapshot import Server
from vnicheck.model.verification import AskedHop, SeenAssumption, SeenFlow, VerificationDocument


class KnownHop(Struct, frozen=True):
    """A hop of which something was seen: that it is as predicted (`confirmed`), or that it is not."""

    hop: AskedHop
    confirmed: bool
    said: str
    observed: Observed


class KnownServer(Struct, frozen=True, kw_only=True):
    """What is known of one server. `facts`: the digest for which hops and flows hold. `assumptions`: by id."""

    facts: str = ""
    hops: tuple[KnownHop, ...] = ()
    flows: tuple[tuple[SeenFlow, Observed], ...] = ()
    assumptions: dict[str, tuple[SeenAssumption, Observed]] = {}


class InformedConfig(Config, frozen=True, kw_only=True):
    """A configuration with what is known of servers, by their ids."""

    known: dict[str, KnownServer] = field(default_factory=dict)
    resolved: dict[tuple[object, ...], Config] = field(default_factory=dict)

    def for_server(self, server: str, vnis: Sequence[str]) -> Config:
        """The configuration with what was seen on the server in place of what is said of all; always the same one."""
        key = self._key(server, vnis)
        if key not in self.resolved:
            seen = self.assumptions_of(server, vnis)
            values = {name: each.value for name, (each, _) in seen.items() if each.value is not None}
            said = msgspec.convert(msgspec.to_builtins(self.assumptions) | values, type(self.assumptions))
            made = msgspec.structs.replace(self, assumptions=said) if values else self
            self.resolved[key] = self.resolved[made._key(server, vnis)] = made
        return self.resolved[key]

    def _key(self, server: str, vnis: Sequence[str]) -> tuple[object, ...]:
        return server, tuple(vnis), msgspec.json.encode(self.assumptions, order="deterministic")

    def assumptions_of(self, server: str, vnis: Sequence[str]) -> dict[str, tuple[SeenAssumption, Observed]]:
        """What was seen of assumptions on a server that has these VNIs."""
        known = self.known.get(server)
        if known is None:
            return {}
        return {name: seen for name, seen in known.assumptions.items() if set(seen[0].vnis) <= set(vnis)}


def informed(config: Config, documents: Iterable[VerificationDocument]) -> InformedConfig:
    """The configuration with what the documents say, the earliest first, beside what it knows already; of one thing the
    latest. Raises ValueError where a value is none for its assumption.
    """
    known: dict[str, KnownServer] = dict(config.known) if isinstance(config, InformedConfig) else {}
    for document in documents:
        at = document.verified_at
        for each in document.verifications:
            before = known.get(each.id, KnownServer())
            sure = [name for name in each.assumptions if name.conclusion != "suspected"]
            seen = {name.id: (name, Observed(name.how, at)) for name in sure}
            if each.facts != before.facts:
                before = KnownServer(facts=each.facts, assumptions=before.assumptions)
            hops = tuple(
                KnownHop(
                    hop,
                    answer.conclusion == "confirmed",
                    f"{answer.answered} ({answer.command})",
                    Observed("kernel", at),
                )
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


def _place(known: KnownHop) -> tuple[object, ...]:
    """What a question to the kernel was about: of one thing the latest answer counts."""
    hop = known.hop
    return hop.direction, hop.protocol, hop.local, hop.remote, hop.port, hop.leg, hop.stage, hop.at


def _ends(flow: SeenFlow) -> tuple[object, ...]:
    return flow.direction, flow.protocol, flow.local, flow.remote, flow.port


def facts_of(server: Server) -> str:
    """A digest of what hops of the server rest on: its VNIs, and the guest's links, routes, rules and sysctls."""
    guest = server.guest
    own: tuple[object, ...] = ()
    if guest is not None:
        own = (guest.interfaces, guest.routes, guest.rules, guest.sysctls)
    encoded = msgspec.json.encode((server.vnis, own), order="deterministic")
    return sha256(encoded).hexdigest()[:32]
