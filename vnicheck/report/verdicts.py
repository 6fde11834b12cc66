"""The answer: each address of a server in a few words."""

from msgspec import UnsetType

from vnicheck.model.flow import Direction
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import listed
from vnicheck.report.matrix import AddressRows, Mark, Row, matrix_of

_NAMED = 4
_WORKS = {Mark.WORKS}


def verdict_lines(instance: InstanceReport) -> list[tuple[Mark, str]]:
    """`10.0.0.12 (eth1) is not reachable.`: a line for all addresses of which the same is so, the worst first."""
    said: dict[tuple[Mark, str], list[str]] = {}
    at_risk = _at_risk(instance)
    for rows in matrix_of(instance):
        mark, words = _verdict(rows, at_risk)
        where = f"{rows.address} ({rows.place})" if rows.place else rows.address
        said.setdefault((mark, words), []).append(where)
    order = [Mark.DROPPED, Mark.AT_RISK, Mark.UNKNOWN, Mark.WORKS, Mark.CLOSED]
    lines = [
        (mark, f"{_some(places)} {_plural(words, len(places))}.")
        for (mark, words), places in sorted(said.items(), key=lambda item: order.index(item[0][0]))
    ]
    return lines or [(Mark.UNKNOWN, f"{_why_nothing(instance)}.")]


def _why_nothing(instance: InstanceReport) -> str:
    if instance.stopped:
        return "the server does not run: nothing was predicted"
    return "nothing is known of this server's flows"


def _at_risk(instance: InstanceReport) -> set[str]:
    """Addresses of which flows work only as long as something stays as it is, or an assumption holds."""
    return {
        affected.local
        for finding in instance.findings
        if finding.severity == "warning" and finding.counts and isinstance(finding.muted, UnsetType)
        for affected in finding.affected
    }


def _verdict(rows: AddressRows, at_risk: set[str]) -> tuple[Mark, str]:
    through = rows.row(Direction.TRANSIT)
    if through is not None:
        return _transit(through)
    into, out = rows.row(Direction.INBOUND), rows.row(Direction.OUTBOUND)
    inbound = into.marks if into is not None else frozenset()
    outbound = out.marks if out is not None else frozenset()
    if Mark.DROPPED in inbound:
        if Mark.WORKS in inbound:
            return Mark.DROPPED, "is reachable only in part"
        return Mark.DROPPED, f"is not reachable{', as far as is known' if Mark.UNKNOWN in inbound else ''}"
    if Mark.DROPPED in outbound:
        reach = "is reachable, but " if inbound == _WORKS else ""
        return Mark.DROPPED, f"{reach}loses {'some' if Mark.WORKS in outbound else 'all'} connections that it opens"
    if Mark.UNKNOWN in inbound | outbound:
        works = Mark.WORKS in inbound | outbound
        return Mark.UNKNOWN, "works in part; the rest is unknown" if works else "is in an unknown state"
    if rows.address in at_risk:
        return Mark.AT_RISK, "works, and is at risk"
    if inbound == _WORKS or outbound == _WORKS:
        return Mark.WORKS, "works"
    return Mark.CLOSED, "is closed by the VPC's policy"


def _transit(row: Row) -> tuple[Mark, str]:
    if Mark.DROPPED in row.marks:
        part = Mark.WORKS in row.marks
        return Mark.DROPPED, f"is {'' if part else 'not '}reached through this server{' only in part' if part else ''}"
    if Mark.UNKNOWN in row.marks:
        return Mark.UNKNOWN, "may or may not be reached through this server"
    return (
        (Mark.WORKS, "is reached through this server") if row.marks else (Mark.CLOSED, "is closed by the VPC's policy")
    )


def _some(places: list[str]) -> str:
    more = len(places) - _NAMED
    return listed(places) if more <= 1 else f"{', '.join(places[:_NAMED])} and {more} more"


def _plural(words: str, count: int) -> str:
    if count == 1:
        return words
    verbs = {"is": "are", "works": "work", "loses": "lose", "opens": "open", "it": "they"}
    first, semicolon, rest = words.partition(";")  # what stands behind is about the rest
    return " ".join(verbs.get(word, word) for word in first.split(" ")) + semicolon + rest
