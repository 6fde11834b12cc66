"""Taking a change back, on a real kernel with real files: the running server first and always, only what was done, and
nothing that somebody else set meanwhile; whatever is left is named.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab import scenario as scenarios
from tests.lab.require import require_lab
from tests.lab.topology import Lab
from tests.support.sshd import require
from tests.support.wire import CHANGE, FILE, Wire, attempt, both, leftovers, proof_for, state
from vnicheck.apply.undoing import Undoing
from vnicheck.cloud.errors import CloudError
from vnicheck.fixes.effects import PatchVni
from vnicheck.fixes.persist.shell import file_action
from vnicheck.fixes.planner import Proof
from vnicheck.fixes.steps import running_parts
from vnicheck.guest import change as scripts
from vnicheck.guest.change import ScriptAnswer
from vnicheck.model.plan import Action, Applied, File, Step
from vnicheck.rehearse.namespaces import Namespace

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

PLACE = "/etc/sysctl.d/zz-vnicheck-test.conf"
KEPT = file_action("a file", File(path=PLACE, text="# ours\n"))
REFUSED = Action(kind="persist", summary="another", steps=(Step("echo 'no space left' >&2; false", "true"),))


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_lab()
    with Lab(scenarios.load("article-check-1"), own_files=True) as lab:
        lab.target.run(["mkdir", "-p", "/etc/sysctl.d"])
        yield lab


def after(wire: Wire, what: str, do: Callable[[], object]) -> None:
    """Somebody does something once a call of ours is over."""
    original = wire.run

    def run(script: str) -> ScriptAnswer:
        answer = original(script)
        if wire.calls[-1] == what and wire.calls.count(what) == 1:
            do()
        return answer

    wire.run = run  # type: ignore[method-assign]


def full(target: Namespace) -> None:
    """/run takes nothing more, but what has room in pages that are there."""
    target.run(["sh", "-c", "mount -o remount,size=64k /run && cat /dev/zero >/run/filler || :"])


def rolled_back(wire: Wire, proof: Proof) -> Applied:
    """What `vnicheck rollback` does with a change that was applied and is closed."""
    patched = [effect for effect in proof.effects if isinstance(effect, PatchVni)]
    parts = running_parts(proof.effects)
    undoing = Undoing(CHANGE, wire, lambda line: None, parts=parts, patched=patched, in_guest=True, lasting=True)
    return undoing.run("asked to roll back")


# --- configuration files ----------------------------------------------------------------------------------------------


def test_no_file_is_written_of_what_somebody_rolled_back_meanwhile(lab: Lab) -> None:
    before = state(lab.target)
    wire = Wire(lab.target)
    after(wire, "keep", lambda: Wire(lab.target).run(scripts.undo(CHANGE)))
    outcome = attempt(wire, proof_for(lab.target, "auto", KEPT))
    assert (outcome.status, "undone by somebody else" in outcome.said) == ("rolled_back", True), outcome
    assert state(lab.target) == before
    assert lab.target.run(["test", "-e", PLACE], check=False).returncode == 1


def test_a_file_that_was_edited_meanwhile_stops_nothing_and_is_named(lab: Lab) -> None:
    edits = Action(
        kind="persist",
        summary="another",
        steps=(Step(f"echo 'an admin was here' >>{PLACE}; echo 'no space left' >&2; false", "true"),),
    )
    before = state(lab.target)
    outcome = attempt(Wire(lab.target), both(lab.target, KEPT, edits, FILE))
    assert state(lab.target) == before, "the running server, and the other files"
    assert lab.target.run(["cat", PLACE]).stdout == "# ours\nan admin was here\n"
    assert outcome.status == "unconfirmed"
    assert f"{PLACE} is still there ({PLACE} was changed since" in outcome.said
    assert "the guest" not in outcome.said
    assert len(outcome.by_hand) == 1
    assert PLACE in outcome.by_hand[0]
    assert "ip rule" not in outcome.by_hand[0]


@pytest.mark.parametrize("heard", [True, False])
def test_a_file_that_was_there_before_is_not_ours_to_remove(lab: Lab, heard: bool) -> None:
    lab.target.run(["sh", "-c", f"echo '# ours' >{PLACE}"])
    before = state(lab.target)
    wire = Wire(lab.target, deafen=lambda number, what: what == "steps" and not heard)
    outcome = attempt(wire, both(lab.target, FILE, KEPT, REFUSED))
    assert outcome.status == "rolled_back"
    assert state(lab.target) == before
    assert lab.target.run(["cat", PLACE]).stdout == "# ours\n"


def test_a_file_of_somebody_elses_in_our_place(lab: Lab) -> None:
    lab.target.run(["sh", "-c", f"echo '# theirs' >{PLACE}"])
    before = state(lab.target)
    outcome = attempt(Wire(lab.target), both(lab.target, FILE, KEPT))
    assert (outcome.status, "holds something else" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert lab.target.run(["cat", PLACE]).stdout == "# theirs\n"


# --- a full /run ------------------------------------------------------------------------------------------------------


def test_nothing_is_begun_where_run_is_full(lab: Lab) -> None:
    proof = both(lab.target)
    before = state(lab.target)
    full(lab.target)
    outcome = attempt(Wire(lab.target), proof)
    assert (outcome.status, "no space left in /run/vnicheck" in outcome.said) == ("refused", True)
    assert state(lab.target) == before
    assert leftovers(lab.target) == []


def test_a_timer_undoes_all_also_where_run_became_full(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vnicheck.apply.undoing.PATIENCE", 1.0)
    before = state(lab.target)
    wire = Wire(lab.target, cut=lambda number, what: "apply" in wire.calls[:number])
    after(wire, "arm", lambda: full(lab.target))
    assert attempt(wire, both(lab.target), seconds=3).status == "unconfirmed"
    deadline = time.monotonic() + 8
    while "undone" not in notes(lab.target) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "undone" in notes(lab.target)
    assert state(lab.target) == before


def notes(target: Namespace) -> list[str]:
    return target.run(["ls", f"/run/vnicheck/{CHANGE}"]).stdout.split()


def test_what_cannot_be_undone_is_not_called_undone(lab: Lab) -> None:
    """The timer looks at what it did: what it cannot remove still stands."""
    steps = [Step("echo 2 >/run/effect", "rm -f /run/effect 2>/dev/null; exit 0", "[ -e /run/effect ]")]
    wire = Wire(lab.target)
    assert wire.run(scripts.arm(CHANGE, steps, 60)).verb == "armed"
    assert wire.run(scripts.apply(CHANGE, steps)).verb == "applied"
    lab.target.run(["sh", "-c", "rm /run/effect && mkdir /run/effect"])
    stuck = wire.run(scripts.undo(CHANGE))
    assert (stuck.verb, stuck.ours, stuck.left) == ("stuck", (1,), ((1, ""),))
    lab.target.run(["rmdir", "/run/effect"])
    assert wire.run(scripts.undo(CHANGE)).verb == "undone"
    assert wire.run(scripts.close(CHANGE)).verb == "closed"


# --- the timer --------------------------------------------------------------------------------------------------------


END_TIMER = f"""
read -r kind timer </run/vnicheck/{CHANGE}/timer
kill "$timer"
while grep -qs vnicheck "/proc/$timer/cmdline"; do sleep 0.1; done
"""


def test_nothing_is_changed_without_a_timer(lab: Lab) -> None:
    """What starts a process for a session may end it with the session."""
    before = state(lab.target)
    wire = Wire(lab.target)
    after(wire, "arm", lambda: lab.target.run(["sh", "-c", END_TIMER]))
    outcome = attempt(wire, both(lab.target))
    assert (outcome.status, "the rollback timer does not run any more" in outcome.said) == ("rolled_back", True)
    assert state(lab.target) == before
    assert set(wire.values.values()) == {"auto"}


def test_a_timer_that_ends_while_the_guest_is_changed(lab: Lab) -> None:
    steps = [Step(f"touch /run/done\n{END_TIMER}", "rm -f /run/done", "[ -e /run/done ]")]
    wire = Wire(lab.target)
    assert wire.run(scripts.arm(CHANGE, steps, 60)).verb == "armed"
    answer = wire.run(scripts.apply(CHANGE, steps))
    assert (answer.verb, answer.refused) == ("undone", (0, "the rollback timer does not run any more"))
    assert "done" not in lab.target.run(["ls", "/run"]).stdout.split()


# --- what somebody else did -------------------------------------------------------------------------------------------

RULE = "from 10.0.0.12 table 1003 priority 1003"
ROUTE = "default via 10.0.0.1 dev eth1 table 1003"


@pytest.mark.parametrize("theirs", [f"rule add {RULE}", f"route add {ROUTE}"])
def test_what_somebody_else_added_first_is_not_undone(lab: Lab, theirs: str) -> None:
    proof = both(lab.target, FILE)
    wire = Wire(lab.target)
    states: list[dict[str, str]] = []

    def add() -> None:
        lab.target.ip(theirs)
        states.append(state(lab.target))

    after(wire, "arm", add)
    outcome = attempt(wire, proof)
    assert (outcome.status, "File exists" in outcome.said) == ("rolled_back", True)
    assert [state(lab.target)] == states


def test_a_sysctl_that_somebody_changed_first_is_not_overwritten(lab: Lab) -> None:
    proof = proof_for(lab.target, "rp-filter")
    wire = Wire(lab.target)
    after(wire, "arm", lambda: lab.target.sysctl(conf__eth1__rp_filter=0))
    outcome = attempt(wire, proof)
    assert (outcome.status, "it is 0 by now, no longer 1" in outcome.said) == ("rolled_back", True)
    assert lab.target.run(["cat", "/proc/sys/net/ipv4/conf/eth1/rp_filter"]).stdout == "0\n"


def test_a_vni_that_is_so_already_is_not_set_back(lab: Lab) -> None:
    proof = both(lab.target)
    wire = Wire(lab.target)
    first, second = (effect for effect in proof.effects if isinstance(effect, PatchVni))
    wire.values[first.vni, first.field] = first.new
    wire.refuse = lambda effect, back: CloudError("api_forbidden", "no") if effect == second else None
    assert attempt(wire, proof).status == "rolled_back"
    assert wire.values == {(first.vni, first.field): first.new}


def test_a_server_whose_ip_shows_less_of_a_rule_than_it_sets(lab: Lab) -> None:
    require("busybox")
    lab.target.run(["sh", "-c", 'mount --bind "$(command -v busybox)" "$(readlink -f "$(command -v ip)")"'])
    before = state(lab.target)
    wire, proof = Wire(lab.target), proof_for(lab.target)
    assert attempt(wire, proof).status == "applied"
    assert state(lab.target) != before
    assert rolled_back(wire, proof).status == "rolled_back"
    assert state(lab.target) == before


def test_a_rollback_leaves_what_somebody_changed_since(lab: Lab) -> None:
    proof = proof_for(lab.target, "rp-filter")
    wire = Wire(lab.target)
    assert attempt(wire, proof).status == "applied"
    lab.target.sysctl(conf__eth1__rp_filter=0)
    outcome = rolled_back(wire, proof)
    assert outcome.status == "rolled_back"
    assert outcome.said.endswith("left as somebody else set it since: rp_filter of eth1 is 0; nothing of ours is left")
    assert lab.target.run(["cat", "/proc/sys/net/ipv4/conf/eth1/rp_filter"]).stdout == "0\n"


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (
            "route replace default via 10.0.0.2 dev eth1 table 1003",
            "the route 'default via 10.0.0.2 dev eth1 table 1003'",
        ),
        (
            f"rule add from 10.0.0.12 lookup 55 priority 1003\nrule del {RULE}",
            "the rule '1003: from 10.0.0.12 lookup 55'",
        ),
    ],
)
def test_a_rollback_leaves_routes_and_rules_of_others(lab: Lab, theirs: str, words: str) -> None:
    proof = proof_for(lab.target)
    wire = Wire(lab.target)
    assert attempt(wire, proof).status == "applied"
    lab.target.ip(*theirs.split("\n"))
    outcome = rolled_back(wire, proof)
    assert (outcome.status, words in outcome.said) == ("rolled_back", True), outcome.said
    guest = state(lab.target)
    assert "lookup 1003" not in guest["rules"]
    assert ("via 10.0.0.2" in guest["routes"]) is ("route" in theirs)
    assert ("lookup 55" in guest["rules"]) is ("rule" in theirs)


def test_a_vni_that_somebody_changed_since_is_left_and_said(lab: Lab) -> None:
    proof = both(lab.target)
    wire = Wire(lab.target)
    assert attempt(wire, proof).status == "applied"
    wire.refuse = lambda effect, back: CloudError("vni_changed", "it is enabled") if effect.vni == "vni-id-2" else None
    outcome = rolled_back(wire, proof)
    assert outcome.status == "rolled_back"
    assert "left as somebody else set it since: protocol_state_filtering_mode of vni-2" in outcome.said


def test_a_patch_that_may_still_come_is_open(lab: Lab) -> None:
    """It got no answer, and the VNI reads as before: it is not said that it stays so."""
    before = state(lab.target)
    wire = Wire(lab.target)
    wire.refuse = lambda effect, back: CloudError("patch_unanswered", "no answer") if effect.vni == "vni-id-2" else None
    outcome = attempt(wire, both(lab.target))
    assert outcome.status == "unconfirmed"
    assert "whether protocol_state_filtering_mode of vni-2 is as before could not be confirmed" in outcome.said
    assert set(wire.values.values()) == {"auto"}
    assert state(lab.target) == before
