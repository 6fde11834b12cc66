"""One server as the templates show it: the answer, the matrix, causes with findings and pictures, fixes, facts."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import UnsetType

from vnicheck.findings.messages import by_remotes
from vnicheck.findings.terms import RP_FILTER
from vnicheck.model.cause import Cause, CausePlan
from vnicheck.model.flow import SEVERITIES, Direction, Finding, Flow
from vnicheck.model.report import InstanceReport, InterfaceSummary
from vnicheck.model.words import counted, listed, one_line
from vnicheck.report.confidence import confidence_words
from vnicheck.report.details import other_flows
from vnicheck.report.drawing import drawn_together
from vnicheck.report.fixes import by_hand, fix_words, reboot_words
from vnicheck.report.matrix import AddressRows, Cell, Mark, Part, matrix_of
from vnicheck.report.matrix_text import SCOPES
from vnicheck.report.path_svg import pictures
from vnicheck.report.reach import remotes
from vnicheck.report.verdicts import verdict_lines

CSS = {"error": "e", "warning": "w", "note": "c"}
_MARKS = {Mark.DROPPED: ("e", "✗"), Mark.UNKNOWN: ("w", "?"), Mark.WORKS: ("f", "✓"), Mark.CLOSED: ("c", "–")}
_WAYS = {Direction.INBOUND: "in", Direction.OUTBOUND: "out", Direction.TRANSIT: "through"}
_ROWS = 6
"""Addresses beyond which those that fare alike share their rows."""
_ANCHOR = 80
_HEADLINE = 160


def server_view(instance: InstanceReport, anchor: str, *, whole: bool) -> dict[str, Any]:
    """What a fleet's page shows of every server; `whole`: all that is known of it. `anchor`: how its links begin."""
    numbers = _numbered(instance)
    verdicts = verdict_lines(instance)
    brief: dict[str, Any] = {
        "name": instance.name,
        "anchor": anchor,
        "whole": whole,
        "verdicts": [(_MARKS[mark][0], f"{_MARKS[mark][1]} {line}") for mark, line in verdicts],
        "worst": _MARKS[verdicts[0][0]][0],
        "problems": list(_problems(instance)),
        "causes": list(_causes(instance, numbers, anchor, whole=whole)),
        "fixes": list(_fixes(instance, numbers, anchor)),
        "quiet": list(_quiet(instance)),
    }
    if not whole:
        return brief
    return brief | {
        "drawn": any(finding["pictures"] for cause in brief["causes"] for finding in cause["findings"]),
        "matrix": _matrix(matrix_of(instance), anchor),
        "interfaces": [_interface(each) for each in instance.interfaces],
        "flows": list(other_flows(instance)),
    }


def anchor_of(name: str) -> str:
    """What a link to the server ends with."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", one_line(name, _ANCHOR)).strip("-") or "server"


def counts_of(instance: InstanceReport) -> str:
    """`1 error, 1 warning`."""
    counts = {severity: sum(f.severity == severity and f.counts for f in instance.findings) for severity in SEVERITIES}
    said = [counted(count, severity) for severity, count in counts.items() if count]
    return ", ".join(said) or ("nothing found" if instance.status == "analyzed" else instance.status)


def _problems(instance: InstanceReport) -> Iterator[str]:
    for problem in instance.problems:
        yield f"{problem.code}: {problem.message}"
    if any(problem.code.startswith("ssh_") for problem in instance.problems):
        yield (
            "Without SSH: run what `vnicheck collect-script` prints on the server's console, save its output, and add "
            f"`--guest {one_line(instance.name, 80)}=FILE`."
        )


def _numbered(instance: InstanceReport) -> dict[str, int]:
    """The findings that count, by fingerprint, in the order of their causes."""
    counting = {finding.fingerprint for finding in instance.findings if finding.counts}
    order = dict.fromkeys(each for cause in instance.causes for each in cause.findings if each in counting)
    return {fingerprint: number for number, fingerprint in enumerate(order, 1)}


def _causes(instance: InstanceReport, numbers: dict[str, int], anchor: str, *, whole: bool) -> Iterator[dict[str, Any]]:
    for cause in instance.causes:
        mine = [each for each in instance.findings if each.counts and each.fingerprint in cause.findings]
        if not mine:
            continue
        mine.sort(key=lambda finding: numbers[finding.fingerprint])
        told = [_finding(instance, each, numbers[each.fingerprint], anchor, whole=whole) for each in mine]
        yield {
            "title": cause.title,
            "broken": any(finding.severity != "note" for finding in mine),
            "findings": told if whole else _merged(told),
            "by_hand": by_hand(mine, explain=False) if isinstance(cause.plan, UnsetType) else [],
        }


def _merged(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that read alike as one, which says how many they are."""
    alike: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for each in findings:
        alike.setdefault((each["severity"], each["rule"], each["headline"]), []).append(each)
    return [same[0] | {"paths": len(same)} for same in alike.values()]


def _finding(instance: InstanceReport, finding: Finding, number: int, anchor: str, *, whole: bool) -> dict[str, Any]:
    flows = [instance.flows[index] for index in finding.flows if index < len(instance.flows)]
    brief = {
        "number": number,
        "id": f"{anchor}-{finding.rule}-{finding.fingerprint[:8]}",
        "severity": finding.severity,
        "css": CSS[finding.severity],
        "rule": finding.rule,
        "headline": one_line(finding.headline, _HEADLINE),
        "doubt": confidence_words(finding, flows),
    }
    if not whole:
        return brief
    drawn = drawn_together(flows) if finding.severity != "note" else None
    return brief | {
        "name": finding.name,
        "message": finding.message,
        "evidence": finding.evidence,
        "pictures": list(pictures(drawn.flows)) if drawn is not None else [],
        "who": "; ".join(_who(drawn.flows, instance.flows)) if drawn is not None else "",
    }


def _who(flows: Sequence[Flow], everything: Sequence[Flow]) -> Iterator[str]:
    """The remotes of flows that are drawn as one; by the server's addresses where these differ."""
    groups = by_remotes(flows)
    word = {Direction.OUTBOUND: "to"}.get(flows[0].direction, "from")
    for locals_ in groups.values():
        whose = [flow for flow in flows if flow.local in locals_]
        yield f"{word} {remotes(whose, everything)}{f' ({listed(locals_)})' if len(groups) > 1 else ''}"


def _fixes(instance: InstanceReport, numbers: dict[str, int], anchor: str) -> Iterator[dict[str, Any]]:
    """The plan, once for all the causes that it fixes."""
    plans: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[tuple[Cause, CausePlan]]] = {}
    for cause in instance.causes:
        if not isinstance(cause.plan, UnsetType) and any(each in numbers for each in cause.findings):
            key = (cause.plan.strategy, cause.plan.commands, cause.plan.vpc_changes)
            plans.setdefault(key, []).append((cause, cause.plan))
    for position, told in enumerate(plans.values(), 1):
        plan = told[0][1]
        mine = sorted({numbers[each] for cause, _ in told for each in cause.findings if each in numbers})
        yield {
            "id": f"{anchor}-fix{position if position > 1 else ''}",
            "title": fix_words(plan, mine, len(numbers), whole=all(each.whole for _, each in told)),
            "commands": plan.commands,
            "changes": plan.vpc_changes,
            "lines": list(reboot_words(plan, instance.name)),
        }


def _quiet(instance: InstanceReport) -> Iterator[str]:
    """The findings that do not count, and why."""
    for finding in instance.findings:
        if not isinstance(finding.muted, UnsetType):
            yield f"{finding.rule}: {finding.message} Muted until {finding.muted.expires}: {finding.muted.reason}"
        elif finding.is_known:
            yield f"{finding.rule}: {finding.message} Known from the baseline."


def _matrix(matrix: tuple[AddressRows, ...], anchor: str) -> dict[str, Any] | None:
    if not matrix:
        return None
    notes: dict[tuple[str, tuple[tuple[Part, str], ...]], list[str]] = {}
    groups = []
    for first, *others in _alike(matrix):
        rows = []
        for row in first.rows:
            cells = []
            for scope, cell in zip(SCOPES, row.cells, strict=True):
                if cell.mixed:
                    notes.setdefault((f"{first.address}, {scope}", cell.mixed), []).append(_WAYS[row.direction])
                number = list(notes).index((f"{first.address}, {scope}", cell.mixed)) + 1 if cell.mixed else None
                cells.append({"parts": _parts(cell), "note": number})
            rows.append({"way": _WAYS[row.direction], "cells": cells})
        also = [f"{each.address} {each.place}".rstrip() for each in others]
        groups.append({"address": first.address, "place": first.place, "others": also, "rows": rows})
    told = [
        {"where": f"{where}, {listed(ways)}", "fates": [(_part(part), who) for part, who in mixed]}
        for (where, mixed), ways in notes.items()
    ]
    return {"id": f"{anchor}-mixed", "scopes": SCOPES, "groups": groups, "notes": told}


def _alike(matrix: tuple[AddressRows, ...]) -> list[list[AddressRows]]:
    """Addresses one by one; where there are many, those that fare alike together."""
    groups: dict[object, list[AddressRows]] = {}
    for rows in matrix:
        alike = rows.address if len(matrix) <= _ROWS else tuple((row.direction, row.cells) for row in rows.rows)
        groups.setdefault(alike, []).append(rows)
    return list(groups.values())


def _parts(cell: Cell) -> list[dict[str, str]]:
    if cell.mixed:
        worst = next(mark for mark in _MARKS if mark in cell.marks)
        return [_part(Part(worst, "mixed"))]
    return [_part(part) for part in cell.parts] or [{"css": "c", "words": "–"}]


def _part(part: Part) -> dict[str, str]:
    css, sign = _MARKS[part.mark]
    return {"css": css, "words": " ".join(filter(None, [sign, part.what, part.why]))}


def _interface(interface: InterfaceSummary) -> list[tuple[str, str]]:
    vni, rp_filter = interface.vni, interface.rp_filter
    mode = "not collected" if rp_filter.effective is None else RP_FILTER.get(rp_filter.effective, "loose")
    if vni is None:
        ours = [("VNI", "none"), ("state filtering", "–"), ("IP spoofing", "–")]
    else:
        floating = f", floating IP {', '.join(vni.floating_ips)}" if vni.floating_ips else ""
        kind = "legacy interface " if vni.legacy else ""
        ours = [
            ("VNI", f"{kind}{vni.name} ({', '.join(vni.addresses)}{floating})"),
            ("state filtering", vni.protocol_state_filtering or "unknown"),
            ("IP spoofing", {True: "allowed", False: "not allowed", None: "unknown"}[vni.allow_ip_spoofing]),
        ]
    return [
        ("interface", interface.name if interface.in_guest else "not in the server"),
        ("MAC", interface.mac or "not known"),
        ("addresses", ", ".join(interface.addresses) or "none"),
        ("rp_filter", mode if interface.in_guest else "–"),
        *ours,
    ]
