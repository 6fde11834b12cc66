"""Becoming root where the login is not. A password is kept in memory for the run, and goes to sudo alone."""

import re
from collections.abc import Callable

from msgspec import Struct

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import CommandOutput, SshRunner
from vnicheck.model.words import one_line

AskSudoPassword = Callable[[str], str | None]
"""Given the server's name, the login's password for sudo, or None where nobody can be asked."""

_PLAIN = "sh -s"
_WITHOUT_PASSWORD = "sudo -n -k sh -s"  # noqa: S105 - a command
_WITH_PASSWORD = "sudo -k -S -p '' sh -s"  # noqa: S105 - a command
"""`-k`: a password remembered from before is not used, so that sudo surely reads the one that is sent first."""
_MARK = "@vnicheck-root"


class RootError(Exception):
    """The login did not become root. The message is one line: what happened, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Root(Struct, frozen=True):
    """How to run a script as root: the command, and what it reads before the script."""

    command: str
    lead: bytes = b""

    def __repr__(self) -> str:
        return f"Root({self.command!r})"  # the lead may be a password


class Session(Struct, frozen=True):
    """The session that we have: its user's number, and the ends of its connection as the server sees them: the client's
    address, and the server's own address and port; None where the server does not tell.
    """

    uid: int
    client: str | None = None
    server: str | None = None
    port: int | None = None


def look(runner: SshRunner, target: SshTarget) -> Session:
    """Who we are there, and by which addresses. Raises CollectionError."""
    script = f'printf "{_MARK} %s %s\\n" "$(id -u)" "$SSH_CONNECTION"\n'
    output = runner.run(target, _PLAIN, script.encode())
    words = _marked(output)
    if words is None or not words[0].isdigit():
        raise CollectionError("guest_unreadable", f"{one_line(target.name, 80)}: it does not tell who the login is")
    client, server, port = (words[1], words[3], words[4]) if len(words) == 5 else ("", "", "")
    return Session(
        uid=int(words[0]),
        client=client or None,
        server=server or None,
        port=int(port) if port.isdigit() else None,
    )


def become_root(runner: SshRunner, target: SshTarget, ask: AskSudoPassword | None) -> Root:
    """The way to root by sudo, tried out. Raises RootError, and CollectionError where there is no session."""
    name = one_line(target.name, 80)
    without = runner.run(target, _WITHOUT_PASSWORD, f'echo "{_MARK} $(id -u)"\n'.encode())
    if _marked(without) == ["0"]:
        return Root(_WITHOUT_PASSWORD)
    said = without.hint or "no reason given"
    if re.search(r"\btty\b", said, re.IGNORECASE):  # a word in every language that sudo speaks; no password helps
        raise RootError(f"{name}: sudo wants a terminal there ({said}): exempt the login (Defaults:USER !requiretty)")
    password = ask(target.name) if ask is not None else None
    if password is None:
        raise RootError(f"{name}: sudo wants a password ({said}); run on a terminal, or allow it without one")
    if "\n" in password:
        raise RootError(f"{name}: a password is one line")
    lead = password.encode() + b"\n"
    output = runner.run(target, _WITH_PASSWORD, lead + f'echo "{_MARK} $(id -u)"\n'.encode())
    if _marked(output) != ["0"]:
        said = one_line(output.hint.replace(password, "[hidden]"), 100) if password else output.hint
        raise RootError(f"{name}: sudo did not make us root ({said or 'no reason given'})")
    return Root(_WITH_PASSWORD, lead)


def _marked(output: CommandOutput) -> list[str] | None:
    """The words behind our mark, whatever else the session printed."""
    for line in output.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith(_MARK + " "):
            return line.split()[1:]
    return None
