"""Lint's core: what is counted, what a baseline makes of findings, and that no server hides another."""

from typing import Any

import msgspec
import pytest

from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, fixed, fleet, member, regions, unread
from tests.support.servers import fabric, vni
from vnicheck.analysis import lint as linting
from vnicheck.analysis import many
from vnicheck.analysis.lint import LintResult, lint
from vnicheck.analysis.server import analyze_server as whole_analysis
from vnicheck.model.baseline import Baseline, BaselineError, decode_baseline, encode_baseline
from vnicheck.model.config import Config
from vnicheck.model.expectation import Expectation
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.report import InstanceReport, Report, Tally, encode_report
from vnicheck.model.snapshot import Problem, Server
from vnicheck.report.writer import JsonWriter, Settings


class Kept:
    """Keeps the servers' reports."""

    def __init__(self) -> None:
        self.instances: list[InstanceReport] = []

    def add(self, instance: InstanceReport) -> None:
        self.instances.append(instance)

    def finish(self, report: Report) -> Any:
        return iter(())


def run(
    *servers: Server, config: Config | None = None, known: Baseline | None = None, whole: bool = True, **more: Any
) -> tuple[LintResult, dict[str, InstanceReport]]:
    """Lints the servers; `known` is the baseline, `more` are filters."""
    kept = Kept()
    ids = frozenset(each.id for each in known.findings) if known is not None else frozenset[str]()
    outcome = lint(
        regions(*servers, config=config, earlier=ids, **more),
        config or Config(),
        generated_at=NOW,
        writers=[kept],
        earlier=known,
        whole=whole,
    )
    return outcome, {instance.name: instance for instance in kept.instances}


def rules(instance: InstanceReport) -> set[str]:
    return {finding.rule for finding in instance.findings}


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_what_is_checked_and_what_is_not_is_counted() -> None:
    outcome, told = run()
    report = outcome.report
    assert list(told) == ["web-1", "asleep", "unreached", "web-2", "well"], "by region, then by name"
    assert (report.complete, report.instances) == (False, ())
    summary, coverage = report.summary, report.coverage
    assert (summary.instances, summary.analyzed, summary.incomplete, summary.skipped) == (5, 3, 1, 1)
    assert summary.findings["error"] == 2
    assert not isinstance(coverage, msgspec.UnsetType)
    assert (coverage.servers, coverage.checked, coverage.stopped, coverage.single_homed) == (4, 3, 1, 1)
    assert coverage.percent == 75.0
    assert [(each.name, each.servers, each.single_homed) for each in report.regions or ()] == [
        ("eu-de", 1, 0),
        ("us-south", 5, 1),
    ]


def test_a_stopped_server_leaves_the_report_complete_and_another_does_not() -> None:
    assert run(member("asleep", status="stopped"), member("well", WELL))[0].report.complete
    assert not run(member("unreached", problems=(TIMEOUT,)), member("well", WELL))[0].report.complete


def test_coverage_is_never_rounded_up_to_all() -> None:
    (well,) = run(member("well", WELL))[1].values()
    tally = Tally()
    for _ in range(9999):
        tally.add(well)
    tally.add(msgspec.structs.replace(well, status="incomplete"))
    assert linting._coverage(tally, []).percent == 99.9


def test_a_region_that_was_not_read_leaves_coverage_unknown_and_the_rest_told() -> None:
    there = regions(member("web-2", BROKEN))
    dead = unread("eu-gb")
    kept = Kept()
    report = lint([dead, *there], Config(), generated_at=NOW, writers=[kept]).report
    assert [instance.name for instance in kept.instances] == ["web-2"]
    assert (report.complete, report.summary.findings["error"]) == (False, 1)
    assert report.coverage is not msgspec.UNSET
    assert report.coverage.percent is None


def test_unread_servers_of_a_snapshot_are_the_regions_problem_not_every_servers() -> None:
    around = fabric(missing={"servers": "bare metal servers were not read: 403", "load_balancers": "403"})
    outcome, told = run(member("well", WELL), around=around)
    assert told["well"].status == "analyzed"
    (region,) = outcome.report.regions or ()
    assert [problem.message for problem in region.problems] == ["bare metal servers were not read: 403"]
    assert [note.code for note in region.notes] == ["load_balancers_unread"]
    assert outcome.report.complete is False


def test_a_fault_of_ours_is_that_servers_problem_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = whole_analysis

    def analyze_server(server: Server, *args: Any, **more: Any) -> InstanceReport:
        if server.name == "web-2":
            raise ZeroDivisionError("of ours\n")
        return whole(server, *args, **more)

    monkeypatch.setattr(many, "analyze_server", analyze_server)
    outcome, told = run(*fleet())
    assert told["web-2"].status == "incomplete"
    assert [problem.code for problem in told["web-2"].problems] == ["internal_error"]
    assert told["web-1"].findings
    assert outcome.report.complete is False


# --- selection --------------------------------------------------------------------------------------------------------


def test_single_homed_servers_are_checked_where_they_are_asked_for() -> None:
    single = member("single", BROKEN, vnis=(vni(0, "10.0.0.11"),))
    other = member("other", BROKEN, vnis=(vni(0, "10.0.0.12"),))
    assert list(run(single, other)[1]) == []
    assert list(run(single, other, multi_homed_only=False)[1]) == ["other", "single"]
    expect = Expectation(server="sing*", start="vpc", verdict="delivered")
    assert list(run(single, other, config=Config(expect=(expect,)))[1]) == ["single"]
    assert list(run(single, other, multi_homed_only=False, names=("o*", "x"))[1]) == ["other"]


# --- baseline ---------------------------------------------------------------------------------------------------------


def test_only_what_is_new_counts() -> None:
    first, _ = run(member("web-2", BROKEN), member("well", WELL))
    assert {each.rule for each in first.baseline.findings} >= {"VNC101"}
    again, told = run(member("web-2", BROKEN), member("well", WELL), known=first.baseline)
    assert (again.report.summary.findings, again.report.summary.known) == (
        {"error": 0, "warning": 0, "note": 0},
        len(first.baseline.findings),
    )
    assert all(finding.known is True and not finding.counts for finding in told["web-2"].findings)
    worse, told = run(member("web-2", BROKEN), member("web-3", BROKEN), known=first.baseline)
    assert worse.report.summary.findings["error"] == 1
    assert {finding.known for finding in told["web-3"].findings} == {False}


def test_what_is_gone_is_told_and_leaves_the_next_baseline() -> None:
    broken = member("web-2", BROKEN)
    first, _ = run(broken)
    second, _ = run(fixed(broken), known=first.baseline)
    assert second.report.baseline is not msgspec.UNSET
    assert second.report.baseline.gone == first.baseline.findings
    assert second.report.baseline.carried == ()
    assert second.baseline.findings == ()


@pytest.mark.parametrize("more", [{"problems": (TIMEOUT,)}, {"status": "stopped"}])
def test_what_could_not_be_looked_at_is_not_gone(more: dict[str, Any]) -> None:
    first, _ = run(member("web-2", BROKEN))
    second, told = run(member("web-2", **more), known=first.baseline)
    assert told["web-2"].status != "analyzed"
    assert second.report.baseline is not msgspec.UNSET
    assert second.report.baseline.gone == ()
    assert set(second.report.baseline.carried) == set(first.baseline.findings)
    assert set(first.baseline.findings) <= set(second.baseline.findings), "an outage fixes nothing"


def test_a_server_that_is_no_longer_there() -> None:
    first, _ = run(member("web-2", BROKEN), member("well", WELL))
    whole, _ = run(member("well", WELL), known=first.baseline)
    assert whole.report.baseline is not msgspec.UNSET
    assert whole.report.baseline.gone == first.baseline.findings
    part, _ = run(member("well", WELL), known=first.baseline, whole=False)
    assert part.report.baseline is not msgspec.UNSET
    assert (part.report.baseline.gone, part.report.baseline.carried) == ((), ())
    assert part.report.baseline.elsewhere == len(first.baseline.findings)
    assert part.baseline == first.baseline, "what a filter leaves out stays known"


def test_the_servers_of_a_region_that_was_not_read_are_carried() -> None:
    first, _ = run(member("web-2", BROKEN))
    dead = msgspec.structs.replace(
        regions(member("x", WELL))[0],
        servers=(),
        problems=(Problem(code="api_unreachable", message="no connection"),),
    )
    second = lint([dead], Config(), generated_at=NOW, writers=[], earlier=first.baseline)
    assert second.report.baseline is not msgspec.UNSET
    assert second.report.baseline.carried == first.baseline.findings
    assert second.baseline == first.baseline


def test_muted_findings_are_not_written() -> None:
    mute = Mute(rule="VNC101", server="*", reason="known", expires=Day("2999-01-01"))
    outcome, told = run(member("web-2", BROKEN), config=Config(mute=(mute,)))
    assert "VNC101" in rules(told["web-2"])
    assert "VNC101" not in {each.rule for each in outcome.baseline.findings}


def test_a_server_of_the_baseline_is_looked_at_although_it_has_one_interface_now() -> None:
    single = member("web-2", BROKEN, vnis=(vni(0, "10.0.0.11"),))
    first, _ = run(member("web-2", BROKEN))
    second, told = run(single, known=first.baseline)
    assert list(told) == ["web-2"]
    assert second.report.baseline is not msgspec.UNSET
    assert "VNC101" in {each.rule for each in second.report.baseline.gone}


def test_a_baseline_is_the_same_bytes_for_the_same_findings_and_holds_no_time() -> None:
    forward, _ = run(*fleet())
    backward, _ = run(*reversed(fleet()))
    data = encode_baseline(forward.baseline)
    assert data == encode_baseline(backward.baseline)
    assert b"2026" not in data
    assert decode_baseline(data) == forward.baseline


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON, or cut off"),
        (b"[]", "names no schema; make one with --write-baseline"),
        (b'{"schema": "vnicheck.baseline/9", "findings": []}', "this version reads 'vnicheck.baseline/2'"),
        (b'{"schema": "vnicheck.baseline/1"}', "not a valid baseline: "),
    ],
)
def test_what_is_no_baseline_is_one_line(data: bytes, words: str) -> None:
    with pytest.raises(BaselineError, match=words) as caught:
        decode_baseline(data)
    assert "\n" not in str(caught.value)


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("servers", [[], [member("well", WELL)], fleet()], ids=["none", "one", "several"])
def test_json_that_is_written_server_by_server_is_the_same_document(servers: list[Server]) -> None:
    kept, json = Kept(), JsonWriter(Settings())
    where = regions(*servers) if servers else []
    report = lint(where, Config(), generated_at=NOW, writers=[kept, json]).report
    whole = encode_report(msgspec.structs.replace(report, instances=tuple(kept.instances)))
    assert b"".join(json.finish(report)) == whole
    assert msgspec.json.decode(whole, type=Report).summary == report.summary
