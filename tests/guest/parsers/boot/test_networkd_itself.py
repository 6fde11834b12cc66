"""systemd-networkd's files, read by us and by systemd-networkd itself: which interface takes which, and sets what.

Each case is a file for an interface of its own, with a rule that leads to a table of its own.
"""

import re
import time

import pytest
from msgspec import Struct

from tests.lab.managers import NETWORKD, boot_networkd, require_manager
from tests.support.boot_sandbox import Machine as Host
from tests.support.boot_sandbox import machine
from tests.support.carried_out import Told, told
from tests.support.patience import SECONDS

pytestmark = pytest.mark.root

ONE = "[Match]\nName={link}\n"
CASES: dict[str, tuple[str, Told]] = {
    "a name": (ONE, "set"),
    "a glob": ("[Match]\nName={link}*\n", "set"),
    "a list": ("[Match]\nName=nope {link}\n", "set"),
    "two lines": ("[Match]\nName=nope\nName={link}\n", "set"),
    "taken back": ("[Match]\nName={link}\nName=\nName=nope\n", "not set"),
    "another name of it": ("[Match]\nName=alt{link}\n", "set"),
    "another interface": ("[Match]\nName=nope\n", "not set"),
    "all but it": ("[Match]\nName=!{link} alt{link}\nMACAddress={mac}\n", "not set"),
    "all but it by one of its names": ("[Match]\nName=!{link}\nMACAddress={mac}\n", "set"),
    "a name in quotes": ('[Match]\nName="{link}"\n', "not set"),
    "its MAC address": ("[Match]\nMACAddress={mac}\n", "set"),
    "its MAC address in another form": ("[Match]\nMACAddress=02-00-00-00-01-ff {hyphens}\n", "set"),
    "another MAC address": ("[Match]\nMACAddress=02:ff:00:00:00:01\n", "not set"),
    "a permanent address that a veth has not": ("[Match]\nName={link}\nPermanentMACAddress={mac}\n", "not set"),
    "its driver": (ONE + "Driver=veth\n", "set"),
    "another driver": (ONE + "Driver=virtio*\n", "not set"),
    "its kind": (ONE + "Kind=veth\n", "set"),
    "any kind but its own": (ONE + "Kind=!veth\n", "not set"),
    "its type": (ONE + "Type=ether\n", "set"),
    "any type but its own": (ONE + "Type=!ether\n", "not set"),
    "a network without wires": (ONE + "SSID=x\n", "not set"),
    "no conditions": ("[Match]\n", "not set"),
    "no section": ("", "not set"),
    "another host": (ONE + "Host=nosuch\n", "not set"),
    "any host but one": (ONE + "Host=!nosuch\n", "set"),
    "unmanaged": (ONE + "[Link]\nUnmanaged=yes\n", "not set"),
    "brought up by hand": (ONE + "[Link]\nActivationPolicy=manual\n", "not set"),
    "brought down": (ONE + "[Link]\nActivationPolicy=down\n", "not set"),
    "kept down": (ONE + "[Link]\nActivationPolicy=always-down\n", "not set"),
    "kept up": (ONE + "[Link]\nActivationPolicy=always-up\n", "set"),
    "up with another": (ONE + "[Link]\nActivationPolicy=bound\n", "unknown"),
    "a kernel": (ONE + "KernelVersion=>=3\n", "unknown"),
    "a property": (ONE + "Property=ID_BUS=pci\n", "unknown"),
    "a path": (ONE + "Path=pci-0000:00:03.0\n", "unknown"),
    "a line that goes on": ("[Match]\nName=nope \\\n  {link}\n", "unknown"),
}


class Booted(Struct, frozen=True):
    """Tables that a rule leads to after the boot, and what we tell of each."""

    theirs: frozenset[int]
    ours: dict[int, Told]


def case_files(number: int, text: str) -> dict[str, str]:
    mac = f"02:00:00:00:01:{number:02x}"
    made = text.format(link=f"c{number}x", mac=mac, hyphens=mac.replace(":", "-"))
    rule = f"[RoutingPolicyRule]\nFrom=10.{number}.0.2\nTable={1000 + number}\nPriority={1000 + number}\n"
    return {f"/etc/systemd/network/{number:03}.network": f"{made}[Network]\nAddress=10.{number}.0.2/24\n{rule}"}


FIRST = {
    "/etc/systemd/network/0-0.network": "[Match]\nName=first\n",
    "/usr/lib/systemd/network/0-1.network": "[Match]\nName=fir*\n[RoutingPolicyRule]\nTable=1901\n",
    "/etc/systemd/network/0-2.network": "[Match]\nName=added\n",
    "/etc/systemd/network/0-2.network.d/a.conf": "[RoutingPolicyRule]\nFrom=10.202.0.1\nTable=1902\n",
    "/etc/systemd/network/0-3.network": "[Match]\nName=narrowed\n[RoutingPolicyRule]\nFrom=10.203.0.1\nTable=1903\n",
    "/etc/systemd/network/0-3.network.d/a.conf": "[Match]\nHost=nosuch\n",
    "/etc/systemd/network/0-4.network": "[Match]\nName=last\n[RoutingPolicyRule]\nFrom=10.204.0.1\nTable=1904\n",
}
"""A later file for an interface that is taken; what drop-ins add; and one more."""
EXPECTED: dict[int, Told] = {1901: "not set", 1902: "set", 1903: "not set", 1904: "set"}


@pytest.fixture(scope="module")
def booted() -> Booted:
    require_manager(NETWORKD)
    files = dict(FIRST)
    links = [("first", 201), ("added", 202), ("narrowed", 203), ("last", 204)]
    for number, (text, _) in enumerate(CASES.values(), start=1):
        files |= case_files(number, text)
        links.append((f"c{number}x", number))
    with machine({path: text for path, text in files.items() if path.startswith("/etc/")}) as host:
        host.sh("mount -t tmpfs tmpfs /usr/lib/systemd/network")
        host.write({path: text for path, text in files.items() if not path.startswith("/etc/")})
        host.sh("\n".join(_link(name, number) for name, number in links))
        names = " ".join(name for name, _ in links)
        boot_networkd(host.namespace, lambda: "lookup 1904" in host.sh("ip rule").stdout)
        _await_all(host, names)
        theirs = re.findall(r"lookup (\d+)", host.sh("ip rule").stdout)
        return Booted(frozenset(map(int, theirs)), told(host))


def _link(name: str, number: int) -> str:
    return (
        f"ip link add {name} type veth peer name p{number} && ip link set p{number} up"
        f" && ip link set {name} address 02:00:00:00:01:{number:02x}"
        f" && ip link property add dev {name} altname alt{name}"
    )


def _await_all(host: Host, names: str) -> None:
    """Until every case of which that is expected has its rule: networkd sets them as carriers come."""
    wanted = {1000 + number for number, (_, fate) in enumerate(CASES.values(), start=1) if fate == "set"}
    for _ in range(SECONDS * 10):
        shown = host.sh("ip rule").stdout
        if all(f"lookup {table}" in shown for table in wanted):
            return
        time.sleep(0.1)


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_for_the_interfaces_that_networkd_takes_it_for(booted: Booted, name: str) -> None:
    table = 1001 + list(CASES).index(name)
    expected = CASES[name][1]
    assert booted.ours.get(table, "unknown") == expected
    assert expected == "unknown" or (table in booted.theirs) == (expected == "set")


@pytest.mark.parametrize("table", EXPECTED)
def test_the_first_file_takes_an_interface_and_drop_ins_add_to_it(booted: Booted, table: int) -> None:
    assert booted.ours[table] == EXPECTED[table]
    assert (table in booted.theirs) == (EXPECTED[table] == "set")
