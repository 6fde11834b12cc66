"""The lab proves itself, without vnicheck: real packets do in it what the article and the documentation say they do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.lab import scenario as scenarios
from tests.lab.probe import probe
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.support.asked import asked_of
from vnicheck.rehearse.namespaces import Namespace, RehearsalError, RootNamespaceError
from vnicheck.rehearse.network import Protocol
from vnicheck.rehearse.packets import Tried

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

MANAGEMENT = "10.8.0.4"
SECOND = "10.0.0.12"
REPOSITORY = Path(__file__).resolve().parents[2]


class Observation(msgspec.Struct, frozen=True):
    """What all packets of a scenario did, and which stages dropped some."""

    probes: tuple[Tried, ...]
    drops: frozenset[str]

    def delivered(self, direction: str, protocol: str, remote: str, local: str) -> bool:
        """Whether a flow got through, on every port that was tried."""
        outcomes = [
            flow.delivered
            for flow in self.probes
            if (flow.direction, flow.protocol, flow.remote, flow.local) == (direction, protocol, remote, local)
        ]
        assert outcomes
        return all(outcomes)


def observe(name: str) -> Observation:
    with Lab(scenarios.load(name)) as lab:
        return Observation(tuple(probe(lab)), frozenset(lab.drops()))


@pytest.fixture(scope="module")
def observed(request: pytest.FixtureRequest) -> dict[str, Observation]:
    """All scenarios that the selected tests ask for, several at a time: each mostly waits for what never comes."""
    require_lab()
    names = sorted({str(each["name"]) for each in asked_of(request)})
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(names, pool.map(observe, names), strict=True))


@pytest.mark.parametrize("name", scenarios.names())
def test_packets_do_what_the_scenario_says(name: str, observed: dict[str, Observation]) -> None:
    scenario = scenarios.load(name)
    got = {
        (flow.direction, scenario.kind_of(flow.protocol, flow.port), flow.remote, flow.local): flow.delivered
        for flow in observed[name].probes
    }
    assert got == scenario.expected()
    assert observed[name].drops == set(scenario.drops)


@pytest.mark.parametrize(
    ("name", "ping", "curl"),
    [("article-check-1", False, False), ("article-check-2", True, False), ("article-check-3", True, True)],
)
def test_the_three_checks_of_the_article(name: str, ping: bool, curl: bool, observed: dict[str, Observation]) -> None:
    """The table in shared/article: ping and curl from 10.8.0.4 to 10.0.0.12."""
    assert observed[name].delivered("inbound", "icmp", MANAGEMENT, SECOND) is ping
    assert observed[name].delivered("inbound", "tcp", MANAGEMENT, SECOND) is curl


@pytest.mark.parametrize("name", scenarios.names())
def test_ssh_has_a_way_in(name: str, observed: dict[str, Observation]) -> None:
    scenario = scenarios.load(name)
    assert observed[name].delivered("inbound", "tcp", scenario.management_client, scenario.locals[0])


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    require_lab()
    with Lab(scenarios.load(request.param)) as lab:
        yield lab


def answers(lab: Lab, protocol: Protocol) -> bool:
    """Whether 10.0.0.12 answers 10.8.0.4."""
    (flow,) = probe(lab, clients=[MANAGEMENT], locals=[SECOND], protocols=[protocol], directions=["inbound"])
    return flow.delivered


@pytest.mark.parametrize("lab", ["article-check-2"], indirect=True)
def test_a_vni_can_be_patched_while_packets_flow(lab: Lab) -> None:
    assert not answers(lab, "tcp")
    lab.set_vni("vni-1", protocol_state_filtering_mode="disabled")
    assert answers(lab, "tcp")
    lab.set_vni("vni-1", allow_ip_spoofing=False)
    assert not answers(lab, "icmp")
    assert lab.drops()["ip_spoofing_check vni-1"] > 0
    lab.set_vni("vni-1", allow_ip_spoofing=True, protocol_state_filtering_mode="auto")
    assert answers(lab, "icmp")
    assert not answers(lab, "tcp")


TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7777), 5, (sys.argv[2], 0)) as peer:
    for _ in sys.stdin:
        peer.sendall(b"?")
        print(peer.recv(1).decode(), flush=True)
"""
ECHO = """
import socket
with socket.create_server(("", 7777)) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    while data := peer.recv(1):
        peer.sendall(data)
"""


@pytest.mark.parametrize("lab", ["article-check-3"], indirect=True)
def test_an_open_connection_survives_a_filter_that_is_switched_on(lab: Lab) -> None:
    server = lab.target.popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    command = [sys.executable, "-c", TALK, "10.0.0.11", MANAGEMENT]
    with lab.client.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        for mode in ("disabled", "enabled"):
            lab.set_vni("vni-1", protocol_state_filtering_mode=mode)
            talk.stdin.write("\n")
            talk.stdin.flush()
            assert talk.stdout.readline() == "?\n"
    server.communicate(timeout=5)


@pytest.mark.parametrize("lab", ["article-check-1"], indirect=True)
def test_the_guest_counts_what_its_reverse_path_filter_drops(lab: Lab) -> None:
    before = lab.reverse_path_drops()
    assert not answers(lab, "icmp")
    assert lab.reverse_path_drops() > before
    lab.target.run(["sysctl", "-q", "-w", "net.ipv4.conf.eth1.rp_filter=2"])
    assert answers(lab, "icmp")


@pytest.mark.parametrize("lab", ["three-subnets"], indirect=True)
def test_the_guest_sees_its_own_interfaces_only(lab: Lab) -> None:
    assert sorted(lab.target.run(["ls", "/sys/class/net"]).stdout.split()) == ["eth0", "eth1", "eth2", "lo"]
    assert lab.target.run(["cat", "/sys/class/net/eth1/address"]).stdout.strip() == lab.scenario.vnis[1].mac
    assert lab.target.run(["cat", "/sys/class/net/lo/operstate"]).returncode == 0
    assert lab.target.pid != lab.client.pid


def test_a_server_with_files_of_its_own() -> None:
    require_lab()
    with Lab(scenarios.load("policy-routing"), own_files=True) as lab:
        lab.target.run(["sh", "-euc", "echo mine > /etc/vnicheck-lab; echo mine > /run/vnicheck-lab"])
        assert lab.target.run(["cat", "/etc/vnicheck-lab", "/run/vnicheck-lab"]).stdout == "mine\nmine\n"
        assert lab.target.run(["ls", "/run"]).stdout == "vnicheck-lab\n"
        assert lab.target.run(["cat", "/etc/passwd"]).stdout == Path("/etc/passwd").read_text()
        assert lab.target.run(["stat", "-c", "%a", "/etc/shadow"]).stdout != "644\n"
        assert not lab.client.run(["ls", "/etc/vnicheck-lab"], check=False).stdout
    assert not any(Path(folder, "vnicheck-lab").exists() for folder in ("/etc", "/run", "/mnt"))


def test_the_machines_own_namespace_is_refused() -> None:
    require_lab()
    with pytest.raises(RootNamespaceError, match="machine's own"):
        Namespace("root", os.getpid())


def test_nothing_stays_behind() -> None:
    require_lab()
    interfaces = os.listdir("/sys/class/net")
    with Lab(scenarios.load("policy-routing")) as lab:
        sleeper = lab.target.popen(["sleep", "60"])
        stubborn = lab.client.popen(["sh", "-c", "trap '' TERM; echo on; while :; do sleep 60; done"], stdout=-1)
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == "on\n"
        assert os.listdir("/sys/class/net") == interfaces
        holders = [lab.target.pid, lab.client.pid, lab.fabric.pid]
    assert sleeper.wait(timeout=2) == -signal.SIGTERM
    assert stubborn.wait(timeout=2) == -signal.SIGKILL
    assert not any(Path(f"/proc/{pid}").exists() for pid in holders)


def test_a_guest_command_that_fails_is_named_and_cleaned_up_after() -> None:
    require_lab()
    broken = msgspec.structs.replace(scenarios.load("policy-routing"), guest="ip route add default via 192.0.2.1\n")
    lab = Lab(broken)
    with pytest.raises(RehearsalError, match=r"guest commands of 'policy-routing' failed: .*invalid gateway"), lab:
        pytest.fail("it was built")
    assert not Path(f"/proc/{lab.target.pid}").exists()


def test_namespaces_end_with_the_process_that_made_them() -> None:
    """Also where it has no chance to clean up."""
    require_lab()
    program = "import os, signal; from vnicheck.rehearse.namespaces import Namespace; n = Namespace.create('orphan');"
    program += "print(n.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while holds_a_network(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not holds_a_network(int(done.stdout))


def holds_a_network(pid: int) -> bool:
    """False for a process that is gone, and for one that nobody has waited for."""
    try:
        return bool(os.readlink(f"/proc/{pid}/ns/net"))
    except FileNotFoundError:
        return False
