"""How collection grows with the number of hosts: time, memory, open files and threads of runs over 50 to 1,000.

1,000 sshd processes would measure the machine's memory: every sshd serves 16 addresses here, so that 63 of them are
1,000 hosts, each with its own address and line in known_hosts. Nothing is shared on the client's side.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from benchmarks.ssh_clients import JOBS
from benchmarks.ssh_fleet import MAX_ADDRESSES, Fleet

SIZES = (50, 250, 1000)


class Growth(Struct, frozen=True):
    """One run: seconds, megabytes, counts; the latter three at their highest."""

    hosts: int
    wall: float
    cpu: float
    memory: float
    files: int
    threads: int


def main() -> None:
    heads = f"{'wall s':>7} {'hosts/s':>8} {'CPU ms/host':>12} {'MB':>5} {'files':>6} {'threads':>8}"
    print(f"{f'{JOBS} at a time':<12} {heads}")
    base = None
    for hosts in SIZES:
        with (
            tempfile.TemporaryDirectory(prefix="vnicheck-bench-") as name,
            Fleet(Path(name), hosts, per_daemon=MAX_ADDRESSES) as fleet,
        ):
            run = _run(fleet, hosts)
        print(
            f"{f'{hosts} hosts':<12} {run.wall:7.1f} {hosts / run.wall:8.1f} {run.cpu / hosts * 1e3:12.1f}"
            f" {run.memory:5.0f} {run.files:6} {run.threads:8}"
        )
        if base is not None:
            kept = (run.memory - base.memory) * 1024 / (hosts - base.hosts)
            print(f"  {kept:.1f} KB more a host than with {base.hosts}, the guest that is kept of each among them")
        base = base or run


def _run(fleet: Fleet, hosts: int) -> Growth:
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ssh_clients", "vnicheck", str(fleet.folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "HOME": str(fleet.folder / "home")},
    )
    files = threads = 0
    home = Path(f"/proc/{process.pid}")
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        files = max(files, len(os.listdir(home / "fd")))
        threads = max(threads, len(os.listdir(home / "task")))
        time.sleep(0.02)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stdout is not None
    said = process.stdout.read().decode().strip()
    if said != str(hosts):
        sys.exit(f"{said} of {hosts} hosts were collected")
    return Growth(hosts, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, files, threads)


if __name__ == "__main__":
    main()
