"""A verification for people: with -q, how much agrees, in a line a server."""

import io

from rich.console import Console

from vnicheck.model.report import TOOL
from vnicheck.model.snapshot import Problem
from vnicheck.model.verification import Conclusion, KernelAnswer, Verification, VerificationDocument
from vnicheck.report.verification import write_verification


def answer(conclusion: Conclusion) -> KernelAnswer:
    return KernelAnswer(
        command="ip route get 10.8.0.4", predicted="eth0", answered=None, conclusion=conclusion, flows=1
    )


def quiet(*servers: Verification) -> list[str]:
    page = io.StringIO()
    document = VerificationDocument(
        schema="vnicheck.verification/1", tool=TOOL, verified_at="2026-11-28T00:00:00Z", verifications=servers
    )
    write_verification(document, Console(file=page, width=80, color_system=None), quiet=True)
    return page.getvalue().splitlines()


def test_quiet_counts_the_worst_first() -> None:
    agrees = Verification(id="1", name="web-1", kernel=(answer("confirmed"),) * 2)
    differs = Verification(id="2", name="web-2", kernel=(answer("confirmed"), answer("contradicted")))
    assert quiet(agrees, differs) == ["web-1: ✓ 2 confirmed", "web-2: ✗ 1 contradicted, 1 confirmed"]


def test_quiet_says_why_nothing_was_tested() -> None:
    away = Verification(id="1", name="web-1", problems=(Problem(code="ssh_timeout", message="no answer"),))
    assert quiet(away, Verification(id="2", name="web-2")) == [
        "web-1: ? ssh_timeout: no answer",
        "web-2: ? nothing was tested",
    ]
