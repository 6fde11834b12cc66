"""OpenSSH certificates, of hosts and of users: whether one is good, by what stands in it (PROTOCOL.certkeys).

paramiko checks that a host holds the certificate's key, but neither who signed it, nor for whom, nor until when.
"""

import base64
import fnmatch
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization import SSHCertificate

FOR_EVER = 0xFFFFFFFFFFFFFFFF


def certificate_trouble(blob: bytes, authorities: Collection[str], host: str, now: float) -> str | None:
    """Why a host's certificate does not vouch for `host` at the time `now`; None where it does.

    `authorities` are the keys (base64) that known_hosts trusts to sign for it.
    """
    from cryptography.hazmat.primitives.serialization import SSHCertificateType

    certificate = _read(blob)
    if certificate is None:
        return "it cannot be read"
    if certificate.type is not SSHCertificateType.HOST:
        return "it is a user's"
    try:
        signer = _encoded(certificate.signature_key())
        if signer not in authorities:
            return "no known @cert-authority signed it"
        certificate.verify_cert_signature()
    except Exception as error:  # noqa: BLE001 - whatever is met in hostile bytes is a reason not to trust them
        return f"it cannot be verified ({one_line(str(error) or type(error).__name__, 80)})"
    if certificate.critical_options:
        return "it has critical options"
    if not certificate.valid_after <= now < certificate.valid_before:
        return f"it is valid from {_day(certificate.valid_after)} to {_day(certificate.valid_before)}"
    names = [name.decode("utf-8", "replace").lower() for name in certificate.valid_principals]
    if names and not any(fnmatch.fnmatchcase(host.lower(), name.replace("[", "[[]")) for name in names):
        return f"it is made out to {one_line(', '.join(names), 80)}"
    return None


def expired(blob: bytes, now: float) -> str | None:
    """The day on which a certificate expired; None where it has not, or cannot be read: then the server decides."""
    certificate = _read(blob)
    return None if certificate is None or now < certificate.valid_before else _day(certificate.valid_before)


def certified_key(blob: bytes) -> bytes | None:
    """The public key that a certificate is about; None where it cannot be read."""
    certificate = _read(blob)
    try:
        return None if certificate is None else base64.b64decode(_encoded(certificate.public_key()))
    except Exception:  # noqa: BLE001 - as above
        return None


def _read(blob: bytes) -> "SSHCertificate | None":
    from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

    length = int.from_bytes(blob[:4])
    try:
        certificate = load_ssh_public_identity(blob[4 : 4 + length] + b" " + base64.b64encode(blob))
    except Exception:  # noqa: BLE001 - as above
        return None
    return certificate if isinstance(certificate, SSHCertificate) else None


def _encoded(key: Any) -> str:
    """A public key in base64, as known_hosts has it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return str(key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1].decode())


def _day(seconds: int) -> str:
    if seconds >= FOR_EVER or seconds > 253402300799:
        return "for ever"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
