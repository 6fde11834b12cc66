"""/etc/os-release, `uname`, `ip -V`, and which programs manage the network."""

import re
import shlex

from vnicheck.model.guest import OperatingSystem
from vnicheck.model.words import one_line

_PROCESSES = {
    "NetworkManager": "NetworkManager",
    "systemd-network": "systemd-networkd",  # the kernel cuts names at 15 characters
    "wickedd": "wicked",
    "dhcpcd": "dhcpcd",
    "connmand": "connman",
    "netifd": "netifd",
    "dhclient": "dhclient",
    "udhcpc": "udhcpc",
}
_UNITS = {
    "NetworkManager": "NetworkManager",
    "systemd-networkd": "systemd-networkd",
    "networking": "networking",
    "network": "network",
    "wickedd": "wicked",
    "wicked": "wicked",
    "dhcpcd": "dhcpcd",
    "connman": "connman",
}
_ORDER = (
    "NetworkManager", "netplan", "systemd-networkd", "networking", "network", "wicked", "dhcpcd", "connman", "netifd",
    "dhclient", "udhcpc", "cloud-init",
)  # fmt: skip
_KEPT = {"ID", "VERSION_ID", "PRETTY_NAME", "NAME"}
_IP_VERSION = re.compile(r"iproute2-(?:ss)?([0-9A-Za-z._-]{1,40})|(BusyBox v[0-9A-Za-z._-]{1,40})", re.ASCII)


def parse_os(os_release: str, uname: str) -> OperatingSystem:
    """From os-release and the three lines of `uname -s; uname -r; uname -n`. What is absent stays empty."""
    values = _assignments(os_release)
    lines = [one_line(line, 100) for line in uname.split("\n")]
    lines += [""] * (3 - len(lines))
    return OperatingSystem(
        id=values.get("ID", ""),
        version=values.get("VERSION_ID", ""),
        name=values.get("PRETTY_NAME", values.get("NAME", "")),
        kernel=lines[1],
        hostname=lines[2],
    )


def _assignments(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.strip().partition("=")
        if not equals or key not in _KEPT:
            continue
        try:
            words = shlex.split(value[:1000])
        except ValueError:
            words = [value]
        values[key] = one_line(" ".join(words), 100)
    return values


def parse_ip_version(text: str) -> str:
    """`6.1.0` of iproute2, `BusyBox v1.35.0`, or empty."""
    match = _IP_VERSION.search(text)
    return "" if match is None else match[1] or match[2]


def parse_managers(text: str) -> tuple[str, ...]:
    """The managers that run, from the facts that the script collects, in a fixed order.

        unit NetworkManager active
        process systemd-network
        path /etc/netplan/50-cloud-init.yaml

    What runs is told by processes and active units; `netplan` and `cloud-init` only write configuration, so their
    files tell. Without systemd, ifupdown (`networking`) is told by its state file.
    """
    found: set[str] = set()
    paths: set[str] = set()
    systemd = False
    for line in text.split("\n"):
        words = line.split(maxsplit=2)
        if len(words) == 3 and words[0] == "unit":
            systemd = True
            if words[2] == "active" and words[1] in _UNITS:
                found.add(_UNITS[words[1]])
        elif len(words) == 2 and words[0] == "process" and words[1] in _PROCESSES:
            found.add(_PROCESSES[words[1]])
        elif len(words) >= 2 and words[0] == "path":
            paths.add(line.split(maxsplit=1)[1])
    if any(path.startswith(("/etc/netplan/", "/run/netplan/")) for path in paths):
        found.add("netplan")
    if "/run/cloud-init" in paths:
        found.add("cloud-init")
    if not systemd and {"/run/network/ifstate", "/etc/network/interfaces"} <= paths:
        found.add("networking")
    return tuple(name for name in _ORDER if name in found)
