"""What commands that change a live server share: progress, root, the ledger's notes, an orderly end."""

import getpass
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from vnicheck.apply.ledger import Entry, Ledger, LedgerError
from vnicheck.cli.bundles import Credentials, Ssh
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import access_of, prompts, ssh_options
from vnicheck.cloud.client import HttpSettings, VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.errors import CloudError
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.openssh import make_runner
from vnicheck.guest.ssh.options import SshOptions
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import AskSudoPassword
from vnicheck.model.plan import Applied
from vnicheck.model.words import one_line

EXITS = {
    "applied": Exit.OK,
    "refused": Exit.ROLLED_BACK,
    "rolled_back": Exit.ROLLED_BACK,
    "unconfirmed": Exit.UNCONFIRMED,
}


def tell(message: str) -> None:
    """A line of progress. It is told in a pipe too: whoever reads a log wants to know how far it came."""
    _print(f"vnicheck: {one_line(message, 600)}", sys.stderr)


def tell_outcome(name: str, outcome: Applied, *, stdout: bool = True) -> None:
    """How it ended, on stdout where that is not for documents; and what to paste where that could not be confirmed."""
    if stdout:
        _print(one_line(f"{name}: {outcome.said}", 600), sys.stdout)
    else:
        tell(f"{name}: {outcome.said}")
    for commands in outcome.by_hand:
        _print(f"\nTo undo it by hand, on the console of {name} as root, or where the CLI is:\n", sys.stderr)
        for line in commands.splitlines():
            _print(f"  {shown(line)}", sys.stderr)


def _print(line: str, stream: TextIO) -> None:
    """Nobody may read any more: a change, or its undoing, goes on all the same, and so does the exit code."""
    try:
        print(line, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python would fail once more at exit


def tell_unfinished(ledger: Ledger) -> None:
    """A line for each change of which it is not known how it ended. Raises UserError."""
    for entry in entries_of(ledger):
        if entry.status in {"begun", "unconfirmed"}:
            begun = entry.status == "begun"
            how = "was begun and its end is not known" if begun else "could not be confirmed undone"
            but = ", unless another vnicheck is still at it" if begun else ""
            undo = f"'vnicheck rollback {entry.id}' undoes what is left{but}"
            tell(f"change {entry.id} of {entry.server.name} {how}: {undo}")


def entries_of(ledger: Ledger) -> list[Entry]:
    """Those of the ledger; of one that cannot be read, a line. Raises UserError."""
    with ended_by(LedgerError):
        return ledger.entries(lambda error: tell(str(error)))


def confirm(question: str, *, yes: bool) -> bool:
    """Whether the user agrees. Raises UserError where nobody can be asked."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here: add --yes to apply, or --dry-run to look")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def ended_in_order() -> Iterator[None]:
    """A SIGTERM, or the end of the terminal (but for nohup), ends what runs as Ctrl-C does, so that it is undone. What
    comes after the first one, Ctrl-C too, changes nothing: what was begun is being undone, and how that ends is still
    to be told.
    """
    interrupted = False

    def interrupt(number: int, frame: Any) -> None:  # noqa: ARG001 - the signal module's signature
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if interrupted else handler)


def vpc_client(region: str | None, given: Credentials, *, seconds: float = 120.0) -> VpcClient:
    """The VPC API of a region, to change a VNI; of VPC_URL where that is set. `seconds`: what the change may take, of
    which no single answer may take more than a quarter. Raises UserError.
    """
    http = HttpSettings(read_timeout=min(HttpSettings.read_timeout, max(seconds / 4, 2.0)), retries=2)
    with ended_by(CloudError):
        named = None if os.environ.get("VPC_URL") else region
        client = connect(region=named, environ=os.environ, auth=access_of(given), http=http)
        client.authenticate()
    return client


def ssh_runner(ssh: Ssh, options: SshOptions | None = None) -> SshRunner:
    """SSH as the options say, or with others. Raises UserError where its configuration cannot be read."""
    with ended_by(CollectionError):
        return make_runner(options or ssh_options(ssh), *prompts(ssh))


def require_own_ssh(ssh: Ssh) -> None:
    """Refuses to change a server over the system's ssh: a new connection is what proves a change, and ssh may share an
    old one. Raises UserError.
    """
    if ssh_options(ssh).openssh:
        raise UserError(
            "--ssh openssh collects alone: leave it out to apply or undo a change, or add --dry-run to look"
        )


def ask_sudo() -> AskSudoPassword | None:
    """Who asks for the login's password; None where nobody can be asked."""
    if not sys.stdin.isatty():
        return None
    return lambda name: getpass.getpass(f"sudo password on {one_line(name, 80)}: ", stream=sys.stderr)


def shown(line: str) -> str:
    """A command as it must be pasted: its characters are ours but for those of names, which are plain."""
    return "".join(char if char.isprintable() else "?" for char in line)
