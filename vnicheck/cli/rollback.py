"""`vnicheck rollback` and `vnicheck ledger`: what was applied where, and its undoing."""

import sys
from typing import TYPE_CHECKING

from vnicheck.cli.change import confirm, ended_in_order, entries_of, log_in, shown, tell, tell_outcome, vpc_client
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.given import LedgerOptions, RollbackOptions
from vnicheck.system.clock import now

if TYPE_CHECKING:
    from vnicheck.apply.ledger import Entry


def rollback(given: RollbackOptions) -> int:
    """The work of `RollbackOptions`: the exit code."""
    import msgspec

    from vnicheck.apply.attempt import Undoing, guest_steps
    from vnicheck.apply.ledger import Ledger, LedgerError
    from vnicheck.apply.live_server import LiveReach
    from vnicheck.cli.gather import prompts, ssh_options
    from vnicheck.fixes.effects import PatchVni
    from vnicheck.guest.ssh.options import SshTarget
    from vnicheck.guest.ssh.runner import SshRunner
    from vnicheck.guest.ssh.sudo import Root

    ledger = Ledger.of_user()
    try:
        entry = ledger.read(given.change)
    except LedgerError as error:
        raise UserError(str(error)) from error
    if entry.status == "rolled_back":
        tell(f"change {given.change} is undone since {entry.ended_at}")
        return Exit.OK
    _show(entry)
    if not confirm(f"Undo this on {entry.server.name}?", yes=given.yes):
        tell("nothing was changed")
        return Exit.OK
    patches = [effect for effect in entry.effects if isinstance(effect, PatchVni)]
    client = vpc_client(given.region or entry.region or None, given.auth) if patches else None
    steps = guest_steps(entry.actions, persist=False)
    files = guest_steps(entry.actions, persist=True)
    target = SshTarget(id=entry.server.id, name=entry.server.name, address=entry.address)
    with (
        ended_in_order(),
        SshRunner(ssh_options(given.ssh), *prompts(given.ssh)) as runner,
    ):
        in_guest = bool(steps or files)
        root = log_in(runner, target, sudo=given.sudo, needs_root=True)[1] if in_guest else Root("sh -s")
        reach = LiveReach(runner, target, root, client, script_seconds=given.ssh.timeout)
        undoing = Undoing(
            given.change, reach, lambda line: tell(f"{entry.server.name}: {line}"), effects=entry.effects, steps=steps
        )
        undoing.files, undoing.patched, undoing.kept = files, patches, in_guest
        outcome = undoing.run("asked to roll back")
    try:
        ledger.write(msgspec.structs.replace(entry, status=outcome.status, ended_at=now(), said=outcome.said))
    except LedgerError as error:
        tell(str(error))
    tell_outcome(entry.server.name, outcome)
    return Exit.OK if outcome.status == "rolled_back" else Exit.UNCONFIRMED


def ledger(given: LedgerOptions) -> int:
    """The work of `LedgerOptions`: the exit code."""
    from vnicheck.apply.ledger import Ledger, LedgerError

    book = Ledger.of_user()
    if given.change is not None:
        try:
            _show(book.read(given.change), stdout=True)
        except LedgerError as error:
            raise UserError(str(error)) from error
        return Exit.OK
    entries = entries_of(book)
    for entry in entries:
        print(shown(f"{entry.id}  {entry.status:<11}  {entry.server.name}  {entry.strategy}"))
    if not entries:
        tell(f"nothing was applied yet ({book.folder})")
    return Exit.OK


def _show(entry: "Entry", *, stdout: bool = False) -> None:
    stream = sys.stdout if stdout else sys.stderr
    ended = f", {entry.ended_at}" if entry.ended_at else ""
    print(shown(f"{entry.id}: {entry.strategy} on {entry.server.name} ({entry.address})"), file=stream)
    print(
        shown(f"  begun {entry.begun_at}; {entry.status}{ended}: {entry.said or 'its end is not known'}"), file=stream
    )
    for number, action in enumerate(entry.actions, 1):
        print(shown(f"  {number}. {action.summary}"), file=stream)
        if action.undo is not None:
            for line in action.undo.splitlines():
                print(shown(f"     undo: {line}"), file=stream)
        elif action.undo_patch is not None:
            body = ", ".join(f"{field} = {value}" for field, value in action.undo_patch.items())
            print(shown(f"     undo: PATCH virtual_network_interfaces/{action.vni}: {body}"), file=stream)
