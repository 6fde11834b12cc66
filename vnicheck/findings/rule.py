"""What a rule is, and what it looks at."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

from msgspec import Struct, field

from vnicheck.engine.server_view import ServerView
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Confidence, Evidence, Finding, Flow, Severity
from vnicheck.model.guest import Guest

T = TypeVar("T")


class Facts(Struct, frozen=True):
    """One server and its predicted flows.

    `read_at`: when the VPC's side was read (UTC, ISO 8601; empty where that is not known). `every_flow`: `flows` are
    all of the server's, not the one that a trace asked for.
    """

    view: ServerView
    flows: tuple[Flow, ...]
    read_at: str = ""
    every_flow: bool = True
    known: dict[str, Any] = field(default_factory=dict)
    """What several rules ask, worked out once (`once`)."""

    def once(self, key: str, compute: Callable[[], T]) -> T:
        """What `compute` says of these facts, computed once for each key."""
        if key not in self.known:
            self.known[key] = compute()
        known: T = self.known[key]
        return known

    def is_inside(self, place: str | None) -> bool:
        """Whether an interface surely leads to no VNI: what is behind it is the guest's own (docker0, a tunnel)."""
        if place is None or self.view.vni_of(place) is not None:
            return False
        return all(vni.id in self.view.interface_of for vni in self.view.server.vnis)

    def vni_named(self, place: str) -> Vni | None:
        """The VNI behind a hop's place (a guest interface, or the VNI's own name)."""
        return self.view.vni_of(place) or next((vni for vni in self.view.server.vnis if vni.name == place), None)

    def owner(self, address: str) -> Vni | None:
        """The VNI that an address belongs to."""
        return next((vni for vni in self.view.server.vnis if address in vni.addresses), None)

    def guest_with(self, *facts: str) -> Guest | None:
        """The guest, where it was collected and none of these facts (keys of `Guest.missing`) is missing."""
        guest = self.view.server.guest
        return None if guest is None or not guest.missing.keys().isdisjoint(facts) else guest


class Rule(Struct, frozen=True, kw_only=True):
    """`id` never changes its meaning; `name` states the problem; `page` is its file's docstring, in Markdown.

    `severity`: that of every finding, where it is fixed. `about`: what the rule looks at. One about the server is not
    asked where a single flow is traced.
    """

    id: str
    name: str
    page: str
    find: Callable[["Rule", Facts], Iterable[Finding]]
    severity: Severity | None = None
    about: Literal["flows", "server"] = "flows"

    @property
    def summary(self) -> str:
        """The page's first line."""
        return self.page.strip().splitlines()[0]


def observation(
    rule: Rule,
    facts: Facts,
    *,
    subject: Sequence[str],
    message: str,
    severity: Severity,
    confidence: Confidence = "computed",
    flows: Sequence[int] = (),
    evidence: Sequence[Evidence] = (),
    fixes: Sequence[str] = (),
) -> Finding:
    """A finding on something other than a broken path. `subject` tells it from the rule's others on the server: ids,
    and no addresses, times or positions, which may change while the problem stays.
    """
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity=severity,
        confidence=confidence,
        message=message,
        fingerprint=fingerprint(rule.id, facts.view.server.crn, *subject),
        flows=tuple(flows),
        evidence=tuple(evidence),
        fixes=tuple(fixes),
    )


def fingerprint(*parts: str) -> str:
    """What tells a finding from all others."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
