"""The server's guest was not collected, so that nothing is known of its routes and filters.

## What it finds

Running servers without guest facts: SSH did not work, or nobody gave the collected output.

## Why it matters

What becomes of a packet between two VNIs of one server is decided in the guest: by its routes, policy rules and
rp_filter. Without them every such flow is unknown, and the state of a server that is not reported as broken is unknown.

## How to fix

Make SSH work (the server's problems say what stopped it), or run what `vnicheck collect-script` prints on the server's
console, and give the saved output with `--guest INSTANCE=FILE`.

## How sure we are

Observed.

## Sources

`vnicheck collect-script --help`; the codes of the server's problems in the report.
"""

from collections.abc import Iterator

from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Evidence, Finding, Fix
from vnicheck.model.words import one_line


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for the server."""
    server = facts.view.server
    if server.guest is not None or not server.may_run:
        return
    reasons = [one_line(problem.message) for problem in server.problems] or ["no guest facts were given"]
    yield observation(
        rule,
        facts,
        subject=(),
        what="the guest was not collected, so that every flow through it is unknown",
        confidence="observed",
        evidence=[Evidence(source="collection", text=reason, collected_at=facts.read_at) for reason in reasons],
        fixes=(Fix("fix SSH, or give the output of 'vnicheck collect-script' with --guest INSTANCE=FILE"),),
    )


RULE = Rule("VNC401", "guest-not-seen", __doc__, find, severity="note", about="server", cause=CauseKind.NOT_SEEN)
