"""Whatever a connection may raise, as CollectionError."""

import errno
import socket

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshHop
from vnicheck.model.words import one_line

THROTTLED = "ssh_throttled"
"""The one code for which a connection is tried again: nothing was offered yet that could lock an account."""


def connect_error(hop: SshHop, error: OSError, seconds: float) -> CollectionError:
    """A TCP connection that failed."""
    label = hop.label
    if isinstance(error, socket.gaierror):
        return CollectionError(
            "ssh_dns", f"{label}: {hop.host} is not a name that resolves; check it, or give an address"
        )
    if isinstance(error, ConnectionRefusedError):
        return CollectionError("ssh_refused", f"{label}: connection refused; does sshd run there, on this port?")
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return CollectionError(
            "ssh_no_answer",
            f"{label}: no answer within {seconds:g} s; do the security groups admit this machine, or is --jump needed?",
        )
    if error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return CollectionError(THROTTLED, f"{label}: the connection was reset; try again with a smaller --jobs")
    reason = one_line(error.strerror or str(error), 100)
    return CollectionError("ssh_unreachable", f"{label}: {reason}; check the route, or use --jump")


def negotiation_error(hop: SshHop, error: BaseException | None, seconds: float) -> CollectionError:
    """The banner or the key exchange that failed; `error` is what paramiko's thread left behind."""
    from paramiko.ssh_exception import IncompatiblePeer

    from vnicheck.guest.ssh.client import BannerError

    label, text = hop.label, one_line(str(error or ""), 150)
    if isinstance(error, BannerError):
        return _banner_error(label, error, seconds)
    if isinstance(error, IncompatiblePeer):
        return CollectionError("ssh_kex", f"{label}: no common algorithms ({text}); update its sshd")
    if error is None or isinstance(error, (EOFError, OSError)):
        return CollectionError("ssh_closed", f"{label}: it closed the connection during the key exchange; try again")
    shown = text or type(error).__name__
    return CollectionError("ssh_protocol", f"{label}: the key exchange failed ({shown}); does ssh get through?")


def _banner_error(label: str, error: BaseException, seconds: float) -> CollectionError:
    kind, heard = getattr(error, "kind", ""), getattr(error, "heard", "")
    port = "is this the SSH port (--ssh-port)?"
    if kind == "silent":
        return CollectionError(
            "ssh_banner", f"{label}: what listens there sent no SSH banner within {seconds:g} s; {port}"
        )
    if kind == "endless":
        return CollectionError(
            "ssh_banner_endless", f"{label}: what listens there keeps sending, but no SSH banner ({heard!r}); {port}"
        )
    if kind == "other":
        return CollectionError("ssh_not_ssh", f"{label}: what listens there is no SSH server ({heard!r}); {port}")
    said = f" ({heard!r})" if heard else " without a banner"
    return CollectionError(
        THROTTLED,
        f"{label}: it drops connections{said}: too many logins at once, or this address is blocked; try a smaller "
        "--jobs, or see MaxStartups and PerSourcePenalties of its sshd",
    )


def session_error(label: str, error: BaseException) -> CollectionError:
    """Anything after the login that is not the deadline."""
    from paramiko.ssh_exception import ChannelException

    text = one_line(str(error), 150)
    if isinstance(error, ChannelException):
        return CollectionError("ssh_session", f"{label}: it opens no session ({text}); check MaxSessions of its sshd")
    if isinstance(error, (EOFError, OSError)) or "closed" in text or "No existing session" in text:
        return CollectionError("ssh_closed", f"{label}: the connection was lost; try again")
    return CollectionError(
        "ssh_protocol", f"{label}: SSH error ({text or type(error).__name__}); does ssh get through?"
    )


def timed_out(label: str, seconds: float, doing: str) -> CollectionError:
    """The deadline of the whole host has passed."""
    return CollectionError("ssh_timeout", f"{label}: not done within {seconds:g} s ({doing}); see --timeout")
