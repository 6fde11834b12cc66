"""CPU time of planning for the servers of a made region, beside analysing the same servers, in one process."""

import tempfile
import time
from pathlib import Path

from benchmarks.region_files import write_folder
from vnicheck.analysis.plans import Planning, prove
from vnicheck.analysis.server import analyze_server
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server

SERVERS = 200
EVERY = 5


def main() -> None:
    """Prints both, for every fifth of 200 servers."""
    servers, fabric, config = *_region(), Config()
    start = time.process_time()
    for server in servers:
        analyze_server(server, fabric, config)
    analysed = time.process_time()
    planning = Planning(fabric=fabric, config=config, flows=False)
    plans = sum(prove(server, planning) is not None for server in servers)
    planned = time.process_time() - analysed
    each = (analysed - start) / len(servers) * 1e3
    print(f"{len(servers)} of {SERVERS} servers, {plans} plans, CPU ms a server: {each:.1f} analysed,", end=" ")
    print(f"{planned / len(servers) * 1e3:.0f} planned, {planned / (analysed - start):.1f} times as much")


def _region() -> tuple[list[Server], Fabric]:
    with tempfile.TemporaryDirectory() as name:
        folder = write_folder(SERVERS, Path(name))
        (region,) = folder.regions()
        return list(folder.servers(region))[::EVERY], folder.cloud(region).fabric
