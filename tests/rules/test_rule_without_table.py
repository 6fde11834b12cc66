"""VNC203: tables that may be empty, and those that are not known to be."""

import msgspec

from tests.support.latent_cases import FIRES, routed
from tests.support.servers import findings_of, report, rules_of


def test_tables_of_a_partial_dump_are_not_called_empty() -> None:
    of = FIRES["VNC203"][0]
    assert of.guest is not None
    partial = msgspec.structs.replace(of.guest, missing={"routes_local": "only the main table was collected"})
    assert findings_of(msgspec.structs.replace(of, guest=partial), "VNC203") == []


def test_rules_for_marked_packets_may_lead_nowhere() -> None:
    rules = rules_of("1003: from 10.0.0.12 lookup 1003", "1500: from all fwmark 0x200/0xf00 lookup 2004")
    assert report(routed(rules=rules)).findings == ()


def test_a_rule_for_all_packets_may_lead_nowhere() -> None:
    """As that of a VPN without peers does."""
    assert report(routed(rules=rules_of("1003: from 10.0.0.12 lookup 1003", "5270: from all lookup 52"))).findings == ()
