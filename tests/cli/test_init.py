"""`vnicheck init`: the file that it writes is read by vnicheck, as it is and with its lines uncommented."""

import os
import re
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.program import one_line, run
from vnicheck.cli.config import load_config
from vnicheck.model.config import Assumptions, Config


def world() -> World:
    routes = [
        {"name": "datacentre", "destination": "10.8.0.0/16", "action": "deliver", "next_hop": "10.0.0.5"},
        {"name": "again", "destination": "10.8.4.0/24", "action": "deliver", "next_hop": "10.0.0.5"},
        {"name": "inside", "destination": "10.0.9.0/24", "action": "deliver", "next_hop": "10.0.0.5"},
        {"name": "vpc", "destination": "192.0.2.0/24", "action": "deliver", "next_hop": "10.0.0.5"},
        {"name": "default", "destination": "0.0.0.0/0", "action": "deliver", "next_hop": "10.0.0.5"},
    ]
    return (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .routing_table("egress", routes=routes)
        .subnet("a", "10.0.0.0/24", routing_table="egress")
        .instance("alone", interfaces=[{"subnet": "a", "address": "10.0.0.11"}])
        .instance("web-1", interfaces=[{"subnet": "a", "address": f"10.0.0.{last}"} for last in (21, 22)])
    )


def written(made: World, folder: Path, *more: str) -> str:
    with StandIn(made) as api:
        done = run("init", *more, env=api.environ, folder=folder)
        assert api.unexpected == []
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "vnicheck: wrote vnicheck.toml; read it, and say what is not so\n"
    return (folder / "vnicheck.toml").read_text()


def test_what_is_written_is_read_back_with_the_accounts_networks(tmp_path: Path) -> None:
    text = written(world(), tmp_path)
    config = load_config(tmp_path / "vnicheck.toml")
    # what overlaps another, is the VPC's own, or everything, is no network; a scope's name is none either
    assert config == Config(networks={"datacentre": ("10.8.0.0/16",), "network-2": ("192.0.2.0/24",)})
    assert config.assumptions == Assumptions()
    assert "# us-south: 2 servers, 1 with several interfaces:\n#   web-1  prod  10.0.0.21, 10.0.0.22\n" in text
    assert "# In mode auto here: web-1." in text


def test_each_commented_line_is_one_that_is_read(tmp_path: Path) -> None:
    text = written(world(), tmp_path)
    place = tmp_path / "one.toml"
    settings = re.findall(r"^# (([a-z-]+) = .*)$", text.partition("# [[expect]]")[0], re.MULTILINE)
    assert {name for _, name in settings} == {
        name.replace("_", "-") for name in (*Assumptions.__struct_fields__, "max_age", "on_prem")
    }
    for line, name in settings:
        place.write_text(f"[networks]\n{line}\n" if name == "on-prem" else f"[assumptions]\n{line}\n")
        if name == "max-age":
            place.write_text(line)
        assert isinstance(load_config(place), Config), line
    tables = text[text.index("# [[expect]]") :]
    place.write_text(re.sub(r"^# (\[\[|[a-z]+ = )", r"\1", tables, flags=re.MULTILINE))
    read = load_config(place)
    assert (read.expect[0].server, read.expect[0].end) == ("web-1", "10.0.0.22")
    assert read.mute[0].rule == "VNC102"


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    place = tmp_path / "vnicheck.toml"
    place.write_text("mine")
    with StandIn(world()) as api:
        refused = run("init", env=api.environ, folder=tmp_path)
        assert api.lines == []
    assert refused.returncode == 2
    assert one_line(refused) == "vnicheck.toml is there already: write elsewhere with -o, or replace it with --force"
    assert place.read_text() == "mine"
    assert "[networks]" in written(world(), tmp_path, "--force")


@pytest.mark.parametrize("target", ["elsewhere", "/nowhere/at/all"])
def test_a_link_that_is_there_is_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "vnicheck.toml").symlink_to(target)
    with StandIn(world()) as api:
        refused = run("init", env=api.environ, folder=tmp_path)
    assert (refused.returncode, "is there already" in one_line(refused)) == (2, True)
    assert os.listdir(tmp_path) == ["vnicheck.toml"]


def test_names_are_in_comments_and_strings_whatever_they_hold(tmp_path: Path) -> None:
    made = world()
    hostile = 'x"]\nmax-age = 1 # \x1b[2J\\ \U0001f600'
    made.find("instances", "web-1")["name"] = hostile
    made.find("instances", "alone")["name"] = "\n[[mute]]\nrule = 'VNC101'\nserver = '*'\n"
    for routes in made.data["routes"].values():
        for route in routes:
            route["name"] = hostile
    text = written(made, tmp_path)
    assert load_config(tmp_path / "vnicheck.toml").mute == ()
    assert load_config(tmp_path / "vnicheck.toml").max_age == 365
    assert "\x1b" not in text
    tables = text[text.index("# [[expect]]") :]
    (tmp_path / "tables.toml").write_text(re.sub(r"^# (\[\[|[a-z]+ = )", r"\1", tables, flags=re.MULTILINE))
    assert load_config(tmp_path / "tables.toml").expect[0].server == 'x"] max-age = 1 # [2J\\ \U0001f600'


def test_where_the_cloud_cannot_be_read_nothing_is_written(tmp_path: Path) -> None:
    done = run("init", folder=tmp_path)
    assert done.returncode == 2
    assert "no credentials" in one_line(done)
    assert os.listdir(tmp_path) == []
