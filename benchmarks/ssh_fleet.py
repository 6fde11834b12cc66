"""Hosts for measurements: sshd processes on addresses of 127.77.0.0/16, each host with its line in known_hosts."""

import shlex
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.ssh_clients import PORT
from tests.support.sshd import Sshd, generate_key
from vnicheck.guest.ssh.runner import collect_script_text

KNOWN = 1000
"""Lines that known_hosts has at least: a client that reads it for every host pays for that."""
MAX_ADDRESSES = 16
"""sshd listens on no more (MAX_LISTEN_SOCKS)."""


class Fleet:
    """`hosts` addresses, `per_daemon` of them per sshd. `folder` gets `key`, `known_hosts`, `hosts`, `collect.sh`."""

    def __init__(self, folder: Path, hosts: int, per_daemon: int = 1) -> None:
        if per_daemon > MAX_ADDRESSES:
            raise ValueError(f"sshd listens on at most {MAX_ADDRESSES} addresses")
        self.folder = folder
        self.key = generate_key(folder / "key")
        self.addresses = [f"127.77.{number // 250}.{number % 250 + 1}" for number in range(hosts)]
        self._daemons: list[Sshd] = []
        home = folder / "home"
        home.mkdir()
        config = (
            f"SetEnv HOME={home}",  # or the sessions would pay for root's own .bashrc
            "MaxStartups 1000",
            "LogLevel INFO",
        )
        lines = []
        for first in range(0, hosts, per_daemon):
            addresses = self.addresses[first : first + per_daemon]
            more = tuple(f"ListenAddress {address}:{PORT}" for address in addresses[1:])
            daemon = Sshd(
                folder / f"sshd-{first}", address=addresses[0], port=PORT, config=(*config, *more), client_key=self.key
            )
            self._daemons.append(daemon)
            lines += [daemon.known_hosts_line(f"[{address}]:{PORT}") for address in addresses]
        other = lines[0].split(" ", 1)[1]
        lines += [f"other-{number}.example {other}" for number in range(KNOWN - len(lines))]
        (folder / "known_hosts").write_text("".join(lines))
        (folder / "collect.sh").write_text(collect_script_text())
        (folder / "hosts").write_text("\n".join(self.addresses) + "\n")
        options = {
            "IdentityFile": folder / "key",
            "UserKnownHostsFile": folder / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "Port": PORT,
        }
        self.ssh_options = " ".join(f"-o {name}={shlex.quote(str(value))}" for name, value in options.items())

    @property
    def daemons(self) -> int:
        """How many processes serve the hosts."""
        return len(self._daemons)

    def __enter__(self) -> Self:
        for daemon in self._daemons:
            daemon.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for daemon in self._daemons:
            daemon.stop()
