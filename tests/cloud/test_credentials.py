"""Credentials as people have them: key files, commands, the session of the CLI. Real files and processes; no secret in
any message.
"""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.api import StandIn, World
from tests.api.identity import access_token
from tests.support.patience import ends_in_time
from tests.support.program import run
from tests.support.vpc_client import FAST
from vnicheck.cloud import key_command
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect
from vnicheck.cloud.credentials import Access
from vnicheck.cloud.errors import CloudError

KEY = "k3y-0f-a-kind-that-n0body-may-see"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def opened(environ: dict[str, str], **access: Any) -> VpcClient:
    region = {"IBMCLOUD_REGION": "us-south"}
    return connect(region=None, environ=region | environ, auth=Access(**access), http=FAST)


def key_of(client: VpcClient) -> str:
    return str(client.service.authenticator.token_manager.apikey)


def refusal(environ: dict[str, str], **access: Any) -> CloudError:
    with pytest.raises(CloudError) as caught:
        opened(environ, **access)
    assert KEY not in caught.value.message
    return caught.value


def script(place: Path, text: str) -> Path:
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)
    return place


def session(home: Path, token: str, *, mode: int = 0o600, **more: Any) -> Path:
    place = home / ".bluemix" / "config.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({"IAMToken": f"Bearer {token}", "Region": "eu-de"} | more))
    place.chmod(mode)
    return place


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "mine", "description": "", "createdAt": "2026-01-01T00:00+0000", "apikey": KEY}),
        json.dumps({"apiKey": KEY}),
        f"{KEY}\n",
    ],
)
def test_a_key_file_as_the_console_gives_it_and_the_key_alone(home: Path, text: str) -> None:
    place = home / "apikey.json"
    place.write_text(text)
    assert key_of(opened({}, api_key_file=place)) == KEY
    named = opened({"VNICHECK_API_KEY_FILE": str(place)})
    assert (key_of(named), named.credential) == (KEY, "the API key in the file of VNICHECK_API_KEY_FILE")
    assert KEY in named.secrets


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "x"}', f"{KEY} {KEY}", f"{KEY}\n{KEY}", "x" * 2000, "[" * 9999]
)
def test_what_is_no_key_file_is_told_without_its_text(home: Path, text: str) -> None:
    place = home / "apikey.json"
    place.write_text(text)
    error = refusal({}, api_key_file=place)
    assert error.code == "bad_credentials"
    assert "apikey.json is no API key, nor a file of one as downloaded" in error.message
    assert refusal({}, api_key_file=home / "gone").code == "bad_credentials_file"


def test_a_command_prints_the_key_and_no_shell_reads_it(home: Path) -> None:
    program = script(home / "my key", f'[ "$#" = 2 ] && [ "$1" = \'$(touch RAN)\' ] && echo {KEY} && echo more')
    client = opened({}, api_key_command=f"'{program}' '$(touch RAN)' ';'")
    assert (key_of(client), client.credential) == (KEY, "the API key of my key (--api-key-command)")
    assert not (home.parent / "RAN").exists()
    assert key_of(opened({"VNICHECK_API_KEY_COMMAND": f"'{program}' '$(touch RAN)' x"})) == KEY


def test_what_a_command_leaves_running_is_not_waited_for(home: Path) -> None:
    """`gpg-agent`, `op daemon`: they have the command's standard output, and hold it open."""
    program = script(home / "leaves", f"sleep 30 & echo $! >{home}/daemon; echo {KEY}")
    assert key_of(opened({}, api_key_command=str(program))) == KEY
    os.kill(int((home / "daemon").read_text()), signal.SIGKILL)  # it runs still


def test_a_command_runs_once_for_all_regions(home: Path) -> None:
    program = script(home / "counts", f"echo x >> {home}/runs; echo {KEY}")
    for _ in range(3):
        opened({}, api_key_command=str(program))
    assert (home / "runs").read_text() == "x\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"echo {KEY}; echo {KEY} >&2; exit 3", "ended with status 3; run it by hand"),
        ("true", "is no API key"),
        (f"echo '{KEY} {KEY}'", "is no API key"),
        ("yes", "prints more than 65536 bytes"),
        ("sleep 600", "did not end within 0.3 s"),
        (f"echo {KEY}; sleep 600", "did not end within 0.3 s"),
    ],
)
def test_a_command_that_fails_is_told_without_what_it_printed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    monkeypatch.setattr(key_command, "SECONDS", 0.3 if "sleep" in text else 30.0)
    with ends_in_time():
        error = refusal({}, api_key_command=f"{script(home / 'fails', text)} --password={KEY}")
        assert (error.code, words in error.message) == ("bad_credentials", True), error.message
    assert capfd.readouterr() == ("", "")


def test_a_program_of_the_current_folder_is_never_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(home.parent / "key", f"touch RAN; echo {KEY}")
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    for command in ("key", "./key", "home/../key", "'unbalanced", ""):
        refusal(
            {"VNICHECK_API_KEY_COMMAND": command} if command else {}, **({} if command else {"api_key_command": ""})
        )
    assert "there is no program key" in refusal({"VNICHECK_API_KEY_COMMAND": "key"}).message
    (home.parent / "vnicheck.toml").write_text(f'api-key-command = ["{home.parent}/key"]\n')
    (home.parent / "credentials.toml").write_text(f'api-key-command = ["{home.parent}/key"]\n')
    assert refusal({"HOME": str(home), "XDG_CONFIG_HOME": "."}).code == "no_credentials"
    assert not (home.parent / "RAN").exists()
    done = run("list", "--region", "us-south", env={"HOME": str(home)}, folder=home.parent)
    assert done.returncode == 2
    assert not (home.parent / "RAN").exists()


@pytest.mark.parametrize("given", ["words", "line", "file", "beside"])
def test_the_users_own_configuration(home: Path, given: str) -> None:
    program = script(home / "prints", f"echo {KEY}")
    (home / "apikey.json").write_text(json.dumps({"apikey": KEY}))
    place = home / ".config" / "vnicheck" / "credentials.toml"
    place.parent.mkdir(parents=True)
    (place.parent / "mine.json").write_text(KEY)
    place.write_text(
        {
            "words": f'api-key-command = ["{program}"]',
            "line": f'api-key-command = "{program}"',
            "file": f'api-key-file = "{home}/apikey.json"',
            "beside": 'api-key-file = "mine.json"',
        }[given]
    )
    assert key_of(opened({"HOME": str(home)})) == KEY
    assert key_of(opened({"XDG_CONFIG_HOME": str(home / ".config"), "HOME": "/nowhere"})) == KEY
    place.chmod(0o620)
    error = refusal({"HOME": str(home)})
    assert (error.code, "others may write" in error.message) == ("bad_credentials_file", True)


@pytest.mark.parametrize(
    "text", ["=", 'api-key = "x"', "api-key-command = 1", 'api-key-command = "a"\napi-key-file = "b"']
)
def test_a_configuration_that_means_nothing(home: Path, text: str) -> None:
    place = home / ".config" / "vnicheck" / "credentials.toml"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert refusal({"HOME": str(home)}).code == "bad_credentials_file"


def test_the_session_of_the_cli_and_its_region(home: Path) -> None:
    token = access_token()
    session(home, token)
    client = connect(region=None, environ={"HOME": str(home)}, auth=None, http=FAST)
    assert client.service.authenticator.bearer_token == token
    assert (client.region, client.credential) == ("eu-de", "the session of 'ibmcloud login'")
    assert client.endpoint == "https://eu-de.iaas.cloud.ibm.com/v1"
    assert token in client.secrets
    assert connect(region="us-south", environ={"IBMCLOUD_HOME": str(home)}, auth=None, http=FAST).region == "us-south"
    placed = {"HOME": str(home), "VPC_URL": "https://{region}.private.iaas.cloud.ibm.com/v1"}
    assert connect(region=None, environ=placed, auth=None, http=FAST).region == "eu-de"
    assert key_of(opened({"HOME": str(home), "IBMCLOUD_API_KEY": KEY})) == KEY  # what is named comes first


def test_a_session_reads_the_region_over_http(home: Path) -> None:
    token = access_token()
    session(home, token)
    world = World().vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    world.instance("web-1", interfaces=[{"subnet": "a", "address": "10.0.0.11"}])
    with StandIn(world, token=token) as api:
        done = run("list", env={"VPC_URL": api.url, "IBMCLOUD_HOME": str(home)})
        assert (done.returncode, done.stdout.split()[0]) == (0, "web-1")
        api.token = "another"
        refused = run("list", env={"VPC_URL": api.url, "IBMCLOUD_HOME": str(home)})
    assert refused.returncode == 2
    assert "the session of 'ibmcloud login' was refused" in refused.stderr
    assert token not in refused.stderr


def test_a_session_that_has_ended_says_when_and_what_to_do(home: Path) -> None:
    session(home, access_token(now=1_790_000_000))
    error = refusal({"HOME": str(home)})
    assert error.code == "session_expired"
    assert error.message.startswith("the session of 'ibmcloud login' ended at 2026-09-21T")
    assert "run 'ibmcloud iam oauth-tokens'" in error.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_session_that_others_may_read_or_write_is_not_used(home: Path, mode: int) -> None:
    place = session(home, access_token(), mode=mode)
    error = refusal({"HOME": str(home)})
    assert error.code == "bad_session"
    assert f"others may read or write {place}" in error.message


def test_a_session_of_somebody_else_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives the file away; another user, who cannot, becomes somebody else."""
    place, owner = session(home, access_token()), os.geteuid() or 12345
    if os.geteuid() == 0:
        os.chown(place, owner, owner)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"is user {owner}'s, not yours" in refusal({"HOME": str(home)}).message


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"IAMToken": 7}', '{"IAMToken": ""}', '{"IAMToken": "Basic xyz"}', "[" * 9999, "{}"]
)
def test_where_the_cli_has_no_session_there_are_no_credentials(home: Path, text: str) -> None:
    place = session(home, "x")
    place.write_text(text)
    assert refusal({"HOME": str(home)}).code == "no_credentials"


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.e30.c", "a.eyJleHAiOiAieCJ9.c", "a.eyJleHAiOiAxZTk5OX0.c"])
def test_a_token_of_which_the_end_is_not_known_is_not_used(home: Path, token: str) -> None:
    session(home, token)
    assert refusal({"HOME": str(home)}).code in {"session_expired", "no_credentials"}


def test_options_that_exclude_each_other(home: Path) -> None:
    assert refusal({}, auth="instance", api_key_file=home / "x").code == "bad_auth"
    done = run("list", "--api-key-file", "x", "--api-key-command", "y")
    assert (done.returncode, done.stderr) == (
        2,
        "vnicheck: --api-key-file and --api-key-command exclude each other\n",
    )
    snapshot = run("list", "--api-key-file", "x", "--snapshot", "y")
    assert "--api-key-file has no meaning with --snapshot" in snapshot.stderr


def test_a_region_of_the_session_is_a_regions_name(home: Path) -> None:
    """It becomes part of the host that the token goes to."""
    session(home, access_token(), Region="127.0.0.1:9/x?")
    with pytest.raises(CloudError) as caught:
        connect(region=None, environ={"HOME": str(home)}, auth=None, http=FAST)
    assert caught.value.code == "bad_region"


def test_a_session_in_a_folder_that_others_may_write_is_not_used(home: Path) -> None:
    place = session(home, access_token())
    place.parent.chmod(0o777)
    error = refusal({"HOME": str(home)})
    assert (error.code, str(place.parent) in error.message) == ("bad_session", True)


def test_a_pipe_gives_its_key_to_every_region(tmp_path: Path) -> None:
    pipe = tmp_path / "key"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(KEY,), daemon=True)
    writer.start()
    clients = [opened({}, api_key_file=pipe) for _ in range(2)]
    writer.join(10)
    assert {client.credential for client in clients} == {"the API key in the file of --api-key-file"}
