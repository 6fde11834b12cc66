"""Files of /etc/sysconfig: for which interfaces they are, and which boot brings up. And keepalived."""

from pathlib import Path

import pytest

from tests.support.carried_out import Told, told_of
from tests.support.configured import collect_configured, configured_guest
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import boot_routing
from vnicheck.guest.parsers.names import Names
from vnicheck.model.guest import Interface

pytestmark = pytest.mark.root

SCRIPTS, WICKED = "/etc/sysconfig/network-scripts", "/etc/sysconfig/network"
WANTED = "/etc/systemd/system/multi-user.target.wants"


def beside(name: str, table: int) -> dict[str, str]:
    return {f"{SCRIPTS}/rule-{name}": f"from 10.9.0.1 table {table}\n"}


def described(text: str, table: int = 1003) -> str:
    return f'{text}ROUTING_RULE_1="priority 5 from 10.9.0.1 table {table}"\n'


SCRIPT_CASES: dict[str, tuple[dict[str, str], Told]] = {
    "started": ({f"{SCRIPTS}/ifcfg-eth1": "DEVICE=eth1\nONBOOT=yes\n", **beside("eth1", 1003)}, "set"),
    "started unless it says otherwise": ({f"{SCRIPTS}/ifcfg-eth1": "DEVICE=eth1\n", **beside("eth1", 1003)}, "set"),
    "not started": ({f"{SCRIPTS}/ifcfg-eth1": 'DEVICE=eth1\nONBOOT="no"\n', **beside("eth1", 1003)}, "not set"),
    "a word of another kind": ({f"{SCRIPTS}/ifcfg-eth1": "ONBOOT=$START\n", **beside("eth1", 1003)}, "unknown"),
    "without a description": (beside("eth1", 1003), "not set"),
    "by the interface's name": ({f"{SCRIPTS}/ifcfg-second": "DEVICE=eth1\n", **beside("eth1", 1003)}, "set"),
    "by the description's": ({f"{SCRIPTS}/ifcfg-second": "DEVICE=eth1\n", **beside("second", 1003)}, "set"),
    "no such interface": ({f"{SCRIPTS}/ifcfg-eth9": described("DEVICE=eth9\n")}, "unknown"),
    "its address": ({f"{SCRIPTS}/ifcfg-eth1": described("DEVICE=eth1\nHWADDR=02:00:00:00:00:0B\n")}, "set"),
    "another's address": ({f"{SCRIPTS}/ifcfg-eth1": described("DEVICE=eth1\nHWADDR=02:00:00:00:00:0C\n")}, "not set"),
    "an address alone": ({f"{SCRIPTS}/ifcfg-x": described("HWADDR=02:00:00:00:00:0b\n")}, "set"),
    "no network at all": (
        {WICKED: "NETWORKING=no\n", f"{SCRIPTS}/ifcfg-eth1": "NM_CONTROLLED=no\n", **beside("eth1", 1003)},
        "not set",
    ),
}


@pytest.mark.parametrize("name", SCRIPT_CASES)
def test_network_scripts(tmp_path: Path, name: str) -> None:
    files, expected = SCRIPT_CASES[name]
    assert told_of(collect_configured(tmp_path, files)) == {1003: expected}


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("auto", "set"), ("hotplug", "set"), ("manual", "not set"), ("off", "not set"), ("ifplugd", "unknown")],
)
def test_wicked(tmp_path: Path, mode: str, expected: Told) -> None:
    files = {f"{WICKED}/ifcfg-eth1": f"STARTMODE={mode}\n", f"{WICKED}/ifrule-eth1": "from 10.9.0.1 table 1003\n"}
    assert told_of(collect_configured(tmp_path, files)) == {1003: expected}


@pytest.mark.parametrize("words", ["virtual_routes {", "virtual_rules {", "static_rules {", "include other.conf"])
def test_keepalived_sets_its_own_while_it_is_master(tmp_path: Path, words: str) -> None:
    conf = {"/etc/keepalived/keepalived.conf": f"vrrp_instance a {{\n  {words}\n  }}\n}}\n"}
    unit = {f"{WANTED}/keepalived.service": Path("/usr/lib/systemd/system/keepalived.service")}
    enabled = configured_guest(tmp_path / "enabled", {**conf, **unit}).boot
    assert enabled is not None
    assert enabled.unknown["routing"].startswith("/etc/keepalived/keepalived.conf:2: ")
    disabled = configured_guest(tmp_path / "disabled", conf).boot
    assert disabled is not None
    assert "routing" not in disabled.unknown


def test_a_tunnel_for_everything_chooses_its_own_table(tmp_path: Path) -> None:
    conf = {"/etc/wireguard/wg0.conf": "[Interface]\n[Peer]\nAllowedIPs = 0.0.0.0/0\n"}
    unit = {f"{WANTED}/wg-quick@wg0.service": Path("/usr/lib/systemd/system/wg-quick@.service")}
    enabled = configured_guest(tmp_path / "enabled", {**conf, **unit}).boot
    assert enabled is not None
    assert "wg-quick sets rules of its own" in enabled.unknown["routing"]
    disabled = configured_guest(tmp_path / "disabled", conf).boot
    assert disabled is not None
    assert "routing" not in disabled.unknown


def test_numbers_of_what_boot_does_not_set_are_taken(tmp_path: Path) -> None:
    files = {f"{SCRIPTS}/ifcfg-eth1": described("DEVICE=eth1\nONBOOT=no\n", 1009)}
    boot = configured_guest(tmp_path, files).boot
    assert boot is not None
    assert (boot.rules, boot.unknown) == ((), {})
    assert (boot.idle_tables, boot.idle_priorities) == ((1009,), (5,))


def test_network_scripts_know_no_rules_of_networkmanagers() -> None:
    path = "/etc/sysconfig/network-scripts/ifcfg-eth1"
    lines = (f"@applied\n@read {path}\n{path}:1:DEVICE=eth1\n", f'{path}:2:ROUTING_RULE_1="from 10.0.0.12 table 7"\n')
    eth1 = Interface(name="eth1", index=2, up=True, carrier=True)
    for manager, rules in (("NetworkManager", 1), ("network", 0)):
        machine = Machine(interfaces=(eth1,), managers=(manager,))
        assert len(boot_routing(read_boot_files("".join(lines)), Names(), machine).rules) == rules
