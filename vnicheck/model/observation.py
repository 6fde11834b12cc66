"""What verifications have shown of servers, for the predictions that come after: `--observations FILE`.

What was seen of an assumption holds for the server on which it was seen, as long as it has the VNIs that it had; what
was seen of a hop, as long as its VNIs, routes, rules and sysctls are the same.
"""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import Struct, UnsetType, field

from vnicheck.model.config import Config
from vnicheck.model.flow import Observed
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server
from vnicheck.model.verification import AskedHop, KernelSays, SeenAssumption, SeenFlow


class KnownHop(Struct, frozen=True):
    """A hop of which something was seen: that it is as predicted (`confirmed`), or that it is not. `said`: both
    answers, in words; `says`: the kernel's (older files lack it).
    """

    hop: AskedHop
    confirmed: bool
    said: str
    observed: Observed
    says: KernelSays | None = None

    @property
    def can_be_followed(self) -> bool:
        """Whether it is known what the kernel does instead, and of which class this was predicted."""
        return not self.confirmed and self.says is not None and not isinstance(self.hop.remotes, UnsetType)


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


def facts_of(server: Server) -> str:
    """A digest of what hops of the server rest on: its VNIs, and the guest's links, routes, rules and sysctls."""
    own = () if server.guest is None else routing_of(server.guest)
    encoded = msgspec.json.encode((server.vnis, own), order="deterministic")
    return sha256(encoded).hexdigest()[:32]


def routing_of(guest: Guest) -> tuple[object, ...]:
    """What the answers of a guest's kernel rest on."""
    return guest.interfaces, guest.routes, guest.rules, guest.sysctls
