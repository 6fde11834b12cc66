"""`--ssh openssh`: the system's own ssh runs the same script, with its own configuration, keys, tickets and proxies.

It asks nobody anything: BatchMode, and no terminal. Limits and problem codes are those of the other way.
"""

import os
import random
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from math import ceil
from pathlib import Path

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import JUMP, MAX_JUMPS, SshHop, is_safe_host, is_safe_user, require_safe_host
from vnicheck.guest.ssh.errors import THROTTLED, timed_out
from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword
from vnicheck.guest.ssh.openssh_errors import FAILED, failure
from vnicheck.guest.ssh.options import SshOptions, SshTarget
from vnicheck.guest.ssh.pipes import TooMuchError, exchange
from vnicheck.guest.ssh.runner import CommandOutput, SshRunner
from vnicheck.guest.ssh.transport import RETRIES
from vnicheck.guest.talk import Talk
from vnicheck.model.words import one_line

_NOBODY = "vnicheck.invalid"
"""A name that no configuration has an entry for, unless for all."""
_ASKED_SECONDS = 10.0


class OpenSshRunner(SshRunner):
    """As SshRunner; jump hosts, and whether connections are shared, are the configuration's affair."""

    def __init__(self, options: SshOptions) -> None:
        self.options = options
        self.closed = False
        program = shutil.which("ssh")
        if program is None:
            raise CollectionError(
                "ssh_config", "there is no program ssh here: install OpenSSH's client, or leave out --ssh"
            )
        self._program = program
        tie = shutil.which("setpriv")  # where there is one: ssh ends with us, however we end
        self._tie = [tie, "--pdeathsig", "KILL", "--"] if tie is not None else []
        self._guard = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._told: dict[str, dict[str, str]] = {}

    def run(
        self, target: SshTarget, command: str, stdin: bytes, *, timeout: float | None = None, talk: Talk | None = None
    ) -> CommandOutput:
        """As SshRunner.run, but without a `talk`. A server that drops connections before its banner is tried again; a
        login never is.
        """
        if talk is not None:
            raise CollectionError("ssh_config", "--ssh openssh collects alone: leave it out")
        require_safe_host(target.address)
        seconds = self.options.timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        words, hop = self._destination(target)
        throttled: CollectionError | None = None
        for attempt in range(RETRIES + 1):
            try:
                return self._run_once([*words, command], hop, stdin, seconds, end)
            except CollectionError as error:
                if throttled is not None and time.monotonic() >= end:
                    raise throttled from error
                pause = 2**attempt * (0.25 + 0.5 * random.random())  # noqa: S311 - it spreads retries
                if error.code != THROTTLED or attempt == RETRIES or time.monotonic() + pause >= end:
                    raise
                throttled = error
                time.sleep(pause)
        raise AssertionError  # the last attempt returned or raised

    def notes(self) -> tuple[str, ...]:
        """None: ssh itself reads its configuration, and leaves out nothing."""
        return ()

    def forget_failures(self) -> None:
        """There are none that are remembered."""

    def close(self) -> None:
        """End what still runs in other threads."""
        with self._guard:
            self.closed = True
            running = list(self._running)
        for process in running:
            _kill(process)  # whoever waits for it closes its streams

    def _run_once(self, words: list[str], hop: SshHop, stdin: bytes, seconds: float, end: float) -> CommandOutput:
        process = self._start(words)
        try:
            out, errors = exchange(process, stdin, until=end, limit=self.options.max_output)
            status = process.wait(timeout=max(end - time.monotonic(), 0.1))
        except TooMuchError:
            raise CollectionError(
                "ssh_output_limit",
                f"{hop.label}: more than {self.options.max_output} bytes of output; is this a router's full table?",
            ) from None
        except (TimeoutError, subprocess.TimeoutExpired):
            raise timed_out(hop.label, seconds, "ssh still ran") from None
        finally:
            _end(process)
            with self._guard:
                self._running.discard(process)
        if self.closed:
            raise timed_out(hop.label, seconds, "ended by us")
        said = errors.decode("utf-8", "replace")
        if status == FAILED or status < 0:
            raise failure(hop, said, self.options.connect_timeout)
        return CommandOutput(status, out, one_line(said.strip().rpartition("\n")[2], 120))  # before it may be a banner

    def _start(self, words: list[str]) -> "subprocess.Popen[bytes]":
        """ssh in a session of its own: it has no terminal to ask on, and all that it starts ends with it."""
        with self._guard:
            if self.closed:
                raise CollectionError("ssh_closed", "nothing more is collected: the run has ended")
            process = subprocess.Popen(  # noqa: S603
                [*self._tie, self._program, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"},
            )
            self._running.add(process)
        return process

    def _destination(self, target: SshTarget) -> tuple[list[str], SshHop]:
        """ssh's options and whom it is to reach: by the instance's name where the configuration has an entry for it,
        else by its address; and the hop as messages call it.
        """
        named: list[str] = []
        settings = self._settings(target.address)
        host = target.address
        if is_safe_host(target.name):
            by_name = self._settings(target.name)
            if _own(by_name) != _own(self._settings(_NOBODY)) or by_name.get("hostname") != target.name.lower():
                settings, host = by_name, target.name
                if by_name.get("hostname", "").lower() == target.name.lower():
                    named = ["-o", f"HostName={target.address}"]
        hop = SshHop(
            name=target.name,
            host=target.address if named else settings.get("hostname", target.address),
            port=int(settings.get("port", "22")),
            user=settings.get("user", ""),
            identities=(),
        )
        through = self._by_jumps(self.options.jump or settings.get("proxyjump"))
        return [*self._fixed(settings), *through, *named, *self._asked(), *self._common(), "--", host], hop

    def _asked(self) -> list[str]:
        """What the options of ours say of the server's own connection."""
        words = ["-p", str(self.options.port)] if self.options.port is not None else []
        return [*words, *(["-l", self.options.user] if self.options.user is not None else [])]

    def _fixed(self, settings: dict[str, str]) -> list[str]:
        """What holds of every connection, whatever the configuration says."""
        accept_new = self.options.accept_new_host_keys or settings.get("stricthostkeychecking") == "accept-new"
        fixed = {
            "BatchMode": "yes",
            "ConnectTimeout": str(max(ceil(self.options.connect_timeout), 1)),
            "LogLevel": "INFO",  # below it, ssh keeps to itself why some connections fail
            "StrictHostKeyChecking": "accept-new" if accept_new else "yes",
            "UpdateHostKeys": "no",
            "ForwardAgent": "no",
            "ForwardX11": "no",
            "ClearAllForwardings": "yes",
            "ControlMaster": "no",  # a connection that is shared already may be used, and none is left behind
            "PermitLocalCommand": "no",
            "RemoteCommand": "none",
            "RequestTTY": "no",
        }
        return [word for key, value in fixed.items() for word in ("-o", f"{key}={value}")]

    def _by_jumps(self, jumps: str | None, depth: int = 0) -> list[str]:
        """A command for the way through jump hosts: by itself ssh would check their host keys, and share connections,
        as the configuration alone says. Raises CollectionError `ssh_config`.
        """
        if jumps is None or jumps.lower() == "none":
            return []
        *before, last = jumps.split(",")
        match = JUMP.fullmatch(last.strip())
        if match is None or depth >= MAX_JUMPS:
            raise CollectionError("ssh_config", f"{one_line(jumps, 80)!r} is no way: write [user@]host[:port]")
        host, user = match["v6"] or match["host"], match["user"]
        require_safe_host(host)
        if user is not None and not is_safe_user(user):
            raise CollectionError("ssh_config", f"{one_line(user, 80)!r} is no user's name")
        settings = self._settings(host)
        words = [self._program, *self._fixed(settings), *self._common()]
        words += self._by_jumps(",".join(before) or settings.get("proxyjump"), depth + 1)
        words += ["-l", user] if user is not None else []
        words += ["-p", match["port"]] if match["port"] is not None else []
        escaped = [word.replace("%", "%%") for word in words]  # for the ssh that starts it
        return ["-o", f"ProxyCommand={shlex.join([*escaped, '-W', '[%h]:%p', '--', host])}"]

    def _common(self) -> list[str]:
        """What the options of ours say of every connection, in words of ssh."""
        options = self.options
        words = ["-F", str(options.config_file)] if options.config_file is not None else []
        for path in options.identities:
            words += ["-o", f"IdentityFile={_quoted(path)}"]  # -i would take a % in it for a token
        if options.known_hosts:
            files = " ".join(map(_quoted, options.known_hosts))
            words += ["-o", f"UserKnownHostsFile={files}", "-o", "GlobalKnownHostsFile=none"]
        return words

    def _settings(self, host: str) -> dict[str, str]:
        """What ssh makes of its configuration for a host, by lower-case keywords. Raises CollectionError."""
        with self._guard:
            told = self._told.get(host)
        if told is not None:
            return told
        try:
            done = subprocess.run(  # noqa: S603
                [self._program, "-G", *self._asked(), *self._common(), "--", host],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ASKED_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CollectionError(
                "ssh_config", "ssh -G does not end; look for 'Match exec' in its configuration"
            ) from None
        if done.returncode != 0:
            said = one_line(done.stderr.decode("utf-8", "replace"), 160)
            raise CollectionError("ssh_config", f"ssh refuses its configuration: {said}; fix it or use -F none")
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        told = dict(line.partition(" ")[::2] for line in reversed(lines))
        with self._guard:
            self._told[host] = told
        return told


def _quoted(path: Path) -> str:
    """A path as ssh's configuration takes it. Raises CollectionError `ssh_config` for one that it cannot say."""
    text = str(path.expanduser())
    if '"' in text or "\\" in text or "${" in text or not text.isprintable():
        raise CollectionError("ssh_config", f"ssh cannot be told of a file named {one_line(text, 120)!r}; rename it")
    return f'"{text.replace("%", "%%")}"'


def _own(settings: dict[str, str]) -> dict[str, str]:
    """The settings but for what is, or is made of, the host's own name (ssh puts it into ControlPath)."""
    names = {"host", "hostname", "originalhost", "controlpath"}
    return {key: value for key, value in settings.items() if key not in names}


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kills ssh and what it started: a proxy, the ssh to a jump host."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def make_runner(
    options: SshOptions, ask_passphrase: AskPassphrase | None = None, ask_password: AskPassword | None = None
) -> SshRunner:
    """The runner that the options ask for. Raises CollectionError `ssh_config`."""
    return OpenSshRunner(options) if options.openssh else SshRunner(options, ask_passphrase, ask_password)
