"""How time and memory grow with the servers of a region: from snapshots, and from the API.

From snapshots: each region is written as a folder, and `vnicheck lint` reads it and writes its text. Wall time and CPU
time are those of the process and its workers; memory is the largest sum over them of what each has for itself and its
share of the rest (PSS), looked at ten times a second.

From the API: the region is served by the stand-in, in a process of its own, and read with its prefixes and tables.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.region_files import world, write_folder
from vnicheck.analysis.processes import usable_cores

SIZES = (100, 300, 1000, 3000, 10_000)
API_SIZES = (200, 2000)
PAUSE = 0.1
HEADS = ("servers", "workers", "wall s", "CPU s", "peak MiB", "CPU ms/server", "x of 1st", "wall ms/server")


def main() -> None:
    """Prints both tables."""
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as name:
        print("  ".join(f"{head:>14}" for head in HEADS))
        first: float | None = None
        runs = [(size, cores) for size in SIZES] + [(1000, 1)]
        for size, workers in runs:
            folder = Path(name) / str(size)
            if not folder.exists():
                write_folder(size, folder)
            found = _measured(["lint", f"--snapshot={folder}", f"--workers={workers}", f"--output={folder}.txt"])
            each = found["cpu"] / size * 1e3
            first = each if first is None else first
            row = (size, workers, found["wall"], found["cpu"], found["peak"], each, each / first,
                   found["wall"] / size * 1e3)  # fmt: skip
            print("  ".join(f"{value:14,.2f}" if isinstance(value, float) else f"{value:14,}" for value in row))
        _api(Path(name))


def _api(folder: Path) -> None:
    print("\n" + "  ".join(f"{head:>14}" for head in ("servers", "calls", "for servers", "pages, ...", "wall s")))
    for size in API_SIZES:
        served = world(size).save(folder / f"world-{size}.json")
        found = json.loads(_output([sys.executable, "-m", "benchmarks.scale", str(served)]))
        rest = found["calls"] - found["servers"]
        print(f"{size:14,}  {found['calls']:14,}  {found['servers']:14,}  {rest:14,}  {found['wall']:14.2f}")


def _measured(arguments: list[str]) -> dict[str, float]:
    """Runs the program: its wall and CPU time, and the peak of its memory in MiB."""
    peak, start = 0, time.perf_counter()
    process = subprocess.Popen([str(Path(sys.executable).parent / "vnicheck"), *arguments])
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, sum(map(_pss, _tree(process.pid))))
        time.sleep(PAUSE)
    if os.waitstatus_to_exitcode(status) not in {0, 1, 3}:
        sys.exit(f"vnicheck {' '.join(arguments)} failed")
    return {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,  # with its workers', for which it has waited
        "peak": peak / (1 << 10),
    }


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        except OSError:
            continue  # it has just ended
    return found


def _pss(pid: int) -> int:
    """In KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def from_api(path: Path) -> dict[str, Any]:
    """Reads a whole region over HTTP."""
    import urllib.request

    from vnicheck.cloud.connect import connect
    from vnicheck.collect.live import observe_regions

    command = [sys.executable, "-m", "tests.api", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as api:
        assert api.stdout is not None
        url = api.stdout.readline().strip()
        client = connect(region=None, environ={"VPC_URL": url, "VPC_AUTH_TYPE": "noauth"}, auth=None)
        start = time.perf_counter()
        observe_regions([client], [], vpc=None, resource_group=None)
        wall = time.perf_counter() - start
        with urllib.request.urlopen(url.removesuffix("/v1") + "/_calls") as answer:
            calls = json.load(answer)["calls"]
        api.terminate()
    of_servers = sum("/instances/" in str(call) or "/bare_metal_servers/" in str(call) for call in calls)
    return {"calls": len(calls), "servers": of_servers, "wall": wall}


if __name__ == "__main__":
    print(json.dumps(from_api(Path(sys.argv[1]))))
