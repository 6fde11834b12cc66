"""JUnit, GitHub annotations and Markdown: what CI systems make of them, and what hostile names cannot do."""

import re
import unicodedata
from typing import Any

import msgspec
import pytest
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, WELL, fleet, member, regions
from vnicheck.analysis.lint import lint
from vnicheck.model.config import Config
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Server
from vnicheck.report.github import GithubWriter, command
from vnicheck.report.junit import JunitWriter
from vnicheck.report.markdown import MarkdownWriter, code, escaped
from vnicheck.report.writer import Settings, Writer
from vnicheck.rules.registry import RULES

MUTE = Config(mute=(Mute(rule="VNC101", server="*", reason="until release 7", expires=Day("2999-01-01")),))


def written(writer: Writer, report: Report) -> str:
    for instance in report.instances:
        writer.add(instance)
    return b"".join(writer.finish(report)).decode()


def linted(writer: Writer, *servers: Server, config: Config | None = None, earlier: Any = None) -> str:
    outcome = lint(
        regions(*servers, config=config), config or Config(), generated_at=NOW, writers=[writer], earlier=earlier
    )
    return b"".join(writer.finish(outcome.report)).decode()


def baseline(*servers: Server) -> Any:
    return lint(regions(*servers), Config(), generated_at=NOW, writers=[]).baseline


# --- JUnit ------------------------------------------------------------------------------------------------------------


def junit(*servers: Server, fail_on: Any = "error", **more: Any) -> dict[str, dict[str, Any]]:
    """The cases by server and rule; the counts of the document are checked on the way."""
    root = JUnitXml.fromstring(linted(JunitWriter(Settings(fail_on=fail_on)), *servers, **more))
    suites = {suite.name: {case.name.partition(" ")[0]: case for case in suite} for suite in root}
    cases = [case for suite in root for case in suite]
    kinds = [type(result).__name__ for case in cases for result in case.result]
    assert root.tests == len(cases)
    assert (root.failures, root.errors, root.skipped) == (
        kinds.count("Failure"),
        kinds.count("Error"),
        kinds.count("Skipped"),
    )
    return suites


def result(case: Any) -> Any:
    (only,) = case.result
    return only


def test_a_test_case_is_a_rule_on_a_server() -> None:
    suites = junit(*fleet())
    assert list(suites) == [
        "eu-de.web-1",
        "us-south.asleep",
        "us-south.unreached",
        "us-south.web-2",
        "us-south.well",
        "coverage",
    ]
    for name, cases in suites.items():
        if name not in {"coverage", "us-south.asleep", "us-south.unreached"}:
            assert list(cases) == [rule.id for rule in RULES]
    assert all(not case.result for case in suites["us-south.well"].values())
    failed = suites["us-south.web-2"]["VNC101"]
    assert type(result(failed)).__name__ == "Failure"
    assert result(failed).type == "error"
    assert result(failed).message.startswith("tcp, udp and icmp requests to 10.0.0.12 (eth1) are dropped")
    assert "fix: policy routing" in result(failed).text
    assert not suites["us-south.web-2"]["VNC104"].result


def test_what_was_not_checked_is_one_case_in_error_and_what_does_not_run_one_that_is_skipped() -> None:
    suites = junit(*fleet())
    errors = [case for case in suites["us-south.unreached"].values() if case.result]
    assert [type(result(case)).__name__ for case in errors] == ["Error"]
    assert "10.0.0.11 did not answer" in result(errors[0]).message
    skipped = [case for case in suites["us-south.asleep"].values() if case.result]
    assert [(type(result(case)).__name__, result(case).message) for case in skipped] == [
        ("Skipped", "the server does not run")
    ]


def test_a_server_that_was_not_fully_checked_fails_all_the_same() -> None:
    half = msgspec.structs.replace(BROKEN, missing={"neighbours": "not collected"})
    cases = junit(member("web-2", half))["us-south.web-2"]
    kinds = {name: type(result(case)).__name__ for name, case in cases.items() if case.result}
    assert kinds["VNC101"] == "Failure"
    assert list(kinds.values()).count("Error") == 1
    assert len(cases) < len(RULES)


def test_findings_below_the_threshold_are_output_of_a_case_that_passes() -> None:
    below = junit(member("web-2", BROKEN))["us-south.web-2"]["VNC102"]
    assert not below.result
    assert below.system_out.startswith("warning: ")
    above = junit(member("web-2", BROKEN), fail_on="warning")["us-south.web-2"]["VNC102"]
    assert type(result(above)).__name__ == "Failure"


def test_muted_and_known_findings_are_skipped() -> None:
    muted = junit(member("web-2", BROKEN), config=MUTE)["us-south.web-2"]["VNC101"]
    assert result(muted).message == "muted until 2999-01-01: until release 7"
    known = junit(member("web-2", BROKEN), earlier=baseline(member("web-2", BROKEN)))["us-south.web-2"]["VNC101"]
    assert (type(result(known)).__name__, result(known).message) == ("Skipped", "known from the baseline")


@pytest.mark.parametrize("name", reports.ALL)
def test_any_report_is_valid_xml(name: str) -> None:
    report = reports.ALL[name]()
    root = JUnitXml.fromstring(written(JunitWriter(Settings()), report))
    assert len(list(root)) == len(report.instances) + 1


# --- GitHub -----------------------------------------------------------------------------------------------------------

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def annotations(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands, as the runner reads them; every line but a last remark is one."""
    read = []
    for line in text.splitlines():
        match = COMMAND.fullmatch(line)
        if match is None:
            assert line.endswith("more are in the job's summary"), line
            continue
        level, properties, message = match.groups()
        fields = dict(each.split("=", 1) for each in properties.split(","))
        read.append((level, {key: _decoded(value) for key, value in fields.items()}, _decoded(message)))
    return read


def _decoded(text: str) -> str:
    for coded, char in (("%3A", ":"), ("%2C", ","), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(coded, char)
    return text


def test_the_summary_comes_first_then_what_was_not_checked() -> None:
    told = annotations(linted(GithubWriter(Settings()), *fleet()))
    level, fields, message = told[0]
    assert (level, fields) == ("error", {"title": "vnicheck"})
    assert message.startswith("Checked 3 of 4 multi-homed servers in eu-de and us-south; 1 not running; 1 with one")
    assert [fields["title"] for level, fields, _ in told if level == "error"] == [
        "vnicheck",
        "VNC101 strict-reverse-path on web-1",
        "VNC101 strict-reverse-path on web-2",
    ]
    warnings = [message for level, _, message in told if level == "warning"]
    assert warnings[0] == "unreached: ssh_timeout: 10.0.0.11 did not answer within 10 seconds"
    assert told[1][1]["file"] == "vnicheck.toml"
    assert told[1][1]["line"] == "1"


def test_the_summary_has_the_level_of_the_outcome() -> None:
    assert annotations(linted(GithubWriter(Settings()), member("well", WELL)))[0][0] == "notice"
    assert annotations(linted(GithubWriter(Settings()), member("unreached")))[0][0] == "warning"
    assert annotations(linted(GithubWriter(Settings()), member("web", BROKEN), config=MUTE))[0][0] == "notice"
    assert (
        annotations(linted(GithubWriter(Settings(fail_on="note")), member("web", BROKEN), config=MUTE))[0][0] == "error"
    )


def test_ten_of_a_level_and_a_word_on_the_rest() -> None:
    servers = [member(f"web-{number:02}", BROKEN) for number in range(15)]
    text = linted(GithubWriter(Settings(job_summary=True)), *servers)
    levels = [level for level, _, _ in annotations(text)]
    assert (levels.count("error"), levels.count("warning")) == (10, 10)
    assert text.splitlines()[-1] == f"{6 + 5 + 5} more are in the job's summary"


def test_without_a_job_summary_the_rest_follows_the_worst_first() -> None:
    servers = [member(f"web-{number:02}", BROKEN) for number in range(15)]
    shown, _, rest = linted(GithubWriter(Settings()), *servers).partition("::group::16 more\n")
    assert len(annotations(shown)) == 30
    *lines, last = rest.splitlines()
    assert last == "::endgroup::"
    severities = [line.partition(":")[0] for line in lines]
    assert severities == ["error"] * 6 + ["warning"] * 5 + ["note"] * 5
    assert lines[0].startswith("error: VNC101 strict-reverse-path on web-09: tcp, udp and icmp requests")


def test_no_line_of_the_rest_is_a_command() -> None:
    names = [f"::error::##[error]{number}" for number in range(15)]
    rest = linted(GithubWriter(Settings()), *(member(name, BROKEN) for name in names)).partition("::group::16 more\n")[
        2
    ]
    for line in rest.splitlines()[:-1]:
        assert "##[" not in line
        assert not line.startswith("::")


def test_warnings_come_before_notes_whatever_the_level_of_the_summary() -> None:
    told = annotations(linted(GithubWriter(Settings()), member("web-2", BROKEN), config=MUTE))
    levels = [level for level, _, _ in told]
    assert levels[0] == "notice"
    assert levels[1:] == sorted(levels[1:], key=["error", "warning", "notice"].index)
    assert "warning" in levels


def test_a_command_cannot_be_left() -> None:
    line = command("error", "100% sure\r\n::error::forged", title="a,file=b::c%", file="x")
    assert "\n" not in line
    assert annotations(line + "\n") == [
        ("error", {"title": "a,file=b::c%", "file": "x"}, "100% sure ::error::forged"),
    ]


@pytest.mark.parametrize("name", reports.ALL)
def test_nothing_remote_begins_a_line(name: str) -> None:
    report = reports.ALL[name]()
    told = annotations(written(GithubWriter(Settings()), report))
    assert len(told) >= 1
    for _, fields, message in told:
        shown = "".join([message, *fields.values()])
        assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(text))


def test_a_table_of_what_was_found() -> None:
    text = linted(MarkdownWriter(Settings()), *fleet())
    page = rendered(text)
    assert page.count("<table>") == 2
    assert page.count("<tr>") - 2 == text.count("🔴") + text.count("🟡") + text.count("🔵")
    assert "<strong>eu-de and us-south: 2 of 5 servers drop flows; 1 fine, 1 not checked, 1 not running" in page
    assert "<td>🔴 no policy routing: packets leave by the wrong interface</td>\n<td>policy routing</td>" in page
    assert "<code>web-2</code>, us-south" in page
    assert "<strong>Not everything could be checked</strong>" in page
    assert "unreached: ssh_timeout: 10.0.0.11 did not answer within 10 seconds" in page


def test_what_there_is_no_room_for_is_the_least_severe() -> None:
    servers = [member(f"web-{number:02}", BROKEN) for number in range(15)]
    whole = linted(MarkdownWriter(Settings()), *servers)
    marks = [line.split(" ")[1] for line in whole.splitlines() if line.startswith(("| 🔴", "| 🟡", "| 🔵"))]
    assert marks == ["🔴"] * 15 + ["🟡"] * 15 + ["🔵"] * 15
    rows = [line for line in whole.splitlines() if line.startswith("| 🔴")]
    text = linted(MarkdownWriter(Settings(), limit=sum(len(row.encode()) + 1 for row in rows)), *servers)
    shown = [line.split(" ")[1] for line in text.splitlines() if line.startswith(("| 🔴", "| 🟡", "| 🔵"))]
    assert shown == ["🔴"] * 15
    assert "30 more findings, the least severe, are left out." in text


def test_muted_gone_and_carried_findings_are_told_apart() -> None:
    assert rendered(linted(MarkdownWriter(Settings()), member("web-2", BROKEN), config=MUTE)).count("<th>severity") == 2
    gone = linted(MarkdownWriter(Settings()), member("web-2", WELL), earlier=baseline(member("web-2", BROKEN)))
    assert "- gone: VNC101 on `web-2`: tcp, udp and icmp requests" in gone
    kept = linted(MarkdownWriter(Settings()), member("web-2"), earlier=baseline(member("web-2", BROKEN)))
    assert "- not checked, found earlier: VNC101 on `web-2`" in kept


def test_hostile_names_stay_in_their_cells() -> None:
    text = written(MarkdownWriter(Settings()), reports.hostile())
    page = rendered(text)
    assert page.count("<table>") == 2
    rows = re.findall(r"<tr>(.*?)</tr>", page.rpartition("<table>")[2], re.DOTALL)
    assert {row.count("<td>") for row in rows[1:]} == {4}
    assert "<strong>m" not in page
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Zl", "Zp"}]


def test_a_server_is_its_answer_its_matrix_its_causes_and_the_fix() -> None:
    text = written(MarkdownWriter(Settings(servers=True, generated_at=NOW)), reports.demo(1))
    page = rendered(text)
    assert "<li>❌ 10.0.0.12 (eth1) is not reachable.</li>" in page
    assert page.count("<table>") == 1
    assert re.findall(r"<tr>", page).__len__() == 1 + 4
    assert "<strong>Cause: replies from 10.0.0.12 leave by eth0, not eth1 (no policy routing)</strong>" in page
    assert "<strong>Fix for 1 and 2: policy routing (proved on the model: breaks nothing)</strong>" in page
    assert "<code>ip route add 10.0.0.0/24 dev eth1 table 1003\n" in page
    assert "Not permanent: the next boot takes the rules of 10.0.0.12 back" in page


def test_a_hostile_server_is_shown_as_text() -> None:
    text = written(MarkdownWriter(Settings(servers=True, generated_at=NOW)), reports.hostile())
    page = rendered(text)
    assert "<strong>m" not in page
    assert not re.findall(r"<(script|img|a) ", page)
    cells = {row.count("<td>") for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)}
    assert cells <= {0, 7}
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Zl", "Zp"}]


@pytest.mark.parametrize(
    "text", ["a|b", "`x` |", "``|`", "<script>alert(1)</script>", "[x](http://y)", "![i](j)", "*b*"]
)
def test_remote_text_is_text(text: str) -> None:
    cell = f"| h |\n|---|\n| {code(text)} {escaped(text)} |\n"
    page = rendered(cell)
    assert page.count("<td>") == 1
    for tag in ("<script", "<a ", "<img", "<em>", "<strong>"):
        assert tag not in page


def test_nobody_is_mentioned() -> None:
    assert "@octocat" not in escaped("ask @octocat")


def test_a_table_that_is_too_long_says_so() -> None:
    text = linted(MarkdownWriter(Settings(), limit=2000), *(member(f"web-{number}", BROKEN) for number in range(9)))
    assert len(text) < 4000
    assert re.search(r"\n\d+ more findings, the least severe, are left out\.\n", text)
