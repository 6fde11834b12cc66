"""What people try and is not so: one line says what to write instead; and what went well says so where they watch."""

import json
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from tests.support.fleet import BROKEN, TIMEOUT, WELL, member, snapshot
from tests.support.program import bare_environment, one_line, run
from vnicheck.cli.bundles import Fleet, Selection, Ssh
from vnicheck.cli.carried import carried
from vnicheck.model.snapshot import encode_snapshot


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("hints") / "snapshot.json"
    path.write_bytes(encode_snapshot(snapshot()))
    return f"--snapshot={path}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("analyze", "web-*"), "this pattern means web-2 and web-1: 'vnicheck lint --name' takes patterns"),
        (("analyze", "w*"), "means web-2, web-1 and well:"),
        (("snapshot", "x?", "-o", "x.json"), "names are exact: 'vnicheck lint --name' takes patterns"),
        (("analyze", "web-3"), "did you mean"),
        (("lint", "web-1"), "choose with --name, or look at one with 'vnicheck analyze'"),
        (("analyze", "--vpc", "prood"), "holds no server of a VPC 'prood'"),
        (("fix", "--dry-run", "--vpc", "prood"), "holds no server of a VPC 'prood'"),
        (("analyze", "-i", "/nonexistent/key"), "cannot read the key /nonexistent/key: No such file or directory"),
        (("analyze", "-i", "/"), "cannot read the key /: Is a directory"),
    ],
)
def test_a_line_says_what_to_write(saved: str, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run(*arguments, saved, folder=tmp_path)
    assert done.returncode == 2
    assert said in one_line(done)


def test_without_a_name_analyze_takes_the_whole_snapshot(saved: str) -> None:
    done = run("analyze", saved)
    assert done.returncode == 3
    for name in ("web-1", "web-2", "well", "unreached", "asleep", "single"):
        assert f"{name}  " in done.stdout
    assert "--snapshot PATH for all of its servers" in one_line(run("analyze"))


def test_where_nothing_was_checked_nothing_found_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    path.write_bytes(encode_snapshot(snapshot(member("web-1", status="stopped"))))
    for kind in ("text", "markdown", "github", "html", "junit"):
        said = run("lint", f"--snapshot={path}", "-f", kind).stdout
        assert "othing found" not in said
        assert "othing was checked" in said
    path.write_bytes(encode_snapshot(snapshot(member("web-1", WELL), member("web-2", problems=(TIMEOUT,)))))
    done = run("lint", f"--snapshot={path}", "--baseline", str(empty_baseline(tmp_path)), "--fail-on", "error")
    assert "othing found." not in done.stdout
    assert done.returncode == 3


def empty_baseline(folder: Path) -> Path:
    source, place = folder / "well.json", folder / "baseline.json"
    source.write_bytes(encode_snapshot(snapshot(member("web-1", WELL))))
    run("lint", f"--snapshot={source}", "--write-baseline", str(place))
    return place


def on_a_terminal(*arguments: str) -> str:
    """What the program says on stderr where that is a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [sys.executable, "-m", "vnicheck", *arguments],
            env={**bare_environment(), "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "dumb"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        said = b""
        try:
            while part := screen.read(4096):
                said += part
        except OSError:  # EIO: nobody has the other end any more
            pass
    return said.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("lint", "-f", "json"),
        ("lint", "-f", "jsonl"),
        ("analyze", "well", "-f", "html"),
        ("analyze", "well"),
        ("fix", "well", "--dry-run", "-f", "json"),
        ("fix", "well", "--dry-run", "-f", "text"),
        ("snapshot", "well"),
    ],
)
def test_a_written_file_is_told_on_a_terminal_alone(saved: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    place = tmp_path / "result"
    quiet = run(*arguments, saved, "-o", str(place))
    assert place.exists()
    assert "wrote" not in quiet.stderr
    assert on_a_terminal(*arguments, saved, "-o", str(place)).count(f"note: wrote {place}") == 1
    assert "wrote" not in on_a_terminal(*arguments, saved, "-o", "/nonexistent/result")


def test_what_is_suggested_next_is_whole_and_works_when_pasted(saved: str, tmp_path: Path) -> None:
    (tmp_path / "my own.toml").write_text("max-age = 1000\n")
    given = (saved, "--config", "my own.toml", "--ssh-user", "me", "-i", "/dev/null")
    done = run("lint", *given, folder=tmp_path, env={"COLUMNS": "60"})
    lines = [line[8:] for line in done.stdout.splitlines() if "vnicheck analyze web" in line or "vnicheck fix" in line]
    assert [shlex.split(line)[1] for line in lines] == ["analyze", "fix"]
    for line in lines:
        assert "--ssh-user me --identity /dev/null --config 'my own.toml'" in line
        pasted = run(*shlex.split(line)[1:], folder=tmp_path)
        assert pasted.returncode in {0, 1, 3}, pasted.stderr
    done = run("analyze", "web-2", *given, folder=tmp_path, env={"COLUMNS": "60"})
    assert "      vnicheck fix web-2 --ssh-user me --identity /dev/null --config 'my own.toml'\n" in done.stdout


@pytest.mark.parametrize("odd", [f"-my  own 'odd' $HOME{'long' * 55}/{'er' * 90}.json", "a\nb\x1b[1m'\\.json"])
def test_options_and_names_are_suggested_to_the_letter(odd: str, tmp_path: Path) -> None:
    name = f"web-{'0123456789' * 5}-123456789"  # as long as the VPC allows
    (tmp_path / odd).parent.mkdir(exist_ok=True)
    (tmp_path / odd).write_bytes(encode_snapshot(snapshot(member(name, BROKEN), member("-odd", BROKEN))))
    done = run("lint", "--snapshot", odd, folder=tmp_path)
    dashed = run("analyze", "--snapshot", odd, "-f", "markdown", folder=tmp_path)
    assert dashed.stdout.count(f"`vnicheck fix {name}`") == dashed.stdout.count("`vnicheck fix -- -odd`") == 1
    lines = [line[8:] for line in done.stdout.splitlines() if line[8:].startswith("vnicheck ")]
    assert len(lines) == 2
    for line in lines:
        words = ["bash", "-c", f'vnicheck() {{ printf "%s\\0" "$@"; }}; {line}']
        typed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
        assert odd in typed
        pasted = run(*typed, folder=tmp_path)
        assert pasted.returncode in {0, 1}, pasted.stderr


def test_of_several_regions_the_servers_own_is_suggested() -> None:
    ssh = Ssh(**{name: getattr(Ssh, name) for name in get_type_hints(Ssh)})
    chosen = {name: getattr(Selection, name) for name in get_type_hints(Selection)}
    several = carried(Selection(**chosen | {"region": ["us-south", "eu-de"], "auth": "instance"}), ssh)
    assert several.analyze("web 1", "eu-de") == "vnicheck analyze 'web 1' --region eu-de --auth instance"
    one = carried(Selection(**chosen | {"region": ["us-south"]}), ssh)
    assert one.plan() == "vnicheck fix --dry-run --region us-south"
    everywhere = carried(Selection(**chosen), ssh, fleet=Fleet(all_regions=True))
    assert everywhere.doctor("web-1", "eu-de") == "vnicheck doctor web-1 --region eu-de"


def test_a_number_that_no_server_has_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "snapshot.json"
    text = encode_snapshot(snapshot(member("web-1", BROKEN))).decode()
    number = '"net/ipv4/conf/eth1/rp_filter": 1'
    assert number in text
    path.write_text(text.replace(number, f"{number}{'0' * 30}"))
    done = run("lint", f"--snapshot={path}", "-f", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not a valid snapshot: Expected `int` <=" in one_line(done)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("mkdir gone && cd gone && rmdir ../gone && {}", 2, "vnicheck: the current folder is gone: go to one that"),
        ("{} --config nothing 2>/dev/full", 2, ""),  # nobody reads it, but the exit code counts
    ],
)
def test_a_folder_that_is_gone_and_an_stderr_that_is_full(
    saved: str, line: str, status: int, said: str, tmp_path: Path
) -> None:
    lint = f"{sys.executable} -m vnicheck lint {saved}"
    environ = {**bare_environment(), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = ["sh", "-c", line.format(lint)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[: len(said)]) == (status, said)


@pytest.mark.parametrize("command", [("snapshot", "--all"), ("analyze", "-f", "json"), ("list", "-f", "json")])
def test_a_dash_is_stdout(saved: str, command: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*command, saved, "-o", "-", folder=tmp_path)
    assert json.loads(done.stdout)["schema"].startswith("vnicheck.")
    assert list(tmp_path.iterdir()) == []
