"""One authenticated SSH connection: a stream, the key exchange, the host's key, the user's keys."""

import contextlib
import logging
import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from vnicheck.bounded import bounded
from vnicheck.guest.bounded import Deadline
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.known_hosts import KnownHosts, Trust, fingerprint, host_name
from vnicheck.guest.ssh_config import Hop
from vnicheck.guest.ssh_errors import connect_error, negotiation_error, session_error, timed_out
from vnicheck.guest.ssh_keys import Candidate, KeyRing, open_agent
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from paramiko import Channel, Transport


def quiet_paramiko() -> None:
    """paramiko's threads log tracebacks to stderr where nobody listens; every error reaches the caller anyway."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


def connect(
    hop: Hop,
    *,
    through: "Transport | None",
    keys: KeyRing,
    known_hosts: KnownHosts,
    connect_timeout: float,
    total: float,
    deadline: Deadline,
) -> "Transport":
    """An authenticated connection to one hop, directly or `through` the jump host before it. `deadline` closes it.

    Raises CollectionError with an `ssh_` code.
    """
    quiet_paramiko()
    try:
        stream = open_stream(hop, through, min(connect_timeout, deadline.remaining()), deadline)
        transport = _negotiate(hop, stream, known_hosts, connect_timeout, deadline)
        _check_host_key(hop, transport, known_hosts, behind_jump=through is not None)
        _authenticate(hop, transport, keys)
    except CollectionError:
        if deadline.expired:
            raise timed_out(hop.label, total, "connecting") from None
        raise
    return transport


def open_stream(hop: Hop, through: "Transport | None", seconds: float, deadline: Deadline) -> "socket.socket | Channel":
    """The bytes' way to a hop: a TCP connection, a jump host's channel, or a ProxyCommand's standard streams."""
    if through is not None:
        stream = _open_channel(hop, through, seconds)
        deadline.closes(stream.close)
        return stream
    if hop.proxy_command is not None:
        return _run_proxy(hop.proxy_command, deadline)
    started = time.monotonic()
    try:
        addresses = bounded(lambda: socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM), seconds)
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


def _open_channel(hop: Hop, through: "Transport", seconds: float) -> "Channel":
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
    hop: Hop, stream: "socket.socket | Channel", known_hosts: KnownHosts, connect_timeout: float, deadline: Deadline
) -> "Transport":
    from paramiko import SSHException, Transport

    limit = min(connect_timeout, deadline.remaining())
    started = time.monotonic()
    try:
        transport = Transport(stream)
        deadline.closes(transport.close)
        transport.daemon = True
        transport.banner_timeout = limit * 0.8
        transport.handshake_timeout = limit
        transport.auth_timeout = max(connect_timeout, 1.0)
        transport.channel_timeout = connect_timeout
        _prefer_known_kinds(hop, transport, known_hosts)
        done = threading.Event()
        transport.start_client(event=done)
        done.wait(limit)
    except (SSHException, OSError, EOFError) as error:
        raise negotiation_error(hop, error, waited=False) from error
    if not transport.is_active():
        raise negotiation_error(hop, transport.get_exception(), time.monotonic() - started >= limit * 0.75)
    if not transport.initial_kex_done:
        raise CollectionError("ssh_timeout", f"{hop.label}: no key exchange within {limit:g} s; see --connect-timeout")
    return transport


def _prefer_known_kinds(hop: Hop, transport: "Transport", known_hosts: KnownHosts) -> None:
    """Ask first for the key types that known_hosts holds for the host: another type could not be checked."""
    known = set(known_hosts.kinds(hop.known_hosts, _key_name(hop)))
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    security = transport.get_security_options()
    security.key_types = sorted(security.key_types, key=lambda kind: kind not in known)


def _key_name(hop: Hop) -> str:
    return hop.host_key_alias.lower() if hop.host_key_alias is not None else host_name(hop.host, hop.port)


def _check_host_key(hop: Hop, transport: "Transport", known_hosts: KnownHosts, *, behind_jump: bool) -> None:
    key = transport.get_remote_server_key()
    blob, name = key.asbytes(), _key_name(hop)
    shown = f"{key.get_name()} {fingerprint(blob)}"
    trust = known_hosts.judge(hop.known_hosts, name, blob)
    if trust is Trust.TRUSTED:
        return
    if trust is Trust.REVOKED:
        raise CollectionError(
            "ssh_host_key_revoked", f"{hop.label}: its host key {shown} is marked @revoked: keep away"
        )
    first = hop.known_hosts[0] if hop.known_hosts else None
    if trust is Trust.CHANGED:
        raise CollectionError(
            "ssh_host_key_changed",
            f"{hop.label}: its host key {shown} is not the known one; if the server was made anew, "
            f"remove the old key: ssh-keygen -R '{name}'" + (f" -f {first}" if first is not None else ""),
        )
    if hop.accept_new and first is not None:
        known_hosts.remember(first, name, key.get_name(), blob)
        return
    scan = f"ssh-keyscan -p {hop.port} {hop.host} >> {first}"
    how = "log in once with ssh" if behind_jump or hop.proxy_command is not None else f"compare it and run: {scan}"
    raise CollectionError(
        "ssh_host_key_unknown", f"{hop.label}: its host key {shown} is not known; {how} (or --accept-new-host-keys)"
    )


def _authenticate(hop: Hop, transport: "Transport", keys: KeyRing) -> None:
    from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

    tried: list[str] = []
    troubles: list[CollectionError] = []
    agent = open_agent()
    try:
        for candidate in keys.candidates(hop, agent):
            if not isinstance(candidate, Candidate):
                troubles.append(candidate)
                continue
            tried.append(candidate.origin)
            try:
                further = transport.auth_publickey(hop.user, candidate.key)
            except BadAuthenticationType as error:
                raise _refused(hop, tried, troubles, "it takes no public keys") from error
            except AuthenticationException as error:
                if not transport.is_active() or "timeout" in str(error).lower():
                    raise _refused(hop, tried, troubles, "it ended the connection") from error
                continue
            if further:
                wanted = one_line(", ".join(further), 60)
                raise _refused(hop, tried, troubles, f"it wants {wanted} besides a key")
            return
    except (SSHException, OSError, EOFError) as error:
        raise session_error(hop.label, error) from error
    finally:
        if agent is not None:
            with contextlib.suppress(OSError):
                agent.close()
    raise _refused(hop, tried, troubles, "it takes none of them" if tried else "there is none to offer")


def _refused(hop: Hop, tried: list[str], troubles: list[CollectionError], why: str) -> CollectionError:
    offered = f"{len(tried)} key{'' if len(tried) == 1 else 's'} offered"
    if not tried and troubles:
        return CollectionError(troubles[0].code, f"{hop.label}: {troubles[0].message}")
    unused = f"; not used: {troubles[0].message}" if troubles else ""
    return CollectionError(
        "ssh_auth",
        f"{hop.label}: login as {one_line(hop.user, 40)} failed, {offered}, {why}{unused}; check --ssh-user and -i",
    )
