"""VNC209: rules that never match, and those that may."""

from typing import Any

import pytest

from tests.support.servers import TWO_DEFAULTS, findings_of, guest, link, rules_of, server, two_vnis
from vnicheck.model.guest import Interface
from vnicheck.model.snapshot import Server

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
TABLE = "default via 10.0.0.1 dev eth1 table 7\n10.0.0.0/24 dev eth1 table 7 scope link\n"


def of(*rules: str, routes: str = TWO_DEFAULTS + TABLE, links: tuple[Interface, ...] = LINKS, **more: Any) -> Server:
    return server(*two_vnis(), guest=guest(*links, routes=routes, rules=rules_of(*rules), **more))


class TestRuleNeverMatches:
    @pytest.mark.parametrize(
        ("rules", "words"),
        [
            (("40000: from 10.0.0.12 lookup 7",), "no packet gets past '32766: from all lookup main'"),
            (("50: from all unreachable", "60: from 10.0.0.12 lookup 7"), "past '50: from all unreachable'"),
            (("50: from 10.0.0.12 iif eth9 [detached] lookup 7",), "does not exist"),
            (("50: from all iif eth1 lookup 7",), "a reply is looked up as coming from lo"),
        ],
    )
    def test_it_is_pointed_out(self, rules: tuple[str, ...], words: str) -> None:
        ordered = sorted((*rules, "0: from all lookup local", "32766: from all lookup main"), key=_priority)
        known = guest(*LINKS, routes=TWO_DEFAULTS + TABLE, rules="\n".join(ordered))
        (finding,) = findings_of(server(guest=known), "VNC209")
        assert words in finding.message
        assert finding.severity == "note"

    @pytest.mark.parametrize(
        "rules",
        [
            ("50: from 10.0.0.12 lookup 7",),
            ("50: from all lookup 9", "60: from 10.0.0.12 lookup 7"),
            ("50: from all goto 32766", "60: from 10.0.0.12 lookup 7"),
            ("50: from all lookup main suppress_prefixlength 0", "60: from 10.0.0.12 lookup 7"),
            ("50: from all iif docker9 [detached] lookup 7",),
            ("50: from all iif eth1 lookup main",),
            ("50: from all lookup [l3mdev-table]", "60: from 10.0.0.12 lookup 7"),
        ],
    )
    def test_rules_that_may_match_are_not(self, rules: tuple[str, ...]) -> None:
        assert findings_of(of(*rules), "VNC209") == []

    def test_a_server_that_forwards_may_mean_what_comes_in(self) -> None:
        assert findings_of(of("50: from all iif eth1 lookup 7", sysctls={"conf/eth1/forwarding": 1}), "VNC209") == []


def _priority(line: str) -> int:
    return int(line.partition(":")[0])
