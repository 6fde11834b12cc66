"""Which hops the user's SSH configuration makes of a target."""

import getpass
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshConfig, SshHop
from vnicheck.guest.ssh.options import SshOptions, SshTarget

WEB = SshTarget(name="web-1", address="10.0.0.11")


def hops(tmp_path: Path, text: str, target: SshTarget = WEB, **options: object) -> tuple[SshHop, ...]:
    path = tmp_path / "config"
    path.write_text(text)
    return SshConfig(SshOptions(config_file=path, **options)).hops(target)  # type: ignore[arg-type]


def refusal(tmp_path: Path, text: str, target: SshTarget = WEB) -> CollectionError:
    with pytest.raises(CollectionError) as caught:
        hops(tmp_path, text, target)
    assert caught.value.code == "ssh_config"
    assert "\n" not in caught.value.message
    return caught.value


def test_without_configuration() -> None:
    (hop,) = SshConfig(SshOptions(config_file=Path("none"))).hops(WEB)
    assert (hop.host, hop.port, hop.user) == ("10.0.0.11", 22, getpass.getuser())
    assert [path.name for path in hop.identities] == ["id_ed25519", "id_ecdsa", "id_rsa"]
    assert hop.known_hosts[0] == Path.home() / ".ssh/known_hosts"


@pytest.mark.parametrize("pattern", ["web-1", "web-*", "10.0.0.11", "10.0.*", "x WEB-1", '"web-1"', "web-? # comment"])
def test_name_or_address_matches(tmp_path: Path, pattern: str) -> None:
    (hop,) = hops(tmp_path, f"Host {pattern}\n  User alice\n  Port 2222\nHost *\n  User bob\n")
    assert (hop.user, hop.port, hop.host) == ("alice", 2222, "10.0.0.11")


@pytest.mark.parametrize("pattern", ["web", "10.1.*", "* !web-1", "* !10.0.*", "!web-1"])
def test_neither_matches(tmp_path: Path, pattern: str) -> None:
    (hop,) = hops(tmp_path, f"Host {pattern}\n  User alice\nHost *\n  User bob\n")
    assert hop.user == "bob"


def test_first_value_wins_whichever_of_the_two_matched(tmp_path: Path) -> None:
    (hop,) = hops(tmp_path, "Host 10.0.*\n  User alice\nHost web-1\n  User carol\n  Port 99\n")
    assert (hop.user, hop.port) == ("alice", 99)


def test_options_of_the_command_line_win(tmp_path: Path) -> None:
    text = "Host *\n User alice\n Port 2222\n IdentityFile ~/a\n UserKnownHostsFile /k1 /k2\n IdentitiesOnly yes\n"
    (hop,) = hops(tmp_path, text, user="root", port=22, identities=(tmp_path / "mine",), known_hosts=(tmp_path / "k",))
    assert (hop.user, hop.port, hop.identities_only) == ("root", 22, True)
    assert hop.identities == (tmp_path / "mine", Path.home() / "a")
    assert hop.required == (tmp_path / "mine",)
    assert hop.known_hosts == (tmp_path / "k",)
    (configured,) = hops(tmp_path, text)
    assert configured.known_hosts[:2] == (Path("/k1"), Path("/k2"))


def test_host_name_alias_and_strictness(tmp_path: Path) -> None:
    (hop,) = hops(tmp_path, "Host web-1\n HostName web.example\n HostKeyAlias web\n StrictHostKeyChecking accept-new\n")
    assert (hop.host, hop.host_key_alias, hop.accept_new) == ("web.example", "web", True)
    (strict,) = hops(tmp_path, "Host web-1\n StrictHostKeyChecking no\n")
    assert not strict.accept_new


def test_include(tmp_path: Path, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "extra.conf").write_text("Port 2200\nHost web-1\n  User dora\n")
    (hop,) = hops(tmp_path, "Include extra.conf missing.conf\nUser eve\nHost web-*\n  HostKeyAlias w\n")
    assert (hop.port, hop.user, hop.host_key_alias) == (2200, "dora", "w")
    (other,) = hops(tmp_path, "Host db-*\n  Include extra.conf\nHost *\n  User eve\n")
    assert (other.port, other.user) == (22, "eve")
    (home / ".ssh" / "extra.conf").write_text("Include extra.conf\n")
    assert "Include" in refusal(tmp_path, "Include extra.conf\n").message


def test_match_blocks(tmp_path: Path) -> None:
    (hop,) = hops(tmp_path, "Match host 10.0.0.11\n  User frank\nMatch user nobody-here\n  Port 1\n")
    assert (hop.user, hop.port) == ("frank", 22)


@pytest.mark.parametrize(
    ("criteria", "applies"),
    [
        ("all", True),
        ("host web-*", True),
        ("host=web-1", True),
        ("host 10.0.0.11", True),
        ("host db-*,!web-1", False),
        ("host *,!web-1", False),
        ("!host db-*", True),
        ("!host web-*", False),
        ("originalhost web-1 user eve", True),
        ("host web-1 user bob", False),
        ("user eve host web-1", True),
        ("!user eve", False),
        (f"localuser {getpass.getuser()}", True),
        ("localuser nobody-here", False),
        ("canonical", False),
        ("!canonical all", True),
        ("final", True),
        ("final host web-1", True),
        ("!final host web-1", True),
        ('host "web-1"', True),
        ("exec true", False),
        ("!exec false", False),
        ("host web-1 exec true", False),
        ("localnetwork 10.0.0.0/8", False),
        ("tagged x", False),
    ],
)
def test_match_criteria(tmp_path: Path, criteria: str, applies: bool) -> None:
    (hop,) = hops(tmp_path, f"User eve\nMatch {criteria}\n  Port 99\nMatch all\n  HostKeyAlias ok\n")
    assert (hop.port, hop.host_key_alias) == (99 if applies else 22, "ok")


def test_match_sees_what_was_set_before(tmp_path: Path) -> None:
    text = "Host web-1\n  HostName web.example\n  User al\nMatch host web.example user al\n  Port 99\n"
    assert hops(tmp_path, text)[0].port == 99
    assert hops(tmp_path, text, user="bob")[0].port == 22
    assert hops(tmp_path, "Match host web.example\n  Port 99\nHost *\n  HostName web.example\n")[0].port == 22


def test_final_comes_after_all_else(tmp_path: Path) -> None:
    text = "Match final host web.example\n  Port 98\n  User zoe\nHost web-1\n  HostName web.example\n  User al\n"
    (hop,) = hops(tmp_path, text)
    assert (hop.port, hop.user) == (98, "al")


def test_no_command_is_run_for_a_match(tmp_path: Path) -> None:
    path, owned = tmp_path / "config", tmp_path / "owned"
    path.write_text(f'Match exec "touch {owned}"\n  User mallory\nMatch host web-1 exec "touch {owned}"\n  Port 1\n')
    config = SshConfig(SshOptions(config_file=path))
    (hop,) = config.hops(WEB)
    config.hops(WEB)
    assert (hop.port, hop.user) == (22, getpass.getuser())
    assert not owned.exists()
    assert len(config.notes()) == 2
    assert all("exec" in note and str(path) in note for note in config.notes())


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("Host web-*\n  RevokedHostKeys /etc/ssh/revoked\nHost db-*\n  KnownHostsCommand /bin/x\n")
    config = SshConfig(SshOptions(config_file=path))
    config.hops(WEB)
    (note,) = config.notes()
    assert "revokedhostkeys" in note
    assert "@revoked" in note


def noted(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "config"
    path.write_text(text)
    config = SshConfig(SshOptions(config_file=path))
    (hop,) = config.hops(WEB)
    assert hop.port == 2222  # what is right around it is read all the same
    return config.notes()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("Hostnme web.example", "HostName"),
        ("Usr joe", "User"),
        ("identityfiles ~/x", "IdentityFile"),
        ("Proxy-Jump bastion", "ProxyJump"),
        ("StrictHostkeyCheck=no", "StrictHostKeyChecking"),
    ],
)
def test_a_misspelt_keyword_is_told_with_what_was_meant(tmp_path: Path, line: str, meant: str) -> None:
    (note,) = noted(tmp_path, f"Host web-*\n  {line}\n  Port 2222\n")
    assert note.endswith(f"is no keyword of ssh_config; did you mean {meant}?")


@pytest.mark.parametrize(
    "text",
    [
        "UseKeychain yes\nProtocol 2\nPubkeyAcceptedKeyTypes +ssh-rsa\nTAG x\nhOsTnAmE web\n",
        "IgnoreUnknown Hostn*,X*\nHostnme web.example\n",
        "IgnoreUnknown hostnme\nHOSTNME web.example\n",
        "Frobnicate yes\n",  # nothing is near
        "Host db-*\n  Hostnme web.example\nHost *\n",  # of another host
    ],
)
def test_other_keywords_are_nobodys_concern(tmp_path: Path, text: str) -> None:
    assert noted(tmp_path, f"{text}Port 2222\n") == ()


@pytest.mark.parametrize("first", ["Hostnme web.example\nIgnoreUnknown Hostn*\n", "IgnoreUnknown X*\nHostnme web\n"])
def test_ignore_unknown_is_for_what_follows_and_matches(tmp_path: Path, first: str) -> None:
    assert len(noted(tmp_path, f"{first}Port 2222\n")) == 1


def test_agents_and_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "IdentityAgent ~/agent\nCertificateFile ~/a.pub\nHost web-*\n CertificateFile /b.pub\n"
    text += "Host x\n IdentityAgent y\n"
    (hop,) = hops(tmp_path, text)
    assert hop.agent == str(Path.home() / "agent")
    assert hop.certificates == (Path.home() / "a.pub", Path("/b.pub"))
    assert hops(tmp_path, "IdentityAgent none\n")[0].agent == "none"
    assert hops(tmp_path, "IdentityAgent SSH_AUTH_SOCK\n")[0].agent is None
    monkeypatch.setenv("OTHER_AGENT", "/run/other")
    assert hops(tmp_path, "IdentityAgent $OTHER_AGENT\n")[0].agent == "/run/other"
    assert hops(tmp_path, "IdentityAgent ${NO_AGENT}\n")[0].agent == "none"


def test_known_hosts_of_the_system(tmp_path: Path) -> None:
    (hop,) = hops(tmp_path, "UserKnownHostsFile /k\nGlobalKnownHostsFile /g1 /g2\n")
    assert hop.known_hosts == (Path("/k"), Path("/g1"), Path("/g2"))


def test_jump_chains(tmp_path: Path) -> None:
    text = (
        "Host web-*\n ProxyJump carl@inner:2222,last\n"
        "Host inner\n HostName 192.0.2.5\n ProxyJump outer\nHost last\n User zoe\n"
    )
    chain = hops(tmp_path, text)
    assert [(hop.host, hop.port) for hop in chain] == [
        ("outer", 22),
        ("192.0.2.5", 2222),
        ("last", 22),
        ("10.0.0.11", 22),
    ]
    assert [hop.user for hop in chain[1:3]] == ["carl", "zoe"]
    assert [hop.host for hop in hops(tmp_path, text, jump="[2001:db8::1]:24")] == ["2001:db8::1", "10.0.0.11"]
    assert len(hops(tmp_path, text, jump="none")) == 1
    assert len(hops(tmp_path, "Host *\n ProxyJump none\n")) == 1


def test_jump_that_leads_in_a_circle(tmp_path: Path) -> None:
    assert (
        "circle" in refusal(tmp_path, "Host web-*\n ProxyJump a\nHost a\n ProxyJump b\nHost b\n ProxyJump a\n").message
    )


@pytest.mark.parametrize("spec", ["-oProxyCommand=sh", "a b", "$(id)", "user@", "host:port", ""])
def test_odd_jump_hosts(tmp_path: Path, spec: str) -> None:
    with pytest.raises(CollectionError) as caught:
        hops(tmp_path, "", jump=spec)
    assert caught.value.code == "ssh_config"


def test_proxy_command(tmp_path: Path) -> None:
    (hop,) = hops(tmp_path, "Host web-1\n User al\n ProxyCommand nc -x %r %h %p %n\n")
    assert hop.proxy_command == "nc -x al 10.0.0.11 22 web-1"
    assert hops(tmp_path, "Host *\n ProxyCommand none\n")[0].proxy_command is None
    (jumped,) = hops(tmp_path, "Host *\n ProxyCommand nc %h %p\n", jump="none")
    assert jumped.proxy_command is None


@pytest.mark.parametrize("address", ["10.0.0.1; id", "-oProxyCommand=id", "$(id)", "a b", "`id`", "", "a\nb", "a'b"])
def test_addresses_that_are_none_are_refused(tmp_path: Path, address: str) -> None:
    refusal(tmp_path, "", SshTarget(name="web-1", address=address))
    refusal(tmp_path, "Host *\n ProxyCommand nc %h %p\n", SshTarget(name="web-1", address=address))


def test_an_odd_name_never_reaches_a_proxy_command(tmp_path: Path) -> None:
    odd = SshTarget(name="x; touch /tmp/owned", address="10.0.0.1")
    refusal(tmp_path, "Host *\n ProxyCommand nc %n 22\n", odd)
    assert hops(tmp_path, "Host *\n ProxyCommand nc %h 22\n", odd)[0].proxy_command == "nc 10.0.0.1 22"


def test_an_odd_user_never_reaches_a_proxy_command(tmp_path: Path) -> None:
    refusal(tmp_path, "Host *\n User $(id)\n ProxyCommand nc %r %h\n")


@pytest.mark.parametrize(
    "text", ["Port ssh\n", "Port 0\n", "Nonsense\n", "Match\n", "Match novel\n", "Host web-1\n HostName $(id)\n"]
)
def test_broken_configuration(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text).message


def test_missing_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="-F"):
        SshConfig(SshOptions(config_file=tmp_path / "none-here"))


HOPS = """
import os
import vnicheck.guest.ssh.light_paramiko
import paramiko, paramiko.config, encodings.idna  # while they can be read
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config import SshConfig
from vnicheck.guest.ssh.options import SshOptions, SshTarget
os.setuid(54321)
try:
    (hop,) = SshConfig(SshOptions()).hops(SshTarget(name="web-1", address="10.0.0.11"))
    print(hop.user)
except CollectionError as error:
    print(error.code, error.message)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "ssh_config uid 54321 has no name on this machine; set the variable USER to the login name\n"),
        ({"USER": "carol"}, "carol\n"),
    ],
)
@pytest.mark.parametrize("config", ["", "Host *\n  IdentityFile ~/.ssh/%r\n", "Match localuser x\n  Port 9\n"])
def test_a_user_without_a_name(more: dict[str, str], said: str, config: str) -> None:
    """As in a container that is run with a uid of its own."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        (Path(home) / ".ssh").mkdir()
        (Path(home) / ".ssh" / "config").write_text(config)
        done = subprocess.run(
            [sys.executable, "-c", HOPS],
            env={"HOME": home, "PYTHONPATH": str(Path(__file__).parents[3]), **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == (said, "")
