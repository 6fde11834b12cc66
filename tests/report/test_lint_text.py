"""The lint report for people: coverage first, and readable for hundreds of servers."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, fleet, member, regions, unread
from tests.support.reports import HOSTILE
from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, two_vnis, vni
from vnicheck.analysis.lint import lint
from vnicheck.model.config import Config
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.region import RegionInScope
from vnicheck.model.snapshot import Problem, Server
from vnicheck.report.lint import LintText
from vnicheck.report.page import Page

DROPPED = "tcp, udp and icmp requests to 10.0.0.12 (eth1) are dropped as they come in"


def shown(
    *servers: Server,
    width: int = 100,
    explain: bool = False,
    verbose: bool = False,
    quiet: bool = False,
    config: Config | None = None,
    earlier: Any = None,
    more: tuple[RegionInScope, ...] = (),
    **filters: Any,
) -> str:
    text, page = LintText(explain=explain, verbose=verbose, quiet=quiet), io.StringIO()
    where = [*regions(*servers, config=config, **filters), *more]
    outcome = lint(where, config or Config(), generated_at=NOW, writers=[text], earlier=earlier)
    text.write(Page(Console(file=page, width=width, color_system=None)), outcome.report)
    return page.getvalue()


def baseline(*servers: Server) -> Any:
    return lint(regions(*servers), Config(), generated_at=NOW, writers=[]).baseline


def test_one_screen_says_how_many_are_broken_by_what_what_to_do_and_what_was_not_checked() -> None:
    lines = shown(*fleet()).splitlines()
    assert lines[0] == "eu-de and us-south: 2 of 5 servers drop flows; 1 fine, 1 not checked, 1 not running"
    cause, fix = re.split(r" {2,}fix: ", lines[1])
    assert (cause, fix) == ("  ✗   2  no policy routing: packets leave by the wrong interface", "policy routing")
    at = lines.index("  ?   1  not checked: ssh_timeout: 10.0.0.11 did not answer within 10 seconds")
    assert lines[at + 1] == "         unreached"
    assert "Worst   web-1 (1 of 2 addresses), web-2 (1 of 2 addresses)" in lines
    assert "Next    vnicheck analyze web-1    vnicheck fix --dry-run" in lines
    last = " ".join(" ".join(lines[-8:]).split())
    assert "2 errors, 2 warnings and 3 notes. Checked 3 of 4 multi-homed servers in eu-de and us-south" in last
    assert "facts collected 20" in last
    assert "own firewall lets them pass (guest-firewall)" in last
    assert not any(line.startswith("web-2 ") for line in lines)


def test_verbose_shows_servers_one_by_one_the_worst_first() -> None:
    lines = shown(*fleet(), verbose=True).splitlines()
    blocks = [line for line in lines if re.match(r"(web|well|unreached|asleep|single)", line)]
    assert blocks == ["web-1  eu-de, VPC prod", "web-2  us-south, VPC prod"]
    at = lines.index("web-2  us-south, VPC prod")
    assert lines[at + 1].startswith("  error    VNC101  tcp, udp and icmp requests to 10.0.0.12 (eth1) are dropped as")


def test_quiet_is_the_answer_alone() -> None:
    assert shown(member("web-2", BROKEN), quiet=True) == "us-south: 1 of 1 server drops flows\n"


def test_where_nobody_was_reached_the_next_step_is_the_doctor() -> None:
    assert "Next    vnicheck doctor unreached" in shown(member("unreached", problems=(TIMEOUT,))).splitlines()


def test_servers_of_a_cause_that_only_warns_there_are_told_apart() -> None:
    loose = guest(rp_filter={"all": 2})
    metal = member("metal", loose, kind="bare_metal_server")
    text = " ".join(shown(member("web-1", BROKEN), metal).split())
    assert "1 of 2 servers drops flows; 1 with warnings only" in text
    assert "✗ 2 no policy routing: packets leave by the wrong interface (1 with warnings only)" in text


def test_what_most_unknown_flows_depend_on_is_said() -> None:
    unread = two_vnis(allow_ip_spoofing=None, protocol_state_filtering_mode="disabled")
    text = " ".join(shown(member("web-1", guest(), vnis=unread), member("web-2", guest(), vnis=unread)).split())
    assert "– 2 some flows are unknown for example: 10.0.0.12 is not an address of vni-1" in text


def test_nothing_found_is_few_lines_however_many_servers() -> None:
    first, *rest = shown(*(member(f"well-{number}", WELL) for number in range(50))).splitlines()
    assert first == "us-south: 0 of 50 servers drop flows; 50 fine"
    assert len(rest) <= 6
    assert "Nothing found. Checked 50 of 50 servers in us-south." in rest


def test_many_broken_servers_fit_on_one_screen() -> None:
    servers = [member(f"web-{number:03}", BROKEN) for number in range(40)]
    text = shown(*servers)
    assert len(text.splitlines()) <= 24
    assert "  ✗  40  no policy routing" in text
    assert "  –  40  settings looser than needed\n" in text
    whole = shown(*servers, verbose=True)
    assert len(re.findall(r"^  error    VNC101  ", whole, re.MULTILINE)) == 40


def test_what_reads_alike_is_one_line_and_a_server_counts_once() -> None:
    """Of three VNIs one is answered by two others: paths of one rule that differ in their last hop only."""
    ways = "10.0.1.0/24 dev eth2 proto kernel scope link src 10.0.1.13\n"
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.0.12/24"),
        link("eth2", 2, "10.0.1.13/24"),
        routes=TWO_DEFAULTS + ways,
        rp_filter={"eth1": 1},
    )
    vnis = (vni(0, "10.0.0.11"), vni(1, "10.0.0.12"), vni(2, "10.0.1.13", subnet="b"))
    text = " ".join(shown(member("web-2", inside, vnis=vnis), verbose=True).split())
    assert text.count("VNC101") == 1
    assert f"error VNC101 {DROPPED} (2 paths)" in text
    assert "✗ 1 no policy routing" in text


def test_explained_messages_are_whole_and_have_fixes() -> None:
    text = " ".join(shown(member("web-2", BROKEN), explain=True).split())
    assert "the way back leaves by eth0 (route '10.0.0.0/24 dev eth0" in text
    assert "fix: policy routing (until the next boot): ip route add" in text
    assert "note VNC303 rp_filter is off on eth0" in text


def test_the_same_problem_of_many_servers_is_one_line() -> None:
    around = fabric(missing={"security_groups": "403: not authorized", "load_balancers": "403"}, groups=[])
    text = shown(*(member(f"well-{number}", WELL) for number in range(30)), around=around)
    lines = text.splitlines()
    at = lines.index("  ?  30  not checked: cloud_incomplete: security groups: 403: not authorized")
    assert lines[at + 1] == "         well-0, well-1, well-10 and 27 more"
    assert "note: load balancers of us-south were not read: 403\n" in text


def test_a_region_that_was_not_read_is_told_and_hides_nothing() -> None:
    dead = unread("eu-gb")
    text = shown(member("web-2", BROKEN), more=(dead,))
    words = " ".join(text.split())
    assert "Checked 1 of 1 server in us-south and eu-gb; there may be more: not everything could be read" in words
    assert "  ? eu-gb: api_unreachable: no connection\n" in text
    assert "1 of 1 server drops flows" in text


def test_what_was_not_looked_at_is_told_where_it_is_a_warning_and_its_rule_to_look_up() -> None:
    text = shown(member("web-2"))
    assert "  !   1  the server itself was not looked at" in text
    assert "vnicheck explain VNC403" in text
    assert "vnicheck explain VNC101" in shown(*fleet())


def test_muted_known_gone_and_carried_findings_are_told_apart() -> None:
    mute = Mute(rule="VNC101", server="*", reason="until release 7", expires=Day("2999-01-01"))
    muted = shown(member("web-2", BROKEN), config=Config(mute=(mute,)))
    assert "  muted    VNC101: 1 server, web-2 until 2999-01-01: until release 7\n" in muted
    assert "; 1 muted." in muted
    earlier = baseline(member("web-2", BROKEN))
    known = shown(member("web-2", BROKEN), earlier=earlier)
    assert f"Nothing new; {len(earlier.findings)} known from the baseline." in known
    assert known.startswith(
        "us-south: 0 of 1 server drops flows that are not known or muted; 1 with known or muted findings only\n"
    )
    assert "web-2  us-south" not in known
    gone = shown(member("web-2", WELL), earlier=earlier)
    assert "  gone     VNC101 on web-2: no longer found\n" in gone
    assert f"{len(earlier.findings)} of the baseline gone." in gone
    kept = shown(member("web-2", problems=(TIMEOUT,)), earlier=earlier)
    assert "  kept     VNC101 on web-2: could not be looked at, and stays in the baseline\n" in kept


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    for line in shown(*fleet(), width=width).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


def test_hostile_names_come_out_harmless() -> None:
    hostile = member("x", BROKEN, vnis=two_vnis(spoofing=False, name=HOSTILE))
    text = shown(hostile, member(HOSTILE, problems=(Problem(code="x", message=HOSTILE),)))
    assert "\x1b" not in text
    assert "forged: no broken path" not in text.splitlines()
