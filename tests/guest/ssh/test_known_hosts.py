"""known_hosts as OpenSSH writes and reads it."""

import base64
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import ends_in_time
from tests.support.sshd import generate_key, require
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.known_hosts import KnownHosts, Trust, host_name, key_fingerprint

KEY, OTHER = base64.b64encode(b"key").decode(), base64.b64encode(b"other").decode()


def judge(tmp_path: Path, text: str, name: str, blob: bytes = b"key") -> Trust:
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return KnownHosts().judge((path,), name, blob)


@pytest.mark.parametrize(
    ("hosts", "name", "trust"),
    [
        ("web", "web", Trust.TRUSTED),
        ("web", "web2", Trust.UNKNOWN),
        ("WEB,10.0.0.1", "web", Trust.TRUSTED),
        ("web,10.0.0.1", "10.0.0.1", Trust.TRUSTED),
        ("[web]:2222", "[web]:2222", Trust.TRUSTED),
        ("web", "[web]:2222", Trust.UNKNOWN),
        ("[web]:2222", "web", Trust.UNKNOWN),
        ("10.0.0.*", "10.0.0.7", Trust.TRUSTED),
        ("10.0.0.?", "10.0.0.17", Trust.UNKNOWN),
        ("10.0.0.*,!10.0.0.7", "10.0.0.7", Trust.UNKNOWN),
        ("[*]:2222", "[web]:2222", Trust.TRUSTED),
        ("[w]*", "w", Trust.UNKNOWN),
    ],
)
def test_names(tmp_path: Path, hosts: str, name: str, trust: Trust) -> None:
    assert judge(tmp_path, f"{hosts} ssh-ed25519 {KEY} a comment\n", name) is trust


def test_odd_lines_are_not_fatal(tmp_path: Path) -> None:
    odd = f"# web ssh-ed25519 {OTHER}\n\n@cert-authority * ssh-rsa {OTHER}\nweb\n|1|bad ssh-rsa x\n|1|*|* a b\n"
    text = f"{odd}web  ssh-ed25519\t{KEY}"
    assert judge(tmp_path, text, "web") is Trust.TRUSTED


def test_another_key_is_a_changed_one(tmp_path: Path) -> None:
    assert judge(tmp_path, f"web ssh-ed25519 {OTHER}\n", "web") is Trust.CHANGED
    assert judge(tmp_path, f"web ssh-rsa {OTHER}\n", "web") is Trust.CHANGED
    assert judge(tmp_path, f"web ssh-rsa {OTHER}\nweb ssh-ed25519 {KEY}\n", "web") is Trust.TRUSTED


def test_revocation_wins(tmp_path: Path) -> None:
    assert judge(tmp_path, f"web ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}\n", "web") is Trust.REVOKED
    assert judge(tmp_path, f"@revoked * ssh-ed25519 {OTHER}\n", "web") is Trust.UNKNOWN


def test_hashed_by_openssh(tmp_path: Path) -> None:
    require("ssh-keygen")
    path = tmp_path / "known_hosts"
    path.write_text(f"web,10.0.0.1 ssh-ed25519 {KEY}\n[web]:2222 ssh-ed25519 {KEY}\n")
    kind, blob = generate_key(tmp_path / "key").with_suffix(".pub").read_text().split()[:2]
    path.write_text(f"web,10.0.0.1 {kind} {blob}\n[web]:2222 {kind} {blob}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "web" not in path.read_text()
    known = KnownHosts()
    for name in ("web", "10.0.0.1", host_name("Web", 2222)):
        assert known.judge((path,), name, base64.b64decode(blob)) is Trust.TRUSTED
        assert known.kinds((path,), name) == [kind]
    assert known.judge((path,), "web2", base64.b64decode(blob)) is Trust.UNKNOWN


def test_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    path = generate_key(tmp_path / "key")
    shown = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True).stdout
    assert key_fingerprint(base64.b64decode(path.with_suffix(".pub").read_text().split()[1])) in shown


def test_remember_ends_an_open_line_first(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"web ssh-ed25519 {KEY}")
    known = KnownHosts()
    known.remember(path, "db", "ssh-ed25519", b"other")
    assert path.read_text() == f"web ssh-ed25519 {KEY}\ndb ssh-ed25519 {OTHER}\n"
    assert known.judge((path,), "db", b"other") is Trust.TRUSTED
    assert KnownHosts().judge((path,), "db", b"other") is Trust.TRUSTED


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="--known-hosts") as caught:
        KnownHosts().judge((tmp_path,), "web", b"key")
    assert caught.value.code == "ssh_known_hosts"
    (tmp_path / "known_hosts").symlink_to(tmp_path / "no-such-folder" / "known_hosts")
    with pytest.raises(CollectionError, match="cannot write"):
        KnownHosts().remember(tmp_path / "known_hosts", "web", "ssh-ed25519", b"key")


def test_thousands_of_hashed_lines_are_quick(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    line = f"|1|{base64.b64encode(b'salt').decode()}|{base64.b64encode(b'0' * 20).decode()} ssh-ed25519 {KEY}\n"
    path.write_text(line * 4000)
    known = KnownHosts()
    with ends_in_time():
        for number in range(10):
            assert known.judge((path,), f"10.0.0.{number}", b"key") is Trust.UNKNOWN
