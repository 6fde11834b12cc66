"""One HTML file that needs nothing else: no script, no font, no picture; it may be mailed or kept as an artifact.

Everything remote is escaped by the template engine, and stripped of what no page should hold before that.
"""

from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vnicheck.findings.terms import RP_FILTER
from vnicheck.model.flow import SEVERITIES, Finding, Verdict
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.words import one_line
from vnicheck.report.coverage import Unchecked, coverage_line, findings_line, note_lines
from vnicheck.report.drawing import UNICODE, drawn_together
from vnicheck.report.reach import remotes
from vnicheck.report.writer import Spool, fix_line

_MESSAGE = 4000


class HtmlWriter:
    """`--format html`."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("vnicheck.report", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=lambda value: one_line(value, _MESSAGE) if isinstance(value, str) else value,
        )
        self._server = environment.get_template("server.html.j2")
        self._page = environment.get_template("page.html.j2")
        self._spool = Spool()
        self._unchecked = Unchecked()
        self._quiet: list[str] = []

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's report; one without findings and problems is only named."""
        self._unchecked.add(instance)
        if not instance.findings and not instance.problems:
            self._quiet.append(instance.name)
            return
        findings = sorted(
            instance.findings, key=lambda finding: (not finding.counts, SEVERITIES.index(finding.severity))
        )
        text = self._server.render(
            instance=instance,
            status=_status(instance),
            findings=[_shown(instance, finding) for finding in findings],
            verdicts={verdict.value: sum(flow.verdict is verdict for flow in instance.flows) for verdict in Verdict},
            rp_filter=RP_FILTER,
        )
        self._spool.write(text.encode())

    def finish(self, report: Report) -> Iterator[bytes]:
        """The document."""
        for chunk in self._page.generate(
            report=report,
            coverage=coverage_line(report),
            found=findings_line(report),
            problems=self._unchecked.lines(report),
            notes=note_lines(report),
            quiet=self._quiet,
            gone=report.baseline.gone if report.baseline else (),
            carried=report.baseline.carried if report.baseline else (),
        ):
            before, mark, after = chunk.partition(_SERVERS)
            yield before.encode()
            if mark:
                yield from self._spool
                yield after.encode()


_SERVERS = "<!-- servers -->"
"""Where the servers' parts go; nothing remote can say this, for it is escaped."""


def _status(instance: InstanceReport) -> str:
    """The worst that counts, or what the server is otherwise."""
    counted = [finding.severity for finding in instance.findings if finding.counts]
    worst = min(counted, key=SEVERITIES.index, default=None)
    return instance.status if worst is None or (worst == "note" and instance.status != "analyzed") else worst


def _shown(instance: InstanceReport, finding: Finding) -> dict[str, Any]:
    flows = [instance.flows[index] for index in finding.flows]
    drawn = drawn_together(flows)
    return {
        "it": finding,
        "path": " ".join(drawn.halves(UNICODE)) if drawn is not None else None,
        "who": remotes(drawn.flows, instance.flows) if drawn is not None else None,
        "fixes": [fix_line(fix) for fix in finding.fixes],
        "muted": finding.muted if finding.is_muted else None,
    }
