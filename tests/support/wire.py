"""Applying on a real kernel: a namespace that scripts run in, and a VPC of two fields, cut off where a test says."""

import time
from collections.abc import Callable, Sequence

import msgspec

from tests.support.servers import fabric, server, vni
from vnicheck.apply.attempt import Attempt
from vnicheck.cloud.errors import CloudError
from vnicheck.fixes.actions import action_of
from vnicheck.fixes.effects import Effect, PatchVni
from vnicheck.fixes.planner import Proof, Strategy, plan_server
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.change import ScriptAnswer, read_answer
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest
from vnicheck.model.plan import Action, Applied, InstancePlan, Step
from vnicheck.rehearse.namespaces import Namespace

CHANGE = "20261124-000000-abcdef"
Fault = Callable[[int, str], bool]
"""Given the number of a call and what it is for, whether it is cut."""


class Wire:
    """A Reach of a namespace and a VPC of two fields. `cut` cuts a call before it, `deafen` after it: the work is done
    and the answer lost. A cut connection comes back when `heal` has passed (None: with the next call).
    """

    def __init__(self, target: Namespace, *, cut: Fault | None = None, deafen: Fault | None = None) -> None:
        self.target = target
        self.cut = cut or (lambda number, what: False)
        self.deafen = deafen or (lambda number, what: False)
        self.calls: list[str] = []
        self.recorded: list[str] = []
        self.values: dict[tuple[str, str], str | bool] = {}
        self.refuse: Callable[[PatchVni, bool], CloudError | None] = lambda effect, back: None
        self.heal: float | None = None
        self._healed_at = 0.0

    def collect(self) -> Guest:
        done = self._call("collect", collect_script_text())
        return read_guest(done.encode(), via="ssh")

    def run(self, script: str) -> ScriptAnswer:
        what = script.rstrip().splitlines()[-3].split()[0].removeprefix("vnicheck_")
        return read_answer(self._call(what, script).encode())

    def patch(self, effect: PatchVni, *, back: bool = False, sending: Callable[[], None] = lambda: None) -> bool:
        self.calls.append(f"patch {'back' if back else 'on'}")
        value = effect.old if back else effect.new
        if self.values.get((effect.vni, effect.field), effect.old) == value:
            return False
        sending()
        error = self.refuse(effect, back)
        if error is not None:
            raise error
        self.values[effect.vni, effect.field] = value
        return True

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.2))

    def _call(self, what: str, script: str) -> str:
        number = len(self.calls)
        self.calls.append(what)
        if time.monotonic() < self._healed_at or self.cut(number, what):
            if self.heal is not None and time.monotonic() >= self._healed_at:
                self._healed_at = time.monotonic() + self.heal
            raise CollectionError("ssh_unreachable", "the server: no route to host")
        done = self.target.run(["sh", "-s"], input=script)
        if self.deafen(number, what):
            raise CollectionError("ssh_closed", "the server: the session ended before the command did")
        return done.stdout


def proof_for(target: Namespace, strategy: Strategy = "auto", *persist: Action) -> Proof:
    """The plan for the namespace as it is, with actions that write files."""
    guest = read_guest(target.run(["sh", "-s"], input=collect_script_text()).stdout.encode(), via="ssh")
    vnis = (
        vni(0, "10.0.0.11", mac="02:00:05:02:70:58", allow_ip_spoofing=True),
        vni(1, "10.0.0.12", mac="02:00:25:02:70:58"),
    )
    proof = plan_server(server(*vnis, guest=guest), fabric(), Config(), strategy)
    assert proof is not None
    if persist:
        plan = msgspec.structs.replace(proof.document.plan, actions=(*proof.document.plan.actions, *persist))
        return Proof(proof.trial, msgspec.structs.replace(proof.document, plan=plan), proof.effects)
    return proof


def both(target: Namespace, *persist: Action) -> Proof:
    """A plan with changes of the guest and of the VPC."""
    proof = proof_for(target)
    effects = (*proof.effects, *_patches(proof_for(target, "auto")))
    return Proof(proof.trial, _with(proof, effects, persist), effects)


def _patches(proof: Proof) -> tuple[PatchVni, ...]:
    """Two changes of the VPC that do no harm beside policy routing."""
    first, second = proof.trial.server.vnis
    return (
        PatchVni(vni=first.id, name=first.name, field="protocol_state_filtering_mode", old="auto", new="disabled"),
        PatchVni(vni=second.id, name=second.name, field="protocol_state_filtering_mode", old="auto", new="disabled"),
    )


def _with(proof: Proof, effects: Sequence[Effect], persist: Sequence[Action]) -> InstancePlan:
    actions = (*(action_of(effect) for effect in effects), *persist)
    plan = msgspec.structs.replace(proof.document.plan, actions=actions)
    return msgspec.structs.replace(proof.document, plan=plan)


FILE = Action(
    kind="persist",
    summary="a file",
    steps=(
        Step(
            "printf 'kept\\n' > /etc/vnicheck-kept.new && mv /etc/vnicheck-kept.new /etc/vnicheck-kept",
            "rm -f /etc/vnicheck-kept /etc/vnicheck-kept.new",
        ),
    ),
)


def state(target: Namespace) -> dict[str, str]:
    """All of the guest that a plan may change."""
    return {
        "rules": target.run(["ip", "rule"]).stdout,
        "routes": target.run(["ip", "-4", "route", "show", "table", "all"]).stdout,
        "rp_filter": target.run(["sh", "-c", "grep -H . /proc/sys/net/ipv4/conf/*/rp_filter"]).stdout,
        "files": target.run(["ls", "/etc"]).stdout,
    }


def attempt(wire: Wire, proof: Proof, seconds: int = 60) -> Applied:
    made = Attempt(CHANGE, proof, wire, lambda line: None, seconds, record=wire.recorded.append)
    outcome = made.run()
    if outcome.status in {"applied", "rolled_back"}:  # as it is once that is written down
        made.close()
    return outcome


def leftovers(target: Namespace) -> list[str]:
    """What a change that is over leaves in /run: nothing, or its own notes; never a lock."""
    return target.run(["sh", "-c", "ls /run/vnicheck 2>/dev/null"], check=False).stdout.split()
