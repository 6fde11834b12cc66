"""Which guest interface belongs to which VNI: by MAC address, by IP address, or not to be told."""

from typing import Any

import pytest

from tests.support.servers import guest, link, server, two_vnis, vni
from vnicheck.engine.interfaces import match_interfaces, why_unmatched
from vnicheck.model.cloud import Vni
from vnicheck.model.guest import Guest

ONE, TWO = "vni-id-1", "vni-id-2"
NO_CARDS: dict[str, dict[str, Any]] = {
    "dummy": {"kind": "dummy"},
    "macsec": {"kind": "macsec"},
    "vxlan": {"kind": "vxlan"},
    "openvswitch": {"kind": "openvswitch"},
    "a kind of tomorrow": {"kind": "wormhole"},
    "loopback": {"flags": ("LOOPBACK", "UP"), "link_type": "loopback"},
    "tunnel": {"link_type": "none"},
}
NOT_BY_MAC_ALONE: dict[str, dict[str, Any]] = {
    "veth": {"kind": "veth"},
    "macvlan": {"kind": "macvlan"},
    "busybox's veth": {"peer_index": 7},
}


@pytest.mark.parametrize(
    ("inside", "vnis", "expected"),
    [
        pytest.param(guest(), two_vnis(), {ONE: "eth0", TWO: "eth1"}, id="MAC and address"),
        pytest.param(guest(), two_vnis(mac=None), {ONE: "eth0", TWO: "eth1"}, id="address alone"),
        pytest.param(
            guest(link("ens3", 1, "10.0.0.12/24"), link("ens4", 0, "10.0.0.11/24")),
            two_vnis(),
            {ONE: "ens4", TWO: "ens3"},
            id="names say nothing",
        ),
        pytest.param(guest(link("eth0", 0), link("eth1", 1)), two_vnis(), {ONE: "eth0", TWO: "eth1"}, id="MAC alone"),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24", "10.0.0.12/24"), link("eth1", 1)),
            two_vnis(),
            {ONE: "eth0", TWO: "eth1"},
            id="an address on the wrong interface",
        ),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24"), link("eth0.100", 0, "10.0.0.12/24", kind="vlan")),
            (vni(0, "10.0.0.11"), vni(1, "10.0.0.12")),
            {ONE: "eth0"},
            id="a VLAN that inherits another VNI's MAC",
        ),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24"), link("eth0.100", 1, "10.0.0.12/24", kind="vlan", parent="eth0")),
            two_vnis(),
            {ONE: "eth0", TWO: "eth0.100"},
            id="a VLAN with its own MAC",
        ),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24"), link("eth0.5", 0, "192.168.5.1/24", kind="vlan", index=9)),
            (vni(0, "10.0.0.11"),),
            {ONE: "eth0"},
            id="the address tells among equal MACs",
        ),
        pytest.param(guest(link("a", 0), link("b", 0, index=9)), (vni(0, "10.0.0.11"),), {}, id="ambiguous"),
        pytest.param(guest(link("eth0", 0, "10.0.0.11/24")), two_vnis(), {ONE: "eth0"}, id="missing"),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24", "10.0.0.12/24")), two_vnis(mac=None), {}, id="claimed by both"
        ),
        pytest.param(
            guest(link("eth0", 0, master="br0"), link("br0", 0, "10.0.0.11/24", kind="bridge", index=9)),
            (vni(0, "10.0.0.11"),),
            {},
            id="a bridge on top",
        ),
        pytest.param(guest(link("bond0", 0, "10.0.0.11/24", kind="bond")), (vni(0, "10.0.0.11"),), {}, id="a bond"),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24", kind="veth", peer_index=7, elsewhere=True)),
            (vni(0, "10.0.0.11"),),
            {ONE: "eth0"},
            id="a veth with both",
        ),
        pytest.param(
            guest(link("m0", 0, "10.0.0.11/24", kind="macvlan"), link("eth0", 2)),
            (vni(0, "10.0.0.11"),),
            {ONE: "m0"},
            id="a macvlan with both",
        ),
        *[
            pytest.param(
                guest(link("x0", 0, "10.0.0.11/24", **what)), (vni(0, "10.0.0.11"),), {}, id=f"no card: {name}"
            )
            for name, what in NO_CARDS.items()
        ],
        *[
            pytest.param(guest(link("x0", 0, **what)), (vni(0, "10.0.0.11"),), {}, id=f"MAC alone: {name}")
            for name, what in NOT_BY_MAC_ALONE.items()
        ],
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24", mac="02:00:00:00:00:77")),
            (vni(0, "10.0.0.11"),),
            {},
            id="a MAC that no link has",
        ),
        pytest.param(
            guest(link("eth0", 0, "10.0.0.11/24"), link("eth0.7", 1, "10.0.0.12/24", kind="vlan", vlan_id=7)),
            (vni(0, "10.0.0.11"), vni(1, "10.0.0.12", interface_type="vlan", vlan=8)),
            {ONE: "eth0"},
            id="a wrong VLAN id",
        ),
        pytest.param(
            guest(link("eth0.7", 0, "10.0.0.11/24", kind="vlan", vlan_id=7)),
            (vni(0, "10.0.0.11", interface_type="pci"),),
            {},
            id="a VLAN for a PCI attachment",
        ),
    ],
)
def test_matching(inside: Guest, vnis: tuple[Vni, ...], expected: dict[str, str]) -> None:
    of = server(*vnis, guest=inside)
    assert match_interfaces(of) == expected
    for one in vnis:
        if one.id not in expected:
            assert one.name in why_unmatched(of, one)


def test_why_not() -> None:
    one = vni(0, "10.0.0.11")

    def why(inside: Guest | None) -> str:
        return why_unmatched(server(one, guest=inside), one)

    assert why(None) == "the guest was not collected"
    assert "ip: not found" in why(guest(link("eth9", 3), missing={"interfaces": "ip: not found"}))
    assert why(guest(link("eth9", 3))) == "no interface of the guest belongs to vni-1 (02:00:00:00:00:0a)"
    assert "any of a, b" in why(guest(link("a", 0), link("b", 0, index=9)))
    assert "is a bond, which is not modelled" in why(guest(link("bond0", 0, "10.0.0.11/24", kind="bond")))


def test_without_a_guest_nothing_matches() -> None:
    assert match_interfaces(server(guest=None)) == {}
