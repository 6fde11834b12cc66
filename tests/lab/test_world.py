"""The stand-in API shows a scenario as the VPC API would, and what it is told to change happens to packets."""

import json
import os
import urllib.request

import pytest

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.probe import probe
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.lab.world import follow, world_of


@pytest.mark.parametrize("name", scenarios.names())
def test_every_vni_is_in_the_world(name: str) -> None:
    scenario = scenarios.load(name)
    world = world_of(scenario)
    for vni in scenario.vnis:
        shown = world.find("virtual_network_interfaces", vni.name)
        assert tuple(ip["address"] for ip in shown["ips"]) == vni.addresses
        assert shown["mac_address"] == vni.mac
        assert shown["protocol_state_filtering_mode"] == vni.protocol_state_filtering_mode
        assert shown["allow_ip_spoofing"] is vni.allow_ip_spoofing
        assert [group["name"] for group in shown["security_groups"]] == list(vni.security_groups or ("default",))
        floating = [ip["address"] for ip in world.data["floating_ips"] if ip["target"]["name"] == vni.name]
        assert floating == ([] if vni.floating_ip is None else [vni.floating_ip])
    servers = "instances" if scenario.kind == "instance" else "bare_metal_servers"
    assert [each["name"] for each in world.data[servers] if not each["name"].startswith("peer-")] == [name]
    for subnet in scenario.subnets:
        shown = world.find("subnets", subnet.name)
        routes = world.data["routes"][shown["routing_table"]["id"]]
        assert [(route["destination"], route["action"]) for route in routes] == [
            (route.destination, route.action) for route in subnet.routes
        ]


def test_rules_keep_their_order_and_their_ports() -> None:
    scenario = scenarios.load("network-acl")
    shown = world_of(scenario).find("network_acls", "acl-a")["rules"]
    assert [rule["name"] for rule in shown] == [rule.name for rule in scenario.network_acls[0].rules]
    assert shown[4]["destination_port_min"] == shown[4]["destination_port_max"] == 7777
    (rule,) = [
        rule
        for rule in world_of(scenarios.load("security-groups")).find("security_groups", "sg-in-one-port")["rules"]
        if rule["direction"] == "inbound"
    ]
    assert (rule["protocol"], rule["port_min"], rule["port_max"]) == ("tcp", 7777, 7777)


@pytest.mark.root
def test_a_patch_reaches_the_packets() -> None:
    """The API listens on the client's own loopback, as `VPC_URL` of a program there would name it."""
    require_lab()
    scenario = scenarios.load("article-check-2")
    before = os.readlink("/proc/thread-self/ns/net")
    world = world_of(scenario)
    with Lab(scenario) as lab, lab.client.call(lambda: StandIn(world, on_patch=follow(lab))) as api:
        assert not _answers(lab)
        path = f"/virtual_network_interfaces/{world.find('virtual_network_interfaces', 'vni-1')['id']}"
        request = urllib.request.Request(
            f"{api.url}{path}?version=2025-08-26&generation=2",
            data=json.dumps({"protocol_state_filtering_mode": "disabled"}).encode(),
            headers={"Content-Type": "application/merge-patch+json"},
            method="PATCH",
        )
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(request, timeout=5)
        assert lab.client.call(lambda: urllib.request.urlopen(request, timeout=5).status) == 200
        assert api.unexpected == []
        assert _answers(lab)
    assert os.readlink("/proc/thread-self/ns/net") == before


def _answers(lab: Lab) -> bool:
    (flow,) = probe(lab, clients=["10.8.0.4"], locals=["10.0.0.12"], protocols=["tcp"], directions=["inbound"])
    return flow.delivered
