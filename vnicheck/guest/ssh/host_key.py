"""Whether a host is the one that is meant: its key, or its certificate, beside known_hosts."""

import time
from typing import TYPE_CHECKING

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.certificates import certificate_trouble
from vnicheck.guest.ssh.config import SshHop
from vnicheck.guest.ssh.known_hosts import KnownHosts, Trust, host_name, key_fingerprint

if TYPE_CHECKING:
    from vnicheck.guest.ssh.client import Client


def prefer_known_kinds(hop: SshHop, client: "Client", known_hosts: KnownHosts) -> None:
    """Ask first for the key types that known_hosts holds for the host: another type could not be checked."""
    known = set(known_hosts.kinds(hop.known_hosts, key_name(hop)))
    client.certificates_first = not known and bool(known_hosts.authorities(hop.known_hosts, key_name(hop)))
    if "ssh-rsa" in known:
        known |= {"rsa-sha2-512", "rsa-sha2-256"}
    security = client.get_security_options()
    security.key_types = sorted(security.key_types, key=lambda kind: kind not in known)


def key_name(hop: SshHop) -> str:
    """The name under which the host's keys are filed."""
    return hop.host_key_alias.lower() if hop.host_key_alias is not None else host_name(hop.host, hop.port)


def check_host_key(hop: SshHop, client: "Client", known_hosts: KnownHosts, *, behind_jump: bool) -> None:
    """Raises CollectionError `ssh_host_key_...` or `ssh_host_certificate` unless the host's key may be trusted."""
    key = client.get_remote_server_key()
    blob, name = key.asbytes(), key_name(hop)
    shown = f"{key.get_name()} {key_fingerprint(blob)}"
    trust = known_hosts.judge(hop.known_hosts, name, blob)
    certificate = getattr(key, "public_blob", None)
    if certificate is not None and trust is not Trust.REVOKED:
        authorities = known_hosts.authorities(hop.known_hosts, name)
        # The host name without its port is what a certificate is made out to (sshconnect.c, check_host_key)
        principal = hop.host_key_alias or hop.host
        trouble = certificate_trouble(certificate.key_blob, authorities, principal, time.time())
        if trouble is None and known_hosts.revoked(hop.known_hosts, name, certificate.key_blob):
            trust = Trust.REVOKED
        elif trouble is None:
            return
        elif authorities and trust is not Trust.TRUSTED:
            raise CollectionError(
                "ssh_host_certificate", f"{hop.label}: its host certificate is not valid: {trouble}; renew it there"
            )
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
