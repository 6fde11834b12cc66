"""Network managers that configure a namespace with /etc and /run of its own, from nothing, as a boot does.

`tests/managers.sh` unpacks those whose packages would take over this machine's network.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vnicheck.rehearse.namespaces import Namespace, RehearsalError

UNPACKED = Path(__file__).resolve().parents[2] / ".venv" / "managers"
GENERATE = UNPACKED / "usr/libexec/netplan/generate"
IFUP, IFQUERY = UNPACKED / "sbin/ifup", UNPACKED / "sbin/ifquery"
NETWORK_MANAGER = UNPACKED / "usr/sbin/NetworkManager"
NMCLI = UNPACKED / "usr/bin/nmcli"
NETWORKD = Path("/lib/systemd/systemd-networkd")
SYSCTL = Path("/lib/systemd/systemd-sysctl")
DBUS_DAEMON = Path("/usr/bin/dbus-daemon")
ALL = (GENERATE, IFUP, NETWORK_MANAGER, NMCLI, NETWORKD, SYSCTL, DBUS_DAEMON)
_PATIENCE = 15.0
_BUS = """\
<busconfig>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
_NETWORK_MANAGER = """\
[main]
plugins=keyfile
no-auto-default=*
auth-polkit=false
"""


def require_manager(*programs: Path) -> None:
    """Skip the test without these programs; with CI=true fail it instead."""
    missing = [str(program) for program in programs if not program.exists()]
    if missing:
        reason = f"not there: {', '.join(missing)} (make packages unpacks the network managers)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def forget(namespace: Namespace, interfaces: Sequence[str]) -> None:
    """Take away all that was configured: addresses, routes, policy rules, and rp_filter, as a boot does."""
    lines = ["rule flush", "rule add pref 32766 lookup main", "rule add pref 32767 lookup default"]
    lines += [line for name in interfaces for line in (f"address flush dev {name}", f"link set {name} down")]
    namespace.ip(*lines)
    namespace.sysctl(**{f"conf__{name}__rp_filter": 0 for name in ("all", "default", *interfaces)})


def apply_sysctls(namespace: Namespace) -> None:
    """What systemd-sysctl sets at boot, of IPv4 interfaces alone: the other keys are the machine's own."""
    namespace.run([SYSCTL, "--prefix=/net/ipv4/conf"])


def boot_ifupdown(namespace: Namespace, hotplugged: Sequence[str] = ()) -> None:
    """networking.service, then what udev does of interfaces that it finds."""
    namespace.run(["sh", "-c", "mkdir -p /run/network; for n in if-pre-up if-up; do mkdir -p /etc/network/$n.d; done"])
    namespace.run([IFUP, "-a"], check=not hotplugged)
    for name in hotplugged:
        namespace.run([IFUP, "--allow=hotplug", name])


Ready = Callable[[], bool]


def boot_netplan(namespace: Namespace, ready: Ready) -> list[subprocess.Popen[str]]:
    """netplan's generator, then networkd on what it made."""
    namespace.run([GENERATE])
    return boot_networkd(namespace, ready)


def boot_networkd(namespace: Namespace, ready: Ready) -> list[subprocess.Popen[str]]:
    """systemd-networkd, `ready`. With /sys read-only, as in a container, it does not wait for udev; without a bus it
    asks nobody. It ends with the namespace, or when it is terminated, and leaves everything as it is.
    """
    folders = "/run/systemd/netif/links /run/systemd/netif/leases"
    script = f"mount -o remount,ro,bind /sys; rm -rf /run/systemd/netif; mkdir -p {folders}"
    namespace.run(["sh", "-c", f"{script} && chown -R systemd-network /run/systemd/netif"])
    return _await([namespace.popen([NETWORKD])], ready)


def boot_network_manager(namespace: Namespace, ready: Ready) -> list[subprocess.Popen[str]]:
    """NetworkManager, `ready`, with a message bus of its own (both end as networkd does), and nothing that it kept."""
    folders = "/var/lib/NetworkManager /run/dbus /etc/NetworkManager/conf.d"
    mounts = "mount -o remount,ro,bind /sys; mountpoint -q /var/lib || mount -t tmpfs tmpfs /var/lib"
    namespace.run(["sh", "-c", f"{mounts}; rm -rf /run/NetworkManager /run/dbus; mkdir -p {folders}"])
    namespace.run(["sh", "-c", "cat >/etc/NetworkManager/NetworkManager.conf"], input=_NETWORK_MANAGER)
    namespace.run(["sh", "-c", "cat >/run/bus.conf"], input=_BUS)
    bus = namespace.popen([DBUS_DAEMON, "--config-file=/run/bus.conf", "--nofork", "--nopidfile"])
    _await([bus], lambda: namespace.run(["test", "-S", "/run/dbus/system_bus_socket"], check=False).returncode == 0)
    return _await([bus, namespace.popen([NETWORK_MANAGER, "--no-daemon"], stderr=subprocess.DEVNULL)], ready)


def _await(daemons: list[subprocess.Popen[str]], ready: Ready) -> list[subprocess.Popen[str]]:
    """The daemons, when they are ready. Raises RehearsalError where one ends, or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in daemons):
            raise RehearsalError(f"{daemons[-1].args!r} did not get ready")
        time.sleep(0.05)
    return daemons
