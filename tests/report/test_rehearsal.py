"""What people read of a rehearsal."""

import io

from rich.console import Console

from vnicheck.model.flow import Direction, Protocol, Scope, Verdict
from vnicheck.model.rehearsal import REHEARSAL_SCHEMA, Phase, Rehearsal, RehearsalDocument, RehearsedFlow
from vnicheck.model.report import TOOL
from vnicheck.report.rehearsal import write_rehearsal


def test_why_nothing_is_predicted_is_told_once() -> None:
    flows = tuple(
        RehearsedFlow(
            direction=direction,
            protocol=Protocol.UDP,
            remote="10.8.0.4",
            remote_scope=Scope.PRIVATE,
            local="10.0.0.12",
            predicted=Verdict.UNKNOWN,
            dropped_by=None,
            delivered=True,
            judgement="not_judged",
            why="the documentation and the captures differ",
        )
        for direction in (Direction.INBOUND, Direction.OUTBOUND)
    )
    phases = (Phase(kind="as_is", flows=flows),)
    rehearsal = Rehearsal(id="1", name="server", kernel="6.18", told=(), phases=phases)
    document = RehearsalDocument(schema=REHEARSAL_SCHEMA, tool=TOOL, collected_at="2026", rehearsal=rehearsal)
    page = io.StringIO()
    write_rehearsal(document, Console(file=page, width=200))
    said = " ".join(page.getvalue().split())
    assert said.count("predicted: nothing: the documentation and the captures differ") == 1
    assert said.count("predicted: nothing: as above") == 1
