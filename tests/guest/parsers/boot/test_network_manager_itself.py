"""NetworkManager's profiles, read by us and by NetworkManager itself: which interface gets which, and what it sets.

Each case is for an interface of its own, cN, and each profile has a rule that leads to a table of its own.
"""

import re
import time

import pytest

from tests.lab.managers import DBUS_DAEMON, NETWORK_MANAGER, boot_network_manager, require_manager
from tests.support.boot_sandbox import machine
from tests.support.carried_out import Told, told
from tests.support.patience import SECONDS

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

FOLDER = "/etc/NetworkManager/system-connections"
CASES: dict[int, tuple[str, Told]] = {
    1: ("interface-name=c1", "set"),
    2: ("interface-name=c2\nautoconnect=false", "not set"),
    3: ("interface-name=nope", "not set"),
    4: ("[match]\ninterface-name=c4;nope;", "set"),
    5: ("[match]\ninterface-name=c[5];!c1;", "set"),
    6: ("[match]\ninterface-name=c6;!c6;", "not set"),
    7: ("[ethernet]\nmac-address=02:00:00:00:01:07", "set"),
    8: ("interface-name=c8\n[ethernet]\nmac-address=02:00:00:00:01:ff", "not set"),
    9: ("interface-name=c9\npermissions=user:nobody:;", "unknown"),
    10: ("interface-name=c10\n[ethernet]\nmac-address-blacklist=02:00:00:00:01:0A;", "not set"),
    11: ("interface-name=c11\n[match]\nkernel-command-line=nosuch;", "unknown"),
    12: ("interface-name=c12\nautoconnect-priority=5", "set"),
    13: ("interface-name=c12\nautoconnect-priority=4", "not set"),
    14: ("interface-name=c14\nautoconnect-priority=0", "set"),
    15: ("interface-name=c15", "unknown"),
    16: ("interface-name=c15", "unknown"),
    17: ("interface-name=c17", "not set"),
    18: ("interface-name=c18", "not set"),
    19: ("interface-name=c19", "not set"),
    20: ("interface-name=c20", "not set"),
    21: ("interface-name=c21\nautoconnect-priority=-5", "set"),
}
"""17 others may read; 18 has a name that is left aside; 19 and 20 the configuration keeps from NetworkManager."""
UNMANAGED = ("interface-name:=c19", "interface-name:c2?", "interface-name:c1[0-8]", "except:interface-name:c21")
CONF = f"[keyfile]\nunmanaged-devices={';'.join(UNMANAGED)}\n"


def profile(number: int, keys: str) -> str:
    lines = [
        f"[connection]\nid=p{number}\ntype=ethernet\nuuid=5fb06bd0-0bb0-7ffb-45f1-0000000000{number:02}",
        keys,
        f"[ipv4]\nmethod=manual\naddress1=10.{number}.0.2/24",
        f"routing-rule1=priority {1000 + number} from 10.{number}.0.2 table {1000 + number}",
        "[ipv6]\nmethod=disabled\n",
    ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def booted() -> tuple[set[int], dict[int, Told]]:
    require_manager(NETWORK_MANAGER, DBUS_DAEMON)
    names = {number: f"p{number}.nmconnection" for number in CASES} | {18: "p18.nmconnection~"}
    files = {f"{FOLDER}/{names[number]}": profile(number, keys) for number, (keys, _) in CASES.items()}
    with machine(files | {"/etc/NetworkManager/conf.d/a.conf": CONF}) as host:
        host.sh(f"chmod 600 {FOLDER}/*; chmod 644 {FOLDER}/{names[17]}")
        host.sh(
            f"for n in {' '.join(map(str, CASES))}; do ip link add c$n type veth peer name peer$n\n"
            "ip link set c$n address $(printf 02:00:00:00:01:%02x $n); ip link set peer$n up; done"
        )
        daemons = boot_network_manager(host.namespace, lambda: "lookup 1021" in host.sh("ip rule").stdout)
        wanted = {1000 + number for number, (_, fate) in CASES.items() if fate == "set"}
        for _ in range(SECONDS * 5):
            theirs = set(map(int, re.findall(r"lookup (\d{4})", host.sh("ip rule").stdout)))
            if wanted <= theirs:
                break
            time.sleep(0.2)
        ours = told(host)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        return theirs, ours


@pytest.mark.parametrize("number", CASES)
def test_a_profile_is_for_the_interfaces_that_get_it(booted: tuple[set[int], dict[int, Told]], number: int) -> None:
    theirs, ours = booted
    expected = CASES[number][1]
    assert ours.get(1000 + number, "not set") == expected
    assert expected == "unknown" or (1000 + number in theirs) == (expected == "set")
