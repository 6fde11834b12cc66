"""The report for people: its golden outputs, its widths, and what hostile names come to.

After a change that is meant: VNICHECK_UPDATE_GOLDEN=1 pytest tests/report, and read the difference.
"""

import os
import re
import unicodedata
from pathlib import Path

import pytest

from tests.support import cases, reports
from tests.support.reports import render
from tests.support.servers import POLICY_ROUTING, POLICY_RULES, guest, report, server, two_vnis
from vnicheck.analysis.server import report_on
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.model.boot import BootConfig, BootRoute, BootRule
from vnicheck.report.drawing import ASCII, UNICODE

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (60, 80, 120)


AS_IT_RUNS = BootConfig(
    carried_out=True,
    rules=(BootRule(source="/etc/rc.local:1", src="10.0.0.12/32", table=1003),),
    routes=tuple(BootRoute(source="/etc/rc.local:2", table=1003, prefix=each) for each in ("0.0.0.0/0", "10.0.0.0/24")),
)


def of_case(name: str) -> str:
    """The report of a case of fixtures/cases, 80 columns wide."""
    return render(reports.around(cases.report_of(cases.snapshot_of(name))), 80)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [name for name in reports.ALL if name != "hostile"])
def test_golden(name: str, width: int) -> None:
    path = GOLDEN / f"{name}-{width}.txt"
    shown = render(reports.ALL[name](), width)
    if os.environ.get("VNICHECK_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{name}-{width}.txt" for name in reports.ALL if name != "hostile" for width in WIDTHS}
    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("width", [40, *WIDTHS])
@pytest.mark.parametrize("name", reports.ALL)
def test_no_line_is_wider_than_the_page_but_commands_and_drawings(name: str, width: int) -> None:
    """A wrapped command would be copied wrong, and a wrapped drawing would be none."""
    for line in render(reports.ALL[name](), width).splitlines():
        if line.lstrip().startswith("ip ") or UNICODE.arrow in line or UNICODE.broken_arrow in line:
            continue
        assert len(line) <= width, line
        assert line == line.rstrip()


def test_wide_terminals_are_not_filled() -> None:
    report = reports.several()
    assert render(report, 250) == render(report, 100)


@pytest.mark.parametrize("name", reports.ALL)
def test_a_console_of_ascii_gets_ascii(name: str) -> None:
    shown = render(reports.ALL[name](), 80, encoding="ascii")
    assert shown.isascii()
    assert f" {ASCII.arrow} " in shown or name in {"several", "docker", "web-only"}


@pytest.mark.parametrize("name", reports.ALL)
def test_a_pipe_gets_no_styles_and_a_terminal_does(name: str) -> None:
    assert "\x1b" not in render(reports.ALL[name](), 80)
    styled = render(reports.ALL[name](), 80, terminal=True)
    assert "\x1b[1m" in styled


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_come_out_harmless(width: int) -> None:
    shown = render(reports.hostile(), width)
    bad = [char for char in shown if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]
    assert bad == []
    lines = shown.splitlines()
    assert lines == shown.split("\n")[:-1], "something but a line feed ends lines"
    assert "forged: no broken path" not in lines
    joined = " ".join(shown.split())
    assert "[bold red]m[/bold red]:boom:" in joined, "markup is text"
    assert "né [31mred ]0;title" in joined


def test_hostile_names_style_nothing_on_a_terminal() -> None:
    styled = render(reports.hostile(), 80, terminal=True)
    for sequence in ("\x1b[31mred", "\x1b]0;", "\x1b[2J", "\x9b", "\r", "\u202e"):
        assert sequence not in styled


def test_a_fix_is_shown_once_and_each_command_on_a_line_of_its_own() -> None:
    lines = render(reports.demo(1), 80).splitlines()
    commands = [line.strip() for line in lines if line.strip().startswith(("ip route add", "ip rule add"))]
    assert commands == [
        "ip route add 10.0.0.0/24 dev eth1 table 1003",
        "ip route add default via 10.0.0.1 dev eth1 table 1003",
        "ip rule add from 10.0.0.12 table 1003 priority 1003",
    ]
    assert "Fix for 1 and 2: policy routing (proved on the model: breaks nothing)" in lines
    assert "the next boot" in " ".join(" ".join(lines).split()), "what the next boot does to it is never left out"


def test_the_articles_server_is_thirty_lines_of_eighty_columns() -> None:
    assert len(render(reports.demo(1), 80).splitlines()) <= 30


def test_quiet_is_the_answer_alone() -> None:
    shown = render(reports.demo(1), 80, quiet=True).splitlines()
    assert shown == ["server: ✗ 10.0.0.12 (eth1) is not reachable.", "server: ✓ 10.0.0.11 (eth0) works."]


def test_quiet_says_why_a_server_could_not_be_looked_at() -> None:
    shown = render(reports.several(), 120, quiet=True)
    assert "? ssh_timeout: 10.0.0.11 did not answer within 10 seconds" in shown


def test_advice_says_which_findings_it_is_for_where_a_plan_fixes_the_others() -> None:
    text = of_case("bare-metal-vlan")
    assert "      fix: policy routing (for 1)\n" in text
    assert "Fix for 2: policy routing" in text
    text = " ".join(of_case("one-rule-for-a-tos").split())
    assert "fix: disable protocol state filtering on server-vni-1 (0717-" in text
    assert "to the configuration of systemd-networkd (for 3)" in text


def test_what_the_next_boot_breaks_is_not_drawn_as_it_runs_today() -> None:
    text = of_case("tproxy-gateway-is-not-own")
    assert "from the next boot on, tcp flows" in text
    assert "remote ─► eth1 ─► reply leaves eth1" not in text


def test_a_fix_in_the_vpc_says_that_it_stays_and_costs() -> None:
    text = " ".join(of_case("transit-one-arm").split())
    assert "`vnicheck fix server` applies it with automatic rollback, and the VPC keeps it." in text
    assert "`vnicheck fix server --dry-run` says what that costs" in text


@pytest.mark.parametrize(
    ("boot", "said"),
    [
        (None, "what it takes back is not known (the server's configuration files were not collected)"),
        (
            BootConfig(unknown={"routing": "/etc/x cannot be read"}),
            "what it takes back is not known (its files that set routes and rules: /etc/x cannot be read)",
        ),
        (AS_IT_RUNS, "nothing that works now is known to break, by the server's files"),
    ],
)
def test_a_server_that_is_well_says_what_the_next_boot_does(boot: BootConfig | None, said: str) -> None:
    inside = guest(routes=POLICY_ROUTING, rules=POLICY_RULES, boot=boot)
    text = render(reports.around(report(server(*two_vnis(spoofing=False), guest=inside))), 100)
    assert f"Next boot: {said}" in " ".join(text.split())


def test_words_of_the_matrix_are_told_in_one_line_where_they_are_used() -> None:
    lines = render(reports.demo(1), 80).splitlines()
    assert "state: the VNI saw no SYN; FIP: floating IP; PGW: public gateway" in lines


def test_facts_have_an_age() -> None:
    assert "collected 2024-06-20 02:11 UTC, " in render(reports.demo(1), 120).splitlines()[0]


def test_what_could_not_be_checked_is_said() -> None:
    shown = render(reports.several(), 100)
    assert "ssh_timeout: 10.0.0.11 did not answer within 10 seconds" in shown
    assert "4 servers: 2 analyzed, 1 incomplete, 1 skipped; the state of what could not be checked is unknown" in shown
    assert "nothing found" in shown


def test_facts_stand_behind_explain() -> None:
    brief = render(reports.demo(1), 80)
    assert "rp_filter = 0" not in brief
    assert "facts: --explain" in brief
    whole = " ".join(render(reports.demo(1), 80, explain=True).split())
    assert "--explain" not in whole
    assert "sysctl: net/ipv4/conf/all/rp_filter = 0 (collected 20" in whole
    assert "10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11 metric 100 (collected 20" in whole


def test_the_sample_of_the_documentation_is_real() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    (sample,) = re.findall(r"```\n(server .*?)```", page, re.DOTALL)
    report = report_on(load_check(CHECKS[0]), generated_at="2026-11-28T12:00:00Z", config=AS_RECORDED)
    assert sample in render(report, 80)
