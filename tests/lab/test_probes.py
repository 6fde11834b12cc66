"""`vnicheck verify --from`: what the agents send, to whom, and what they leave; what goes wrong refutes nothing."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.bench import Bench, bench
from tests.lab.require import require_lab
from tests.support.sshd import Sshd, require
from vnicheck.rehearse.namespaces import Namespace

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
CLIENT, NAME = "10.8.0.4", "article-check-2"
BARE = "mkdir -p /run/bare; for p in /bin/* /sbin/*; do ln -s $p /run/bare/ 2>/dev/null; done; rm /run/bare/*py*"
SPY = """
import socket, sys
watch = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
watch.settimeout(0.2)
print("ready", flush=True)
import select
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        data, (interface, protocol, kind, _, _) = watch.recvfrom(2048)
    except OSError:
        continue
    if protocol == 0x0800 and kind in (0, 4):
        ports = data[20:24].hex() if data[9] != 1 else data[24:26].hex()
        print(kind, data[9], socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), ports, data[20], flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench(NAME, tmp_path_factory.mktemp("probes") / "bench") as made:
        yield made


def verified(made: Bench, *options: str, hosts: tuple[str, ...] = (f"here={CLIENT}",)) -> tuple[int, Any]:
    named = [option for host in hosts for option in ("--from", host)]
    done = made.run("verify", NAME, "-f", "json", "--yes", *named, *options)
    assert done.stdout, done.stderr
    (verification,) = json.loads(done.stdout)["verifications"]
    return done.returncode, verification


def rows(verification: Any) -> dict[str, str]:
    return {
        f"{flow['direction']} {flow['protocol']} {flow['local']}": flow["conclusion"] for flow in verification["flows"]
    }


def agents(made: Bench, *places: Namespace) -> list[int]:
    """The processes of this lab (of some of its machines) that run the agent's program."""
    spaces = {
        place.run(["readlink", "/proc/self/ns/net"]).stdout.strip()
        for place in places or (made.lab.client, made.lab.target)
    }
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str((place / "ns/net").readlink()) in spaces and b"zlib.decompress" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_every_row_agrees_three_packets_a_flow_at_most_none_to_others_and_nothing_is_left(server: Bench) -> None:
    found = ["find", "/etc", "/run", "-newer", "/proc/1/cmdline", "-type", "f"]
    files = server.lab.target.run(found).stdout
    spies = {
        name: place.popen(
            ["python3", "-Ic", SPY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name, place in (("client", server.lab.client), ("server", server.lab.target))
    }
    for spy in spies.values():
        assert spy.stdout is not None
        spy.stdout.readline()
    server.lab.target.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"])
    status, verification = verified(server, "--ports", "30111")
    server.lab.target.run(["umount", "/sys/kernel/tracing"])
    said = {name: spy.communicate("stop\n", timeout=20)[0].splitlines() for name, spy in spies.items()}
    assert status == 0
    assert set(rows(verification).values()) == {"confirmed"}
    assert len(rows(verification)) == 12
    assert any("to 10.0.0.12 half open" in note for note in verification["notes"])
    assert not any("not counted by the reason" in note for note in verification["notes"])
    assert agents(server) == []
    assert server.lab.target.run(found).stdout == files
    own = {CLIENT, *server.lab.scenario.locals}
    for lines in said.values():
        packets = [words for line in lines if not (words := line.split())[2].startswith("127.")]
        assert {end for packet in packets for end in packet[2:4]} <= own
        # SSH and the API's stand-in are between the first client and the first address, at other ports
        probed = [packet for packet in packets if packet[1] == "1" or f"{30111:04x}" in (packet[4][:4], packet[4][4:])]
        opening = Counter(
            (packet[1], packet[2], packet[3], packet[4])
            for packet in probed
            if packet[0] == "4" and (packet[5] == "8" if packet[1] == "1" else packet[4].endswith(f"{30111:04x}"))
        )
        assert opening
        assert max(opening.values()) <= 3


def test_text_shows_what_will_be_sent_first_and_asks(server: Bench) -> None:
    done = server.run("verify", NAME, "--from", f"here={CLIENT}", "--ports", "30112", "--protocol", "tcp")
    assert done.returncode == 2
    assert f"from here={CLIENT} ({CLIENT}) to 10.0.0.12: tcp 30112" in done.stderr
    assert "at most three packets" in done.stderr
    assert "--yes" in done.stderr


@pytest.mark.long(sampled=False)
def test_protocol_direction_and_ports(server: Bench) -> None:
    options = ("--protocol", "tcp", "--direction", "inbound", "--ports", "30113,30114")
    _, verification = verified(server, *options)
    assert {(flow["direction"], flow["protocol"], flow["port"]) for flow in verification["flows"]} == {
        ("inbound", "tcp", 30113),
        ("inbound", "tcp", 30114),
    }


def firewall(made: Bench, where: str, *rules: str) -> None:
    place = made.lab.client if where == "client" else made.lab.target
    text = "\n".join(
        ("table ip vnicheck_test {", "chain i { type filter hook input priority 0;", *rules[:1], "}",
         "chain o { type filter hook output priority 0;", *rules[1:], "}", "}")
    )  # fmt: skip
    place.run(["nft", "-f", "-"], input=text)


@pytest.fixture
def unwalled(server: Bench) -> Iterator[None]:
    yield
    for place in (server.lab.client, server.lab.target):
        place.run(["nft", "delete", "table", "ip", "vnicheck_test"], check=False)


@pytest.mark.long(sampled=False)
@pytest.mark.usefixtures("unwalled")
@pytest.mark.parametrize(
    "rules",
    [
        ("", "tcp dport 30120 drop"),
        ("tcp sport 30120 drop", ""),
        ("", "ip daddr 10.0.0.12 tcp dport 30120 drop"),
    ],
    ids=["out", "in", "out to one address"],
)
def test_the_clients_own_firewall_refutes_nothing(server: Bench, rules: tuple[str, str]) -> None:
    firewall(server, "client", *rules)
    options = ("--protocol", "tcp", "--direction", "inbound", "--ports", "30120")
    status, verification = verified(server, *options)
    assert status in (0, 3)
    assert "contradicted" not in rows(verification).values()
    assert {each["conclusion"] for each in verification["assumptions"]} <= {"confirmed"}


@pytest.mark.long(sampled=False)
@pytest.mark.usefixtures("unwalled")
def test_the_servers_own_firewall_is_seen_to_drop(server: Bench) -> None:
    """Root reads its rules, which leaves the flow unknown; that it is dropped is then seen, without a control flow."""
    firewall(server, "server", "tcp dport 30121 drop", "")
    status, verification = verified(server, "--protocol", "tcp", "--direction", "inbound", "--ports", "30121")
    assert status == 0
    fates = {flow["local"]: (flow["conclusion"], flow["observed"]) for flow in verification["flows"]}
    # of the other address the VPC would drop the answer, too
    assert fates == {"10.0.0.11": ("settled", "dropped"), "10.0.0.12": ("confirmed", "dropped")}
    assert {flow["last_seen"][:20] for flow in verification["flows"]} == {"the request came in "}


@pytest.mark.long(sampled=False)
@pytest.mark.usefixtures("unwalled")
def test_a_dead_client_and_a_lossy_network_refute_nothing(server: Bench) -> None:
    firewall(
        server, "client", "ip saddr 10.0.0.0/24 tcp sport 30123 drop; ip saddr 10.0.0.0/24 udp sport 30123 drop", ""
    )
    status, verification = verified(server, "--ports", "30123", "--direction", "inbound")
    assert "contradicted" not in rows(verification).values()
    server.lab.client.run(["nft", "delete", "table", "ip", "vnicheck_test"])
    firewall(server, "client", "udp sport 30124 numgen random mod 2 0 drop", "")
    status, verification = verified(server, "--ports", "30124", "--protocol", "udp")
    assert status in (0, 3)
    assert "contradicted" not in rows(verification).values()


@pytest.fixture(scope="module")
def client_sshd(server: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("client")
    with Sshd(
        folder, address=CLIENT, port=2222, prefix=server.lab.client.prefix(), client_key=server.sshd.client_key
    ) as sshd:
        yield sshd


def ssh_to(server: Bench, sshd: Sshd, *lines: str) -> tuple[str, ...]:
    """Options with which both sshd are known; an SSH configuration with some lines."""
    known = server.folder / "known_both"
    known.write_text(
        server.sshd.known_hosts_line(server.lab.scenario.locals[0])
        + "\n"
        + sshd.known_hosts_line(f"[{CLIENT}]:2222")
        + "\n"
    )
    config = server.folder / "ssh_config"
    config.write_text("\n".join(lines) + "\n")
    return ("-F", str(config), "--known-hosts", str(known))


@pytest.mark.long(sampled=False)
def test_from_a_host_by_ssh_and_through_a_jump_host(server: Bench, client_sshd: Sshd) -> None:
    options = ("--protocol", "icmp", "--protocol", "tcp", "--direction", "inbound")
    direct = run_last(server, client_sshd, (), f"root@{CLIENT}:2222={CLIENT}", *options)
    assert set(rows(direct).values()) == {"confirmed"}, direct["problems"]
    lines = ("Host faraway", f"HostName {CLIENT}", "Port 2222", f"ProxyJump root@{CLIENT}:2222")
    jumped = run_last(server, client_sshd, lines, f"faraway={CLIENT}", *options)
    assert set(rows(jumped).values()) == {"confirmed"}, jumped["problems"]


def run_last(server: Bench, sshd: Sshd, lines: tuple[str, ...], host: str, *options: str) -> Any:
    """With our SSH options behind those of the bench, so that they count."""
    command = [*server.command("verify", NAME, "-f", "json", "--yes", "--from", host, *options)]
    done = server.lab.client.run(
        [*command, *ssh_to(server, sshd, *lines)], cwd=Path.cwd(), env=server.environ, timeout=100, check=False
    )
    assert done.stdout, done.stderr
    (verification,) = json.loads(done.stdout)["verifications"]
    return verification


@pytest.mark.long(sampled=False)
def test_two_verifications_at_once(server: Bench) -> None:
    started = [server.start("verify", NAME, "-f", "json", "--yes", "--from", f"here={CLIENT}") for _ in range(2)]
    for each in started:
        stdout, stderr = each.communicate(timeout=90)
        assert each.returncode in (0, 3), stderr
        (verification,) = json.loads(stdout)["verifications"]
        assert set(rows(verification).values()) <= {"confirmed", "not_tested"}
    assert agents(server) == []


@pytest.mark.long(sampled=False)
def test_a_session_that_dies_in_the_middle_leaves_nothing(server: Bench) -> None:
    started = server.start("verify", NAME, "-f", "json", "--yes", "--from", f"here={CLIENT}", "--timeout", "20")
    deadline = time.monotonic() + 30
    while len(agents(server)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert agents(server)
    started.kill()
    started.communicate(timeout=20)
    deadline = time.monotonic() + 8
    while agents(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert agents(server) == []


@pytest.mark.long(sampled=False)
@pytest.mark.parametrize(
    ("config", "problem", "note"),
    [
        ('ForceCommand setpriv --reuid 65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"', None, "takes root"),
        ('ForceCommand PATH=/run/bare sh -c "$SSH_ORIGINAL_COMMAND"', "no Python", None),
    ],
    ids=["without root", "without Python"],
)
def test_what_can_still_be_said_is_said(config: str, problem: str | None, note: str | None, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench(NAME, tmp_path / "bench", config=[config]) as made:
        bare = (
            "mkdir -p /run/bare; for p in /bin/* /sbin/*; do ln -s $p /run/bare/ 2>/dev/null; done; rm /run/bare/*py*"
        )
        made.lab.target.run(["sh", "-c", bare])
        status, verification = verified(made, "--direction", "inbound")
    said = rows(verification)
    assert status == 3
    # where no program of ours can run, a refusal may be a firewall's: nobody saw who gave it
    assert said["inbound tcp 10.0.0.11"] == ("not_tested" if problem else "confirmed")
    assert said["inbound icmp 10.0.0.11"] == "confirmed"
    assert said["inbound tcp 10.0.0.12"] == "not_tested"
    assert problem is None or problem in verification["problems"][0]["message"]
    assert note is None or note in verification["notes"][0]


@pytest.mark.long(sampled=False)
def test_a_server_that_drops_the_session_in_the_middle_refutes_nothing(server: Bench) -> None:
    started = server.start("verify", NAME, "-f", "json", "--yes", "--from", f"here={CLIENT}", "--direction", "inbound")
    deadline = time.monotonic() + 30
    while not (mine := _parents_of_agents(server)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in mine:
        os.kill(process, signal.SIGKILL)
    stdout, stderr = started.communicate(timeout=60)
    assert mine
    assert started.returncode == 3, stderr
    (verification,) = json.loads(stdout)["verifications"]
    assert "contradicted" not in rows(verification).values()
    assert verification["problems"]
    time.sleep(1)
    assert agents(server) == []


def _parents_of_agents(made: Bench) -> list[int]:
    """The sshd processes whose child an agent on the server is."""
    found = []
    for agent in agents(made, made.lab.target):
        try:
            parent = int(Path(f"/proc/{agent}/stat").read_text().rpartition(")")[2].split()[1])
            found += [parent] if Path(f"/proc/{parent}/comm").read_text().startswith("sshd") else []
        except OSError:
            continue
    return found


@pytest.mark.long(sampled=False)
def test_from_another_server_of_the_account(tmp_path: Path) -> None:
    """One of the VPC, by its name, whose sshd is at its address."""
    require_lab()
    require("sshd", "ssh-keygen")
    name, peer = "group-names-a-group", "10.0.5.5"
    with bench(name, tmp_path / "bench") as made:
        assert peer in {member for group in made.lab.scenario.security_groups for member in group.members}
        with Sshd(
            tmp_path / "peer", address=peer, port=22, prefix=made.lab.client.prefix(), client_key=made.sshd.client_key
        ) as sshd:
            known = tmp_path / "known"
            known.write_text(sshd.known_hosts_line(peer))
            host = f"peer-{peer.replace('.', '-')}={peer}"
            options = ("--protocol", "tcp", "--direction", "inbound", "--ports", "7777", "--known-hosts", str(known))
            done = made.run("verify", name, "-f", "json", "--yes", "--from", host, *options)
    assert done.stdout, done.stderr
    (verification,) = json.loads(done.stdout)["verifications"]
    assert verification["problems"] == []
    assert {flow["remote"] for flow in verification["flows"]} == {peer}
    assert "contradicted" not in rows(verification).values()
    assert "confirmed" in rows(verification).values()
