"""Applying, and what may go wrong between any two of its steps, on a real kernel: the scripts run in a network
namespace, and the connection to it, or the VPC's API, fails where the test says. Whatever happens, the outcome says
what is: applied as a whole, or undone as a whole, or not known to be either.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from tests.lab import scenario as scenarios
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.support.sshd import require
from tests.support.wire import CHANGE, FILE, Wire, attempt, both, leftovers, proof_for, state
from vnicheck.apply.attempt import Attempt
from vnicheck.cloud.errors import CloudError
from vnicheck.fixes.effects import PatchVni, standing
from vnicheck.guest import change as scripts
from vnicheck.guest.change import ScriptAnswer, read_answer
from vnicheck.model.plan import Step
from vnicheck.rehearse.namespaces import Namespace

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_lab()
    with Lab(scenarios.load("article-check-1"), own_files=True) as lab:
        yield lab


def test_all_is_applied_in_this_order(lab: Lab) -> None:
    proof = both(lab.target, FILE)
    wire = Wire(lab.target)
    outcome = attempt(wire, proof)
    assert (outcome.status, outcome.change) == ("applied", CHANGE)
    assert wire.calls == ["arm", "patch on", "patch on", "apply", "collect", "keep", "steps", "close"]
    assert set(wire.values.values()) == {"disabled"}
    field = "protocol_state_filtering_mode"
    assert wire.recorded == ["timer", f"vni-id-1/{field}", f"vni-id-2/{field}", "guest", "files"]
    guest = wire.collect()
    assert standing(guest, proof.effects) == [each for each in proof.effects if not isinstance(each, PatchVni)]
    assert lab.target.run(["cat", "/etc/vnicheck-kept"]).stdout == "kept\n"
    assert leftovers(lab.target) == []


CLI = "IBMCLOUD_IS_FEATURE_VNI_ENABLE_PROTOCOL_STATE_FILTERING=true ibmcloud is virtual-network-interface-update"
CALLS = 8


@pytest.mark.parametrize("how", ["cut", "deafen"])
@pytest.mark.parametrize("number", range(CALLS))
def test_one_call_fails(lab: Lab, number: int, how: str) -> None:
    """Any one: nothing is done in half. What was at its end before, or was done unheard, is still all or nothing."""
    before = state(lab.target)
    proof = both(lab.target, FILE)
    wire = Wire(lab.target, **{how: lambda count, what: count == number and not what.startswith("patch")})
    outcome = attempt(wire, proof)
    after = state(lab.target)
    if wire.calls[number].startswith("patch"):
        assert outcome.status == "applied"
    if outcome.status == "applied":
        assert after["rules"] != before["rules"]
        assert "vnicheck-kept\n" in after["files"]
        assert set(wire.values.values()) == {"disabled"}
    else:
        assert outcome.status in {"refused", "rolled_back"}
        assert after == before
        assert set(wire.values.values()) <= {"auto"}
    assert "lock" not in leftovers(lab.target)


@pytest.mark.parametrize("what", ["apply", "collect", "keep"])
def test_the_connection_stays_away_until_the_timer_has_undone_it(lab: Lab, what: str) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)
    wire.cut = lambda number, call: call == what and wire.calls.count(what) == 1
    wire.heal = 4.0
    outcome = attempt(wire, both(lab.target, FILE), seconds=2)
    assert outcome.status == "rolled_back"
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}


@pytest.mark.parametrize("what", ["apply", "collect"])
def test_the_connection_never_comes_back(lab: Lab, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own timer undoes the change; that is not confirmed, and said so, with what to paste."""
    monkeypatch.setattr("vnicheck.apply.undoing.PATIENCE", 2.0)
    before = state(lab.target)
    wire = Wire(lab.target, deafen=lambda number, call: call == "apply" and what == "apply")
    wire.cut = lambda number, call: call == what == "collect" or (call != what and call in {"status", "undo"})
    outcome = attempt(wire, both(lab.target), seconds=2)
    assert outcome.status == "unconfirmed"
    assert "the guest" in outcome.said
    commands = "\n".join(outcome.by_hand)
    assert "ip rule del from 10.0.0.12 table 1003 priority 1003" in commands
    assert set(wire.values.values()) == {"auto"}
    deadline = time.monotonic() + 5
    while state(lab.target) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert state(lab.target) == before, "the timer needs nobody"
    assert "lock" not in leftovers(lab.target)


def test_a_timer_that_may_have_been_started_is_told(lab: Lab) -> None:
    """The connection goes before the answer, and stays away: nothing is changed, but others may have to wait."""
    before = state(lab.target)
    wire = Wire(lab.target, deafen=lambda _, call: call == "arm", cut=lambda _, call: call == "undo")
    outcome = attempt(wire, both(lab.target), seconds=2)
    assert (outcome.status, state(lab.target)) == ("refused", before)
    assert "for 2 s a timer with nothing to undo may keep other changes from the server; nothing was" in outcome.said
    deadline = time.monotonic() + 10
    while "lock" in leftovers(lab.target) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "lock" not in leftovers(lab.target)


def test_a_step_that_the_server_refuses(lab: Lab) -> None:
    """A route that is there already: the first step fails, and is undone with what went before."""
    proof = both(lab.target, FILE)
    lab.target.ip("route add default via 10.0.0.1 dev eth0 table 1003")
    before = state(lab.target)
    wire = Wire(lab.target)
    outcome = attempt(wire, proof)
    assert (outcome.status, "refused" in outcome.said) == ("rolled_back", True)
    assert "File exists" in outcome.said
    assert set(wire.values.values()) == {"auto"}
    assert state(lab.target) == before, "the route of somebody else stays"


def test_a_plan_that_does_not_hold_what_it_promised_is_undone(lab: Lab) -> None:
    """Between planning and verifying, something else makes the filter strict in another way."""
    before = state(lab.target)
    wire = Wire(lab.target)
    proof = both(lab.target, FILE)
    original = wire.run

    def run(script: str) -> ScriptAnswer:
        answer = original(script)
        if wire.calls[-1] == "apply":
            lab.target.ip("rule add from all blackhole priority 900")
        return answer

    wire.run = run  # type: ignore[method-assign]
    outcome = attempt(wire, proof)
    lab.target.ip("rule del from all blackhole priority 900")
    assert outcome.status == "rolled_back"
    assert "not fixed" in outcome.said or "worse off" in outcome.said
    assert state(lab.target) == before


def test_configuration_that_cannot_be_written_undoes_the_rest(lab: Lab) -> None:
    before = state(lab.target)
    bad = msgspec.structs.replace(FILE, steps=(Step("echo 'no space left' >&2; false", "true"),))
    wire = Wire(lab.target)
    outcome = attempt(wire, both(lab.target, FILE, bad))
    assert (outcome.status, "no space left" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}


@pytest.mark.parametrize("code", ["api_forbidden", "api_refused", "api_server_error", "vni_changed", "vni_not_stable"])
@pytest.mark.parametrize("position", [1, 2])
def test_the_api_refuses_in_the_middle(lab: Lab, code: str, position: int) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)
    wire.refuse = lambda effect, back: (
        CloudError(code, f"said {code}") if not back and wire.calls.count("patch on") == position else None
    )
    outcome = attempt(wire, both(lab.target, FILE))
    assert (outcome.status, f"said {code}" in outcome.said) == ("rolled_back", True)
    assert wire.calls.count("apply") == 0, "the guest is changed after the VPC"
    assert set(wire.values.values()) <= {"auto"}
    assert state(lab.target) == before


def test_the_api_refuses_the_undoing(lab: Lab) -> None:
    wire = Wire(lab.target, cut=lambda number, what: what == "collect" and wire.calls.count("collect") == 1)
    wire.refuse = lambda effect, back: CloudError("api_server_error", "500") if back else None
    before = state(lab.target)
    outcome = attempt(wire, both(lab.target))
    assert outcome.status == "unconfirmed"
    assert outcome.by_hand == (
        f"{CLI} vni-id-2 --name vni-2 --protocol-state-filtering-mode auto",
        f"{CLI} vni-id-1 --name vni-1 --protocol-state-filtering-mode auto",
    )
    assert state(lab.target) == before


@pytest.mark.parametrize("call", ["arm", "apply", "collect", "keep", "steps"])
def test_an_interruption_is_undone(lab: Lab, call: str) -> None:
    """While an answer is on its way: the server has done it all the same."""
    before = state(lab.target)
    wire = Wire(lab.target)

    def interrupted(number: int, what: str) -> bool:
        if what == call and wire.calls.count(call) == 1:
            raise KeyboardInterrupt
        return False

    wire.deafen = interrupted
    outcome = attempt(wire, both(lab.target, FILE))
    assert (outcome.status, "interrupted" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert "lock" not in leftovers(lab.target)
    assert set(wire.values.values()) <= {"auto"}


def test_a_second_vnicheck_at_work(lab: Lab) -> None:
    proof = both(lab.target)
    other = "20261124-000001-fedcba"
    steps = [Step("ip rule add from 192.0.2.1 table 9 priority 9", "ip rule del from 192.0.2.1 table 9 priority 9")]
    wire = Wire(lab.target)
    assert wire.run(scripts.arm(other, steps, 60)).verb == "armed"
    before = state(lab.target)
    outcome = attempt(wire, proof)
    assert (outcome.status, other in outcome.said) == ("refused", True)
    assert state(lab.target) == before
    assert wire.run(scripts.apply(other, steps)).verb == "applied"
    assert wire.run(scripts.undo(other)).verb == "undone"
    assert attempt(wire, proof).status == "applied"


def test_a_client_that_went_away_holds_the_lock_for_ten_minutes_only(lab: Lab) -> None:
    wire = Wire(lab.target)
    gone = "20261124-000001-fedcba"
    assert wire.run(scripts.arm(gone, [], 60)).verb == "armed"
    assert wire.run(scripts.keep(gone, release=False)).verb == "kept"
    proof = both(lab.target)
    assert attempt(wire, proof).status == "refused"
    lab.target.run(["touch", "-d", "11 minutes ago", "/run/vnicheck/lock"])
    assert attempt(wire, proof).status == "applied"


def test_nothing_is_done_without_root(lab: Lab) -> None:
    script = scripts.arm(CHANGE, [], 60)
    done = lab.target.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-s"], input=script
    ).stdout
    assert read_answer(done.encode()).verb == "not-root"
    assert leftovers(lab.target) == []


@contextmanager
def late(wire: Wire, seconds: float) -> Iterator[None]:
    """Every call for the timer's end comes too late."""
    original = wire.run

    def run(script: str) -> ScriptAnswer:
        if "vnicheck_keep hold\n" in script[-60:]:
            time.sleep(seconds)
        return original(script)

    wire.run = run  # type: ignore[method-assign]
    yield


def test_a_timer_that_fires_before_it_is_stopped(lab: Lab) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)
    with late(wire, 4):
        outcome = attempt(wire, both(lab.target, FILE), seconds=3)
    assert (outcome.status, "timer fired" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}


def test_the_timer_outlives_the_session(lab: Lab) -> None:
    """What started it is killed with its whole process group, as where a connection ends."""
    before = state(lab.target)
    wire = Wire(lab.target)
    actions = proof_for(lab.target).document.plan.actions
    steps = [Step(action.command or "", action.undo or "") for action in actions]
    session = lab.target.popen(["setsid", "sh", "-c", "sh -s; sleep 60"], stdin=-1, stdout=-1)
    assert session.stdin is not None
    assert session.stdout is not None
    session.stdin.write(scripts.arm(CHANGE, steps, 3))
    session.stdin.close()
    assert session.stdout.readline() == "@vnicheck armed process\n"
    assert wire.run(scripts.apply(CHANGE, steps)).verb == "applied"
    os.killpg(session.pid, signal.SIGHUP)
    os.killpg(session.pid, signal.SIGKILL)
    session.wait(5)
    assert state(lab.target) != before
    deadline = time.monotonic() + 8
    while state(lab.target) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert state(lab.target) == before
    assert wire.run(scripts.status(CHANGE)).verb == "undone"


SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" >/run/asked
for word; do case $word in --on-active=*) delay=${word#*=} ;; --*) ;; *) break ;; esac; shift; done
setsid sh -c 'sleep "$0"; exec "$@"' "$delay" "$@" </dev/null >/dev/null 2>&1 &
echo "$!" >/run/timer
"""
SYSTEMCTL = """#!/bin/sh
case $* in
"is-active --quiet vnicheck-"*.timer) kill -0 "$(cat /run/timer)" ;;
"stop vnicheck-"*.timer) kill "$(cat /run/timer)" ;;
*) exit 4 ;;
esac
"""


def put_program(target: Namespace, name: str, text: str) -> None:
    """A program of the server's in place of the machine's own."""
    target.run(["sh", "-c", f"cat >/run/{name}; chmod +x /run/{name}; touch /usr/bin/{name}"], input=text)
    target.run(["mount", "--bind", f"/run/{name}", f"/usr/bin/{name}"])


def test_with_systemd_it_is_a_timer_of_systemds(lab: Lab) -> None:
    """One that does as systemd-run says it does: a unit of the change's name, that runs the undo script in time."""
    before = state(lab.target)
    lab.target.run(["mkdir", "-p", "/run/systemd/system"])
    put_program(lab.target, "systemd-run", SYSTEMD_RUN)
    put_program(lab.target, "systemctl", SYSTEMCTL)
    wire = Wire(lab.target)
    steps = [Step(action.command or "", action.undo or "") for action in proof_for(lab.target).document.plan.actions]
    assert wire.run(scripts.arm(CHANGE, steps, 2)) == ScriptAnswer(verb="armed", rest="systemd")
    asked = lab.target.run(["cat", "/run/asked"]).stdout.split("\n")
    assert f"--unit=vnicheck-{CHANGE}" in asked
    assert asked[-4:-1] == ["--timer-property=AccuracySec=1s", "/bin/sh", f"/run/vnicheck/{CHANGE}/undo"]
    assert wire.run(scripts.apply(CHANGE, steps)).verb == "applied"
    assert state(lab.target) != before
    deadline = time.monotonic() + 8
    while state(lab.target) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert state(lab.target) == before


def test_where_systemd_starts_no_timer_a_process_waits(lab: Lab) -> None:
    """The real systemd-run, which finds no systemd to ask."""
    require("systemd-run")
    lab.target.run(["mkdir", "-p", "/run/systemd/system"])
    assert Wire(lab.target).run(scripts.arm(CHANGE, [], 60)) == ScriptAnswer(verb="armed", rest="process")


@pytest.mark.parametrize("what", ["patch", "guest"])
def test_an_undoing_that_waits_is_not_ended_by_impatience(lab: Lab, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)
    wire.cut = lambda number, call: (
        call == "collect" or (what == "guest" and call == "undo" and wire.calls.count(call) == 1)
    )
    wire.refuse = lambda effect, back: (
        CloudError("api_timeout", "the API does not answer")
        if back and what == "patch" and wire.calls.count("patch back") == 1
        else None
    )

    def interrupted(seconds: float) -> None:
        wire.cut = lambda number, call: False
        raise KeyboardInterrupt

    monkeypatch.setattr(wire, "sleep", interrupted)
    outcome = attempt(wire, both(lab.target))
    assert outcome.status == "rolled_back"
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}


def test_a_fault_of_ours_leaves_nothing_half_applied(lab: Lab) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)

    def tell(line: str) -> None:
        if "collecting" in line:
            raise RuntimeError("of ours")

    outcome = Attempt(CHANGE, both(lab.target), wire, tell, 60, record=wire.recorded.append).run()
    assert (outcome.status, "internal error (RuntimeError: of ours)" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}
