"""One authenticated SSH connection: a stream, the key exchange, the host's key, the login."""

import logging
import os
import random
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshHop
from vnicheck.guest.ssh.deadline import Deadline
from vnicheck.guest.ssh.errors import THROTTLED, connect_error, negotiation_error, timed_out
from vnicheck.guest.ssh.host_key import check_host_key, prefer_known_kinds
from vnicheck.guest.ssh.keys import KeyRing
from vnicheck.guest.ssh.known_hosts import KnownHosts
from vnicheck.guest.ssh.login import authenticate
from vnicheck.model.words import one_line
from vnicheck.system.workers import bounded

if TYPE_CHECKING:
    from paramiko import Channel, Transport

    from vnicheck.guest.ssh.client import Client

RETRIES = 4
"""After a server dropped the connection before its banner: some 0.5, 1, 2 and 4 seconds apart."""


def quiet_paramiko() -> None:
    """paramiko's threads log tracebacks to stderr where nobody listens; every error reaches the caller anyway."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


def connect(
    hop: SshHop,
    *,
    through: "Transport | None",
    keys: KeyRing,
    known_hosts: KnownHosts,
    connect_timeout: float,
    total: float,
    deadline: Deadline,
) -> "Client":
    """An authenticated connection to one hop, directly or `through` the jump host before it. `deadline` closes it.

    A server that drops connections before its banner is tried again, after a pause of a random length; a login
    never is. Raises CollectionError with an `ssh_` code.
    """
    quiet_paramiko()
    try:
        client = _reach(hop, through, known_hosts, connect_timeout, deadline)
        check_host_key(hop, client, known_hosts, behind_jump=through is not None)
        authenticate(hop, client, keys, max(connect_timeout, 1.0))
    except CollectionError as error:
        if deadline.expired and error.code != THROTTLED:
            raise timed_out(hop.label, total, "connecting") from None
        raise
    return client


def _reach(
    hop: SshHop,
    through: "Transport | None",
    known_hosts: KnownHosts,
    connect_timeout: float,
    deadline: Deadline,
) -> "Client":
    """The key exchange done, in as many connections as it takes while the server is throttling. Where that takes all
    the time there is, it is what is told.
    """
    throttled: CollectionError | None = None
    for attempt in range(RETRIES + 1):
        try:
            stream = open_stream(hop, through, min(connect_timeout, deadline.remaining()), deadline)
            return _negotiate(hop, stream, known_hosts, connect_timeout, deadline)
        except CollectionError as error:
            if throttled is not None and deadline.expired:
                raise throttled from error
            pause = 2**attempt * (0.25 + 0.5 * random.random())  # noqa: S311 - it spreads retries
            if error.code != THROTTLED or attempt == RETRIES or pause >= deadline.remaining():
                raise
            throttled = error
            deadline.wait(pause)
    raise AssertionError  # the last attempt returned or raised


def open_stream(
    hop: SshHop, through: "Transport | None", seconds: float, deadline: Deadline
) -> "socket.socket | Channel":
    """The bytes' way to a hop: a TCP connection, a jump host's channel, or a ProxyCommand's standard streams."""
    if through is not None:
        stream = _open_channel(hop, through, seconds)
        deadline.closes(stream.close)
        return stream
    if hop.proxy_command is not None:
        return _run_proxy(hop.proxy_command, deadline)
    started = time.monotonic()
    try:
        addresses = _addresses(hop, seconds)
        for position, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = socket.socket(family, kind, protocol)
            deadline.closes(connection.close)
            try:
                connection.settimeout(max(seconds - (time.monotonic() - started), 0.1))
                connection.connect(address)
            except OSError:
                connection.close()
                if position + 1 == len(addresses):
                    raise
            else:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
    except OSError as error:
        raise connect_error(hop, error, seconds) from error
    raise CollectionError("ssh_dns", f"{hop.label}: {hop.host} has no address")


def _addresses(hop: SshHop, seconds: float) -> list[tuple[Any, ...]]:
    """What the host resolves to, within `seconds`: getaddrinfo knows no limit of its own."""
    host = hop.host.encode()  # as bytes, or Python would look for internationalized names in it
    try:
        return socket.getaddrinfo(host, hop.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        try:
            return bounded(lambda: socket.getaddrinfo(host, hop.port, type=socket.SOCK_STREAM), seconds)
        except TimeoutError as error:
            said = (
                f"{hop.label}: {hop.host} was not resolved within {seconds:g} s; check the resolver, or give an address"
            )
            raise CollectionError("ssh_dns", said) from error


def _open_channel(hop: SshHop, through: "Transport", seconds: float) -> "Channel":
    from paramiko.ssh_exception import ChannelException, SSHException

    try:
        return through.open_channel("direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=seconds)
    except ChannelException as error:
        code = "ssh_unreachable" if error.code == 2 else "ssh_protocol"
        hint = "it cannot reach that" if error.code == 2 else "see AllowTcpForwarding of its sshd"
        reason = one_line(str(error.args[-1]), 80)
        raise CollectionError(code, f"{hop.label}: the jump host does not connect ({reason}); {hint}") from error
    except (SSHException, OSError, EOFError) as error:
        raise CollectionError(
            "ssh_timeout" if "Timeout" in str(error) else "ssh_closed",
            f"{hop.label}: the jump host gave no connection within {seconds:g} s; check it",
        ) from error


def _run_proxy(command: str, deadline: Deadline) -> socket.socket:
    """The command by the user's shell, as ssh runs it; it came from the user's own configuration (see `ssh_config`)."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603
            [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.terminate()
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    deadline.closes(end)
    return ours


def _negotiate(
    hop: SshHop, stream: "socket.socket | Channel", known_hosts: KnownHosts, connect_timeout: float, deadline: Deadline
) -> "Client":
    from paramiko import SSHException

    from vnicheck.guest.ssh.client import BannerError, Client

    limit = min(connect_timeout, deadline.remaining())
    try:
        client = Client(stream)
        deadline.closes(client.end)
        client.banner_timeout = limit * 0.8
        client.handshake_timeout = 2 * limit  # or paramiko closes the connection while we notice that time is up
        client.channel_timeout = connect_timeout
        prefer_known_kinds(hop, client, known_hosts)
        done = threading.Event()
        client.start_client(event=done)
        done.wait(limit)
    except (SSHException, OSError, EOFError) as error:
        raise negotiation_error(hop, error, limit) from error
    if not client.is_active():
        raise negotiation_error(hop, client.get_exception(), client.banner_timeout)
    if not client.initial_kex_done:
        heard = bool(client.remote_version)
        client.end()
        if not heard:  # time was up before the thread that waits for the banner said so
            raise negotiation_error(hop, BannerError("silent"), client.banner_timeout)
        raise CollectionError(
            "ssh_kex_timeout",
            f"{hop.label}: no key exchange within {limit:g} s; its sshd hangs, or see --connect-timeout",
        )
    return client
