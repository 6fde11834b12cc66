"""Every step of a change, and everything that may go wrong in the middle of it: real SSH, real files, a VPC over HTTP.

Whatever happens, what is on the server and in the VPC afterwards equals what the program said: by its exit code, by its
words, and by the ledger, with which what is left can be taken back. One table of steps, one of faults, one check.
"""

import hashlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api.faults import Fault
from tests.lab.bench import Bench, bench
from tests.lab.require import require_lab
from tests.lab.tripwire import Tripwire
from tests.support.sshd import require
from vnicheck.apply.ledger import Entry, Ledger
from vnicheck.fixes.effects import PatchVni
from vnicheck.fixes.steps import file_parts, running_parts

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

TIMER = 15
RULE = "from 10.0.0.12 lookup 1003"
ROUTE = "default via 10.0.0.1 dev eth1 table 1003"
LOOSE = "/etc/sysctl.d/zz-vnicheck-eth1.conf"
MODE = "protocol_state_filtering_mode"
Lines = frozenset[str]
NONE: Lines = frozenset()


class Machine:
    """A bench whose disks can be full, that can boot, and that tells all that a change may touch, a line each."""

    def __init__(self, server: Bench) -> None:
        self.server = server
        self.target, self.client = server.lab.target, server.lab.client
        self.api = server.api
        self.client.run(["mkdir", "-p", str(server.folder / "state")])
        self.client.run(["mount", "-t", "tmpfs", "tmpfs", str(server.folder / "state")])
        self._sysctls = [line for line in server.lab.scenario.guest.splitlines() if line.startswith("sysctl ")]
        self._healing: list[threading.Thread] = []

    def vni(self) -> dict[str, Any]:
        """The second one."""
        return dict(self.api.world["virtual_network_interfaces"][1])

    def set_vni(self, value: str) -> None:
        self.api.world["virtual_network_interfaces"][1][MODE] = value
        self.server.lab.set_vni("vni-2", **{MODE: value})

    def lines(self) -> Lines:
        run = self.target.run
        routes = run(["ip", "-4", "route", "show", "table", "all"]).stdout.splitlines()
        files = run(
            ["sh", "-c", "find /etc -newer /run/sshd -type f ! -name .filler -exec sha256sum {} +"]
        ).stdout.splitlines()
        filters = run(["sh", "-c", "grep -H . /proc/sys/net/ipv4/conf/eth*/rp_filter"]).stdout.splitlines()
        vnis = [f"{vni['name']} {vni[MODE]}" for vni in self.api.world["virtual_network_interfaces"]]
        rules = [line.replace("\t", " ") for line in run(["ip", "rule"]).stdout.splitlines()]
        return frozenset(line.strip() for line in (*rules, *routes, *files, *filters, *vnis))

    def boot(self) -> None:
        """All processes end, the kernel forgets, /run is empty; then the server's own configuration and ours apply."""
        self.server.sshd.stop()
        for pid in self.target.processes():
            with _gone():
                signal.pidfd_send_signal(_pidfd(pid), signal.SIGKILL)
        self.target.run(["sh", "-c", "rm -rf /run/vnicheck; ip rule del priority 1003; ip route flush table 1003; :"])
        for command in self._sysctls:
            self.target.run(command.split())
        self.target.run(["sh", "-c", f"[ ! -e {LOOSE} ] || sysctl -q -p {LOOSE}"])
        self.server.sshd.start()

    def fill(self, *, full: bool) -> None:
        """The server's /run and /etc, and the user's own state."""
        state = str(self.server.folder / "state")
        for space, folder in ((self.target, "/run"), (self.target, "/etc"), (self.client, state)):
            size = "$(df -k --output=used . | tail -n 1 | tr -d ' ')" if full else "99999"
            more = "head -c 99999 /dev/zero >.filler" if full else "rm -f .filler"
            space.run(["sh", "-c", f"cd {folder}; mount -o remount,size=$(({size} + 4))k .; {more}; :"])

    def disconnect(self, seconds: float) -> None:
        """SSH sessions end and new ones are refused for some seconds; what they run on the server goes on."""
        refuse = "add table ip cut; add chain ip cut out { type filter hook output priority 0; }; "
        refuse += "add rule ip cut out tcp dport 22 reject with tcp reset"
        self.client.run(["nft", refuse])
        for pid in self.target.processes():
            with _gone():
                if (
                    Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
                    and pid != self.server.sshd.pid
                    and _parent(pid) != 0
                ):
                    signal.pidfd_send_signal(_pidfd(pid), signal.SIGKILL)
        healing = threading.Timer(seconds, lambda: self.client.run(["nft", "delete table ip cut"]))
        healing.start()
        self._healing.append(healing)

    def silence(self) -> None:
        """No call of the API is answered any more; what was asked in this moment is done all the same."""
        for method in ("GET", "PATCH"):
            self.api.faults.append(Fault("*", method=method, times=None, reset=True))

    def heal(self) -> None:
        for thread in self._healing:
            thread.join()
        self.api.faults.clear()
        self.fill(full=False)


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except (ProcessLookupError, FileNotFoundError):
        return


def _pidfd(pid: int) -> int:
    return os.pidfd_open(pid)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Other(Struct, frozen=True):
    """What somebody else does: by a command on the server, or to the second VNI; and what is there and is not after it,
    whatever becomes of the change. `lasting` False: it is in the change's own way, and goes with the change.
    """

    command: str = ""
    mode: str = ""
    adds: Lines = NONE
    removes: Lines = NONE


class At(Struct, frozen=True):
    """A step: the scenario and strategy that have it, the call in which it is caught, and what somebody else does then.
    `of_rollback`: the call is one of `vnicheck rollback`, not of `fix`.
    """

    scenario: str
    strategy: str
    trips: str
    other: Other
    trips_for_other: str = ""
    number: int = 1
    of_rollback: bool = False


OWN_RULE = Other("ip rule add from 192.0.2.1 table 77 priority 77", adds=frozenset({"77: from 192.0.2.1 lookup 77"}))
STRICTER = Other(
    "echo 0 >/proc/sys/net/ipv4/conf/eth1/rp_filter",
    adds=frozenset({"/proc/sys/net/ipv4/conf/eth1/rp_filter:0"}),
    removes=frozenset({"/proc/sys/net/ipv4/conf/eth1/rp_filter:1"}),
)
STEPS = {
    "timer armed": At("article-check-1", "policy-routing", "setsid *", OWN_RULE),
    "policy rule": At(
        "article-check-1",
        "policy-routing",
        "ip rule add *",
        Other("ip rule add from 10.0.0.12 table 1003 priority 1003", adds=frozenset({f"1003: {RULE}"})),
    ),
    "route": At(
        "article-check-1",
        "policy-routing",
        "ip route add default *",
        Other(f"ip route add {ROUTE}", adds=frozenset({ROUTE})),
    ),
    "sysctl": At("article-check-1", "rp-filter", "sysctl -q -w *", STRICTER, trips_for_other="sysctl -n *"),
    "persist file": At(
        "article-check-1",
        "rp-filter",
        "mkdir -p /etc/sysctl.d",
        Other(
            f"mkdir -p /etc/sysctl.d; echo '# mine' >{LOOSE}",
            adds=frozenset({f"{hashlib.sha256(b'# mine' + bytes([10])).hexdigest()}  {LOOSE}"}),
        ),
    ),
    "VNI patch": At(
        "article-check-2",
        "state-filtering",
        "PATCH /virtual_network_interfaces/*",
        Other(mode="enabled", adds=frozenset({"vni-2 enabled"}), removes=frozenset({"vni-2 auto"})),
        number=2,
    ),
    "confirm": At("article-check-1", "policy-routing", "mv */armed */kept", OWN_RULE),
    "rollback": At("article-check-1", "rp-filter", "sysctl -n *", STRICTER, of_rollback=True),
}


class Cell:
    """A program that is caught at a step."""

    def __init__(self, machine: Machine, at: At, process: "subprocess.Popen[str]") -> None:
        self.machine, self.at, self.process = machine, at, process
        self.others = Other()

    def somebody(self) -> None:
        self.others = self.at.other
        if self.others.command:
            done = self.machine.target.run(["sh", "-c", self.others.command])
            assert done.returncode == 0
        else:
            self.machine.set_vni(self.others.mode)

    def silence(self) -> None:
        if self.at.trips.startswith("PATCH"):
            self.machine.set_vni("disabled")
        self.machine.silence()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


FAULTS: dict[str, Callable[[Cell], None]] = {
    "connection lost": lambda cell: cell.machine.disconnect(4.0),
    "process killed": Cell.kill,
    "server rebooted": lambda cell: cell.machine.boot(),
    "disk full": lambda cell: cell.machine.fill(full=True),
    "API silent": Cell.silence,
    "somebody else": Cell.somebody,
}


class Ended(Struct, frozen=True):
    """What the program said, and what is there."""

    status: int
    said: str
    lines: Lines


@pytest.mark.long(24)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_what_is_there_is_what_was_said(step: str, fault: str, tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    at = STEPS[step]
    with bench(at.scenario, tmp_path / "bench") as server:
        machine = Machine(server)
        before = machine.lines()
        if at.of_rollback:
            assert fixed(machine, at).returncode == 1, "applied, and tcp stays broken"
        trips = at.trips_for_other if fault == "somebody else" and at.trips_for_other else at.trips
        wire = Tripwire(server.lab.target, server.api, trips, number=at.number)
        others, ended = caught(machine, at, wire, FAULTS[fault])
        expected = before - others.removes | others.adds
        check(machine, at, ended, expected)


def command(at: At) -> tuple[str, ...]:
    quick = ("--rollback-after", str(TIMER), "--connect-timeout", "2")
    return ("fix", at.scenario, "--yes", "--strategy", at.strategy, *quick)


def fixed(machine: Machine, at: At) -> Any:
    return machine.server.run(*command(at))


def caught(machine: Machine, at: At, wire: Tripwire, fault: Callable[[Cell], None]) -> tuple[Other, Ended]:
    """Run to the step, commit the fault, run to the end."""
    noted = entry(machine)
    arguments = ("rollback", noted.id, "--yes") if noted is not None else command(at)
    wire.set()
    process = machine.server.start(*arguments)
    cell = Cell(machine, at, process)
    assert wire.wait(lambda: process.poll() is not None), process.communicate()
    fault(cell)
    wire.release()
    stdout, stderr = process.communicate(timeout=120)
    return cell.others, Ended(process.returncode, stdout + stderr, machine.lines())


def entry(machine: Machine) -> Entry | None:
    """The one of the ledger, which is on a disk of the client's own."""
    place = f"/proc/{machine.client.pid}/root{machine.server.folder}/state/vnicheck/ledger"
    entries = Ledger(Path(place)).entries(lambda error: pytest.fail(str(error)))
    return entries[0] if entries else None


def standing(machine: Machine, noted: Entry) -> dict[str, bool]:
    """Whether each part of the change is there, by its name in messages."""
    found = {
        part.what: machine.target.run(["sh", "-c", str(part.step.check)], check=False).returncode == 0
        for part in running_parts(noted.effects)
    }
    for part in file_parts(noted.actions):
        found[part.what] = machine.target.run(["test", "-e", part.what], check=False).returncode == 0
    vnis = machine.lines()
    patches = (effect for effect in noted.effects if isinstance(effect, PatchVni))
    return found | {f"{each.field} of {each.name}": f"{each.name} {each.new}" in vnis for each in patches}


def check(machine: Machine, at: At, ended: Ended, expected: Lines) -> None:
    """By the exit code; and whatever it was, `rollback` then takes back what is left, and nothing of anybody else's."""
    told = f"exit {ended.status}: {ended.said}"
    noted = entry(machine)
    parts = standing(machine, noted) if noted is not None else {}
    status = noted.status if noted is not None else "rolled_back"
    unwritten = "it does not have how this ended" in ended.said
    if ended.status in {0, 1} and not at.of_rollback:
        assert "applied and verified" in ended.said, told
        assert status == "applied" or unwritten, told
        assert all(parts.values()), f"{parts} {told}"
    elif ended.status in {0, 2, 4}:
        assert ended.lines ^ expected == set(), told
        assert status == "rolled_back" or unwritten, told
    elif ended.status == 5:
        assert status == "unconfirmed" or unwritten, told
        vnis_alone = {
            what for what, stands in parts.items() if stands and (" of vni-" in what or "the guest" not in told)
        }
        assert {what for what in vnis_alone if what not in ended.said} == set(), f"{parts} {told}"
        assert "could not be confirmed" in ended.said or "is still there" in ended.said, told
    else:
        assert ended.status == -signal.SIGKILL, told
        assert status == ("applied" if at.of_rollback else "begun"), told
    machine.heal()
    if noted is None:
        return
    again = machine.server.run("rollback", noted.id, "--yes", "--connect-timeout", "2")
    after = machine.lines()
    assert again.returncode == 0, f"{told}\n--- rollback: {again.stdout}{again.stderr}"
    assert after ^ expected == set(), f"{told}\n--- rollback: {again.stdout}{again.stderr}"
    # a server that was lost before it could say that its timer runs frees itself when that ends
    released = "until [ ! -e /run/vnicheck/lock ]; do sleep 0.2; done"
    assert machine.target.run(["timeout", str(TIMER + 10), "sh", "-c", released], check=False).returncode == 0, told
