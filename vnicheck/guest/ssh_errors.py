"""Whatever a connection may raise, as CollectionError."""

import errno
import socket

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh_config import Hop
from vnicheck.model.words import one_line


def connect_error(hop: Hop, error: OSError, seconds: float) -> CollectionError:
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
            "ssh_timeout",
            f"{label}: no answer within {seconds:g} s; do the security groups admit this machine, or is --jump needed?",
        )
    if error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return CollectionError("ssh_closed", f"{label}: the connection was reset; try again")
    reason = one_line(error.strerror or str(error), 100)
    return CollectionError("ssh_unreachable", f"{label}: {reason}; check the route, or use --jump")


def no_banner(hop: Hop, waited: bool) -> CollectionError:
    """The other side is silent, or speaks something else."""
    what = "sent no SSH banner in time" if waited else "does not speak SSH, or closed the connection before its banner"
    return CollectionError("ssh_banner", f"{hop.label}: what listens there {what}; is this the SSH port (--ssh-port)?")


def negotiation_error(hop: Hop, error: BaseException | None, waited: bool) -> CollectionError:
    """The key exchange that failed; `error` is what paramiko's thread left behind."""
    from paramiko.ssh_exception import IncompatiblePeer

    text = one_line(str(error or ""), 150)
    if isinstance(error, IncompatiblePeer):
        return CollectionError("ssh_protocol", f"{hop.label}: no common algorithms ({text}); update its sshd")
    if "banner" in text.lower() or "Indecipherable" in text:
        return no_banner(hop, waited)
    if error is None or isinstance(error, (EOFError, OSError)):
        return CollectionError(
            "ssh_closed", f"{hop.label}: it closed the connection during the key exchange; try again"
        )
    return CollectionError("ssh_protocol", f"{hop.label}: the key exchange failed ({text or type(error).__name__})")


def session_error(label: str, error: BaseException) -> CollectionError:
    """Anything after the key exchange that is not the deadline."""
    from paramiko.ssh_exception import ChannelException

    text = one_line(str(error), 150)
    if isinstance(error, ChannelException):
        return CollectionError("ssh_exec", f"{label}: it opens no session ({text}); check MaxSessions of its sshd")
    if isinstance(error, (EOFError, OSError)) or "closed" in text or "No existing session" in text:
        return CollectionError("ssh_closed", f"{label}: the connection was lost; try again")
    return CollectionError("ssh_protocol", f"{label}: SSH error ({text or type(error).__name__})")


def timed_out(label: str, seconds: float, doing: str) -> CollectionError:
    """The deadline of the whole host has passed."""
    return CollectionError("ssh_timeout", f"{label}: not done within {seconds:g} s ({doing}); see --timeout")
