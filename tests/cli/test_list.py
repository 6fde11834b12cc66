"""`vnicheck list`: what the VPC API says of servers and their VNIs, from a stand-in over HTTP and from snapshots."""

import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from tests.api import StandIn, World
from tests.support.fleet import fleet, snapshot
from tests.support.program import one_line, run
from vnicheck.cli.terminal import Terminal
from vnicheck.collect.listing import list_servers
from vnicheck.collect.request import Request
from vnicheck.model.listing import Listing
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import encode_snapshot
from vnicheck.report.listing import write_listing


def world() -> World:
    return (
        World(region="us-south")
        .vpc("prod", prefixes=["10.0.0.0/16"])
        .security_group("web", rules=[])
        .subnet("a", "10.0.0.0/24")
        .instance(
            "web-1",
            interfaces=[
                {"subnet": "a", "address": "10.0.0.11", "mode": "disabled", "allow_ip_spoofing": True},
                {
                    "subnet": "a",
                    "address": "10.0.0.12",
                    "secondary": ["10.0.0.13"],
                    "floating_ip": "203.0.113.7",
                    "security_groups": ["web"],
                },
            ],
        )
        .instance("old-1", interfaces=[{"subnet": "a", "address": "10.0.0.21"}], legacy=True)
        .vpc("test", prefixes=["10.1.0.0/16"])
        .subnet("b", "10.1.0.0/24")
        .instance("db-1", interfaces=[{"subnet": "b", "address": "10.1.0.11"}])
    )


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_line_for_each_vni_with_all_that_names_it() -> None:
    with StandIn(world()) as api:
        done = run("list", env=api.environ)
        assert (done.returncode, done.stderr) == (0, "")
        db, old, one, two = rows(done.stdout)
        assert (db[0], db[3], db[6]) == ("db-1", "test", "10.1.0.11")
        assert (old[0], old[8]) == ("old-1", "legacy")
        assert one[:4] == ["web-1", "running", "us-south-1", "prod"]
        assert one[5:] == ["a", "10.0.0.11", "-", "disabled", "allowed"]
        assert two[:4] == one[:4]
        assert two[5:] == ["a", "10.0.0.12,10.0.0.13", "203.0.113.7", "auto", "checked"]
        # what is said of a whole region in bulk, and nothing for each VPC or server
        assert not any(line.split("?")[0].count("/") > 1 for line in api.lines)
        assert api.unexpected == []


def test_quiet_is_the_names_alone() -> None:
    with StandIn(world()) as api:
        assert run("list", "-q", env=api.environ).stdout.splitlines() == ["db-1", "old-1", "web-1"]


def test_selection_as_in_other_commands() -> None:
    with StandIn(world()) as api:
        assert {row[0] for row in rows(run("list", "--vpc", "prod", env=api.environ).stdout)} == {"web-1", "old-1"}
        assert {row[0] for row in rows(run("list", "--name", "web-*", env=api.environ).stdout)} == {"web-1"}
        nothing = run("list", "--name", "mail-*", env=api.environ)
        assert (nothing.returncode, one_line(nothing)) == (2, "there is no server with name mail-*")
        astray = run("list", "--vpc", "prd", env=api.environ)
        assert astray.returncode == 2
        assert "did you mean prod?" in one_line(astray)
        group = run("list", "--resource-group", "Default", env=api.environ)
        assert len(rows(group.stdout)) == 4


def test_the_document_is_as_its_schema_says() -> None:
    with StandIn(world()) as api:
        done = run("list", "-f", "json", "--vpc", "prod", env=api.environ)
    listing = json.loads(done.stdout)
    jsonschema.validate(listing, json.loads(run("schema", "list").stdout))
    assert (done.returncode, listing["complete"]) == (0, True)
    (server,) = [each for each in listing["servers"] if each["name"] == "web-1"]
    assert server["region"] == "us-south"
    first, second = server["interfaces"]
    assert (first["primary"], first["allow_ip_spoofing"], first["protocol_state_filtering_mode"]) == (
        True,
        True,
        "disabled",
    )
    assert second["addresses"] == ["10.0.0.12", "10.0.0.13"]
    assert second["floating_ips"] == ["203.0.113.7"]
    assert second["security_groups"] == ["web"]
    assert second["subnet"]["cidr"] == "10.0.0.0/24"


def test_what_could_not_be_read_is_told_and_incomplete() -> None:
    with StandIn(world()) as api:
        api.fail("/subnets", status=403, times=None)
        done = run("list", "-f", "json", env=api.environ)
        allowed = run("list", "--allow-incomplete", env=api.environ)
    listing = json.loads(done.stdout)
    assert (done.returncode, listing["complete"], allowed.returncode) == (3, False, 0)
    assert [problem["code"] for problem in listing["problems"]] == ["subnets_unread"]
    assert "403" in done.stderr
    assert {each["subnet"]["name"] for each in listing["servers"][0]["interfaces"]} == {None}


def test_a_snapshot_is_listed_without_the_cloud_and_whatever_became_of_its_guests(tmp_path: Path) -> None:
    place = tmp_path / "fleet.json"
    place.write_bytes(encode_snapshot(snapshot()))
    done = run("list", "--snapshot", str(place), "--name", "unreach*")
    assert (done.returncode, done.stderr) == (0, "")
    assert {row[0] for row in rows(done.stdout)} == {"unreached"}
    whole = run("list", "--snapshot", str(place), "-f", "json")
    assert sorted(each["name"] for each in json.loads(whole.stdout)["servers"]) == sorted(s.name for s in fleet())
    refused = run("list", "--snapshot", str(place), "--resource-group", "x")
    assert (refused.returncode, "no meaning with --snapshot" in one_line(refused)) == (2, True)


def test_names_can_neither_steer_a_terminal_nor_break_a_line() -> None:
    made = world()
    made.find("instances", "web-1")["name"] = "web\x1b[2J\n[red]one"
    with StandIn(made) as api:
        done = run("list", env=api.environ)
    assert "\x1b" not in done.stdout
    assert [row[0] for row in rows(done.stdout)] == ["db-1", "old-1", "web_[2J_[red]one", "web_[2J_[red]one"]


def test_on_a_terminal_a_server_is_named_once(tmp_path: Path) -> None:
    place = tmp_path / "fleet.json"
    place.write_bytes(encode_snapshot(snapshot()))
    found = list_servers(Request(snapshot=place), ["well"], Terminal(ask_pass=False, no_color=True))
    listing = Listing(
        schema="vnicheck.list/1", tool=Tool(name="", version=""), listed_at="", complete=True, servers=found.servers
    )
    page = io.StringIO()
    write_listing(listing, Console(file=page, width=60, force_terminal=True, color_system=None))
    heading, named, first, second, foot = page.getvalue().splitlines()
    assert heading.split()[:3] == ["VNI", "subnet", "addresses"]
    assert (named.split()[0], foot) == ("well", "1 server, 2 VNIs")
    assert first.split()[::2] == ["vni-1", "10.0.0.11", "auto"]  # no column is cut, however narrow the terminal is
    assert second.split()[::2] == ["vni-2", "10.0.0.12", "auto"]


@pytest.mark.parametrize("options", [("--region", "zz"), ("--vpc", "zz")])
@pytest.mark.parametrize("command", ["list", "init"])
def test_what_a_snapshot_lacks_is_no_empty_answer(command: str, options: tuple[str, ...], tmp_path: Path) -> None:
    place = tmp_path / "s.json"
    place.write_bytes(encode_snapshot(snapshot(*fleet()[2:3])))
    made = tmp_path / "vnicheck.toml"
    done = run(command, "--snapshot", str(place), *options, *(["-o", str(made)] if command == "init" else []))
    assert (done.returncode, done.stdout) == (2, "")
    assert "'zz'" in one_line(done)
    assert not made.exists()
