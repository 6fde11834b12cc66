"""A verification, for people; and what a report says of hops that were seen."""

from collections.abc import Iterator, Sequence

from msgspec import UnsetType
from rich.console import Console

from vnicheck.findings.terms import DROPS
from vnicheck.model.flow import Hop
from vnicheck.model.verification import (
    AskedHop,
    FlowConclusion,
    KernelAnswer,
    SeenAssumption,
    SeenFlow,
    Verification,
    VerificationDocument,
)
from vnicheck.model.words import counted, listed, one_line
from vnicheck.report.page import Page

_SHOWN = 12
"""How many answers of a kind are shown."""


def write_verification(document: VerificationDocument, console: Console, *, quiet: bool = False) -> None:
    """Writes each server's part to a console: what is contradicted, then what was not tested, then how much agrees.
    `quiet`: how many of each, and why a server could not be looked at.
    """
    page = Page(console)
    if quiet:
        for verification in document.verifications:
            _answer(page, verification)
        return
    for position, verification in enumerate(document.verifications):
        if position:
            page.line()
        _verification(page, verification, document.verified_at)


def _answer(page: Page, verification: Verification) -> None:
    marks = _marks(page)
    counts = {each: verification.count(each) for each in marks}
    mark, style = marks[next((each for each, count in counts.items() if count), "not_tested")]
    said = [f"{count} {each.replace('_', ' ')}" for each, count in counts.items() if count]
    if said or not verification.problems:
        page.prose((", ".join(said) or "nothing was tested", style), lead=(f"{verification.name}: {mark}", style))
    for problem in verification.problems:
        lead = f"{verification.name}: {page.glyphs.question} "
        page.prose(f"{problem.code}: {problem.message}", lead=(lead, "bold yellow"))


def _marks(page: Page) -> dict[FlowConclusion, tuple[str, str]]:
    """Of each conclusion its sign and style, in the order in which they are told."""
    return {
        "contradicted": (f"{page.glyphs.cross} ", "bold red"),
        "not_tested": (f"{page.glyphs.question} ", "bold yellow"),
        "settled": (f"{page.glyphs.tick} ", "bold green"),
        "confirmed": (f"{page.glyphs.tick} ", "green"),
    }


def _verification(page: Page, verification: Verification, when: str) -> None:
    page.prose((verification.name, "bold"), f"  verified at {when.replace('T', ' ')}")
    page.line((page.glyphs.rule * page.width, "dim"))
    for problem in verification.problems:
        page.prose(f"{problem.code}: {problem.message}", lead=(f"{page.glyphs.question} ", "bold yellow"))
    for note in verification.notes:
        page.prose(note, lead=("note: ", "dim"))
    _flows(page, verification.flows)
    _assumptions(page, verification.assumptions)
    _kernel(page, verification)


def _flows(page: Page, flows: Sequence[SeenFlow]) -> None:
    for conclusion, mark in _marks(page).items():
        alike = [flow for flow in flows if flow.conclusion == conclusion]
        for flow in alike[:_SHOWN]:
            page.prose(
                (flow_words(flow), "bold" if conclusion == "contradicted" else ""),
                f": predicted {_predicted(flow)}; seen: {_seen(flow)}. {conclusion.replace('_', ' ').capitalize()}"
                f"{f': {flow.why}' if flow.why else ''}.",
                lead=mark,
            )
        if len(alike) > _SHOWN:
            page.prose(
                f"and {len(alike) - _SHOWN} more that are {conclusion.replace('_', ' ')}; -f json has all", indent=2
            )


def flow_words(flow: SeenFlow) -> str:
    """`tcp 80 from 10.8.0.4 to 10.0.0.12`."""
    port = f" {flow.port}" if flow.port is not None else ""
    ends = (flow.remote, flow.local) if flow.direction == "inbound" else (flow.local, flow.remote)
    return f"{flow.protocol}{port} from {ends[0]} to {ends[1]}"


def observed_words(hop: Hop) -> str:
    """` (seen by a capture, 2026-11-28 15:54:17Z)`; empty of a hop that is only computed."""
    if isinstance(hop.observed, UnsetType):
        return ""
    by = {"kernel": "seen by its kernel", "capture": "seen by a capture", "probe": "seen by packets"}
    return f" ({by.get(hop.observed.how, 'reported')}, {one_line(hop.observed.at, 40).replace('T', ' ')})"


def _follows(answer: KernelAnswer) -> Iterator[str]:
    """What becomes of flows by an answer that contradicts."""
    alike: dict[tuple[object, ...], dict[str, AskedHop]] = {}
    for hop in answer.hops:
        if not isinstance(hop.verdict, UnsetType):
            port = "" if isinstance(hop.ports, UnsetType) else f" {hop.port}"
            fate = (hop.direction, hop.local, hop.remote, hop.verdict, hop.dropped_by)
            alike.setdefault(fate, {})[f"{hop.protocol}{port}"] = hop
    for protocols in alike.values():
        hop = next(iter(protocols.values()))
        ends = (hop.remote, hop.local) if hop.direction == "inbound" else (hop.local, hop.remote)
        verb = "is" if len(protocols) == 1 else "are"
        by = "" if isinstance(hop.dropped_by, UnsetType) else f" by {hop.dropped_by}"
        yield f"by that, {listed(list(protocols))} from {ends[0]} to {ends[1]} {verb} {hop.verdict}{by}"
    if alike:
        yield "of the other remotes of which the same was predicted, nothing is known"


def _predicted(flow: SeenFlow) -> str:
    return f"{flow.predicted}{f' by {DROPS[flow.dropped_by].agent}' if flow.dropped_by is not None else ''}"


def _seen(flow: SeenFlow) -> str:
    return flow.last_seen if flow.observed == "unknown" else f"{flow.observed} ({flow.last_seen})"


def _assumptions(page: Page, assumptions: Sequence[SeenAssumption]) -> None:
    for seen in assumptions:
        if seen.conclusion == "confirmed":
            continue
        lead = (
            (f"{page.glyphs.cross} ", "bold red") if seen.conclusion == "refuted" else (f"{page.glyphs.tick} ", "green")
        )
        page.prose(("assumption ", ""), (seen.id, "bold"), f" is {seen.conclusion} on this server", lead=lead)
        if seen.line is not None:
            page.prose("what was seen follows from this line of vnicheck.toml, below [assumptions]:", indent=4)
            page.line((one_line(seen.line), "bold"), indent=4)
        if seen.or_else:
            which = "which claims no less" if seen.conclusion != "suspected" else "so that it is not known by which"
            page.prose(f"it would also follow from {'; or '.join(seen.or_else)}, {which}", indent=4)
    confirmed = [seen.id for seen in assumptions if seen.conclusion == "confirmed"]
    if confirmed:
        page.prose(f"confirmed on this server: {listed(confirmed)}", lead=(f"{page.glyphs.tick} ", "green"))


def _kernel(page: Page, verification: Verification) -> None:
    answers = verification.kernel
    for answer in (each for each in answers if each.conclusion == "contradicted"):
        page.prose(
            f"predicted: {answer.predicted}; the kernel: {answer.answered}",
            lead=(f"{page.glyphs.cross} ", "bold red"),
        )
        page.line((answer.command, "bold"), indent=4)
        for said in _follows(answer):
            page.prose(said, indent=4)
    untested = [answer for answer in answers if answer.conclusion == "not_tested"]
    for answer in untested[:_SHOWN]:
        said = f"; the kernel says of an unmarked packet: {answer.answered}" if answer.answered is not None else ""
        page.prose(f"not tested: {answer.why}{said}", lead=(f"{page.glyphs.question} ", "bold yellow"))
        page.line((answer.command, "dim"), indent=4)
    if len(untested) > _SHOWN:
        page.prose(f"and {len(untested) - _SHOWN} more; -f json has all", indent=2)
    if answers:
        confirmed = sum(answer.conclusion == "confirmed" for answer in answers)
        style = "green" if confirmed == len(answers) else "yellow"
        page.prose(
            f"{confirmed} of {counted(len(answers), 'answer')} of the server's kernel confirm what is predicted of the "
            "guest.",
            lead=(f"{page.glyphs.tick} ", style) if confirmed else "",
        )
