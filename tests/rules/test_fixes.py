"""The policy routing that findings propose, carried out on the guest, delivers those flows."""

import ipaddress

import msgspec
import pytest

from tests.support.plans import THREE
from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, report, server, subnet, two_vnis, vni
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.finding import Finding
from vnicheck.model.guest import Guest, Route
from vnicheck.model.snapshot import Server


def commands(finding: Finding) -> list[str]:
    return [command for fix in finding.fixes if fix.title == "policy routing" for command in fix.commands]


def applied(before: Guest, lines: list[str]) -> Guest:
    """The guest after the commands, read by our own parsers as `ip` would print what they made."""
    routes: list[Route] = []
    rules = list(before.rules)
    for line in lines:
        if line.startswith("ip route add "):
            routes += parse_routes(line.removeprefix("ip route add ") + " scope link\n" * ("via" not in line)).items
        else:
            assert line.startswith("ip rule add ")
            words, _, priority = line.removeprefix("ip rule add ").partition(" priority ")
            rules += parse_rules(f"{priority}: {words.replace(' table ', ' lookup ')}").items
    rules.sort(key=lambda rule: rule.priority)
    return msgspec.structs.replace(before, routes=(*before.routes, *routes), rules=tuple(rules))


CASES: dict[str, Server] = {
    "strict": server(guest=guest(rp_filter={"eth0": 1, "eth1": 1})),
    "strict, no spoofing": server(*two_vnis(spoofing=False), guest=guest(rp_filter={"all": 1})),
    "loose": server(*two_vnis(spoofing=False), guest=guest(rp_filter={"all": 2})),
    "floating IP": server(
        vni(0, "10.0.0.11", allow_ip_spoofing=True), vni(1, "10.0.0.12", floating_ip="203.0.113.7"), guest=guest()
    ),
    "three VNIs, two subnets, a secondary address": server(
        vni(0, "10.0.0.11"), vni(1, "10.0.0.12", "10.0.0.14"), vni(2, "10.0.1.13", subnet="b"), guest=THREE
    ),
    "interfaces with high numbers": server(
        guest=guest(link("eth0", 0, "10.0.0.11/24", index=33_000), link("eth1", 1, "10.0.0.12/24", index=2_000_000))
    ),
    "the number is taken": server(
        guest=guest(
            routes=TWO_DEFAULTS + "default via 10.0.0.1 dev eth0 table 1003\n",
            rules="0: from all lookup local\n1004: from 10.0.0.99 lookup 1003\n32766: from all lookup main\n",
        )
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_proposed_policy_routing_delivers(name: str) -> None:
    of = CASES[name]
    assert of.guest is not None
    before = report(of)
    proposing = [finding for finding in before.findings if commands(finding)]
    assert proposing
    for finding in proposing:
        after = report(msgspec.structs.replace(of, guest=applied(of.guest, commands(finding))))
        fixed = {
            (flow.direction, flow.protocol, flow.local, prefix)
            for flow in after.flows
            if flow.verdict == "delivered" and flow.symmetric
            for prefix in _covered(flow.remote)
        }
        for index in finding.flows:
            flow = before.flows[index]
            for prefix in _covered(flow.remote):
                assert (flow.direction, flow.protocol, flow.local, prefix) in fixed, (finding.message, prefix)


def test_no_gateway_is_made_up_where_the_subnet_is_not_known() -> None:
    """As the metadata service tells it: the address alone."""
    for address in ("10.0.0.12", "255.255.255.255"):
        around = fabric(subnets=[subnet("b", f"{address}/32")])
        of = server(vni(0, "10.0.0.11"), vni(1, "10.0.0.12", subnet="b"), guest=guest(rp_filter={"eth1": 1}))
        findings = report(of, around).findings
        assert findings
        assert not any(commands(finding) for finding in findings)


PROBES = ("10.0.0.200", "10.0.1.200", "10.0.77.1", "10.8.0.4", "172.16.9.9", "161.26.0.10", "198.51.100.1")


def _covered(remote: tuple[str, ...]) -> list[str]:
    """The probes that lie in the prefixes."""
    networks = [ipaddress.ip_network(prefix) for prefix in remote]
    return [probe for probe in PROBES if any(ipaddress.ip_address(probe) in network for network in networks)]


def test_a_subnet_of_another_size_keeps_its_gateway() -> None:
    around = fabric(subnets=[subnet("a", "10.0.0.128/25")])
    inside = guest(
        link("eth0", 0, "10.0.0.211/25"),
        link("eth1", 1, "10.0.0.212/25"),
        routes="default via 10.0.0.129 dev eth0\n10.0.0.128/25 dev eth0 scope link\n10.0.0.128/25 dev eth1 metric 9\n",
    )
    finding = report(server(vni(0, "10.0.0.211"), vni(1, "10.0.0.212"), guest=inside), around).findings[0]
    assert commands(finding) == [
        "ip route add 10.0.0.128/25 dev eth1 table 1003",
        "ip route add default via 10.0.0.129 dev eth1 table 1003",
        "ip rule add from 10.0.0.212 table 1003 priority 1003",
    ]


@pytest.mark.parametrize("name", ["eth1;reboot", "$(reboot)", "a && reboot #", "`id`", "-x", "eth1\x1b[31m", "e'1"])
def test_no_command_names_an_interface_that_a_shell_would_read(name: str) -> None:
    hostile = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link(name, 1, "10.0.0.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n",
    )
    instance = report(server(guest=hostile))
    assert instance.findings
    assert all(name not in str(fix) for finding in instance.findings for fix in finding.fixes)


def test_the_mode_of_a_legacy_interface_cannot_be_changed() -> None:
    legacy = server(*two_vnis(legacy=True, protocol_state_filtering_mode=None), guest=guest())
    fixes = [fix.title for finding in report(legacy).findings for fix in finding.fixes]
    assert fixes
    assert not [fix for fix in fixes if "disable protocol state filtering" in fix], (
        "legacy interfaces cannot be changed"
    )
