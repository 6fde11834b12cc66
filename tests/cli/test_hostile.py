"""A server whose own words are attacks: whatever is printed of it, a terminal shows it and does nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support import program

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
NAME = "e\x1b[2J;$(id)`id`'\"\u202e"
"""An interface's name: the kernel forbids blanks, `/` and `:` only."""
PAIR = [
    {"subnet": "a", "address": "10.0.0.11", "mac": "02:00:05:02:70:58"},
    {"subnet": "a", "address": "10.0.0.12", "mac": "02:00:25:02:70:58"},
]


@pytest.fixture
def api() -> Iterator[StandIn]:
    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    world.instance("web-1", interfaces=PAIR)
    with StandIn(world) as api:
        yield api


@pytest.fixture
def guest(tmp_path: Path) -> str:
    text = COLLECTED.read_text().replace("eth1", NAME)
    text = re.sub(r"\|.*from 10\.0\.0\.12.*\n", "", text)  # no policy routing: there is something to find and to fix
    text = text.replace('PRETTY_NAME="', 'PRETTY_NAME="\x1b]0;owned\x07[red]').replace("+ rules ", "+ rules \x1b[31m")
    path = tmp_path / "guest.txt"
    path.write_text(text)
    return f"--guest=web-1={path}"


def run(api: StandIn, *arguments: str) -> str:
    done = program.run(*arguments, env=api.environ)
    assert done.returncode in {0, 3}, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("analyze", "web-1"),
        ("analyze", "web-1", "--explain"),
        ("analyze", "web-1", "-f", "json"),
        ("trace", "web-1", "--from", "10.8.0.4", "--to", "10.0.0.12"),
        ("trace", "web-1", "--from", "10.8.0.4", "--to", "10.0.0.12", "-f", "json"),
    ],
    ids=" ".join,
)
def test_nothing_steers_the_terminal(api: StandIn, guest: str, arguments: tuple[str, ...]) -> None:
    shown = run(api, *arguments, guest)
    assert "VNC101" in shown or arguments[0] == "trace"
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []


def test_json_keeps_the_name_as_it_is(api: StandIn, guest: str) -> None:
    (instance,) = json.loads(run(api, "analyze", "web-1", "-f", "json", guest))["instances"]
    assert NAME in {interface["name"] for interface in instance["interfaces"]}


def test_such_a_name_gets_into_no_command(api: StandIn, guest: str, tmp_path: Path) -> None:
    (instance,) = json.loads(run(api, "analyze", "web-1", "-f", "json", guest))["instances"]
    assert instance["findings"]
    assert all("$(id)" not in str(fix) for finding in instance["findings"] for fix in finding["fixes"])
    plain = tmp_path / "plain.txt"
    plain.write_text(Path(guest.partition("web-1=")[2]).read_text().replace(NAME, "eth1"))
    (instance,) = json.loads(run(api, "analyze", "web-1", "-f", "json", f"--guest=web-1={plain}"))["instances"]
    assert any(
        "ip rule add from 10.0.0.12" in str(fix["commands"])
        for finding in instance["findings"]
        for fix in finding["fixes"]
    )
