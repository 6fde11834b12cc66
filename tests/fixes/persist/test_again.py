"""What a plan promises of the next boot, of an interface that boot may not configure again; for each manager."""

from collections.abc import Mapping

import msgspec
import pytest

from tests.support.boot_sandbox import BASES, UUID, kept, owned, owner
from tests.support.plans import BROKEN
from vnicheck.fixes.persist.keep import Kept
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import boot_routing
from vnicheck.guest.parsers.names import Names
from vnicheck.model.guest import BootConfig, Manager, NotAgain

STRICT = BROKEN["strict, no spoofing"][0]
NETPLAN = "/etc/netplan/50-cloud-init.yaml"
NETWORKD = "/etc/systemd/network/20-eth1.network"
KEYFILE = "/etc/NetworkManager/system-connections/eth1.nmconnection"
INTERFACES = "/etc/network/interfaces"
WICKED = "/etc/sysconfig/network/ifcfg-eth1"
SCRIPTS = "/etc/sysconfig/network-scripts/ifcfg-eth1"
FILES = BASES | {
    Manager.NETWORK_MANAGER: {KEYFILE: f"[connection]\nuuid={UUID}\ntype=ethernet\ninterface-name=eth1\n"},
}
RUNNING = {
    Manager.NETPLAN: "systemd-networkd",
    Manager.NETWORKD: "systemd-networkd",
    Manager.NETWORK_MANAGER: "NetworkManager",
    Manager.IFUPDOWN: "networking",
    Manager.WICKED: "wicked",
    Manager.NETWORK_SCRIPTS: "network",
}


def section(files: Mapping[str, str], marks: str = "") -> str:
    """As the collect script tells of the files."""
    lines = [f"@applied\n{marks}"]
    for path, text in files.items():
        lines.append(f"@read {path}")
        lines += [f"{path}:{number}:{line}" for number, line in enumerate(text.splitlines(), 1)]
        if "/system-connections/" in path:
            lines.append(f"@mode -rw------- 1 0 0 123 Nov 29 07:09 {path}")
    return "\n".join(lines)


def planned(manager: Manager, files: Mapping[str, str], marks: str = "") -> Kept:
    """What the plan keeps of a server with these files."""
    of = owned(STRICT, manager)
    inside = of.guest
    assert inside is not None
    owners = {"eth1": owner(manager, "eth1")}
    machine = Machine(interfaces=inside.interfaces, managers=(RUNNING[manager],), owners=owners)
    found = boot_routing(read_boot_files(section(files, marks)), Names(), machine)
    return kept(owned(STRICT, manager, boot=BootConfig(carried_out=True, not_again=found.not_again)))


@pytest.mark.parametrize("manager", Manager)
def test_what_boot_brings_up_is_set_again(manager: Manager) -> None:
    found = planned(manager, FILES[manager])
    assert found.at_boot == "kept"
    assert found.next_boot == (f"a boot sets the rules of 10.0.0.12 again: {manager.value} configures eth1",)


DOWN = {
    Manager.NETPLAN: (NETPLAN, "    eth1:\n", "    eth1:\n      activation-mode: manual\n"),
    Manager.NETWORKD: (NETWORKD, "[Network]", "[Link]\nActivationPolicy=manual\n[Network]"),
    Manager.NETWORK_MANAGER: (KEYFILE, "type=", "autoconnect=false\ntype="),
    Manager.IFUPDOWN: (INTERFACES, "auto eth1\n", ""),
    Manager.WICKED: (WICKED, "auto", "manual"),
    Manager.NETWORK_SCRIPTS: (SCRIPTS, "DEVICE=eth1\n", "DEVICE=eth1\nONBOOT=no\n"),
}


@pytest.mark.parametrize("manager", Manager)
def test_what_boot_leaves_down_is_lost_until_somebody_brings_it_up(manager: Manager) -> None:
    path, old, new = DOWN[manager]
    assert old in FILES[manager][path]
    found = planned(manager, FILES[manager] | {path: FILES[manager][path].replace(old, new)})
    assert found.at_boot == "lost"
    assert found.actions, "it is there with the interface"
    (said,) = found.next_boot
    assert said.startswith("the next boot takes the rules of 10.0.0.12 back: it does not bring eth1 up; ")
    assert "(for boot to do it, " in said


ANOTHER = {
    "netplan no longer names it": (Manager.NETPLAN, {NETPLAN: "network:\n  ethernets:\n    eth0: {}\n"}, ""),
    "a file of one's own masks netplan's": (
        Manager.NETPLAN,
        FILES[Manager.NETPLAN] | {"/etc/systemd/network/10-netplan-eth1.network": "[Match]\nName=eth1\n"},
        "",
    ),
    "an earlier file takes it": (
        Manager.NETWORKD,
        FILES[Manager.NETWORKD] | {"/etc/systemd/network/10-all.network": "[Match]\nName=eth*\n"},
        "",
    ),
    "its file is for another one": (Manager.NETWORKD, {NETWORKD: "[Match]\nName=eth2\n"}, ""),
    "networkd is masked": (
        Manager.NETWORKD,
        FILES[Manager.NETWORKD],
        "@masked /etc/systemd/system/systemd-networkd.service",
    ),
    "a profile of higher priority takes it": (
        Manager.NETWORK_MANAGER,
        FILES[Manager.NETWORK_MANAGER]
        | {KEYFILE.replace("eth1", "b"): "[connection]\ntype=ethernet\ninterface-name=eth1\nautoconnect-priority=9\n"},
        "",
    ),
    "NetworkManager is to leave it alone": (
        Manager.NETWORK_MANAGER,
        FILES[Manager.NETWORK_MANAGER]
        | {"/etc/NetworkManager/conf.d/a.conf": "[keyfile]\nunmanaged-devices=interface-name:eth1\n"},
        "",
    ),
    "networking is masked": (
        Manager.IFUPDOWN,
        FILES[Manager.IFUPDOWN],
        "@masked /etc/systemd/system/networking.service",
    ),
    "wicked is masked": (
        Manager.WICKED,
        FILES[Manager.WICKED],
        "@masked /etc/systemd/system/wicked.service",
    ),
    "its description is for another one": (Manager.NETWORK_SCRIPTS, {SCRIPTS: "DEVICE=eth0\n"}, ""),
}


@pytest.mark.parametrize("name", ANOTHER)
def test_nothing_is_written_to_what_boot_does_not_use(name: str) -> None:
    found = planned(*ANOTHER[name])
    assert (found.actions, found.at_boot) == ((), "lost")
    (said,) = found.next_boot
    assert said.startswith("the next boot takes the rules of 10.0.0.12 back (boot does not configure eth1 as it is now")


UNKNOWN = {
    "netplan's file could not be read": (Manager.NETPLAN, {}, f"@unreadable {NETPLAN}"),
    "one of netplan's files is not understood": (
        Manager.NETPLAN,
        FILES[Manager.NETPLAN] | {"/etc/netplan/a.yaml": "{"},
        "",
    ),
    "a file by a path": (
        Manager.NETWORKD,
        FILES[Manager.NETWORKD] | {NETWORKD.replace("20", "10"): "[Match]\nPath=x\n"},
        "",
    ),
    "its file was not among them": (Manager.NETWORKD, {}, ""),
    "another profile for it": (
        Manager.NETWORK_MANAGER,
        FILES[Manager.NETWORK_MANAGER] | {KEYFILE.replace("eth1", "b"): "[connection]\ntype=ethernet\n"},
        "",
    ),
    "its profile could not be read": (Manager.NETWORK_MANAGER, {}, f"@unreadable {KEYFILE}"),
    "a mapping": (
        Manager.IFUPDOWN,
        {INTERFACES: "mapping eth*\nauto eth1\niface eth1 inet static\n"},
        "",
    ),
    "its stanza was not among them": (Manager.IFUPDOWN, {}, ""),
    "a mode that we do not know": (Manager.WICKED, {WICKED: "STARTMODE=nfsroot2\n"}, ""),
    "an ONBOOT that we do not know": (Manager.NETWORK_SCRIPTS, {SCRIPTS: "ONBOOT=maybe\n"}, ""),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_is_said(name: str) -> None:
    found = planned(*UNKNOWN[name])
    assert found.at_boot == "partly"
    assert found.actions
    (said,) = found.next_boot
    assert "only if" in said
    assert said.endswith("; look at 'ip rule' after the next boot")


@pytest.mark.parametrize("boot", [None, BootConfig()])
def test_older_collections_did_not_tell(boot: BootConfig | None) -> None:
    found = kept(owned(STRICT, Manager.NETWORKD, boot=boot))
    assert found.at_boot == "partly"
    assert "which is not known (" in found.next_boot[0]


def test_the_collection_tells_of_whoever_configures_it_now() -> None:
    """An interface without an owner is no matter of this."""
    found = boot_routing(read_boot_files(section({})), Names(), Machine(interfaces=(), managers=("wicked",)))
    assert found.not_again == {}
    assert msgspec.json.decode(
        msgspec.json.encode(BootConfig(not_again={"eth1": NotAgain(how="not")})), type=BootConfig
    ).not_again == {"eth1": NotAgain(how="not")}
