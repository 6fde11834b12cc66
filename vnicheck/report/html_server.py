"""One server as the templates show it: the answer, the matrix, causes with findings and pictures, fixes, facts."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import UnsetType

from vnicheck.findings.terms import RP_FILTER
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Finding
from vnicheck.model.grouped import grouped
from vnicheck.model.report import InstanceReport, InterfaceSummary
from vnicheck.model.words import listed, one_line
from vnicheck.report.commands import NOTHING
from vnicheck.report.confidence import confidence_words
from vnicheck.report.details import other_flows
from vnicheck.report.drawing import concerned, drawn_together
from vnicheck.report.fixes import reboot_words
from vnicheck.report.grouping import (
    ToldCause,
    ToldFix,
    by_hand,
    counts_said,
    next_boot,
    nothing_said,
    told_causes,
    told_fixes,
)
from vnicheck.report.matrix import COLUMNS, WAYS, Cell, Mark, Part, alike, legend, matrix_of
from vnicheck.report.path_svg import pictures
from vnicheck.report.verdicts import verdict_lines

CSS = {"error": "e", "warning": "w", "note": "c"}
_MARKS = {
    Mark.DROPPED: ("e", "✗"),
    Mark.UNKNOWN: ("w", "?"),
    Mark.AT_RISK: ("w", "!"),
    Mark.WORKS: ("f", "✓"),
    Mark.CLOSED: ("c", "–"),
}
"""The class and the sign of each, the worst first."""
_ANCHOR = 80
_HEADLINE = 160
_OPEN = 2
"""Findings of a cause that stand open; of the others one sees the headline."""


def server_view(instance: InstanceReport, anchor: str, *, whole: bool) -> dict[str, Any]:
    """What a fleet's page shows of every server; `whole`: all that is known of it. `anchor`: how its links begin."""
    told = told_causes(instance)
    verdicts = verdict_lines(instance)
    brief: dict[str, Any] = {
        "name": instance.name,
        "anchor": anchor,
        "whole": whole,
        "verdicts": [(_MARKS[mark][0], f"{_MARKS[mark][1]} {line}") for mark, line in verdicts],
        "worst": _MARKS[verdicts[0][0]][0],
        "problems": list(_problems(instance)),
        "causes": [_cause(instance, each, anchor, whole=whole) for each in told],
        "fixes": [_fix(instance, each, f"{anchor}-fix-{n}") for n, each in enumerate(told_fixes(told), 1)],
        "next_boot": next_boot(instance),
        "quiet": list(_quiet(instance)),
    }
    if not whole:
        return brief
    return brief | {
        "drawn": any(finding["pictures"] for cause in brief["causes"] for finding in cause["findings"]),
        "matrix": _matrix(instance, anchor),
        "interfaces": [_interface(each) for each in instance.interfaces],
        "flows": list(other_flows(instance)),
    }


def anchor_of(name: str) -> str:
    """What a link to the server ends with."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", one_line(name, _ANCHOR)).strip("-") or "server"


def counts_of(instance: InstanceReport) -> str:
    """`1 error, 1 warning`."""
    unchecked = "not running" if instance.stopped else "not checked"
    return ", ".join(counts_said(instance)) or (nothing_said(instance) if instance.status == "analyzed" else unchecked)


def _problems(instance: InstanceReport) -> Iterator[str]:
    for problem in instance.problems:
        yield f"{problem.code}: {problem.message}"
    if any(problem.code.startswith("ssh_") for problem in instance.problems):
        yield (
            "Without SSH: run what `vnicheck collect-script` prints on the server's console, save its output, and add "
            f"`--guest {one_line(instance.name, 80)}=FILE`."
        )


def _cause(instance: InstanceReport, told: ToldCause, anchor: str, *, whole: bool) -> dict[str, Any]:
    at_boot = told.cause.kind is CauseKind.LOST_AT_BOOT  # its flows take today's path, which works
    findings = [
        _finding(instance, finding, number, anchor, whole=whole, at_boot=at_boot) for number, finding in told.findings
    ]
    for position, finding in enumerate(findings):
        finding["open"] = position < _OPEN and finding["severity"] != "note"
    return {
        "title": told.cause.title,
        "broken": any(finding.severity != "note" for _, finding in told.findings),
        "findings": findings if whole else _merged(findings),
        "by_hand": by_hand(told, explain=False),
    }


def _merged(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that read alike as one, which says how many they are."""
    alike = grouped(((each["severity"], each["rule"], each["headline"]), each) for each in findings)
    return [same[0] | {"paths": len(same)} for same in alike.values()]


def _finding(
    instance: InstanceReport, finding: Finding, number: int, anchor: str, *, whole: bool, at_boot: bool
) -> dict[str, Any]:
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
    drawn = drawn_together(flows) if finding.severity != "note" and not at_boot else []
    word, who = concerned(drawn, instance.flows) if drawn else ("", [])
    return brief | {
        "name": finding.name,
        "message": finding.message,
        "evidence": finding.evidence,
        "pictures": list(pictures(drawn)) if drawn else [],
        "who": "; ".join(f"{word} {remotes}" for remotes in who),
    }


def _fix(instance: InstanceReport, told: ToldFix, anchor: str) -> dict[str, Any]:
    return {
        "id": anchor,
        "title": told.words,
        "commands": told.plan.commands,
        "changes": told.plan.vpc_changes,
        "lines": [each.sentence() for each in reboot_words(told.plan, instance.name, instance.region, NOTHING)],
    }


def _quiet(instance: InstanceReport) -> Iterator[str]:
    """The findings that do not count, and why."""
    for finding in instance.findings:
        if not isinstance(finding.muted, UnsetType):
            yield f"{finding.rule}: {finding.message} Muted until {finding.muted.expires}: {finding.muted.reason}"
        elif finding.is_known:
            yield f"{finding.rule}: {finding.message} Known from the baseline."


def _matrix(instance: InstanceReport, anchor: str) -> dict[str, Any] | None:
    matrix = matrix_of(instance)
    if not matrix:
        return None
    notes: dict[tuple[str, tuple[tuple[Part, str], ...]], list[str]] = {}
    groups = []
    for first, *others in alike(matrix):
        rows = []
        for row in first.rows:
            cells = []
            for scope, cell in zip(COLUMNS, row.cells, strict=True):
                if cell.mixed:
                    notes.setdefault((f"{first.address}, {scope}", cell.mixed), []).append(WAYS[row.direction])
                number = list(notes).index((f"{first.address}, {scope}", cell.mixed)) + 1 if cell.mixed else None
                cells.append({"parts": _parts(cell), "note": number})
            rows.append({"way": WAYS[row.direction], "cells": cells})
        also = [f"{each.address} {each.place}".rstrip() for each in others]
        groups.append({"address": first.address, "place": first.place, "others": also, "rows": rows})
    told = [
        {"where": f"{where}, {listed(ways)}", "fates": [(_part(part), who) for part, who in mixed]}
        for (where, mixed), ways in notes.items()
    ]
    return {
        "id": f"{anchor}-mixed",
        "scopes": COLUMNS,
        "groups": groups,
        "notes": told,
        "legend": legend(matrix, instance),
    }


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
