"""`vnicheck doctor`: each thing is really tried, over HTTP and SSH; what is wrong is told, and no secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import run
from tests.support.sshd import Sshd, generate_key, refusing_port
from vnicheck.cloud.read import LISTS

KEY = "a-secret-api-key-of-44-characters-0123456789"


def world() -> World:
    return (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .subnet("a", "10.0.0.0/24")
        .instance("alone", interfaces=[{"subnet": "a", "address": "10.0.0.11"}])
        .instance("web-1", interfaces=[{"subnet": "a", "address": f"10.0.0.{last}"} for last in (21, 22)])
    )


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("doctor") / "sshd") as server:
        yield server


def ssh_to(sshd: Sshd, folder: Path, port: int | None = None) -> list[str]:
    """Options that lead every server to this one."""
    config, known = folder / "config", folder / "known"
    config.write_text(f"Host *\n  HostName 127.0.0.1\n  Port {port or sshd.port}\n  User {sshd.user}\n")
    known.write_text(sshd.known_hosts_line())
    return ["-F", str(config), "-i", str(sshd.client_key), "--known-hosts", str(known)]


def outcomes(text: str) -> dict[str, str]:
    """What each line says it came to, by what it is about."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        mark, rest = line.split(maxsplit=1)
        found.setdefault(rest.partition(": ")[0], mark)
    return found


def test_all_is_well(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world(), api_key=KEY) as api:
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": KEY}
        done = run("doctor", *ssh_to(sshd, tmp_path), env=environ, folder=tmp_path)
        assert api.unexpected == []
    assert (done.returncode, done.stderr) == (0, "")
    found = outcomes(done.stdout)
    assert set(found.values()) <= {"ok", "note"}
    tried = {f"list {name}" for name in (*LISTS, "address_prefixes", "routing_tables")}
    assert tried <= {name for name, mark in found.items() if mark == "ok"}
    assert found["credentials"] == "ok"
    assert "web-1: collected: " in done.stdout  # the one with two interfaces, though another is first by name
    assert KEY not in done.stdout + done.stderr


def test_a_list_that_is_forbidden_is_told_with_the_role_and_is_incomplete(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        api.fail("/network_acls", status=403, times=None)
        api.fail("/vpcs/*/routing_tables", status=403, times=None)
        done = run("doctor", "--cloud-only", env=api.environ, folder=tmp_path)
    found = outcomes(done.stdout)
    assert done.returncode == 3
    assert {name for name, mark in found.items() if mark == "FAILED"} == {"list network_acls", "list routing_tables"}
    assert "needs the platform role Viewer on VPC Infrastructure Services" in done.stdout
    assert "web-1: not tried: --cloud-only" in done.stdout


def test_load_balancers_are_no_reason_to_fail(tmp_path: Path) -> None:
    with StandIn(world()) as api:
        api.fail("/load_balancers", status=403, times=None)
        done = run("doctor", "--cloud-only", env=api.environ, folder=tmp_path)
    assert (done.returncode, outcomes(done.stdout)["list load_balancers"]) == (0, "note")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "no credentials for the VPC API: "),
        ({"IBMCLOUD_API_KEY": KEY}, "no region: pass --region"),
        ({"IBMCLOUD_API_KEY": KEY, "IBMCLOUD_REGION": "us south"}, "is not a region's name"),
        ({"IBM_CREDENTIALS_FILE": "/nowhere/at/all"}, "IBM_CREDENTIALS_FILE names /nowhere/at/all"),
    ],
)
def test_without_credentials_or_region_nothing_can_be_read(environ: dict[str, str], words: str, tmp_path: Path) -> None:
    done = run("doctor", env=environ, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    assert outcomes(done.stdout)["credentials"] == "FAILED"
    assert words in done.stdout
    assert KEY not in done.stdout


def test_a_refused_key_is_told_and_not_shown(tmp_path: Path) -> None:
    with StandIn(world(), api_key="another") as api:
        environ = {"VPC_URL": api.url, "VPC_AUTH_URL": api.root, "IBMCLOUD_API_KEY": KEY}
        done = run("doctor", env=environ, folder=tmp_path)
    assert done.returncode == 2
    assert "the API key of IBMCLOUD_API_KEY was refused" in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert "list instances" not in done.stdout


def test_a_region_that_the_account_does_not_have(tmp_path: Path) -> None:
    made = world().listed_region("us-south", "http://127.0.0.1:1").listed_region("eu-de", "http://127.0.0.1:2")
    with StandIn(made) as api:
        right = run("doctor", "--cloud-only", "--region", "eu-de", env=api.environ, folder=tmp_path)
        wrong = run("doctor", "--cloud-only", "--region", "eu-dd", env=api.environ, folder=tmp_path)
    assert (right.returncode, outcomes(right.stdout)["region"]) == (0, "ok")
    assert (wrong.returncode, outcomes(wrong.stdout)["region"]) == (2, "FAILED")
    assert "did you mean eu-de?" in wrong.stdout


def test_a_server_that_cannot_be_reached(sshd: Sshd, tmp_path: Path) -> None:
    with StandIn(world()) as api:
        options = ssh_to(sshd, tmp_path, port=refusing_port())
        done = run("doctor", "alone", *options, env=api.environ, folder=tmp_path)
        nobody = run("doctor", "alon", *options, env=api.environ, folder=tmp_path)
    assert done.returncode == 3
    assert outcomes(done.stdout)["alone"] == "FAILED"
    assert "connection refused; does sshd run there" in done.stdout
    assert nobody.returncode == 3
    assert "did you mean alone" in nobody.stdout


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "usual users of IBM's images: vpcuser, root or ubuntu"),
        ("ibm-ubuntu-24-04-6-minimal-amd64-1", "usual users of image ibm-ubuntu-24-04-6-minimal-amd64-1: ubuntu, "),
        ("my-rhel\x1b[2J", "usual users of image my-rhel [2J: vpcuser or root"),
    ],
)
def test_a_refused_login_names_the_usual_users_and_tries_none(
    sshd: Sshd, tmp_path: Path, image: str | None, words: str
) -> None:
    made = world()
    if image is not None:
        made.find("instances", "web-1")["image"] = {"id": "r006-1", "name": image}
    stranger = generate_key(tmp_path / "stranger")
    options = [str(stranger) if each == str(sshd.client_key) else each for each in ssh_to(sshd, tmp_path)]
    before = sshd.connections()
    with StandIn(made) as api:
        done = run("doctor", *options, env=api.environ, folder=tmp_path)
        saved = run("snapshot", "web-1", "-o", "web.json", *options, env=api.environ, folder=tmp_path)
    assert (done.returncode, saved.returncode) == (3, 3)
    for told in (done.stdout, saved.stderr):
        assert f"login as {sshd.user} failed" in told
        assert words in told
    assert sshd.connections() == before + 2


def test_configurations_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").write_text("[assumption]\n")
    with StandIn(world()) as api:
        ours = run("doctor", "--cloud-only", env=api.environ, folder=tmp_path)
        ssh = run("doctor", "--cloud-only", "-F", "/nowhere", env=api.environ, folder=tmp_path.parent)
    assert (ours.returncode, outcomes(ours.stdout)["configuration"]) == (2, "FAILED")
    assert "did you mean 'assumptions'?" in ours.stdout
    assert (ssh.returncode, outcomes(ssh.stdout)["SSH configuration"]) == (3, "FAILED")
