"""What ssh says on its standard error where it fails (OpenSSH 8 to 10), as problem codes. It is never translated."""

import errno
import os
import re
import socket
from collections.abc import Callable

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshHop
from vnicheck.guest.ssh.errors import THROTTLED, connect_error
from vnicheck.model.words import one_line

FAILED = 255
"""ssh's own status where it failed itself; a command could end so, too, which then is no collection either."""

_METHODS = re.compile(r"Permission denied \(([\w,-]*)\)")


def failure(hop: SshHop, said: str, seconds: float) -> CollectionError:
    """Why ssh ended with status 255. `said`: its stderr; `seconds`: the limit for connecting."""
    for pattern, make in _CASES:
        if re.search(pattern, said):
            return make(hop, said, seconds)
    shown = one_line(said.strip().rpartition("\n")[2], 120)
    because = f" ({shown})" if shown else ""
    return CollectionError("ssh_protocol", f"{hop.label}: ssh failed{because}; does 'ssh -v' get through?")


_Make = Callable[[SshHop, str, float], CollectionError]


def _as(code: str, words: str) -> _Make:
    return lambda hop, _said, _seconds: CollectionError(code, f"{hop.label}: {words}")


def _connecting(error: OSError) -> _Make:
    return lambda hop, _said, seconds: connect_error(hop, error, seconds)


def _quoting(code: str, pattern: str, words: str) -> _Make:
    """`words` with the line of ssh's that fits the pattern."""

    def make(hop: SshHop, said: str, seconds: float) -> CollectionError:  # noqa: ARG001 - as all of them
        found = re.search(rf"^.*(?:{pattern}).*$", said, re.MULTILINE)
        return CollectionError(code, f"{hop.label}: {words} ({one_line(found[0] if found else said, 120)})")

    return make


def _refused(hop: SshHop, said: str, seconds: float) -> CollectionError:  # noqa: ARG001 - as all of them
    found = _METHODS.search(said)
    methods = found[1].split(",") if found is not None else []
    user = one_line(hop.user, 40)
    unread = re.search(r"^Load key .*$", said, re.MULTILINE)
    if unread is not None:
        return CollectionError("ssh_key_unreadable", f"{hop.label}: {one_line(unread[0], 120)}; name another with -i")
    wanted = one_line(", ".join(methods), 60) or "nothing that it names"
    if "publickey" not in methods and {"password", "keyboard-interactive"} & set(methods):
        return CollectionError(
            "ssh_password_needed",
            f"{hop.label}: login as {user} failed: it wants {wanted}, and ssh may ask nobody here; use a key, "
            "or share a connection that you open before (ControlPath), or --ask-pass without --ssh openssh",
        )
    return CollectionError(
        "ssh_auth",
        f"{hop.label}: login as {user} failed: it takes {wanted}, and none of what ssh offers; check --ssh-user "
        "and -i, and that a key needs no passphrase (ssh-add)",
    )


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


_CASES: tuple[tuple[str, _Make], ...] = (
    (r"Could not resolve hostname", _connecting(socket.gaierror())),
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", lambda hop, said, _: _changed(hop, said)),
    (
        r"REVOKED HOST KEY|host key .*(?:is|was) revoked",
        _as("ssh_host_key_revoked", "its host key is revoked: keep away"),
    ),
    (
        r"Certificate invalid",
        _quoting("ssh_host_certificate", "Certificate invalid", "its host certificate is not valid; renew it there"),
    ),
    (r"[Hh]ost key is known|Host key verification failed", lambda hop, said, _: _unknown(hop, said)),
    (
        r"Too many authentication failures",
        _as("ssh_auth_limit", "it ended the login after too many keys; name one with -i"),
    ),
    (r"Permission denied \(", _refused),
    (
        r"Unable to negotiate|no matching ",
        _quoting("ssh_kex", "Unable to negotiate|no matching", "no common algorithms; update its sshd"),
    ),
    (
        r"Bad configuration option|bad configuration options|Bad owner or permissions|Can't open user config",
        _quoting("ssh_config", "Bad|bad|Can't open", "ssh refuses its configuration"),
    ),
    (
        r"prohibited[\s\S]*stdio forwarding failed",
        _as("ssh_protocol", "the jump host does not connect; see AllowTcpForwarding of its sshd"),
    ),
    (
        r"open failed[\s\S]*stdio forwarding failed",
        _as("ssh_unreachable", "the jump host cannot reach it; check the route from there"),
    ),
    (r"exec request failed", _as("ssh_exec_refused", "it opens a session, but runs no command in it; use --guest")),
    (r"channel \d+: open failed", _as("ssh_session", "it opens no session; check MaxSessions of its sshd")),
    (
        r"timed out during banner",
        _as("ssh_banner", "what listens there sent no SSH banner; is this the SSH port (--ssh-port)?"),
    ),
    (
        r"banner line contains invalid|invalid format|Invalid SSH identification|No SSH identification",
        _as("ssh_not_ssh", "what listens there is no SSH server; is this the SSH port (--ssh-port)?"),
    ),
    (r"Connection timed out|Operation timed out", _connecting(TimeoutError())),
    (r"Connection refused", _connecting(ConnectionRefusedError())),
    (r"No route to host", _connecting(_os_error(errno.EHOSTUNREACH))),
    (r"Network is unreachable", _connecting(_os_error(errno.ENETUNREACH))),
    (
        r"kex_exchange_identification|ssh_exchange_identification|Not allowed at this time",
        _as(
            THROTTLED,
            "it drops connections: too many logins at once, or this address is blocked, or it is no SSH server; try a "
            "smaller --jobs, or see MaxStartups and PerSourcePenalties of its sshd",
        ),
    ),
    (r"closed by|reset by peer|Broken pipe|not responding", _as("ssh_closed", "the connection was lost; try again")),
)
"""In this order: what stands later is said beside what stands before."""


def _changed(hop: SshHop, said: str) -> CollectionError:
    name = hop.host if hop.port == 22 else f"[{hop.host}]:{hop.port}"
    found = re.search(r"SHA256:[A-Za-z0-9+/]{43}", said)
    shown = f" {found[0]}" if found else ""
    return CollectionError(
        "ssh_host_key_changed",
        f"{hop.label}: its host key{shown} is not the known one; if the server was made anew, remove the old key: "
        f"ssh-keygen -R '{name}'",
    )


def _unknown(hop: SshHop, said: str) -> CollectionError:
    of = " of a jump host" if "UNKNOWN port" in said or "stdio forwarding" in said else ""
    return CollectionError(
        "ssh_host_key_unknown",
        f"{hop.label}: its host key{of} is not known; log in once with ssh (or --accept-new-host-keys)",
    )
