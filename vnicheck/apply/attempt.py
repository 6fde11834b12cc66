"""Applying a proved plan to a live server, so that it is either applied and verified, or undone, or said to be neither.

In this order: the change is in the ledger (the caller's part); the guest's own rollback timer starts; the VPC is
changed, then the guest; a new SSH session collects the guest, and the engine says whether the promised flows are
fixed; then the timer is stopped, and the configuration files are written. Whatever fails on the way undoes everything
that was begun. Where we cannot reach the guest any more, its timer does; where that cannot be confirmed, the outcome
says so.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from vnicheck.cloud.errors import CloudError
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.actions import action_of
from vnicheck.fixes.comparison import compare_flows
from vnicheck.fixes.effects import Effect, PatchVni, carry_out, standing
from vnicheck.fixes.planner import Proof
from vnicheck.fixes.vni_changes import undo_command
from vnicheck.guest import change as scripts
from vnicheck.guest.change import ScriptAnswer
from vnicheck.guest.errors import CollectionError
from vnicheck.model.guest import Guest
from vnicheck.model.plan import Action, Applied, Step
from vnicheck.model.plan_document import Action as RecordedAction
from vnicheck.model.words import counted, listed, one_line

PATIENCE = 30.0
"""Seconds beyond the timer's that its undoing may take, and that a guest may need to be reached again."""
_PAUSE = 3.0
_TRIES = 3


class Reach(Protocol):
    """What applying needs of the world. Each call that touches the guest makes an SSH session of its own."""

    def collect(self) -> Guest:
        """The guest as it is now. Raises CollectionError."""

    def run(self, script: str) -> ScriptAnswer:
        """What a script of guest/change.py, run as root, answers. Raises CollectionError."""

    def patch(self, effect: PatchVni, *, back: bool = False) -> None:
        """The PATCH, or the one that undoes it; nothing where the VNI is so already. Raises CloudError."""

    def monotonic(self) -> float:
        """Seconds."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class _Stop(Exception):  # noqa: N818 - not an error of ours
    """Ends the attempt; the message says why. `nothing`: nothing has been changed."""

    def __init__(self, why: str, *, nothing: bool = False) -> None:
        super().__init__(why)
        self.nothing = nothing


def guest_steps(actions: Sequence[Action] | Sequence[RecordedAction], *, persist: bool) -> list[Step]:
    """The immediate steps of the guest's actions, or those that write its configuration."""
    return [
        Step(action.command, action.undo)
        for action in actions
        if (action.kind == "persist") is persist and action.command is not None and action.undo is not None
    ]


class Attempt:
    """One plan on one server. `tell` gets a line of progress before each step; `seconds`: until the timer fires."""

    def __init__(self, change: str, proof: Proof, reach: Reach, tell: Callable[[str], None], seconds: int) -> None:
        self._change = change
        self._proof = proof
        self._reach = reach
        self._tell = tell
        self._seconds = seconds
        actions = proof.document.plan.actions
        self._steps = guest_steps(actions, persist=False)
        self._files = guest_steps(actions, persist=True)
        self._undoing = Undoing(change, reach, tell, effects=proof.effects, steps=self._steps)

    def run(self) -> Applied:
        """Applies the plan, or undoes what was begun of it; also where it is interrupted."""
        try:
            if self._steps:
                self._arm()
            self._patch()
            if self._steps:
                self._apply()
            self._verify()
            if self._steps:
                self._keep()
            if self._files:
                self._persist()
            self._close()
        except _Stop as stop:
            if stop.nothing:
                return Applied(status="refused", said=f"{stop}; nothing was changed")
            return self._undoing.run(str(stop))
        except KeyboardInterrupt:
            return self._undoing.run("interrupted")
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing stays half applied
            return self._undoing.run(f"internal error ({type(error).__name__}: {one_line(error, 200)})")
        fixed = self._proof.document.plan.fixed
        said = f"applied and verified: {counted(fixed, 'class', 'classes')} of flows fixed"
        return Applied(status="applied", said=said, change=self._change)

    def _arm(self) -> None:
        self._tell(f"starting the server's rollback timer ({self._seconds} s)")
        self._undoing.timer_ends = self._reach.monotonic() + self._seconds
        try:
            answer = self._reach.run(scripts.arm(self._change, self._steps, self._seconds))
        except CollectionError as error:
            _quietly(self._reach, scripts.undo(self._change))  # or the lock would stay until the timer fires
            raise _Stop(error.message, nothing=True) from error
        if answer.verb == "busy":
            raise _Stop(f"another change of this server is under way ({answer.rest}); try again later", nothing=True)
        if answer.verb == "not-root":
            raise _Stop("the login is not root on the server: add --sudo", nothing=True)
        if answer.verb != "armed":
            raise _Stop(f"no rollback timer: {answer.rest or answer.verb}", nothing=True)
        self._undoing.armed = True

    def _patch(self) -> None:
        for effect in self._proof.effects:
            if isinstance(effect, PatchVni):
                self._tell(f"changing {effect.name}: {effect.field} = {effect.new}")
                self._undoing.patched.append(effect)
                try:
                    self._reach.patch(effect)
                except CloudError as error:
                    raise _Stop(error.message) from error

    def _apply(self) -> None:
        self._tell(f"changing the guest ({counted(len(self._steps), 'step')})")
        try:
            answer = self._reach.run(scripts.apply(self._change, self._steps))
        except CollectionError as error:
            # the session may be cut by the very change that lets a new one in
            self._tell(f"{error.message}; asking again by a new session")
            try:
                answer = self._reach.run(scripts.status(self._change))
            except CollectionError:
                raise _Stop(f"the connection was lost while the guest was changed: {error.message}") from error
            if (answer.verb, answer.rest) == ("armed", "complete"):
                return
            raise _Stop(f"the guest was changed in part only: {error.message}") from error
        if answer.refused is not None:
            number, words = answer.refused
            raise _Stop(f"the server refused '{self._steps[number - 1].command}': {words or 'no reason given'}")
        if answer.verb != "applied":
            raise _Stop("the rollback timer fired before all was done")

    def _verify(self) -> None:
        self._tell("connecting anew and collecting again")
        try:
            guest = self._reach.collect()
        except CollectionError as error:
            raise _Stop(f"no new SSH session after the change: {error.message}") from error
        trial = self._proof.trial
        patches = [effect for effect in self._proof.effects if isinstance(effect, PatchVni)]
        server = msgspec.structs.replace(carry_out(trial.server, patches), guest=guest)
        view = trial.facts.view
        flows = predict_flows(ServerView(server, view.fabric, view.config))
        outcome = compare_flows(trial.before, flows, trial.targets, trial.facts.is_inside)
        lacking = self._proof.promised - outcome.fixed
        if lacking or outcome.worse:
            what = "promised flows are not fixed" if lacking else "flows that worked are worse off"
            raise _Stop(f"collected again, {len(lacking or outcome.worse)} classes of {what}")

    def _keep(self) -> None:
        self._tell("verified; stopping the rollback timer")
        for attempt in range(_TRIES):
            try:
                answer = self._reach.run(scripts.keep(self._change, release=not self._files))
                if answer.verb != "kept" and attempt:
                    answer = self._reach.run(scripts.status(self._change))  # an earlier try may have got through
            except CollectionError as error:
                if attempt + 1 == _TRIES:
                    raise _Stop(f"the rollback timer could not be stopped: {error.message}") from error
                self._reach.sleep(_PAUSE)
                continue
            if answer.verb != "kept":
                raise _Stop("the rollback timer fired before it could be stopped")
            self._undoing.kept = True
            return

    def _persist(self) -> None:
        self._tell(f"writing the configuration ({counted(len(self._files), 'step')})")
        self._undoing.files = self._files
        try:
            answer = self._reach.run(scripts.run_steps(self._change, self._files))
        except CollectionError as error:
            raise _Stop(f"the connection was lost while the configuration was written: {error.message}") from error
        if answer.refused is not None:
            raise _Stop(f"the configuration could not be written: {answer.refused[1] or 'no reason given'}")
        if answer.verb != "applied":
            raise _Stop(f"the configuration could not be written ({answer.verb})")

    def _close(self) -> None:
        if self._steps:
            _quietly(self._reach, scripts.close(self._change))


class Undoing:
    """Takes back what may have been begun. `armed`: the guest has a timer; `kept`: it was stopped, or there is none."""

    def __init__(
        self,
        change: str,
        reach: Reach,
        tell: Callable[[str], None],
        *,
        effects: Sequence[Effect],
        steps: Sequence[Step],
        files: Sequence[Step] = (),
        patched: Sequence[PatchVni] = (),
        kept: bool = False,
    ) -> None:
        self._change = change
        self._reach = reach
        self._tell = tell
        self._effects = effects
        self.steps = steps
        self.files = files
        self.patched = list(patched)
        self.armed = False
        self.kept = kept
        self.timer_ends = 0.0

    def run(self, why: str) -> Applied:
        """Undoes all, and confirms it. A second interruption does not stop it."""
        self._tell(f"{why}; undoing")
        left = [effect for effect in reversed(self.patched) if not self._patch_back(effect)]
        undone = self._undo_guest() if self.armed or self.kept or self.files else True
        commands = tuple(undo_command(action_of(effect)) for effect in left)
        if left or not undone:
            if not undone:
                commands = (scripts.by_hand([*self.steps, *self.files]), *commands)
            where = [f"{effect.field} of {effect.name}" for effect in left] + ([] if undone else ["the guest"])
            said = f"{why}; whether {listed(where)} is as before could not be confirmed"
            return Applied(status="unconfirmed", said=said, change=self._change, by_hand=commands)
        return Applied(status="rolled_back", said=f"{why}; everything is as it was before", change=self._change)

    def _patch_back(self, effect: PatchVni) -> bool:
        for attempt in range(_TRIES):
            try:
                self._reach.patch(effect, back=True)
            except CloudError as error:
                self._tell(f"{effect.name} is not undone: {error.message}")
                if error.code == "vni_changed" or attempt + 1 == _TRIES:
                    return False
                self._pause()
            except KeyboardInterrupt:
                continue
            else:
                return True
        return False

    def _undo_guest(self) -> bool:
        """Undo by a new session; where there is none, wait for the timer, and confirm when there is one again."""
        last = max(self.timer_ends, self._reach.monotonic()) + PATIENCE
        waiting = False
        while True:
            try:
                if self._undo_now() and self._is_as_before():
                    if self.armed:
                        _quietly(self._reach, scripts.close(self._change))
                    return True
            except CollectionError as error:
                if not waiting:
                    rest = max(0, round(self.timer_ends - self._reach.monotonic()))
                    timer = f"; the server's own timer undoes the change in {rest} s" if self.armed and rest else ""
                    self._tell(f"{error.message}{timer}")
                    waiting = True
            except KeyboardInterrupt:
                continue
            if self._reach.monotonic() >= last:
                return False
            self._pause()

    def _pause(self) -> None:
        """Where a user is most likely to interrupt: an undoing that waits goes on at once."""
        with suppress(KeyboardInterrupt):
            self._reach.sleep(_PAUSE)

    def _undo_now(self) -> bool:
        if self.files:
            answer = self._reach.run(scripts.run_back(self._change, self.files))
            if answer.verb != "applied" or answer.refused is not None:
                return False
        if not self.steps:
            return True
        if self.armed:
            state = self._reach.run(scripts.undo(self._change)).verb
            if state == "fired":
                return False
            if state in {"undone", "absent"} and not self.kept:
                return True
        return self._reach.run(scripts.run_back(self._change, self.steps)).verb == "applied"

    def _is_as_before(self) -> bool:
        return not standing(self._reach.collect(), self._effects)


def _quietly(reach: Reach, script: str) -> None:
    """A script whose failure changes nothing."""
    try:
        reach.run(script)
    except CollectionError:
        return
