"""Applying a proved plan to a live server, so that it is either applied and verified, or undone, or said to be neither.

In this order: the change is in the ledger (the caller's part); the guest's own rollback timer starts; the VPC is
changed, then the guest; a new SSH session collects the guest, and the engine says whether the promised flows are
fixed; then the timer is stopped, and the configuration files are written. Whatever fails on the way undoes everything
that was begun. Where we cannot reach the guest any more, its timer does; where that cannot be confirmed, the outcome
says so.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from vnicheck.apply.ledger import LedgerError, vni_field
from vnicheck.apply.reach import Reach, quietly
from vnicheck.apply.undoing import PAUSE, TRIES, Undoing
from vnicheck.cloud.errors import CloudError
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.comparison import compare_flows
from vnicheck.fixes.effects import PatchVni, carry_out, with_own_rules
from vnicheck.fixes.planner import Proof
from vnicheck.fixes.steps import file_parts, running_parts
from vnicheck.fixes.vni_changes import value_word
from vnicheck.guest import change as scripts
from vnicheck.guest.errors import CollectionError
from vnicheck.model.plan import Applied
from vnicheck.model.words import counted, one_line

Probed = Callable[[ServerView, ServerView], str | None]


class _Stop(Exception):  # noqa: N818 - not an error of ours
    """Ends the attempt; the message says why. `nothing`: nothing has been changed."""

    def __init__(self, why: str, *, nothing: bool = False) -> None:
        super().__init__(why)
        self.nothing = nothing


class Attempt:
    """One plan on one server. `tell` gets a line of progress before each step; `seconds`: until the timer fires;
    `record` writes down what is about to be begun, in the words of a ledger's entry, or raises LedgerError. `probed`,
    given the server before and after, tells why promised flows do not get through; None where they do.
    """

    def __init__(
        self,
        change: str,
        proof: Proof,
        reach: Reach,
        tell: Callable[[str], None],
        seconds: int,
        *,
        record: Callable[[str], None],
        probed: Probed | None = None,
    ) -> None:
        self._change = change
        self._probed = probed
        self._proof = proof
        self._reach = reach
        self._tell = tell
        self._seconds = seconds
        self._record = record
        parts = running_parts(proof.effects)
        self._steps = [part.step for part in parts]
        self._files = file_parts(proof.document.plan.actions)
        self._undoing = Undoing(change, reach, tell, parts=parts)

    @property
    def found(self) -> tuple[str, ...]:
        """Configuration files that were as they are wanted."""
        return tuple(sorted(self._undoing.found))

    def close(self) -> None:
        """The server's notes are needed no longer: how it ended is written down."""
        self._undoing.close()

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
        except _Stop as stop:
            if stop.nothing:
                return Applied(status="refused", said=f"{stop}; nothing was changed")
            return self._undoing.run(str(stop))
        except KeyboardInterrupt:
            return self._undoing.run("interrupted")
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing stays half applied
            return self._undoing.run(f"internal error ({type(error).__name__}: {one_line(error, 200)})")
        plan = self._proof.document.plan
        boot = {"kept": "", "partly": "; permanent in part", "lost": "; not permanent: the next boot takes it back"}
        said = f"applied and verified: {counted(plan.fixed, 'class', 'classes')} of flows fixed{boot[plan.at_boot]}"
        return Applied(status="applied", said=said, change=self._change)

    def _begin(self, what: str) -> None:
        """Nothing is begun that is not written down."""
        try:
            self._record(what)
        except LedgerError as error:
            raise _Stop(str(error), nothing=not self._undoing.anything) from error

    def _arm(self) -> None:
        self._tell(f"starting the server's rollback timer ({self._seconds} s)")
        self._begin("timer")
        self._undoing.timer_ends = self._reach.monotonic() + self._seconds
        try:
            answer = self._reach.run(scripts.arm(self._change, self._steps, self._seconds))
        except CollectionError as error:
            why = error.message
            if not quietly(self._reach, scripts.undo(self._change)):
                why += f"; for {self._seconds} s a timer with nothing to undo may keep other changes from the server"
            raise _Stop(why, nothing=True) from error
        except KeyboardInterrupt:
            quietly(self._reach, scripts.undo(self._change))  # or it may keep other changes from the server
            raise
        if answer.verb == "busy":
            raise _Stop(f"another change of this server is under way ({answer.rest}); try again later", nothing=True)
        if answer.verb == "not-root":
            raise _Stop("the login is not root on the server: add --sudo", nothing=True)
        if answer.verb != "armed":
            raise _Stop(f"no rollback timer: {answer.rest or answer.verb}", nothing=True)
        self._undoing.in_guest = True

    def _patch(self) -> None:
        for effect in self._proof.effects:
            if isinstance(effect, PatchVni):
                self._tell(f"changing {effect.name}: {effect.field} = {value_word(effect.new)}")
                try:
                    self._reach.patch(effect, sending=partial(self._begin_patch, effect))
                except CloudError as error:
                    if error.code == "patch_unanswered":
                        self._undoing.unanswered.add(vni_field(effect))
                    raise _Stop(error.message, nothing=not self._undoing.anything) from error

    def _begin_patch(self, effect: PatchVni) -> None:
        """Right before it is sent: a VNI that is so already is not ours to set back."""
        self._begin(vni_field(effect))
        self._undoing.patched.append(effect)

    def _apply(self) -> None:
        self._tell(f"changing the guest ({counted(len(self._steps), 'step')})")
        self._begin("guest")
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
            if not number:
                raise _Stop(words)
            raise _Stop(f"the server refused '{self._steps[number - 1].command}': {words or 'no reason given'}")
        if answer.verb != "applied":
            raise _Stop("the rollback timer fired before all was done")

    def _verify(self) -> None:
        self._tell("connecting anew and collecting again")
        try:
            guest = with_own_rules(self._reach.collect(), self._proof.effects)
        except CollectionError as error:
            raise _Stop(f"no new SSH session after the change: {error.message}") from error
        trial = self._proof.trial
        patches = [effect for effect in self._proof.effects if isinstance(effect, PatchVni)]
        server = msgspec.structs.replace(carry_out(trial.server, patches), guest=guest)
        view = trial.facts.view
        after = ServerView(server, view.fabric, view.config, contradicted=view.contradicted_of(server))
        flows = predict_flows(after)
        outcome = compare_flows(trial.before, flows, trial.targets, trial.facts.is_inside)
        lacking = {index for index, _ in self._proof.gained - outcome.gained}
        if lacking or outcome.worse:
            what = "promised flows are not fixed" if lacking else "flows that worked are worse off"
            raise _Stop(f"collected again, {what}")
        if self._probed is not None:
            self._tell("sending packets of the promised flows")
            why = self._probed(view, after)
            if why is not None:
                raise _Stop(why)

    def _keep(self) -> None:
        self._tell("verified; stopping the rollback timer")
        for attempt in range(TRIES):
            try:
                answer = self._reach.run(scripts.keep(self._change, release=not self._files))
                if answer.verb != "kept" and attempt:
                    answer = self._reach.run(scripts.status(self._change))  # an earlier try may have got through
            except CollectionError as error:
                if attempt + 1 == TRIES:
                    raise _Stop(f"the rollback timer could not be stopped: {error.message}") from error
                self._reach.sleep(PAUSE)
                continue
            if answer.verb != "kept":
                raise _Stop("the rollback timer fired before it could be stopped")
            return

    def _persist(self) -> None:
        self._tell(f"writing the configuration ({counted(len(self._files), 'step')})")
        self._begin("files")
        self._undoing.files = self._files
        self._undoing.lasting = True
        try:
            answer = self._reach.run(scripts.run_steps(self._change, [part.step for part in self._files]))
        except CollectionError as error:
            raise _Stop(f"the connection was lost while the configuration was written: {error.message}") from error
        self._undoing.found |= {self._files[number - 1].what for number in answer.found}
        if answer.refused is not None:
            number, words = answer.refused
            self._undoing.files = self._files[: number - 1]
            raise _Stop(f"the configuration could not be written: {words or 'no reason given'}")
        if answer.verb == "late":
            raise _Stop("the change was undone by somebody else before the configuration was written")
        if answer.verb != "applied":
            raise _Stop(f"the configuration could not be written ({answer.verb})")
