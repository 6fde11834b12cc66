"""OpenSSH certificates: of hosts, checked here, and of users, checked by a real sshd."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ssh_client import WEB, collect, options_for
from tests.support.sshd import Sshd, generate_key, require
from vnicheck.guest.errors import CollectionError

Start = Callable[..., Sshd]
Known = Callable[..., Path]


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return generate_key(tmp_path / "authority")


def sign(authority: Path, key: Path, *arguments: str) -> Path:
    """Sign `key` and return its certificate."""
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        str(authority),
        "-I",
        "test",
        *arguments,
        str(key.with_name(key.name + ".pub")),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return key.with_name(key.name + "-cert.pub")


def start_certified(start_sshd: Start, tmp_path: Path, authority: Path, *arguments: str, kind: str = "ed25519") -> Sshd:
    """An sshd that shows a certificate."""
    key = generate_key(tmp_path / "certified", kind=kind)
    certificate = sign(authority, key, "-h", *arguments)
    return start_sshd(config=(f"HostKey {key}", f"HostCertificate {certificate}"))


def trusting(tmp_path: Path, authority: Path, names: str = "[127.0.0.1]:*", more: str = "") -> Path:
    kind, blob = authority.with_suffix(".pub").read_text().split()[:2]
    path = tmp_path / "known_hosts"
    path.write_text(f"@cert-authority {names} {kind} {blob}\n{more}")
    return path


def refusal(server: Sshd, known_hosts: Path) -> CollectionError:
    with pytest.raises(CollectionError) as caught:
        collect(WEB, options_for(server, known_hosts))
    assert caught.value.message.isprintable()
    return caught.value


class TestHosts:
    @pytest.mark.parametrize(
        ("kind", "principals"),
        [("ed25519", ("-n", "127.0.0.1")), ("ecdsa", ("-n", "web,127.0.0.*")), ("rsa", ())],
    )
    def test_good_one(
        self, start_sshd: Start, tmp_path: Path, authority: Path, kind: str, principals: tuple[str, ...]
    ) -> None:
        server = start_certified(start_sshd, tmp_path, authority, *principals, kind=kind)
        assert collect(WEB, options_for(server, trusting(tmp_path, authority)))
        assert collect(WEB, options_for(server, trusting(tmp_path, authority, "127.0.0.1")))

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("-n", "db-1"), "made out to db-1"),
            (("-V", "20200101:20200102"), "valid from 2020"),
            (("-V", "20990101:20990102"), "valid from 2099"),
        ],
    )
    def test_bad_ones(
        self, start_sshd: Start, tmp_path: Path, authority: Path, arguments: tuple[str, ...], words: str
    ) -> None:
        server = start_certified(start_sshd, tmp_path, authority, *arguments)
        error = refusal(server, trusting(tmp_path, authority))
        assert error.code == "ssh_host_certificate"
        assert words in error.message

    def test_signed_by_a_stranger(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        server = start_certified(start_sshd, tmp_path, generate_key(tmp_path / "stranger"))
        error = refusal(server, trusting(tmp_path, authority))
        assert error.code == "ssh_host_certificate"
        assert "@cert-authority" in error.message

    def test_of_an_authority_for_other_hosts(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        server = start_certified(start_sshd, tmp_path, authority)
        assert refusal(server, trusting(tmp_path, authority, "10.*")).code == "ssh_host_key_unknown"

    def test_of_a_revoked_authority(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        server = start_certified(start_sshd, tmp_path, authority)
        kind, blob = authority.with_suffix(".pub").read_text().split()[:2]
        known_hosts = trusting(tmp_path, authority, more=f"@revoked * {kind} {blob}\n")
        assert refusal(server, known_hosts).code == "ssh_host_key_unknown"

    def test_of_a_revoked_key(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        server = start_certified(start_sshd, tmp_path, authority)
        kind, blob = (tmp_path / "certified.pub").read_text().split()[:2]
        known_hosts = trusting(tmp_path, authority, more=f"@revoked * {kind} {blob}\n")
        assert refusal(server, known_hosts).code == "ssh_host_key_revoked"

    def test_a_users_certificate_vouches_for_no_host(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        from vnicheck.guest.ssh.certificates import certificate_trouble
        from vnicheck.guest.ssh.keys import _blob_of

        blob = _blob_of(sign(authority, generate_key(tmp_path / "user"), "-n", "127.0.0.1"))
        signer = authority.with_suffix(".pub").read_text().split()[1]
        assert blob is not None
        assert certificate_trouble(blob, {signer}, "127.0.0.1", time.time()) == "it is a user's"
        assert certificate_trouble(blob[:-1] + b"x", {signer}, "127.0.0.1", time.time()) is not None
        assert certificate_trouble(b"", {signer}, "127.0.0.1", time.time()) is not None

    def test_a_forged_signature(self, tmp_path: Path, authority: Path) -> None:
        from vnicheck.guest.ssh.certificates import certificate_trouble
        from vnicheck.guest.ssh.keys import _blob_of

        blob = _blob_of(sign(authority, generate_key(tmp_path / "host"), "-h"))
        signer = authority.with_suffix(".pub").read_text().split()[1]
        assert blob is not None
        assert certificate_trouble(blob, {signer}, "x", time.time()) is None
        forged = blob[:-5] + bytes([blob[-5] ^ 1]) + blob[-4:]
        assert "verified" in str(certificate_trouble(forged, {signer}, "x", time.time()))

    def test_a_known_key_needs_no_authority(self, start_sshd: Start, tmp_path: Path, authority: Path) -> None:
        """Whoever has logged in before the authority came is not shut out by a certificate that has expired."""
        server = start_certified(start_sshd, tmp_path, authority, "-V", "20200101:20200102")
        kind, blob = (tmp_path / "certified.pub").read_text().split()[:2]
        known_hosts = trusting(tmp_path, authority, more=f"[127.0.0.1]:{server.port} {kind} {blob}\n")
        assert collect(WEB, options_for(server, known_hosts))


class TestUsers:
    @pytest.fixture
    def server(self, start_sshd: Start, authority: Path) -> Sshd:
        """It takes the authority's certificates, and no plain key."""
        server = start_sshd(config=(f"TrustedUserCAKeys {authority}.pub",))
        server.authorized_keys.write_text("")
        return server

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_beside_the_key(self, server: Sshd, known: Known, tmp_path: Path, authority: Path, kind: str) -> None:
        key = generate_key(tmp_path / "user", kind=kind)
        with pytest.raises(CollectionError, match="1 key offered"):
            collect(WEB, options_for(server, known(server), identities=(key,)))
        sign(authority, key, "-n", server.user)
        assert collect(WEB, options_for(server, known(server), identities=(key,)))

    def test_named_in_the_configuration(self, server: Sshd, known: Known, tmp_path: Path, authority: Path) -> None:
        key = generate_key(tmp_path / "user")
        elsewhere = tmp_path / "elsewhere.pub"
        sign(authority, key, "-n", server.user).rename(elsewhere)
        other = tmp_path / "other.pub"
        sign(authority, generate_key(tmp_path / "other-key"), "-n", server.user).rename(other)
        config = tmp_path / "config"
        config.write_text(f"Host web-*\n  CertificateFile {other}\n  CertificateFile {elsewhere}\n")
        assert collect(WEB, options_for(server, known(server), identities=(key,), config_file=config))

    def test_that_has_expired_is_told(self, server: Sshd, known: Known, tmp_path: Path, authority: Path) -> None:
        key = generate_key(tmp_path / "user")
        sign(authority, key, "-n", server.user, "-V", "20200101:20200102")
        with pytest.raises(CollectionError, match="expired on 2020") as caught:
            collect(WEB, options_for(server, known(server), identities=(key,)))
        assert caught.value.code == "ssh_auth"

    @pytest.mark.parametrize("by", ["SSH_AUTH_SOCK", "IdentityAgent", "IdentitiesOnly"])
    def test_held_by_an_agent(
        self, server: Sshd, known: Known, tmp_path: Path, authority: Path, by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        require("ssh-agent", "ssh-add")
        key = generate_key(tmp_path / "user")
        sign(authority, key, "-n", server.user)
        path = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        try:
            for _ in range(200):
                if path.exists():
                    break
                time.sleep(0.01)
            environ = {**os.environ, "SSH_AUTH_SOCK": str(path)}
            subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True, env=environ)
            key.with_name("user-cert.pub").unlink()
            lines = ["Host *"]
            if by == "SSH_AUTH_SOCK":
                monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
            else:
                lines.append(f"IdentityAgent {path}")
            if by == "IdentitiesOnly":
                lines += ["IdentitiesOnly yes", f"IdentityFile {key}"]
            config = tmp_path / "config"
            config.write_text("\n".join(lines))
            assert collect(WEB, options_for(server, known(server), identities=(), config_file=config))
            config.write_text("Host *\nIdentityAgent none\nIdentityFile none\n")
            with pytest.raises(CollectionError, match="none to offer"):
                collect(WEB, options_for(server, known(server), identities=(), config_file=config))
        finally:
            agent.terminate()
            agent.wait()
