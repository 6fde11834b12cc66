"""Plans for many servers, in order: each is a pure function of the server's snapshot and of what its region shares."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from vnicheck.analysis.many import internal_error
from vnicheck.analysis.processes import Spread, chunks_of
from vnicheck.fixes.planner import Proof, Strategy, plan_server
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow, plain
from vnicheck.model.plan import InstancePlan, without_flows
from vnicheck.model.region import Job, job_of
from vnicheck.model.snapshot import Problem, Server

CHUNK = 4
"""Servers that go to a worker at once: a plan takes tens of times as long as a report."""
WORTH_PROCESSES = 8
"""Fewer servers than this are sooner done than processes are started."""


class Planning(Struct, frozen=True, kw_only=True):
    """What all plans of a region share. `flows`: whether they are read; else plans have of `before` what people are
    told, without hops, and nothing of `after`.
    """

    fabric: Fabric
    config: Config
    strategy: Strategy = "auto"
    flows: bool = True


class Planned(Struct, frozen=True, kw_only=True):
    """What planning for a server gave: a plan, a problem that kept it from being made, or neither: nothing is broken,
    or not enough is known.
    """

    plan: InstancePlan | None = None
    problem: Problem | None = None


_server = msgspec.json.Decoder(Server)
_jobs = msgspec.msgpack.Decoder(list[Job])
_planned = msgspec.msgpack.Decoder(list[Planned])
_pack = msgspec.msgpack.Encoder(enc_hook=plain)


def plan_many(servers: Iterable[Server], planning: Planning, spread: Spread) -> Iterator[Planned]:
    """What planning gives for each, in their order. Raises WorkersLostError."""
    for answer in spread(plan_chunk, planning, chunks_of(map(job_of, servers), CHUNK)):
        yield from _planned.decode(answer)


def plan_chunk(planning: Planning, chunk: bytes) -> bytes:
    """The plans for a chunk of servers. What goes wrong with one is its own problem, and no other's."""
    return _pack.encode([_one(_server.decode(job.server), planning) for job in _jobs.decode(chunk)])


def prove(server: Server, planning: Planning) -> Proof | None:
    """The proved plan for a server; None where nothing is broken, or not enough is known."""
    fabric = planning.fabric
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        return None
    return plan_server(server, fabric, planning.config, planning.strategy)


def _one(server: Server, planning: Planning) -> Planned:
    try:
        proof = prove(server, planning)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not take the other servers' plans away
        return Planned(problem=internal_error(error))
    if proof is None:
        return Planned()
    return Planned(plan=proof.document if planning.flows else _slim(proof.document))


def _slim(document: InstancePlan) -> InstancePlan:
    """Flows and their hops are most of a plan."""
    told = msgspec.structs.replace(document.plan, before=tuple(map(_without_hops, document.plan.before)), after=())
    return msgspec.structs.replace(document, plan=told, alternatives=tuple(map(without_flows, document.alternatives)))


def _without_hops(flow: Flow) -> Flow:
    return msgspec.structs.replace(flow, hops=())
