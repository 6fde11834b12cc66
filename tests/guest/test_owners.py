"""Who configures an interface: from what real managers note of it, and where nobody can tell."""

from pathlib import Path

import pytest

from tests.support.configured import configured_guest
from vnicheck.guest.parsers.owners import parse_owners
from vnicheck.model.guest import Interface, Manager, Owner
from vnicheck.model.snapshot import Snapshot, decode_snapshot, encode_snapshot

LINKS = tuple(
    Interface(name=name, index=index, up=True, carrier=True)
    for index, name in enumerate(("lo", "eth0", "eth1", "eth0.100"), 1)
)
UUID = "5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03"
EVERY = ("NetworkManager", "systemd-networkd", "networking", "network", "wicked")
NETWORKD = """/run/systemd/netif/links/1:ADMIN_STATE=unmanaged
/run/systemd/netif/links/2:ADMIN_STATE=configured
/run/systemd/netif/links/2:NETWORK_FILE=/run/systemd/network/10-netplan-eth0.network
/run/systemd/netif/links/3:ADMIN_STATE=configuring
/run/systemd/netif/links/3:NETWORK_FILE=/usr/lib/systemd/network/zz-default.network
/run/systemd/netif/links/9:ADMIN_STATE=configured
/run/systemd/netif/links/9:NETWORK_FILE=/etc/systemd/network/gone.network"""
DEFAULT = "/usr/lib/systemd/network/zz-default.network"
IFUPDOWN = "/run/network/ifstate:lo=lo\n/run/network/ifstate:eth1=home"
WICKED = "/etc/sysconfig/network/ifcfg-eth0.100:\n/etc/sysconfig/network/ifcfg-gone:"
NETWORK_MANAGER = f"""/run/NetworkManager/devices/1:managed=false
/run/NetworkManager/devices/2:managed=true
/run/NetworkManager/devices/2:connection-uuid={UUID}
/run/NetworkManager/devices/3:managed=true
/run/NetworkManager/devices/3:connection-uuid={UUID.replace("5", "6")}
nmcli:{UUID}:eth0:/etc/NetworkManager/system-connections/cloud-init eth0.nmconnection
nmcli:{UUID.replace("5", "6")}:eth1:/run/NetworkManager/system-connections/netplan-id\\:1.nmconnection"""


def of(manager: str, handle: str) -> Owner:
    return Owner(manager=Manager(manager), handle=handle)


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("", {}),
        (NETWORKD, {"eth0": of("netplan", "eth0"), "eth1": of("systemd-networkd", DEFAULT)}),
        (NETWORK_MANAGER, {"eth0": of("NetworkManager", UUID), "eth1": of("netplan", "id:1")}),
        (IFUPDOWN, {"lo": of("ifupdown", "lo"), "eth1": of("ifupdown", "home")}),
        (WICKED, {"eth0.100": of("wicked", "eth0.100")}),
        (f"{NETWORKD}\n/run/network/ifstate:eth0=eth0", {"eth1": of("systemd-networkd", DEFAULT)}),
        ("/run/NetworkManager/devices/2:managed=true\n/run/NetworkManager/devices/2:connection-uuid=x; reboot", {}),
        ("/run/network/ifstate:eth0=a\x1b[31m\nnmcli:::\nnmcli\n:=\n=\n/run/systemd/netif/links/x:y=z", {}),
    ],
)
def test_parse(text: str, owners: dict[str, Owner]) -> None:
    assert parse_owners(text, LINKS, EVERY) == owners


def test_what_a_manager_left_that_no_longer_runs_is_no_claim() -> None:
    assert parse_owners(f"{NETWORKD}\n{NETWORK_MANAGER}", LINKS, ("NetworkManager",)).keys() == {"eth0", "eth1"}
    assert parse_owners(NETWORKD, LINKS, ("networking",)) == {}


SCRIPTS = "/etc/sysconfig/network-scripts/ifcfg-eth1:"


@pytest.mark.parametrize(
    ("managers", "owned"), [(("network",), True), (("network", "NetworkManager"), False), ((), False)]
)
def test_network_scripts_own_what_networkmanager_does_not(managers: tuple[str, ...], owned: bool) -> None:
    assert ("eth1" in parse_owners(SCRIPTS, LINKS, managers)) is owned


@pytest.mark.root
@pytest.mark.parametrize("shell", ["dash -s", "busybox ash -s"])
def test_as_the_script_collects_it(tmp_path: Path, shell: str) -> None:
    files: dict[str, str | Path | None] = {
        "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
        "/run/network/ifstate": "lo=lo\neth1=eth1\n",
    }
    inside = configured_guest(tmp_path, files, shell=shell, systemd=False)
    assert inside.owners == {"lo": of("ifupdown", "lo"), "eth1": of("ifupdown", "eth1")}


def test_old_snapshots_have_none() -> None:
    from tests.support.servers import COLLECTED, fabric, guest, server

    old = guest()
    assert old.owners is None
    snapshot = Snapshot(
        schema="vnicheck.snapshot/1",
        tool_version="0",
        created_at=COLLECTED,
        servers=(server(guest=old),),
        fabric=fabric(),
    )
    data = encode_snapshot(snapshot)
    assert b"owners" not in data
    assert decode_snapshot(data) == snapshot
