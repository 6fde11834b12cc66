"""How long a rehearsal takes, beside the same packets' own patience: what is dropped is waited for, twice.

The packets are sent at once, so a rehearsal cannot be quicker than the two tries of one flow that nobody answers.
"""

import time

from benchmarks.servers import make_server
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server
from vnicheck.rehearse.packets import TIMEOUTS
from vnicheck.rehearse.rehearsal import Rehearsing
from vnicheck.rehearse.sandbox import Sandbox

ROUNDS = 3


def main() -> None:
    article = load_check(CHECKS[0])
    servers = (
        ("the article's server", article.servers[0], article.fabric, 5.0),
        ("4 VNIs, 10 routes", *make_server(vnis=4, routes=10, tables=0), 10.0),
        ("15 VNIs, 64 tables, 1,250 routes", *make_server(vnis=15, routes=1250, tables=64), 30.0),
    )
    print(f"waiting for one flow that nobody answers: {sum(TIMEOUTS):.1f} s")
    for name, server, fabric, aim in servers:
        flows, seconds = min((_rehearse(server, fabric) for _ in range(ROUNDS)), key=lambda run: run[1])
        met = "met" if seconds < aim else "MISSED"
        print(f"{name}: {flows} flows in {seconds:.1f} s, {seconds / sum(TIMEOUTS):.1f} waits; aim {aim:.0f} s: {met}")


def _rehearse(server: Server, fabric: Fabric) -> tuple[int, float]:
    """The flows that were tried, and the seconds from nothing to what they did."""
    if server.guest is None:
        raise ValueError("a server without a guest")
    begun = time.perf_counter()
    with Sandbox() as box:
        phase = Rehearsing(box, server, server.guest, fabric, Config(), tell=lambda _: None).as_is()
    if phase.count("differs"):
        raise AssertionError(f"{phase.count('differs')} flows differ")
    return len(phase.flows), time.perf_counter() - begun
