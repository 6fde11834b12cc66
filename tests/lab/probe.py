"""What packets really do: every client against every address of the server, both ways, in ICMP, TCP and UDP."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tests.lab.namespaces import LabError, Namespace
from tests.lab.scenario import DIRECTIONS, PROTOCOLS, Direction, Protocol, Scenario
from tests.lab.topology import Lab

AGENT = Path(__file__).with_name("probe_agent.py")
TIMEOUTS = (0.6, 1.0)
"""Seconds of the first try and of the second: a busy machine must not look like a drop."""


class Probe(Struct, frozen=True, kw_only=True):
    """One flow that was tried. `delivered`: the echo came back to its opener. `port`: the answerer's, None for icmp.

    `remote` is the client's address, `local` the server's own, also where the client dialled its floating IP.
    """

    direction: Direction
    protocol: Protocol
    remote: str
    local: str
    port: int | None
    delivered: bool


def probe_predicted(lab: Lab) -> list[Probe]:
    """`probe` all flows that are predicted: services answer, they open none."""
    services = lab.scenario.clients.service
    return [flow for flow in probe(lab) if flow.direction == "outbound" or flow.remote not in services]


def probe(
    lab: Lab,
    *,
    clients: Sequence[str] | None = None,
    locals: Sequence[str] | None = None,  # noqa: A002
    ports: Sequence[int] | None = None,
    protocols: Sequence[Protocol] = PROTOCOLS,
    directions: Sequence[Direction] = DIRECTIONS,
    timeouts: Sequence[float] = TIMEOUTS,
) -> list[Probe]:
    """Try all flows between the clients and the server's addresses (default: all of both, on the scenario's ports), at
    the same time.

    Inbound, a client opens; outbound, the server does, from a socket bound to the local address. A local address that
    is not configured in the server cannot be bound, so nothing from or to it is delivered. Raises LabError where the
    probes themselves could not run.
    """
    clients = lab.scenario.clients.addresses if clients is None else clients
    ports = lab.scenario.ports if ports is None else ports
    locals = lab.scenario.locals if locals is None else locals  # noqa: A001
    flows = [
        Probe(direction=direction, protocol=protocol, remote=client, local=local, port=port, delivered=False)
        for direction in directions
        for protocol in protocols
        for port in ((None,) if protocol == "icmp" else ports)
        for client in clients
        for local in locals
    ]
    opened = {direction: [flow for flow in flows if flow.direction == direction] for direction in DIRECTIONS}
    common: dict[str, Any] = {"ports": ports, "timeouts": timeouts}
    agents: dict[Direction, _Agent] = {}
    try:
        for direction in DIRECTIONS:
            namespace, served = (lab.client, clients) if direction == "inbound" else (lab.target, locals)
            job = common | {"serve": served, "open": [_dial(lab.scenario, flow) for flow in opened[direction]]}
            agents[direction] = _Agent(namespace, job)
        for agent in agents.values():
            agent.expect_ready()
        for agent in agents.values():
            agent.go()
        return [
            msgspec.structs.replace(flow, delivered=outcome)
            for direction, agent in agents.items()
            for flow, outcome in zip(opened[direction], agent.outcomes(), strict=True)
        ]
    finally:
        for agent in agents.values():
            agent.close()


def _dial(scenario: Scenario, flow: Probe) -> dict[str, Any]:
    """The flow as its opener sees it."""
    ends = (flow.local, flow.remote)
    if flow.direction == "inbound":
        ends = (flow.remote, scenario.dialled(flow.remote, flow.local))
    return {"protocol": flow.protocol, "local": ends[0], "remote": ends[1], "port": flow.port}


class _Agent:
    """The program of `probe_agent.py` in one namespace."""

    def __init__(self, namespace: Namespace, job: dict[str, Any]) -> None:
        self._name = namespace.name
        self._process = namespace.popen(
            [sys.executable, "-I", AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._write(json.dumps(job))

    def expect_ready(self) -> None:
        if self._read() != "ready":
            raise LabError(f"{self._name}: the probe agent did not start")

    def go(self) -> None:
        self._write("go")

    def outcomes(self) -> list[bool]:
        return msgspec.json.decode(self._read(), type=list[bool])

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise LabError(f"{self._name}: the probe agent ended: {self._process.stderr.read().strip()[-500:]}")
        return line.strip()
