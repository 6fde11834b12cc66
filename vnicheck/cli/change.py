"""What commands that change a live server share: progress, root, the ledger's notes, an orderly end."""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vnicheck.cli.clock import now
from vnicheck.cli.failure import Exit, UserError

if TYPE_CHECKING:
    from vnicheck.guest.ssh import SshRunner
    from vnicheck.guest.ssh_options import SshTarget
    from vnicheck.guest.sudo import Login, Root
    from vnicheck.ledger import Ledger
    from vnicheck.model.plan import Applied

EXITS = {
    "applied": Exit.OK,
    "refused": Exit.ROLLED_BACK,
    "rolled_back": Exit.ROLLED_BACK,
    "unconfirmed": Exit.UNCONFIRMED,
}


def new_change() -> str:
    """An id that no other change has: the time, and a random part."""
    return f"{now().translate(str.maketrans('T', '-', ':-Z'))}-{secrets.token_hex(3)}"


def tell(message: str) -> None:
    """A line of progress. It is told in a pipe too: whoever reads a log wants to know how far it came."""
    from vnicheck.model.words import one_line

    print(f"vnicheck: {one_line(message, 600)}", file=sys.stderr, flush=True)


def tell_outcome(name: str, outcome: "Applied", *, stdout: bool = True) -> None:
    """How it ended, on stdout where that is not for documents; and what to paste where that could not be confirmed."""
    if stdout:
        from vnicheck.model.words import one_line

        print(one_line(f"{name}: {outcome.said}", 600), flush=True)
    else:
        tell(f"{name}: {outcome.said}")
    for commands in outcome.by_hand:
        print(f"\nTo undo it by hand, on the console of {name} as root, or where the CLI is:\n", file=sys.stderr)
        for line in commands.splitlines():
            print(f"  {_shown(line)}", file=sys.stderr)


def tell_unfinished(ledger: "Ledger") -> None:
    """A line for each change of which it is not known how it ended."""
    for entry in ledger.entries(lambda error: tell(str(error))):
        if entry.status in {"begun", "unconfirmed"}:
            how = "was begun and its end is not known" if entry.status == "begun" else "could not be confirmed undone"
            tell(f"change {entry.id} of {entry.server.name} {how}: 'vnicheck rollback {entry.id}' undoes what is left")


def confirm(question: str, *, yes: bool) -> bool:
    """Whether the user agrees. Raises UserError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here: add --yes to apply, or --dry-run to look")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def log_in(runner: "SshRunner", target: "SshTarget", *, sudo: bool, needs_root: bool) -> "tuple[Login, Root]":
    """Who we are on the server, and the way to root. Raises UserError."""
    from vnicheck.guest.errors import CollectionError
    from vnicheck.guest.sudo import Root, RootError, become_root, look

    try:
        login = look(runner, target)
        if login.uid == 0 or not needs_root:
            return login, Root("sh -s")
        if not sudo:
            raise UserError(f"the login on {target.name} is not root: add --sudo, or --ssh-user root")
        return login, become_root(runner, target, _ask_password if sys.stdin.isatty() else None)
    except (CollectionError, RootError) as error:
        raise UserError(error.message) from error


@contextmanager
def ended_in_order() -> Iterator[None]:
    """A SIGTERM ends what runs as Ctrl-C does, so that it is undone and told."""

    def interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 - the signal module's signature
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ask_password(name: str) -> str | None:
    import getpass

    from vnicheck.model.words import one_line

    return getpass.getpass(f"sudo password on {one_line(name, 80)}: ", stream=sys.stderr)


def _shown(line: str) -> str:
    """A command as it must be pasted: its characters are ours but for those of names, which are plain."""
    return "".join(char if char.isprintable() else "?" for char in line)
