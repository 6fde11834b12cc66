"""What is found: findings, what they rest on, what they affect, and what would help."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.flow import Direction, Protocol, Scope

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The worst first."""
Confidence = Literal["observed", "computed", "assumed"]


def is_as_severe(severity: Severity, other: Severity) -> bool:
    """Whether a severity is as bad as another, or worse."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(other)


class Evidence(Struct, frozen=True, kw_only=True):
    """A fact that a finding rests on: where it was read (`ip route`, an API path) and what it said."""

    source: str
    text: str
    collected_at: str


class Affected(Struct, frozen=True, kw_only=True):
    """Flows that a finding is about: all of `protocols`, `ports` and `remotes` with each other.

    Of one direction, local address and way (interfaces of the guest, as in Flow), to or from remotes in one scope.
    """

    direction: Direction
    local: str
    local_prefixes: tuple[str, ...] | UnsetType = UNSET
    """Of flows in transit, as in Flow."""
    ingress: str | None
    egress: str | None
    protocols: tuple[Protocol, ...]
    ports: tuple[str, ...] | UnsetType = UNSET
    """Destination ports of the opening packet; absent for icmp, which stands apart from protocols that have ports."""
    remotes: tuple[str, ...]
    """The fewest CIDRs."""
    scope: Scope


class Muted(Struct, frozen=True, kw_only=True):
    """Why a finding does not count, and the last day (ISO 8601) on which it does not."""

    reason: str
    expires: str


class Fix(Struct, frozen=True):
    """What would help: `title` says it; `commands` for a root shell of the guest do it, one after the other, where they
    are known.
    """

    title: str
    commands: tuple[str, ...] = ()
    by_hand: bool | UnsetType = UNSET
    """True where no plan has these commands, and nothing applies them."""


class Finding(Struct, frozen=True, kw_only=True):
    """Advice: one per broken path. `affected` says which flows it is about; none where it is about the server.

    `message` begins with `headline`, the clause that says what happens to which flows, and goes on with why.

    `flows` are their indexes among the server's flows; a document without flows has neither.
    """

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    headline: str
    message: str
    fingerprint: str
    affected: tuple[Affected, ...] = ()
    flows: tuple[int, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()
    about: tuple[str, ...] | UnsetType = UNSET
    """The server's addresses that it is about, where it has no flows to say so."""
    muted: Muted | UnsetType = UNSET
    """Set by a mute of the configuration: the finding counts nowhere, but is told."""
    aliases: tuple[str, ...] | UnsetType = UNSET
    """Fingerprints under which earlier versions had it, in one finding or several; absent where there are none."""
    known: bool | UnsetType = UNSET
    """Whether the baseline has it: such a finding counts nowhere, but is told. Absent where there is no baseline."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Its own, then those of earlier versions."""
        return (self.fingerprint, *(() if isinstance(self.aliases, UnsetType) else self.aliases))

    @property
    def is_muted(self) -> bool:
        """Whether the configuration mutes it."""
        return not isinstance(self.muted, UnsetType)

    @property
    def is_known(self) -> bool:
        """Whether the baseline has it."""
        return self.known is True

    @property
    def counts(self) -> bool:
        """Whether it is neither muted nor known."""
        return not (self.is_muted or self.is_known)
