"""How long collecting over SSH takes, beside other clients that run the same script on the same hosts in the same run.

Each host is an sshd process of its own. Each round starts every client once, as a fresh process; wall and CPU time are
of the whole process with its children (user and system, `wait4`). Client and servers share the machine's cores, so
that the wall time is mostly the servers' work. `ansible -m setup` runs its own facts instead of the script.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from benchmarks.ssh_clients import JOBS, PORT, USER
from benchmarks.ssh_fleet import Fleet

HOSTS = 50
ROUNDS = 5
SLOW_ROUNDS = 2
"""For the clients that take several times as long as the others."""


class Run(Struct, frozen=True):
    """What one run of a client took: seconds, and the largest resident size of a process in MB."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vnicheck-bench-") as name, Fleet(Path(name), HOSTS) as fleet:
        commands = _commands(fleet)
        runs: dict[str, list[Run]] = {client: [] for client in commands}
        for number in range(ROUNDS):
            for client, command in commands.items():
                if number < SLOW_ROUNDS or client not in {"paramiko-plain", "ansible setup"}:
                    runs[client].append(_run(client, command, fleet))
        _print(runs)


def _commands(fleet: Fleet) -> dict[str, list[str]]:
    python, folder = sys.executable, fleet.folder
    script = folder / "collect.sh"
    ssh = f"ssh -F none {fleet.ssh_options}"
    line = f"{{ssh}} {USER}@{{{{}}}} sh -s < {script} | grep -c '^vnicheck-guest/1 end'"
    xargs = f'xargs -P {JOBS} -I{{{{}}}} sh -c "{line}" < {folder / "hosts"} | grep -c 1'
    commands = {
        "vnicheck": [python, "-m", "benchmarks.ssh_clients", "vnicheck", str(folder)],
        "vnicheck, output not read": [python, "-m", "benchmarks.ssh_clients", "vnicheck-unread", str(folder)],
        "asyncssh": [python, "-m", "benchmarks.ssh_clients", "asyncssh", str(folder)],
        "paramiko, all loaded once": [python, "-m", "benchmarks.ssh_clients", "paramiko-shared", str(folder)],
        "OpenSSH, curve25519": ["sh", "-c", xargs.format(ssh=f"{ssh} -o KexAlgorithms=curve25519-sha256")],
        "OpenSSH": ["sh", "-c", xargs.format(ssh=ssh)],
        "paramiko-plain": [python, "-m", "benchmarks.ssh_clients", "paramiko-plain", str(folder)],
        "ansible setup": _ansible(fleet),
    }
    missing = [name for name, module in (("asyncssh", "asyncssh"), ("ansible setup", "ansible")) if not _has(module)]
    for client in missing:
        print(f"left out: {client} (pip install -e '.[bench]')")
        del commands[client]
    return commands


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


def _ansible(fleet: Fleet) -> list[str]:
    """`ansible -m setup` on all hosts, with pipelining, a fixed interpreter and no connections kept."""
    folder = fleet.folder
    inventory = folder / "inventory"
    inventory.write_text("\n".join(fleet.addresses) + "\n")
    (folder / "ansible.cfg").write_text(
        "[defaults]\nhost_key_checking = True\ninterpreter_python = /usr/bin/python3\nlocalhost_warning = False\n"
        f"local_tmp = {folder / 'ansible'}\n"
        f"[ssh_connection]\npipelining = True\nssh_args = -F none -o ControlMaster=no {fleet.ssh_options}\n"
    )
    program = shutil.which("ansible", path=str(Path(sys.executable).parent)) or "ansible"
    arguments = f"all -i {inventory} -u {USER} -e ansible_port={PORT} -f {JOBS} -m setup -o"
    return ["sh", "-c", f"{program} {arguments} | grep -c 'SUCCESS'"]


def _run(client: str, command: list[str], fleet: Fleet) -> Run:
    environ = {**os.environ, "ANSIBLE_CONFIG": str(fleet.folder / "ansible.cfg"), "HOME": str(fleet.folder / "home")}
    environ.pop("SSH_AUTH_SOCK", None)
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode().strip()
    if said != str(len(fleet.addresses)):
        sys.exit(f"{client}: {said[-300:] or 'nothing'} instead of {len(fleet.addresses)} hosts")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _print(runs: dict[str, list[Run]]) -> None:
    medians = {
        client: Run(*(statistics.median(getattr(run, field) for run in taken) for field in ("wall", "cpu", "memory")))
        for client, taken in runs.items()
    }
    ours = medians["vnicheck"]
    print(
        f"{f'{HOSTS} hosts, {JOBS} at a time, medians':<36} {'wall s':>7} {'x ours':>7} {'CPU s':>7} {'x ours':>7} MB"
    )
    for client, median in medians.items():
        print(
            f"{f'{client} ({len(runs[client])} runs)':<36} {median.wall:7.2f} {median.wall / ours.wall:7.2f}"
            f" {median.cpu:7.2f} {median.cpu / ours.cpu:7.2f} {median.memory:.0f}"
        )
    if "asyncssh" in medians:
        other, unread = medians["asyncssh"], medians["vnicheck, output not read"]
        print(
            f"of asyncssh: wall x{ours.wall / other.wall:.2f}, client CPU x{ours.cpu / other.cpu:.2f},"
            f" without reading the output x{unread.cpu / other.cpu:.2f}"
        )


if __name__ == "__main__":
    main()
