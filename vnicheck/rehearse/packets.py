"""Real packets: flows that are opened and answered, each by its own ends, and what became of them."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.rehearse.fabric import Ends, Traffic
from vnicheck.rehearse.namespaces import Namespace, RehearsalError
from vnicheck.rehearse.network import Network, Protocol
from vnicheck.rehearse.topology import Rebuilt

AGENT = Path(__file__).with_name("packets_agent.py")
TIMEOUTS = (0.6, 1.0)
"""Seconds of the first try and of the second."""
PATIENCE = (3.0, 6.0)
"""The same, of flows that seem lost where they should not be: a busy machine must not look like a drop."""


Way = Literal["inbound", "outbound", "transit"]


class Tried(Struct, frozen=True, kw_only=True):
    """One flow that was tried, or is to be. `delivered`: the echo came back to its opener. `port`: the answerer's, None
    for icmp.

    `remote` is the remote's address, `local` the server's own, also where the remote dials its floating IP; of a flow
    in transit the remote opens and `local` answers.
    """

    direction: Way
    protocol: Protocol
    remote: str
    local: str
    port: int | None
    delivered: bool = False


def send(built: Rebuilt, flows: Sequence[Tried], *, timeouts: Sequence[float] = TIMEOUTS) -> list[Tried]:
    """Tries the flows, all at the same time, and says of each whether it was delivered.

    Inbound, a remote opens; outbound, the server does, from a socket bound to the local address. A local address that
    is not configured in the server cannot be bound, so nothing from or to it is delivered. Raises RehearsalError where
    the packets themselves could not be sent.
    """
    ends = {"remotes": built.client, "server": built.target, "answerers": built.answerer}
    opens = {"inbound": "remotes", "outbound": "server", "transit": "remotes"}
    answers = {"inbound": "server", "outbound": "remotes", "transit": "answerers"}
    opened = {end: [flow for flow in flows if opens[flow.direction] == end] for end in ends}
    jobs = {
        end: Job(
            namespace=namespace,
            serves=_served(flow for flow in flows if answers[flow.direction] == end),
            opens=[_dial(built.network, flow) for flow in opened[end]],
        )
        for end, namespace in ends.items()
        if namespace is not None
    }
    outcome: dict[int, Tried] = {}
    for end, outcomes in zip(jobs, exchange(list(jobs.values()), timeouts=timeouts), strict=True):
        for flow, delivered in zip(opened[end], outcomes, strict=True):
            outcome[id(flow)] = msgspec.structs.replace(flow, delivered=delivered)
    return [outcome[id(flow)] for flow in flows]


class Dialled(Struct, frozen=True, kw_only=True):
    """A flow as its opener sees it: the address that it binds, and what it sends to. `port`: None for icmp."""

    protocol: Protocol
    local: str
    remote: str
    port: int | None


class Job(Struct, frozen=True, kw_only=True):
    """What one namespace does: `serves` TCP and UDP at addresses and ports, and opens flows."""

    namespace: Namespace
    serves: Sequence[tuple[str, int]]
    opens: Sequence[Dialled]


def exchange(jobs: Sequence[Job], *, timeouts: Sequence[float] = TIMEOUTS) -> list[list[bool]]:
    """Tries all flows of all namespaces at the same time, once everybody serves; of each whether it was answered.

    Raises RehearsalError where the packets themselves could not be sent.
    """
    agents: list[_Agent] = []
    try:
        agents.extend(_Agent(job, timeouts) for job in jobs)
        for agent in agents:
            agent.expect_ready()
        for agent in agents:
            agent.go()
        return [agent.outcomes() for agent in agents]
    finally:
        for agent in agents:
            agent.close()


def is_answered_inside(seen: Traffic, flow: Tried) -> bool:
    """Whether an answer can only be the guest's own: it holds the remote's address, and the request never left it."""
    return flow.direction == "outbound" and not any(_is_of(ends, flow, reply=False) for ends in seen.left)


def died_at(seen: Traffic, flow: Tried) -> tuple[str, str] | None:
    """Where the packets of a flow that was not delivered were last seen: the leg (`request`, `reply`) and the stage and
    VNI of the VPC that dropped them, or `guest`, which took a request and sent no reply, or sent no request. None: they
    left the guest or the remote, and nothing tells what became of them.
    """
    request = [ends for ends in seen.dead if _is_of(ends, flow, reply=False)]
    if request:
        return "request", " ".join(seen.dead[request[0]])
    reply = [ends for ends in seen.dead if _is_of(ends, flow, reply=True)]
    if reply:
        return "reply", " ".join(seen.dead[reply[0]])
    arrived, left = (
        {reply: any(_is_of(ends, flow, reply=reply) for ends in crossed) for reply in (False, True)}
        for crossed in (seen.arrived, seen.left)
    )
    if flow.direction == "inbound":
        return ("request", "guest") if arrived[False] and not left[True] else None
    if flow.direction == "transit":
        lost = [leg for leg, reply in (("request", False), ("reply", True)) if arrived[reply] and not left[reply]]
        return (lost[0], "guest") if lost else None
    if not left[False]:
        return "request", "guest"
    return ("reply", "guest") if arrived[True] else None


def _is_of(ends: Ends, flow: Tried, *, reply: bool) -> bool:
    source, source_port, destination, destination_port, protocol = ends
    near, far = (flow.local, flow.remote) if flow.direction == "outbound" else (flow.remote, flow.local)
    if reply:
        near, far, destination_port = far, near, source_port
    if (source, destination, protocol) != (near, far, flow.protocol):
        return False
    # of ICMP the field that ports are in begins with the type
    return destination_port == flow.port if flow.port is not None else (source_port >> 8 == 0) is reply


def _served(flows: Iterable[Tried]) -> list[tuple[str, int]]:
    """Where the answering side of the flows listens."""
    return sorted(
        {(flow.remote if flow.direction == "outbound" else flow.local, flow.port) for flow in flows if flow.port}
    )


def _dial(network: Network, flow: Tried) -> Dialled:
    ends = (flow.local, flow.remote)
    if flow.direction == "inbound":
        ends = (flow.remote, network.dialled(flow.remote, flow.local))
    elif flow.direction == "transit":
        ends = (flow.remote, flow.local)
    return Dialled(protocol=flow.protocol, local=ends[0], remote=ends[1], port=flow.port)


class _Agent:
    """The program of `packets_agent.py` in one namespace."""

    def __init__(self, job: Job, timeouts: Sequence[float]) -> None:
        self._name = job.namespace.name
        self._process = job.namespace.popen(
            [sys.executable, "-I", AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        told = {"serve": job.serves, "open": job.opens, "timeouts": timeouts}
        self._write(msgspec.json.encode(told).decode())

    def expect_ready(self) -> None:
        if self._read() != "ready":
            raise RehearsalError(f"{self._name}: what sends packets did not start")

    def go(self) -> None:
        self._write("go")

    def outcomes(self) -> list[bool]:
        return msgspec.json.decode(self._read(), type=list[bool])

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _write(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _read(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            said = self._process.stderr.read().strip()[-500:] if self._process.stderr is not None else ""
            raise RehearsalError(f"{self._name}: what sends packets ended: {said}")
        return line.strip()
