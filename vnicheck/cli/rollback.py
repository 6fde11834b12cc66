"""`vnicheck rollback` and `vnicheck ledger`: what was applied where, and its undoing."""

import sys

from vnicheck.apply.errors import ApplyError
from vnicheck.apply.ledger import Entry, Ledger, LedgerError
from vnicheck.apply.recorded import Means, roll_back
from vnicheck.cli.change import (
    ask_sudo,
    confirm,
    ended_in_order,
    entries_of,
    require_own_ssh,
    shown,
    ssh_runner,
    tell,
    tell_outcome,
    vpc_client,
)
from vnicheck.cli.failure import Exit, ended_by
from vnicheck.cli.given import LedgerOptions, RollbackOptions
from vnicheck.fixes.vni_changes import patch_line


def rollback(given: RollbackOptions) -> int:
    """The work of `RollbackOptions`: the exit code."""
    require_own_ssh(given.ssh)
    book = Ledger.of_user()
    with ended_by(LedgerError):
        entry = book.read(given.change)
    if entry.status == "rolled_back":
        tell(f"change {given.change} is undone since {entry.ended_at}")
        return Exit.OK
    _show(entry)
    means = Means(
        runner=ssh_runner(given.ssh),
        ledger=book,
        connect=lambda known: vpc_client(given.region or known or None, given.credentials),
        sudo=given.sudo,
        ask_sudo=ask_sudo(),
        script_seconds=given.ssh.timeout,
        tell=tell,
        agree=lambda question: confirm(question, yes=given.yes),
    )
    if not means.agree(f"Undo this on {entry.server.name}?"):
        tell("nothing was changed")
        return Exit.OK
    with ended_by(ApplyError), ended_in_order(), means.runner:
        outcome = roll_back(book.read(given.change), means)  # while the user was asked, its fix may have gone on
    tell_outcome(entry.server.name, outcome)
    return Exit.OK if outcome.status == "rolled_back" else Exit.UNCONFIRMED


def ledger(given: LedgerOptions) -> int:
    """The work of `LedgerOptions`: the exit code."""
    book = Ledger.of_user()
    if given.change is not None:
        with ended_by(LedgerError):
            _show(book.read(given.change), stdout=True)
        return Exit.OK
    entries = entries_of(book)
    for entry in entries:
        print(shown(f"{entry.id}  {entry.status:<11}  {entry.server.name}  {entry.strategy}"))
    if not entries:
        tell(f"nothing was applied yet ({book.folder})")
    return Exit.OK


def _show(entry: Entry, *, stdout: bool = False) -> None:
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
            print(shown(f"     undo: {patch_line(action.vni, action.undo_patch)}"), file=stream)
