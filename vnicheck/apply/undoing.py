"""Taking a change back: what was done of it and nothing else, the running server first, and each thing by itself.

What somebody else set meanwhile is left, and said. What is still there, or cannot be looked at, is named.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from vnicheck.apply.ledger import vni_field
from vnicheck.apply.reach import Reach, quietly
from vnicheck.cloud.errors import CloudError
from vnicheck.fixes.actions import action_of
from vnicheck.fixes.effects import PatchVni, altered, standing
from vnicheck.fixes.steps import Part
from vnicheck.fixes.vni_changes import undo_command
from vnicheck.guest import change as scripts
from vnicheck.guest.change import ScriptAnswer
from vnicheck.guest.errors import CollectionError
from vnicheck.model.plan import Applied, Step
from vnicheck.model.words import listed

PATIENCE = 30.0
"""Seconds beyond the timer's that its undoing may take, and that a guest may need to be reached again."""
PAUSE = 3.0
TRIES = 3
_NOTHING = Step(":", ":", "false")


class Undoing:
    """Takes back what may have been begun; whoever begins something tells it here first.

    `parts`, `files`: what the change does to the running server, and writes. `patched`: VNIs. `lasting`: what was done
    may be there although the server has no notes of it: it was applied, or files were begun, which a boot reads.
    """

    def __init__(
        self,
        change: str,
        reach: Reach,
        tell: Callable[[str], None],
        *,
        parts: Sequence[Part],
        files: Sequence[Part] = (),
        found: Sequence[str] = (),
        patched: Sequence[PatchVni] = (),
        in_guest: bool = False,
        lasting: bool = False,
    ) -> None:
        self._change = change
        self._reach = reach
        self._tell = tell
        self._parts = parts
        self.files = files
        self.found = set(found)
        self.patched = list(patched)
        self.unanswered: set[str] = set()
        self.in_guest = in_guest
        self.lasting = lasting
        self.timer_ends = 0.0
        self._left: list[tuple[Part, str]] | None = None
        """What is still there on the guest, and why; None as long as that is not known."""
        self._vnis: list[PatchVni] = []
        self._others: list[str] = []

    @property
    def anything(self) -> bool:
        """Whether anything was begun."""
        return self.in_guest or bool(self.patched)

    def run(self, why: str) -> Applied:
        """Undoes all, and confirms it. A second interruption does not stop it."""
        self._tell(f"{why}; undoing")
        if self.in_guest:
            self._once()  # a guest that cannot be reached now may be reached when its VNIs are as they were
        for effect in reversed(self.patched):
            self._patch_back(effect)
        if self.in_guest and self._left != []:
            self._wait()
        return self._outcome(why)

    def close(self) -> None:
        """The server's notes are needed no longer."""
        if self.in_guest:
            quietly(self._reach, scripts.close(self._change))

    def _patch_back(self, effect: PatchVni) -> None:
        for attempt in range(TRIES):
            try:
                sent = self._reach.patch(effect, back=True)
            except CloudError as error:
                self._tell(f"{effect.name} is not undone: {error.message}")
                if error.code == "vni_changed":
                    self._others.append(f"{effect.field} of {effect.name}")
                    return
                if attempt + 1 < TRIES:
                    self._pause()
            except KeyboardInterrupt:
                continue
            else:
                if not sent and vni_field(effect) in self.unanswered:
                    break  # the PATCH that got no answer may still come
                return
        self._vnis.append(effect)

    def _wait(self) -> None:
        """Undo by a new session; where there is none, wait for the timer, and confirm when there is one again."""
        last = max(self.timer_ends, self._reach.monotonic()) + PATIENCE
        reached = 0 if self._left is None else 1
        while self._reach.monotonic() < last and reached < TRIES:
            self._pause()
            self._once(waiting=True)
            if self._left == []:
                return
            reached += self._left is not None

    def _once(self, *, waiting: bool = False) -> None:
        try:
            self._left = self._undo_guest()
        except CollectionError as error:
            if not waiting:
                rest = max(0, round(self.timer_ends - self._reach.monotonic()))
                timer = f"; the server's own timer undoes the change in {rest} s" if rest else ""
                self._tell(f"{error.message}{timer}")
        except KeyboardInterrupt:
            return

    def _undo_guest(self) -> list[tuple[Part, str]] | None:
        """What is left of all that is ours; None where the server's own undoing is not over. Raises CollectionError."""
        answer = self._reach.run(scripts.undo(self._change))
        if answer.verb == "fired":
            return None
        if answer.verb != "absent":
            ours = self._parts if answer.ours is None else [self._parts[number - 1] for number in answer.ours]
        elif self.lasting:
            ours = self._parts
            steps = [part.step for part in self._parts]
            answer = self._answered(scripts.run_back(self._change, steps, running=True))
        else:
            ours = []  # a boot undid it
        left = _named(answer, self._parts)
        if self.files:
            steps = [_NOTHING if part.what in self.found else part.step for part in self.files]
            left |= _named(self._answered(scripts.run_back(self._change, steps)), self.files)
        guest = self._reach.collect()
        for part in ours:
            if part.effect is not None and standing(guest, [part.effect]):
                left.setdefault(part.what, (part, ""))
        self._others += [
            words
            for part in ours
            if part.effect is not None and (words := altered(guest, part.effect)) and words not in self._others
        ]
        for part, words in left.values():
            self._tell(f"{part.what} is left{f': {words}' if words else ''}")
        return list(left.values())

    def _answered(self, script: str) -> ScriptAnswer:
        answer = self._reach.run(script)
        if answer.verb != "back":
            raise CollectionError("guest_refused", f"the server does not undo it ({answer.verb})")
        return answer

    def _pause(self) -> None:
        """Where a user is most likely to interrupt: an undoing that waits goes on at once."""
        with suppress(KeyboardInterrupt):
            self._reach.sleep(PAUSE)

    def _outcome(self, why: str) -> Applied:
        said = [why]
        by_hand = [undo_command(action_of(effect)) for effect in self._vnis]
        unknown = [f"{effect.field} of {effect.name}" for effect in self._vnis]
        left = self._left or []
        if self.in_guest and self._left is None:
            unknown.append("the guest")
            by_hand.insert(0, scripts.by_hand([part.step for part in (*self._parts, *self.files)]))
        elif left:
            by_hand.insert(0, scripts.by_hand([part.step for part, _ in reversed(left)]))
        if unknown:
            said.append(f"whether {listed(unknown)} is as before could not be confirmed")
        said += [f"{part.what} is still there{f' ({words})' if words else ''}" for part, words in left]
        if self._others:
            said.append(f"left as somebody else set it since: {listed(self._others)}")
        if by_hand:
            return Applied(status="unconfirmed", said="; ".join(said), change=self._change, by_hand=tuple(by_hand))
        said.append("nothing of ours is left" if self._others else "everything is as it was before")
        return Applied(status="rolled_back", said="; ".join(said), change=self._change)


def _named(answer: ScriptAnswer, parts: Sequence[Part]) -> dict[str, tuple[Part, str]]:
    """What an answer says is left, by what it is."""
    known = [(parts[number - 1], words) for number, words in answer.left if 0 < number <= len(parts)]
    return {part.what: (part, words) for part, words in known}
