"""Scenarios state every flow once, and are refused where they contradict themselves."""

from typing import Any

import msgspec
import pytest

from tests.lab.scenario import Scenario, load, names
from vnicheck.rehearse.network import NetworkError

VNI = {"name": "vni-1", "interface": "eth0", "subnet": "a", "mac": "02:00:00:00:00:01", "addresses": ["10.0.0.11"]}
ALL = "subnet vpc private service internet"


def build(**changes: Any) -> Scenario:
    fields: dict[str, Any] = {
        "title": "one VNI",
        "guest": "",
        "subnets": [{"name": "a", "cidr": "10.0.0.0/24"}],
        "vnis": [VNI],
        "expect": {f"{ALL} -> 10.0.0.11": "icmp tcp", f"10.0.0.11 -> {ALL}": ""},
    }
    return msgspec.convert(fields | changes, Scenario)


@pytest.mark.parametrize("name", names())
def test_every_flow_is_expected_once(name: str) -> None:
    scenario = load(name)
    assert len(scenario.expected()) == 2 * len(scenario.kinds) * len(scenario.clients.addresses) * len(scenario.locals)
    assert scenario.name == name
    assert scenario.title


def test_there_are_scenarios() -> None:
    assert {"article-check-1", "article-check-2", "article-check-3", "policy-routing"} <= set(names())


def test_a_scope_stands_for_its_clients() -> None:
    expected = build().expected()
    assert expected["inbound", "tcp", "10.8.0.4", "10.0.0.11"]
    assert not expected["inbound", "udp", "10.8.0.4", "10.0.0.11"]
    assert not expected["outbound", "tcp", "10.8.0.4", "10.0.0.11"]


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ({f"{ALL} -> 10.0.0.11": ""}, "nothing is expected of"),
        ({f"{ALL} -> 10.0.0.11": "", "vpc -> 10.0.0.11": ""}, "stated twice"),
        ({"vpc -> 10.0.0.99": ""}, "no address and no scope"),
        ({"vpc -> private": ""}, "not between the server and a client"),
        ({"vpc to 10.0.0.11": ""}, "not an expectation"),
        ({"vpc -> 10.0.0.11": "sctp"}, "not an expectation"),
    ],
)
def test_expectations_that_do_not_hold_together(expect: dict[str, str], complaint: str) -> None:
    with pytest.raises(NetworkError, match=complaint):
        build(expect=expect).expected()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vnis": []}, "at least one VNI"),
        ({"vnis": [VNI | {"subnet": "b"}]}, "nothing is named 'b'"),
        ({"vnis": [VNI | {"security_groups": ["sg"]}]}, "nothing is named 'sg'"),
        ({"vnis": [VNI | {"addresses": ["10.0.1.11"]}]}, "not in 10.0.0.0/24"),
        ({"vnis": [VNI | {"addresses": ["10.0.0.200"]}]}, "used twice: 10.0.0.200"),
        ({"vnis": [VNI | {"addresses": ["10.0.0.1"]}]}, "used twice: 10.0.0.1"),
        ({"vnis": [VNI | {"protocol_state_filtering_mode": "on"}]}, "Invalid enum value 'on'"),
        ({"vnis": [VNI | {"spoof": True}]}, "unknown field `spoof`"),
        ({"clients": {"private": []}}, "a private client"),
    ],
)
def test_scenarios_that_do_not_hold_together(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises((NetworkError, msgspec.ValidationError), match=complaint):
        build(**changes)


def test_a_client_from_the_internet_dials_the_floating_ip_of_the_primary_address() -> None:
    vni = VNI | {"addresses": ["10.0.0.11", "10.0.0.21"], "floating_ip": "198.51.100.11"}
    scenario = build(vnis=[vni])
    assert scenario.dialled("203.0.113.9", "10.0.0.11") == "198.51.100.11"
    assert scenario.dialled("203.0.113.9", "10.0.0.21") == "10.0.0.21"
    assert scenario.dialled("10.8.0.4", "10.0.0.11") == "10.0.0.11"
