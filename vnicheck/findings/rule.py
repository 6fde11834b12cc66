"""What a rule is, and how it makes a finding."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import UNSET, Struct

from vnicheck.findings.facts import Facts
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Confidence, Evidence, Finding, Fix, Severity
from vnicheck.model.flow import Direction, DropCode


class Rule(Struct, frozen=True):
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
    cause: CauseKind | None = None
    """What makes its findings; None: their flows show it."""

    @property
    def summary(self) -> str:
        """The page's first line."""
        return self.page.strip().splitlines()[0]


def observation(
    rule: Rule,
    facts: Facts,
    *,
    subject: Sequence[str],
    what: str,
    why: str = ".",
    severity: Severity | None = None,
    confidence: Confidence = "computed",
    flows: Sequence[int] = (),
    evidence: Sequence[Evidence] = (),
    fixes: Sequence[Fix] = (),
    about: Sequence[str] = (),
) -> Finding:
    """A finding on something other than a broken path. `what` happens, as a clause, and `why`, which goes on from there
    (`: the reason.`). `subject` tells it from the rule's others on the server: ids, and no addresses, times or
    positions, which may change while the problem stays. `severity`: where it is not the rule's. `about`: addresses of
    the server, where there are no flows.
    """
    severity = severity if severity is not None else rule.severity
    if severity is None:
        raise ValueError(f"{rule.id} leaves open how severe its findings are")
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity=severity,
        confidence=confidence,
        headline=what,
        message=what + why,
        fingerprint=fingerprint(rule.id, facts.view.server.crn, *subject),
        flows=tuple(flows),
        evidence=tuple(evidence),
        fixes=tuple(fixes),
        about=tuple(about) or UNSET,
    )


def path_fingerprint(
    rule: str, facts: Facts, code: DropCode, direction: Direction, places: Iterable[str | None], *more: str
) -> str:
    """Stable under new addresses, order and time: the rule, the server, the drop, and the VNIs of the path: where
    packets enter, where they leave, and where they are dropped; `more` tells apart what shares them.
    """
    vnis = [facts.vni_named(place) if place is not None else None for place in places]
    ids = (vni.id if vni is not None else "-" for vni in vnis)
    return fingerprint(rule, facts.view.server.crn, code.value, direction.value, *ids, *more)


def fingerprint(*parts: str) -> str:
    """What tells a finding from all others."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
