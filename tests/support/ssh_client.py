"""Options and runs of the SSH client against a test's own server."""

from pathlib import Path
from typing import Any

from tests.support.sshd import Sshd
from vnicheck.guest.ssh.keys import AskPassphrase
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.runner import SshRunner


def options_for(server: Sshd, known_hosts: Path, **changes: Any) -> SshOptions:
    """Options with which `server` can be logged in to."""
    values: dict[str, Any] = {
        "user": server.user,
        "port": server.port,
        "identities": (server.client_key,),
        "known_hosts": (known_hosts,),
        "connect_timeout": 5.0,
        "timeout": 20.0,
    }
    return SshOptions(**(values | changes))


WEB = SshTarget(name="web-1", address="127.0.0.1")


def collect(target: SshTarget, options: SshOptions, ask_passphrase: AskPassphrase | None = None) -> bytes:
    """The collect script's output from one target, as a run of its own. Raises CollectionError."""
    with SshRunner(options, ask_passphrase) as runner:
        return runner.collect(target)
