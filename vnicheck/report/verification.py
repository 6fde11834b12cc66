"""A verification, for people."""

from rich.console import Console

from vnicheck.model.verification import KernelAnswer, Verification, VerificationDocument
from vnicheck.model.words import counted
from vnicheck.report.page import Page

_SHOWN = 12
"""How many answers of a kind are shown."""


def write_verification(document: VerificationDocument, console: Console) -> None:
    """Writes each server's part to a console: what is contradicted, then what was not tested, then how much agrees."""
    page = Page(console)
    for position, verification in enumerate(document.verifications):
        if position:
            page.line()
        _verification(page, verification, document.verified_at)


def _verification(page: Page, verification: Verification, when: str) -> None:
    page.prose((verification.name, "bold"), f"  its kernel, asked at {when.replace('T', ' ')}")
    page.line((page.glyphs.rule * page.width, "dim"))
    for problem in verification.problems:
        page.prose(f"{problem.code}: {problem.message}", lead=(f"{page.glyphs.question} ", "bold yellow"))
    for answer in _of(verification, "contradicted"):
        page.prose(
            f"predicted: {answer.predicted}; the kernel: {answer.answered}",
            lead=(f"{page.glyphs.cross} ", "bold red"),
        )
        page.line((answer.command, "bold"), indent=4)
    untested = _of(verification, "not_tested")
    for answer in untested[:_SHOWN]:
        said = f"; the kernel says of an unmarked packet: {answer.answered}" if answer.answered is not None else ""
        page.prose(f"not tested: {answer.why}{said}", lead=(f"{page.glyphs.question} ", "bold yellow"))
        page.line((answer.command, "dim"), indent=4)
    if len(untested) > _SHOWN:
        page.prose(f"and {len(untested) - _SHOWN} more; -f json has all", indent=2)
    if verification.kernel:
        confirmed, asked = verification.count("confirmed"), len(verification.kernel)
        style = "green" if confirmed == asked else "yellow"
        page.prose(
            f"{confirmed} of {counted(asked, 'answer')} of the server's kernel confirm what is predicted of the guest.",
            lead=(f"{page.glyphs.tick} ", style) if confirmed else "",
        )


def _of(verification: Verification, conclusion: str) -> list[KernelAnswer]:
    return [answer for answer in verification.kernel if answer.conclusion == conclusion]
