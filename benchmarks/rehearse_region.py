"""`unshare --user --map-user=65534 --map-group=65534 -- python -m benchmarks.rehearse_region COUNT [OF] [SEED]`:

so many random servers of a made region of OF rehearsed, with the plan where `auto` offers one, and a tally.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from msgspec import Struct

from benchmarks.region_files import write_folder
from vnicheck.collect.stored import Stored, open_stored
from vnicheck.fixes.planner import NothingKnownError, Proof, plan_server
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.guest import Guest
from vnicheck.model.rehearsal import Phase
from vnicheck.model.snapshot import Server
from vnicheck.rehearse.rehearsal import Rehearsing
from vnicheck.rehearse.sandbox import Sandbox

CONFIGS = [
    Config(),
    Config(assumptions=Assumptions(spoofing_sibling="dropped")),
    Config(assumptions=Assumptions(spoofing_sibling="passed")),
]
"""In turn: with the open question open, most of a broken server's flows are not judged."""


class Tally(Struct):
    """`flows` by phase and judgement; `differing`: a line each; `why`: why flows were not judged; `told`: what could
    not be rebuilt.
    """

    servers: int = 0
    plans: int = 0
    flows: Counter[str] = Counter()
    differing: list[str] = []
    why: Counter[str] = Counter()
    told: Counter[str] = Counter()

    def add(self, name: str, phases: Sequence[Phase], told: Sequence[str]) -> None:
        self.servers += 1
        self.plans += len(phases) > 1
        self.told.update(told)
        for phase in phases:
            for flow in phase.flows:
                self.flows[f"{phase.kind} {flow.judgement}"] += 1
                if flow.judgement == "not_judged":
                    self.why[str(flow.why)] += 1
                elif flow.judgement == "differs":
                    ends = f"{flow.direction} {flow.protocol} {flow.remote} {flow.local} {flow.port}"
                    happened = f"{flow.predicted} {flow.dropped_by}, delivered {flow.delivered}, {flow.died}"
                    self.differing.append(f"{name} {phase.kind}: {ends}: {happened}: {flow.why}")


def rehearsed(names: Sequence[str], stored: Stored) -> Iterator[tuple[str, Tally]]:
    """Each of the servers, and the tally of those until then."""
    tally = Tally()
    ((region, snapshot),) = stored.regions.items()
    by_name = {server.name: server for server in snapshot.servers}
    for number, name in enumerate(names):
        server = stored.server(region, by_name[name])
        if isinstance(server.guest, Guest):
            rehearsing, phases = _phases(server, server.guest, snapshot.fabric, CONFIGS[number % len(CONFIGS)])
            tally.add(name, phases, rehearsing.told)
        yield name, tally


def _phases(server: Server, guest: Guest, fabric: Fabric, config: Config) -> tuple[Rehearsing, list[Phase]]:
    proof: Proof | None = None
    with suppress(NothingKnownError):
        proof = plan_server(server, fabric, config)
    with Sandbox() as box:
        rehearsing = Rehearsing(box, server, guest, fabric, config, tell=lambda _: None)
        phases = [rehearsing.as_is()]
        if proof is not None and proof.effects:
            phases += rehearsing.with_fix(proof)
    return rehearsing, phases


def drawn(stored: Stored, count: int, seed: int) -> list[str]:
    """Names of servers that have a guest."""
    ((region, snapshot),) = stored.regions.items()
    servers = list(snapshot.servers)
    Random(seed).shuffle(servers)
    seen = (server.name for server in servers if isinstance(stored.server(region, server).guest, Guest))
    return [name for name, _ in zip(seen, range(count), strict=False)]


def main(count: int, of: int = 1000, seed: int = 1) -> Tally:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        write_folder(of, Path(folder))
        stored = open_stored(Path(folder))
        tally = Tally()
        for name, tally in rehearsed(drawn(stored, count, seed), stored):
            print(f"{time.monotonic() - began:6.0f} s  {name}: {dict(tally.flows)}", flush=True)
    print(f"{tally.servers} servers, {tally.plans} plans, {len(tally.differing)} differing")
    for line in (*tally.differing, *map(str, tally.why.most_common(20)), *map(str, tally.told.most_common(20))):
        print(f"  {line}")
    return tally


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:])).differing))
