"""Options of probes that mean nothing are one line; the plan of what is sent."""

import ast
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vnicheck.cli import probing
from vnicheck.cli.failure import UserError
from vnicheck.cli.given import VerifyOptions
from vnicheck.cli.probing import wanted_of
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.ssh.options import SshOptions
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import Session
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Protocol
from vnicheck.verify import agent
from vnicheck.verify.agents import AgentError, Asked, Place, script
from vnicheck.verify.probes import MOST_FLOWS, SERVER, Host, ProbeError, Wanted, asked_addresses, jobs, plan

ROOT = Path(__file__).parents[2]
CLIENT = "10.8.0.4"


def view() -> ServerView:
    snapshot = load_check(CHECKS[1])
    return ServerView(snapshot.servers[0], snapshot.fabric, Config())


def host(address: str, name: str = "client") -> Host:
    return Host(name=name, sources=dict.fromkeys(asked_addresses(view()), address), known=frozenset({address}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocols": ["sctp"]}, "write tcp, udp, icmp"),
        ({"directions": ["transit"]}, "write inbound, outbound"),
        ({"ports": "0,99999"}, "write numbers from 1 to 65535"),
        ({"ports": "http"}, "write numbers from 1 to 65535"),
        ({"ports": "80", "hosts": None}, "give --from HOST, too"),
    ],
)
def test_options_that_mean_nothing_are_one_line(options: dict[str, Any], said: str) -> None:
    given = {"hosts": ["here"], "protocols": None, "directions": None, "ports": None} | options
    with pytest.raises(UserError, match=said) as caught:
        wanted_of(VerifyOptions(**given))
    assert "\n" not in str(caught.value)


def test_a_snapshot_is_sent_no_packets(check_3: Path) -> None:
    options = ["--from", "here", "--yes", "--snapshot", str(check_3), "--capture", "-"]
    command = [sys.executable, "-m", "vnicheck", "verify", "server", *options]
    with (ROOT / "tests" / "verify" / "captures" / "any.txt").open() as capture:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, stdin=capture)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "leave --snapshot out" in done.stderr


def test_one_flow_of_each_address_protocol_and_direction() -> None:
    probes = plan(view(), [host(CLIENT)], Wanted(ports=(443,)))
    found = {(each.key.direction, each.key.protocol, each.key.local, each.key.port) for each in probes}
    assert found == {
        (direction, protocol, local, 0 if protocol is Protocol.ICMP else 443)
        for direction in (Direction.INBOUND, Direction.OUTBOUND)
        for protocol in Protocol
        for local in ("10.0.0.11", "10.0.0.12")
    }
    assert len({each.number for each in probes}) == len(probes)


def test_agents_are_told_of_nobody_else() -> None:
    probes = plan(view(), [host(CLIENT), host("10.8.0.5", "other")], Wanted(ports=(443,)))
    work = jobs(probes, 60)
    assert work[SERVER]["remotes"] == [CLIENT, "10.8.0.5"]
    assert work["client"]["remotes"] == ["10.0.0.11", "10.0.0.12"]
    opened = work["client"]["open"]
    assert isinstance(opened, list)
    assert {each["to"] for each in opened} == {"10.0.0.11", "10.0.0.12"}
    assert work["client"]["listen"] == [("tcp", CLIENT, 443), ("udp", CLIENT, 443)]


def test_a_host_that_is_the_server_or_has_no_way_is_refused() -> None:
    with pytest.raises(ProbeError, match="is the server itself"):
        plan(view(), [host("10.0.0.12")], Wanted())
    with pytest.raises(ProbeError, match="no host has a way"):
        plan(view(), [host("203.0.113.9")], Wanted())  # from the internet, and there is no floating IP
    with pytest.raises(ProbeError, match=f"at most {MOST_FLOWS}"):
        plan(view(), [host(CLIENT)], Wanted(ports=tuple(range(1, 100))))


def test_the_agent_is_python_3_6() -> None:
    for name in ("agent.py", "agent_drops.py"):
        ast.parse((ROOT / "vnicheck" / "verify" / name).read_text(), feature_version=(3, 6))
    assert b"base64" in script({"seconds": 1})


def test_the_server_opens_nothing_to_an_address_that_only_the_host_claims() -> None:
    """A hostile host, or one behind translation, would have it send to somebody else."""
    claimed = Host(name="client", sources=dict.fromkeys(asked_addresses(view()), CLIENT))
    probes = plan(view(), [claimed], Wanted())
    assert {probe.key.direction for probe in probes} == {Direction.INBOUND}
    assert all(each["open"] == [] for name, each in jobs(probes, 60).items() if name == SERVER)


@pytest.mark.parametrize("source", ["x", "::1", "10.0.0.300"])
def test_a_host_that_names_no_address_is_no_host(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Asked(sources=dict.fromkeys(asked_addresses(view()), source), watches=True)
    monkeypatch.setattr(probing, "ask", lambda *_: told)
    one = probing.Source(place=Place(name="here"), server_by=SshRunner(SshOptions()))
    with pytest.raises(AgentError, match="is no address of it"):
        probing._host("here", one, view(), Session(uid=0))


def test_agents_answer_questions_of_the_remotes_and_no_answers() -> None:
    """Two agents that listen on one port would else answer each other without end."""
    answers = agent.Answers([["udp", "127.0.0.1", 0]], ["127.0.0.1"])
    (listening,) = answers.sockets.values()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(0.5)
        other.connect(listening.getsockname())
        for said, answer in ((b"answered", None), (b"vnicheck", b"answered"), (b"vnicheckx", None)):
            other.send(said)
            select.select([listening], [], [], 5)
            answers.answer(listening.fileno())
            assert _received(other) == answer
        answers._left["127.0.0.1"] = 0
        other.send(b"vnicheck")
        select.select([listening], [], [], 5)
        answers.answer(listening.fileno())
        assert _received(other) is None
    listening.close()


def _received(sock: socket.socket) -> bytes | None:
    try:
        return sock.recv(64)
    except TimeoutError:
        return None
