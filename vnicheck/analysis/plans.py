"""Plans for many servers, in order: each is a pure function of the server's snapshot and of what its region shares."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from vnicheck.analysis.many import internal_error
from vnicheck.analysis.observed import observed_flows
from vnicheck.analysis.processes import Spread, chunks_of
from vnicheck.analysis.server import problems_of
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.planner import NothingKnownError, Proof, Strategy, plan_server
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow, plain
from vnicheck.model.plan import InstancePlan, without_flows
from vnicheck.model.region import Job, job_of
from vnicheck.model.snapshot import NOTHING_KNOWN, Problem, Server

CHUNK = 4
"""Servers that go to a worker at once: a plan takes several times as long as a report."""
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
    """What planning for a server gave: a plan, a problem that kept the server from being checked, or neither: nothing
    is broken.
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


class NotCheckedError(Exception):
    """What keeps a server whose guest was read from being planned for, or from being called well."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def prove(server: Server, planning: Planning) -> Proof | None:
    """The proved plan for a server; None where nothing is broken, or its guest was not read. Raises NotCheckedError
    where nothing is known to be broken, but not everything is known.
    """
    if server.guest is None:
        return None
    problems = problems_of(server, planning.fabric)
    try:
        proof = plan_server(server, planning.fabric, planning.config, planning.strategy, _seen)
    except NothingKnownError as error:
        raise NotCheckedError(next(iter(problems), NOTHING_KNOWN)) from error
    if proof is None and problems:
        raise NotCheckedError(problems[0])
    return proof


def _seen(view: ServerView) -> tuple[Flow, ...]:
    """As `analyze` has them."""
    return observed_flows(view, predict_flows(view))


def _one(server: Server, planning: Planning) -> Planned:
    try:
        proof = prove(server, planning)
    except NotCheckedError as error:
        return Planned(problem=error.problem)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not take the other servers' plans away
        return Planned(problem=internal_error(error))
    if proof is None:
        return Planned()
    return Planned(plan=proof.document if planning.flows else _slim(proof.document))


def _slim(document: InstancePlan) -> InstancePlan:
    """Flows and their hops are most of a plan."""
    before = tuple(msgspec.structs.replace(flow, hops=()) for flow in document.plan.before)
    told = msgspec.structs.replace(document.plan, before=before, after=())
    return msgspec.structs.replace(document, plan=told, alternatives=tuple(map(without_flows, document.alternatives)))
