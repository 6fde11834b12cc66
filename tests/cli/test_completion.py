"""Completion in real shells: what is offered, that names of servers are quoted, and that no program is started."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import one_line, run
from tests.support.sshd import require
from vnicheck.cli import demo, diff, fix, lint, output, plans, rehearse, trace, verify  # noqa: F401
from vnicheck.cli import list as listing
from vnicheck.cli.app import COMMANDS
from vnicheck.cli.recent import MOST, cache_file, remember
from vnicheck.cli.tree import commands

HOSTILE = ["web-1", "web-2", "web $(touch RAN)", "web;touch RAN", "web'\"`touch RAN`", "web*", "-web", "db-1"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vnicheck" / "servers"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts, each by its shell's name."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        (folder / shell).write_text(done.stdout)
    return folder


def in_bash(scripts: Path, folder: Path, *words: str) -> list[str]:
    """What a bash that finds no program at all offers for the last of the words."""
    require("bash")
    code = (
        'source "$1"; shift; COMP_WORDS=(vnicheck "$@"); COMP_CWORD=$#; _vnicheck; '
        '[[ ${#COMPREPLY[@]} == 0 ]] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environ = {"PATH": "/nowhere", "HOME": str(folder), "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", code, "bash", str(scripts / "bash"), *words],
        env=environ, cwd=folder, capture_output=True, text=True, timeout=10, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def in_fish(scripts: Path, folder: Path, line: str) -> list[str]:
    require("fish")
    done = subprocess.run(
        ["fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]', str(scripts / "fish"), line],
        env={**os.environ, "HOME": str(folder)}, cwd=folder, capture_output=True, text=True, timeout=20, check=True,
    )  # fmt: skip
    return [found.partition("\t")[0] for found in done.stdout.splitlines()]


class Terminal:
    """A shell on a terminal, as somebody types into it."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.child, self.number = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            os.environ.update(HOME=str(folder), PS1="READY ", PROMPT="READY ", TERM="dumb", HISTFILE="")
            os.execvp(command[0], command)
        self.unread = ""

    def type(self, keys: str, awaited: str) -> None:
        """Types the keys, and reads until what is awaited stands there."""
        os.write(self.number, keys.encode())
        until = time.monotonic() + 15
        while awaited not in self.unread:
            if not select.select([self.number], [], [], max(until - time.monotonic(), 0))[0]:
                raise AssertionError(f"{awaited!r} did not come: {self.unread!r}")
            self.unread += os.read(self.number, 4096).decode(errors="replace")
        self.unread = self.unread.partition(awaited)[2]

    def close(self) -> None:
        os.write(self.number, b"\x03\x04exit\r")
        os.close(self.number)
        os.waitpid(self.child, 0)


def test_bash_offers_commands_options_choices_and_servers(scripts: Path, cache: Path, tmp_path: Path) -> None:
    remember(["web-1", "web-2", "db-1"])
    assert set(in_bash(scripts, tmp_path, "")) == {*COMMANDS, "--help", "--version"}
    assert in_bash(scripts, tmp_path, "ana") == ["analyze"]
    assert in_bash(scripts, tmp_path, "analyze", "web") == ["web-1", "web-2"]
    assert in_bash(scripts, tmp_path, "analyze", "web-1", "d") == ["db-1"]
    assert in_bash(scripts, tmp_path, "analyze", "--ssh-address", "") == ["auto", "private", "floating"]
    assert in_bash(scripts, tmp_path, "analyze", "--ssh-address", "=", "pr") == ["private"]
    assert in_bash(scripts, tmp_path, "lint", "--format", "=") == list(output.FORMATS)
    assert in_bash(scripts, tmp_path, "trace", "web-1", "--from", "d") == ["db-1"]
    assert in_bash(scripts, tmp_path, "explain", "VNC10")[0] == "VNC101"
    assert in_bash(scripts, tmp_path, "completion", "") == ["bash", "zsh", "fish"]
    assert "--include-single-homed" in in_bash(scripts, tmp_path, "lint", "--inc")
    assert in_bash(scripts, tmp_path, "analyze", "--region", "web") == []  # of which nothing is known
    assert in_bash(scripts, tmp_path, "analyze", "--config", "web") == []  # a file: bash's own completion


def test_bash_and_fish_quote_names_and_run_nothing(scripts: Path, cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("".join(f"{name}\n" for name in HOSTILE))
    offered = in_bash(scripts, tmp_path, "analyze", "web")
    assert len(offered) == 6
    unquoted = subprocess.run(
        ["/bin/bash", "-c", f"printf '%s\\n' {' '.join(offered)}"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert unquoted.stdout.splitlines() == HOSTILE[:6]
    assert {"web-1", "web-2"} <= set(in_fish(scripts, tmp_path, "vnicheck analyze web"))
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_what_a_tab_puts_on_the_line_is_an_argument(shell: str, scripts: Path, cache: Path, tmp_path: Path) -> None:
    require(shell)
    cache.parent.mkdir(parents=True)
    cache.write_text("web $(touch RAN);`touch RAN`\n")
    begin = ["bash", "--norc", "-i"] if shell == "bash" else ["zsh", "-f", "-i"]
    terminal = Terminal(begin, tmp_path)
    try:
        terminal.type("", "READY")
        ready = "autoload -U compinit; compinit -u; " if shell == "zsh" else ""
        shown = "vnicheck() { echo '<'\"$2\"'>'; }"
        terminal.type(f"{ready}source {scripts / shell}; {shown}; echo LOA''DED\r", "LOADED")
        terminal.type("", "READY")
        terminal.type("vnicheck analyze we\t\r", "<web $(touch RAN);`touch RAN`>")
    finally:
        terminal.close()
    assert not (tmp_path / "RAN").exists()


def test_zsh_offers_options_with_what_they_do_and_choices(scripts: Path, cache: Path, tmp_path: Path) -> None:
    require("zsh")
    terminal = Terminal(["zsh", "-f", "-i"], tmp_path)
    try:
        terminal.type("", "READY")
        terminal.type(f"autoload -U compinit; compinit -u; source {scripts / 'zsh'}; echo LOA''DED\r", "LOADED")
        terminal.type("", "READY")
        terminal.type("vnicheck trace x --expect=del\t", "=delivered")
        terminal.type("\x15vnicheck trace x --protocol \t", "icmp")
        terminal.type("\x15vnicheck fix --dry\t", "--dry-run")
        terminal.type("\x15vnicheck fix --s\t\t", "Become root by sudo")
    finally:
        terminal.close()


def test_fish_offers_commands_options_and_choices(scripts: Path, cache: Path, tmp_path: Path) -> None:
    remember(["web-1", "db-1"])
    assert set(in_fish(scripts, tmp_path, "vnicheck ")) == set(COMMANDS)
    assert in_fish(scripts, tmp_path, "vnicheck verify web") == ["web-1"]
    assert in_fish(scripts, tmp_path, "vnicheck trace x --protocol u") == ["udp"]
    assert "--max-age" in in_fish(scripts, tmp_path, "vnicheck lint --max")


def test_list_and_analyze_remember_names_for_this_user_alone(cache: Path) -> None:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for name in ("web-1", "web-2"):
        world.instance(name, interfaces=[{"subnet": "a", "address": f"10.0.0.1{name[-1]}"}])
    world.find("instances", "web-2")["name"] = "two\nlines"
    remember(["gone-1"])
    with StandIn(world) as api:
        assert run("lint", "--cloud-only", "--include-single-homed", "--name", "web-*", env=api.environ).returncode
        assert cache.read_text() == "web-1\ngone-1\n"
        assert run("list", env=api.environ).returncode == 0
        assert cache.read_text() == "web-1\ngone-1\n"  # which may be of another region
        world.listed_region("us-south", api.root)
        assert run("list", "--all-regions", env=api.environ).returncode == 0
    assert cache.read_text() == "web-1\n"
    assert (cache.stat().st_mode & 0o777, cache.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_names_are_kept_the_latest_first_and_not_without_end(cache: Path) -> None:
    remember([f"web-{number}" for number in range(MOST)])
    remember(["web-7", "new-1", " ", "-x", "a\x1b[2J", "x" * 200])
    kept = cache_file().read_text().splitlines()
    assert kept[:3] == ["web-7", "new-1", "web-0"]
    assert len(kept) == MOST
    assert kept.count("web-7") == 1


def test_where_names_cannot_be_kept_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    remember(["web-1"])
    (tmp_path / "vnicheck").mkdir()
    (tmp_path / "vnicheck" / "servers").write_bytes(b"\xff\xfe\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remember(["web-1"])


def test_the_formats_that_are_offered_are_those_that_are_taken() -> None:
    taken: dict[str, tuple[str, ...]] = {
        "trace": output.FORMATS,
        "analyze": output.FORMATS,
        "lint": output.FORMATS,
        "demo": output.FORMATS,
    }
    taken |= {"fix": plans.FORMATS, "diff": diff.FORMATS, "verify": verify.FORMATS, "list": listing.FORMATS}
    for command in commands():
        for option in command.options:
            if "-f" in option.names:
                assert option.takes.kind == "words", command.name
                assert command.name not in taken or option.takes.choices == taken[command.name]


def test_a_shell_that_there_is_no_script_for() -> None:
    done = run("completion", "tcsh")
    assert (done.returncode, one_line(done)) == (2, "no completion for 'tcsh': write bash, zsh, fish")
