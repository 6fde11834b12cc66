"""What counts as incomplete: a server of which something that verdicts rest on is not known, and no other."""

from typing import Any

import msgspec
import pytest

from tests.support.servers import POLICY_ROUTING, POLICY_RULES, fabric, guest, link, report, server, two_vnis, vni
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Problem, Server


def problems(of: Server, around: Any = None) -> list[str]:
    instance = report(of, around)
    assert instance.status == ("incomplete" if instance.problems else "analyzed")
    return [f"{problem.code}: {problem.message}" for problem in instance.problems]


@pytest.mark.parametrize(
    "of",
    [
        server(guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES)),
        server(*two_vnis(mac=None), guest=guest()),
        server(*two_vnis(mac=None, legacy=True, protocol_state_filtering_mode=None), guest=guest()),
        server(*two_vnis(), guest=guest(), kind="bare_metal_server"),
        server(
            vni(0, "10.0.0.11", "10.0.0.13"),
            guest=guest(link("eth0", 0, "10.0.0.11/24"), link("docker0", 3, "172.17.0.1/16", kind="bridge")),
        ),
        server(*two_vnis(protocol_state_filtering_mode="later"), guest=guest()),
        server(guest=guest(link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, up=False, carrier=False, flags=()))),
    ],
    ids=["policy routing", "no MAC", "legacy", "bare metal", "docker", "a mode of tomorrow", "down, no address"],
)
def test_what_is_complete(of: Server) -> None:
    assert problems(of) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"check-{check.number}")
def test_the_demo_is_complete(check: Any) -> None:
    snapshot = load_check(check)
    assert report(snapshot.servers[0], snapshot.fabric, Config()).problems == ()


def test_a_vni_that_is_nowhere_in_the_guest() -> None:
    lone = server(guest=guest(link("eth0", 0, "10.0.0.11/24")))
    assert problems(lone) == ["interface_unmatched: no interface of the guest belongs to vni-2 (02:00:00:00:00:0b)"]
    bond = server(vni(0, "10.0.0.11"), guest=guest(link("bond0", 0, "10.0.0.11/24", kind="bond")))
    assert problems(bond) == ["interface_unmatched: bond0 of vni-1 is a bond, which is not modelled"]


def test_interfaces_that_were_not_collected_are_one_problem() -> None:
    blind = server(guest=guest(missing={"interfaces": "ip: not found"}))
    assert [line.partition(":")[0] for line in problems(blind)] == ["guest_incomplete"]


def test_an_rp_filter_that_was_not_collected() -> None:
    sysctls = {path: value for path, value in guest().sysctls.items() if path != "net/ipv4/conf/eth1/rp_filter"}
    assert problems(server(guest=msgspec.structs.replace(guest(), sysctls=sysctls))) == [
        "guest_incomplete: rp_filter of eth1: not collected"
    ]


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"security_groups": None}, "security groups"),
        ({"protocol_state_filtering_mode": None}, "protocol state filtering mode"),
        ({"allow_ip_spoofing": None}, "IP spoofing"),
    ],
)
def test_facts_of_a_vni_that_the_api_did_not_give(changes: dict[str, Any], fact: str) -> None:
    of = server(vni(0, "10.0.0.11", **changes), guest=guest(link("eth0", 0, "10.0.0.11/24")))
    assert problems(of) == [f"cloud_incomplete: {fact} of vni-1: not readable"]
    told = Problem(code="vni_unreadable", message="vni-1: it is not in their list")
    again = server(vni(0, "10.0.0.11", **changes), guest=guest(link("eth0", 0, "10.0.0.11/24")), problems=(told,))
    assert problems(again) == ["vni_unreadable: vni-1: it is not in their list"], "said once"


def test_a_list_that_is_missing_is_told() -> None:
    around = fabric(missing={"routing_tables": "403: not authorized"})
    assert problems(server(guest=guest()), around) == ["cloud_incomplete: routing tables: 403: not authorized"]
