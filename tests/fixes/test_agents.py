"""Who owns policy rules of a server is told by what they set, with what their rules read and where ours stand."""

import pytest

from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, rules_of, server
from vnicheck.fixes.planner import plan_server
from vnicheck.model.boot import BootConfig, BootRule
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest

LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
TUNNEL = link("tun7", 3, "100.79.197.20/32", mac="02:42:00:00:00:07")


def told(known: Guest) -> tuple[str, ...]:
    proof = plan_server(server(guest=known), fabric(), Config())
    assert proof is not None
    return proof.document.agents


def beside(*rules: str, routes: str = "") -> Guest:
    return guest(*LINKS, TUNNEL, routes=TWO_DEFAULTS + routes, rules=rules_of(*rules), rp_filter={"eth1": 1})


@pytest.mark.parametrize(
    ("rules", "routes", "words"),
    [
        (
            ("5210: from all fwmark 0x80000/0xff0000 lookup main", "5270: from all lookup 52"),
            "100.71.166.52 dev tun7 table 52\n",
            ("Tailscale owns 2 policy rules here (5210, 5270)", "lookup main' reads the packet's mark", "behind them"),
        ),
        (("9: from all fwmark 0x200/0xf00 lookup 2004",), "", ("Cilium owns 1 policy rule here (9)",)),
        (
            ("512: from all to 10.1.1.20 lookup main", "1024: from all fwmark 0x80/0x80 lookup main"),
            "",
            ("in the manner of amazon-vpc-cni owns 2", "reads the destination", "reads the packet's mark"),
        ),
        (("99: not from all fwmark 0x100000/0x100000 lookup 1",), "", ("Calico owns 1",)),
        (("30: from all fwmark 0x1745ec lookup 7",), "", ("OVN-Kubernetes owns 1 policy rule here (30)",)),
        (("30400: from 10.0.0.11 lookup 30400",), "", ("nm-cloud-setup owns 1", "reads the source address")),
        ((), "blackhole 192.168.0.0/26 proto bird\n", ("Calico keeps 1 route here, 'blackhole 192.168.0.0/26",)),
        ((), "local 10.0.0.12 dev eth1 table local proto 66 scope host\n", ("Google's guest agent keeps 1 route",)),
    ],
)
def test_an_agent_is_known_by_what_it_sets(rules: tuple[str, ...], routes: str, words: tuple[str, ...]) -> None:
    (said,) = told(beside(*rules, routes=routes))
    for each in words:
        assert each in said


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/etc/netplan/50-cloud-init.yaml:12", "cloud-init"),
        ("/etc/netplan/60-routes.yaml:7", "netplan"),
    ],
)
def test_a_rule_belongs_to_the_file_that_sets_it(source: str, name: str) -> None:
    boot = BootConfig(carried_out=True, rules=(BootRule(source=source, table=101, src="10.0.0.11/32", priority=101),))
    known = guest(*LINKS, rules=rules_of("101: from 10.0.0.11 lookup 101"), rp_filter={"eth1": 1}, boot=boot)
    (said,) = told(known)
    assert said.startswith(f"{name} owns 1 policy rule here (101)")


@pytest.mark.parametrize("rule", ["700: from 10.0.0.11 lookup 101", "52: from all to 10.9.0.0/16 lookup main"])
def test_a_rule_of_nobody_known_is_nobodys(rule: str) -> None:
    assert told(beside(rule)) == ()


def test_a_rule_of_ours_ahead_is_told() -> None:
    """What is sent from 10.0.0.12 is taken by a rule of nm-cloud-setup's kind, to a table that leads by eth0."""
    rule, route = "30400: from 10.0.0.12 lookup 30400", "default via 10.0.0.1 dev eth0 table 30400\n"
    (said,) = told(beside(rule, routes=route))
    assert said.endswith("ours for 10.0.0.12 come ahead of some of them, and change no way that they lead on purpose")
