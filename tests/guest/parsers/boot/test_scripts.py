"""Scripts and units: whether boot runs them, and comes to their commands. Each has a rule to a table of its own."""

import subprocess
from pathlib import Path

import pytest

from tests.support.carried_out import Told, told_of
from tests.support.configured import collect_configured, configured_guest
from tests.support.sshd import require

pytestmark = pytest.mark.root

UNITS, WANTED = "/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants"
DISPATCHER = "/etc/NetworkManager/dispatcher.d"


def rule(table: int) -> str:
    return f"ip rule add from 10.9.0.1 table {table}\n"


def unit(table: int, more: str = "") -> str:
    return f"[Unit]\n{more}[Service]\nExecStart=/usr/sbin/{rule(table)}[Install]\nWantedBy=multi-user.target\n"


def starting(script: str) -> str:
    return f"[Service]\nExecStart={script}\n"


FILES: dict[str, str | Path | None] = {
    "/etc/rc.local": f"#!/bin/sh\n{rule(1001)}/usr/local/bin/late.sh\nexit 0\n{rule(1002)}/usr/local/bin/never.sh\n",
    "/etc/rc.d/rc.local": f"#!/bin/sh\n{rule(1003)}",
    "/usr/local/lib/unused": "",
    f"{UNITS}/enabled.service": unit(1010),
    f"{WANTED}/enabled.service": Path(f"{UNITS}/enabled.service"),
    f"{UNITS}/disabled.service": unit(1011),
    f"{UNITS}/conditional.service": unit(1012, "ConditionPathExists=/nosuch\n"),
    f"{WANTED}/conditional.service": Path(f"{UNITS}/conditional.service"),
    f"{UNITS}/graphical.service": unit(1013),
    f"{UNITS}/graphical.target.wants/graphical.service": Path(f"{UNITS}/graphical.service"),
    f"{UNITS}/timed.service": unit(1014),
    f"{UNITS}/timed.timer": "[Timer]\nOnBootSec=1\n",
    f"{UNITS}/timers.target.wants/timed.timer": Path(f"{UNITS}/timed.timer"),
    f"{UNITS}/idle.service": unit(1015),
    f"{UNITS}/idle.timer": "[Timer]\nOnBootSec=1\n",
    f"{UNITS}/pulled.service": unit(1016),
    f"{UNITS}/pulling.service": "[Unit]\nWants=other.service pulled.service\n",
    f"{WANTED}/pulling.service": Path(f"{UNITS}/pulling.service"),
    f"{UNITS}/reset.service": unit(1017),
    f"{UNITS}/reset.service.d/a.conf": "[Service]\nExecStart=\n" + f"ExecStart=/sbin/{rule(1018)}",
    f"{WANTED}/reset.service": Path(f"{UNITS}/reset.service"),
    f"{UNITS}/required.service": unit(1019),
    f"{UNITS}/network-online.target.requires/required.service": Path(f"{UNITS}/required.service"),
    f"{UNITS}/starts.service": starting("/bin/sh /etc/vni/started up"),
    f"{WANTED}/starts.service": Path(f"{UNITS}/starts.service"),
    "/etc/vni/started": f"#!/bin/sh\n{rule(1020)}",
    f"{UNITS}/asleep.service": starting("/etc/vni/asleep"),
    "/etc/vni/asleep": f"#!/bin/sh\n{rule(1021)}",
    f"{UNITS}/masked.service": None,
    f"{WANTED}/masked.service": Path(f"{UNITS}/masked.service"),
    f"{DISPATCHER}/10-plain": f"#!/bin/sh\n{rule(1030)}",
    f"{DISPATCHER}/11-mode": f"#!/bin/sh\n{rule(1031)}",
    f"{DISPATCHER}/12-writable": f"#!/bin/sh\n{rule(1032)}",
    f"{DISPATCHER}/13-branch": f'#!/bin/sh\n[ "$1" = eth1 ] || exit 0\n{rule(1033)}',
    f"{DISPATCHER}/14-case": f'#!/bin/sh\ncase "$2" in up)\n{rule(1034)};;\nesac\n',
    f"{DISPATCHER}/15-late": f"#!/bin/sh\n{rule(1035)}if true; then\n  exit 0\nfi\n",
    "/etc/network/if-up.d/vni": f"#!/bin/sh\n{rule(1040)}",
    "/etc/network/if-up.d/vni.sh": f"#!/bin/sh\n{rule(1041)}",
    "/etc/network/if-up.d/mode": f"#!/bin/sh\n{rule(1042)}",
    "/etc/network/if-up.d/bare": rule(1043),
    "/etc/network/if-down.d/vni": f"#!/bin/sh\n{rule(1044)}",
    "/etc/wireguard/wg0.conf": f"[Interface]\nPrivateKey = k\nTable = off\nPostUp = {rule(1050)}[Peer]\n"
    "AllowedIPs = 0.0.0.0/0\n",
    f"{WANTED}/wg-quick@wg0.service": Path("/usr/lib/systemd/system/wg-quick@.service"),
    "/etc/wireguard/wg1.conf": f"[Interface]\nTable = 1051\nPostUp = {rule(1052)}[Peer]\nAllowedIPs = 10.7.0.0/16\n",
    "/etc/wireguard/wg2.conf": "[Interface]\nTable = 1053\n[Peer]\nAllowedIPs = 10.7.0.0/16, fd00::/8\n",
    f"{WANTED}/wg-quick@wg2.service": Path("/usr/lib/systemd/system/wg-quick@.service"),
}
MODES = {f"{DISPATCHER}/11-mode": 0o644, f"{DISPATCHER}/12-writable": 0o777, "/etc/network/if-up.d/mode": 0o644}
TABLES: dict[int, Told] = {
    1001: "set", 1002: "not set", 1003: "not set", 1010: "set", 1011: "not set", 1012: "unknown", 1013: "unknown",
    1014: "unknown", 1015: "not set", 1016: "unknown", 1017: "unknown", 1018: "unknown", 1019: "set", 1020: "set",
    1021: "not set", 1030: "set", 1031: "not set", 1032: "not set", 1033: "unknown", 1034: "unknown", 1035: "set",
    1040: "set", 1041: "not set", 1042: "not set", 1043: "not set", 1044: "not set", 1050: "set", 1051: "not set",
    1052: "not set", 1053: "set",
}  # fmt: skip


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Told]:
    return told_of(collect_configured(tmp_path_factory.mktemp("scripts"), FILES, modes=MODES))


@pytest.mark.parametrize("table", TABLES)
def test_what_boot_runs(ours: dict[int, Told], table: int) -> None:
    assert ours[table] == TABLES[table]


@pytest.mark.parametrize("shell", ["dash -s", "busybox ash -s"])
def test_a_script_that_nobody_may_run(tmp_path: Path, shell: str) -> None:
    require(shell.split()[0])
    files = {"/etc/rc.local": f"#!/bin/sh\n{rule(1001)}"}
    for mode, expected in ((0o755, "set"), (0o744, "set"), (0o644, "not set")):
        data = collect_configured(tmp_path, files, shell=shell, modes={"/etc/rc.local": mode})
        assert told_of(data) == {1001: expected}


def test_what_systemctl_enables_is_wanted(tmp_path: Path) -> None:
    """systemctl itself writes the links; what it calls disabled or masked does not run."""
    require("systemctl")
    root = tmp_path / "root"
    for name, table in (("on", 1001), ("off", 1002), ("stopped", 1003)):
        (root / UNITS[1:]).mkdir(parents=True, exist_ok=True)
        (root / UNITS[1:] / f"{name}.service").write_text(unit(table))
    for command in ("enable on.service", "enable off.service stopped.service", "disable off.service"):
        subprocess.run(["systemctl", f"--root={root}", *command.split()], check=True, capture_output=True, timeout=60)
    (root / UNITS[1:] / "stopped.service").rename(root / "etc" / "kept")
    subprocess.run(["systemctl", f"--root={root}", "mask", "stopped.service"], check=True, capture_output=True)
    states = {}
    for name in ("on", "off", "stopped"):
        asked = ["systemctl", f"--root={root}", "is-enabled", f"{name}.service"]
        states[name] = subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip()
    assert states == {"on": "enabled", "off": "disabled", "stopped": "masked"}
    assert told_of(collect_configured(tmp_path, {})) == {1001: "set", 1002: "not set"}


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_rc_local_as_systemd_generates_it(tmp_path: Path, mode: int) -> None:
    generator = Path("/usr/lib/systemd/system-generators/systemd-rc-local-generator")
    require(str(generator))
    files = {"/etc/rc.local": f"#!/bin/sh\n{rule(1001)}"}
    ours = told_of(collect_configured(tmp_path, files, modes={"/etc/rc.local": mode}))
    made = tmp_path / "made"
    made.mkdir()
    script = f"mount --bind {tmp_path}/root/etc /etc && {generator} {made} {made} {made}"
    subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script], check=True, timeout=60)
    theirs = (made / "multi-user.target.wants/rc-local.service").is_symlink()
    assert ours == {1001: "set" if theirs else "not set"}


def test_what_a_unit_does_as_it_stops_is_not_set_at_boot(tmp_path: Path) -> None:
    unit = "[Service]\nExecStart=/bin/true\nExecStop=ip rule add from 10.0.0.12 table 7\n"
    boot = configured_guest(
        tmp_path,
        {
            "/etc/systemd/system/vni.service": unit,
            "/etc/systemd/system/multi-user.target.wants/vni.service": Path("/etc/systemd/system/vni.service"),
        },
    ).boot
    assert boot is not None
    assert boot.rules == ()
    assert "holds more than is understood" in boot.unknown["routing"]
