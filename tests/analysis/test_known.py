"""What a baseline knows of a finding: how bad it was, and which flows it was about. More than that is new."""

from itertools import product

import msgspec
import pytest

from tests.support.fleet import BROKEN, member, snapshot
from tests.support.servers import DROPPED, guest, two_vnis
from vnicheck.analysis.extent import is_within, known_flows
from vnicheck.analysis.lint import lint
from vnicheck.analysis.server import report_on
from vnicheck.collect.scope import ServerFilter, snapshot_region
from vnicheck.model.baseline import Baseline, Known, decode_baseline, encode_baseline
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Protocol
from vnicheck.model.report import InstanceReport

NOW = "2026-11-24T00:00:00Z"


class Taken(list[InstanceReport]):
    def add(self, instance: InstanceReport) -> None:
        self.append(instance)


def linted(earlier: Baseline | None = None) -> tuple[int, InstanceReport, Baseline]:
    """How many errors count, the server's report, and the baseline."""
    taken = Taken()
    regions = tuple(snapshot_region(snapshot(member("web-1", BROKEN)), ServerFilter()))
    outcome = lint(regions, Config(), generated_at=NOW, writers=[taken], earlier=earlier)
    return outcome.report.summary.findings["error"], taken[0], outcome.baseline


def shrunk(baseline: Baseline, **changes: object) -> Baseline:
    """The baseline, each finding of it about no more flows than these."""
    return msgspec.structs.replace(
        baseline, findings=tuple(msgspec.structs.replace(each, **changes) for each in baseline.findings)
    )


def test_what_stays_as_it_is_is_known() -> None:
    errors, _, baseline = linted()
    assert errors > 0
    again = decode_baseline(encode_baseline(baseline))
    assert again == baseline
    assert linted(again)[0] == 0
    assert linted(again)[2] == baseline


def test_one_client_in_the_baseline_hides_no_outage_of_the_interface() -> None:
    errors, _, baseline = linted()
    one = Known(
        direction=Direction.INBOUND,
        protocol=Protocol.TCP,
        local="10.0.0.12",
        ports=("1-65535",),
        remotes=("10.8.0.4/32",),
    )
    now, report, _ = linted(shrunk(baseline, flows=(one,)))
    assert now == errors
    grown = [finding.message for finding in report.findings if finding.severity == "error"]
    assert all(message.endswith(" The baseline has it for fewer flows.") for message in grown)


def test_a_warning_that_became_an_error_is_new() -> None:
    errors, _, baseline = linted()
    now, report, _ = linted(shrunk(baseline, severity="warning"))
    assert now == errors
    assert any(finding.message.endswith(" The baseline has it as warning.") for finding in report.findings)


def test_a_baseline_of_before_knows_whatever_the_finding_is_about() -> None:
    baseline = shrunk(linted()[2], flows=msgspec.UNSET)
    old = encode_baseline(baseline).replace(b"baseline/2", b"baseline/1")
    assert b'"flows"' not in old
    assert linted(decode_baseline(old))[0] == 0


def test_less_than_what_is_known_is_known() -> None:
    flows = report_on(snapshot(member("web-1", BROKEN)), generated_at=NOW, config=Config()).instances[0].flows
    everything = known_flows(flows)
    for number, flow in enumerate(flows):
        assert is_within(known_flows([flow]), everything)
        rest = known_flows([*flows[:number], *flows[number + 1 :]])
        assert not is_within(known_flows([flow]), rest), "classes are disjoint"


@pytest.mark.parametrize(
    ("remotes", "ports", "within"),
    [
        (("10.0.0.0/9",), ("1-65535",), True),
        (("10.0.0.0/8",), ("80",), True),
        (("10.0.0.0/8", "11.0.0.0/32"), ("80",), False),
        (("11.0.0.0/8",), ("22",), True),
        (("11.0.0.0/8",), ("22-23",), False),
        (("10.0.0.0/7",), ("22",), True),
        (("10.0.0.0/7",), ("21-22",), False),
    ],
)
def test_remotes_and_ports_are_known_together(remotes: tuple[str, ...], ports: tuple[str, ...], within: bool) -> None:
    def known(remotes: tuple[str, ...], ports: tuple[str, ...]) -> Known:
        return Known(direction=Direction.INBOUND, protocol=Protocol.TCP, local="10.0.0.1", ports=ports, remotes=remotes)

    before = [known(("10.0.0.0/8",), ("1-65535",)), known(("11.0.0.0/8",), ("22",))]
    assert is_within([known(remotes, ports)], before) is within
    for direction, protocol in product(Direction, Protocol):
        other = msgspec.structs.replace(known(remotes, ports), direction=direction, protocol=protocol)
        same = (direction, protocol) == (Direction.INBOUND, Protocol.TCP)
        assert is_within([other], before) is (within and same)


@pytest.mark.parametrize("mode", ["auto", "disabled"])
@pytest.mark.parametrize("rp_filter", [1, 2])
def test_what_hung_on_the_spoofing_check_is_known_by_what_it_was_called(mode: str, rp_filter: int) -> None:
    """A baseline from before `spoofing-sibling` was open: such packets were taken to be dropped."""
    vnis = two_vnis(spoofing=False, protocol_state_filtering_mode=mode)
    one = member("web-1", guest(rp_filter={"all": rp_filter}), vnis=vnis)
    where = tuple(snapshot_region(snapshot(one), ServerFilter()))
    earlier = lint(where, DROPPED, generated_at=NOW, writers=[]).baseline
    taken = Taken()
    report = lint(where, Config(), generated_at=NOW, writers=[taken], earlier=earlier).report
    assert [each.rule for each in taken[0].findings if each.counts and each.severity != "note"] == []
    assert not isinstance(report.baseline, msgspec.UnsetType)
    assert [each.rule for each in report.baseline.gone if each.severity != "note"] == []
