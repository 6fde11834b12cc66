"""How time and memory grow with the servers of a region: from snapshots, and from the API.

From snapshots: each region is written as a folder, and a process of its own reads it and reports on every server, as
`vnicheck lint` does. Wall time and CPU time (of the process and its workers) are the process's own; memory is the
largest sum over them of what each has for itself and its share of the rest (PSS), looked at ten times a second.

From the API: the region is served by the stand-in, in a process of its own, and read with its prefixes and tables.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.region_files import world, write_folder
from vnicheck.many import Shared, analyze_many, job_of, local, usable_cores
from vnicheck.model.config import Config
from vnicheck.snapshot_folder import SnapshotFolder

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
            found = _measured([sys.executable, "-m", "benchmarks.scale", str(folder), str(workers)])
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


def _measured(command: list[str]) -> dict[str, Any]:
    """What the command prints (its wall and CPU time), and the peak of its memory in MiB."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_pss, _tree(process.pid))))
            time.sleep(PAUSE)
        assert process.stdout is not None
        found: dict[str, Any] = json.loads(process.stdout.read())
    if process.returncode != 0:
        sys.exit(f"{command} failed")
    return found | {"peak": peak / (1 << 10)}


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


def from_folder(path: Path, workers: int) -> dict[str, Any]:
    """Reports on every server of a folder; nothing of them is kept but how many findings there are."""
    start = time.perf_counter()
    folder = SnapshotFolder.open(path)
    findings = 0
    for region in folder.regions():
        snapshot = folder.cloud(region)
        shared = Shared(
            fabric=snapshot.fabric,
            config=Config(),
            read_at=snapshot.created_at,
            generated_at=snapshot.created_at,
            flows=False,
        )
        jobs = (job_of(server, folder.guest_data(region, server.id)) for server in snapshot.servers)
        for report in analyze_many(jobs, shared, local(len(snapshot.servers), workers)):
            findings += len(report.findings)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in usage)
    return {"findings": findings, "wall": time.perf_counter() - start, "cpu": cpu}


def from_api(path: Path) -> dict[str, Any]:
    """Reads a whole region over HTTP."""
    import urllib.request

    from vnicheck.cloud.connect import connect
    from vnicheck.observe import observe_cloud

    command = [sys.executable, "-m", "tests.api", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as api:
        assert api.stdout is not None
        url = api.stdout.readline().strip()
        client = connect(region=None, environ={"VPC_URL": url, "VPC_AUTH_TYPE": "noauth"}, auth=None)
        start = time.perf_counter()
        observe_cloud(client, [], vpc=None, resource_group=None)
        wall = time.perf_counter() - start
        with urllib.request.urlopen(url.removesuffix("/v1") + "/_calls") as answer:
            calls = json.load(answer)["calls"]
        api.terminate()
    of_servers = sum("/instances/" in str(call) or "/bare_metal_servers/" in str(call) for call in calls)
    return {"calls": len(calls), "servers": of_servers, "wall": wall}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(json.dumps(from_api(place) if place.is_file() else from_folder(place, int(sys.argv[2]))))
