"""`vnicheck lint` as a process: from a snapshot's file or folder, and live; exit codes, baselines, formats."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from junitparser import JUnitXml

from tests.api import StandIn, World
from tests.support.fleet import BROKEN, TIMEOUT, WELL, fleet, member, snapshot
from tests.support.program import lint, one_line, run
from tests.support.sarif import checked
from tests.support.servers import fabric
from tests.support.sshd import refusing_port
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.model.snapshot import Server, encode_snapshot

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
MACS = ("02:00:05:02:70:58", "02:00:25:02:70:58")
"""Those of the collected guest."""


def saved(folder: Path, *servers: Server, name: str = "s.json", **around: Any) -> str:
    """A snapshot of the servers, as an option."""
    path = folder / name
    path.write_bytes(encode_snapshot(snapshot(*servers, around=fabric(**around))))
    return f"--snapshot={path}"


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "options", "status"),
    [
        ([member("well", WELL)], [], 0),
        ([member("web", BROKEN)], [], 1),
        ([member("web", BROKEN), member("unreached", problems=(TIMEOUT,))], [], 1),
        ([member("well", WELL), member("unreached", problems=(TIMEOUT,))], [], 3),
        ([member("well", WELL), member("unreached", problems=(TIMEOUT,))], ["--allow-incomplete"], 0),
        ([member("well", WELL), member("unreached", problems=(TIMEOUT,))], ["--min-coverage", "50"], 0),
        ([member("well", WELL), member("unreached", problems=(TIMEOUT,))], ["--min-coverage", "50.1"], 3),
        (
            [member("well", WELL), member("unreached", problems=(TIMEOUT,))],
            ["--min-coverage", "51", "--allow-incomplete"],
            3,
        ),
        ([member("well", WELL), member("asleep", status="stopped")], ["--min-coverage", "100"], 0),
        ([member("unreached", problems=(TIMEOUT,))], ["--fail-on", "note"], 1),
        ([member("web", BROKEN)], ["--fail-on", "fatal"], 2),
        ([member("single", WELL, vnis=member("x").vnis[:1])], [], 0),
        ([member("web", BROKEN)], ["--name", "db-*"], 2),
        ([member("web", BROKEN)], ["--vpc", "other"], 2),
        ([member("web", BROKEN)], ["--region", "eu-de"], 2),
        ([member("web", BROKEN)], ["--all-regions"], 2),
        ([member("web", BROKEN)], ["--cloud-only"], 2),
        ([member("web", BROKEN)], ["--terraform", "nowhere"], 2),
        ([member("web", BROKEN)], ["--baseline", "nowhere"], 2),
        ([member("web", BROKEN)], ["--min-coverage", "101"], 2),
        ([member("web", BROKEN)], ["-f", "sarif", "-f", "text"], 2),
        ([member("web", BROKEN)], ["-f", "sarif=/nonexistent/x"], 2),
    ],
)
def test_exit_codes(repository: Path, servers: list[Server], options: list[str], status: int) -> None:
    done = lint(saved(repository, *servers), *options)
    assert done.returncode == status, done.stderr
    if status == 2:
        assert done.stderr.startswith("vnicheck: ")
        assert done.stderr.count("\n") == 1
    else:
        assert done.stderr == ""
        assert "hecked " in done.stdout


def test_servers_that_could_not_be_read_leave_any_coverage_unmet(repository: Path) -> None:
    unread = saved(repository, member("well", WELL), missing={"servers": "bare metal servers: 403"})
    assert lint(unread, "--min-coverage", "0").returncode == 3
    assert lint(unread, "--allow-incomplete").returncode == 0
    assert "there may be more: not everything could be read" in " ".join(lint(unread).stdout.split())


def test_nothing_that_matches_says_what_was_asked_for(repository: Path) -> None:
    done = lint(saved(repository, *fleet()), "--vpc", "prod", "--name", "db-*")
    assert one_line(done) == "nothing to check: there is no server with VPC prod, name db-* in eu-de, us-south"


# --- formats ----------------------------------------------------------------------------------------------------------


def test_every_format_from_one_run(repository: Path) -> None:
    (repository / "env").mkdir()
    (repository / "env" / "main.tf").write_text('\nresource "ibm_is_instance" "w" {\n  name = "web-${var.n}"\n}\n')
    names = {"sarif": "r.sarif", "junit": "r.xml", "json": "r.json", "markdown": "r.md", "html": "r.html", "text": "r"}
    options = [word for name, file in names.items() for word in ("-f", f"{name}={file}")]
    summary = repository / "summary"
    done = lint(
        saved(repository, *fleet()), *options, "-f", "github", "--terraform", "env",
        env={"GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("::error title=vnicheck::Checked 3 of 4 ")
    assert "file=env/main.tf,line=2::" in done.stdout
    document = checked((repository / "r.sarif").read_bytes())
    places = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in document["runs"][0]["results"]
        if result["properties"]["server"].startswith("web-")
    }
    assert places == {"env/main.tf"}
    assert document["runs"][0]["automationDetails"]["id"] == "vnicheck/snapshot/all/"
    assert JUnitXml.fromfile("r.xml").failures == 2
    assert json.loads((repository / "r.json").read_text())["summary"]["findings"]["error"] == 2
    assert (repository / "r.html").read_text().startswith("<!doctype html>")
    assert (repository / "r").read_text().startswith("eu-de and us-south: 2 of 5 servers drop flows; ")
    assert summary.read_text() == (repository / "r.md").read_text()
    assert {path.name for path in repository.iterdir()} == {*names.values(), ".git", "env", "s.json", "summary"}


def test_analyze_writes_them_too(repository: Path) -> None:
    names = {"sarif": "r.sarif", "junit": "r.xml", "markdown": "r.md", "html": "r.html", "github": "r.txt"}
    options = [word for name, file in names.items() for word in ("-f", f"{name}={file}")]
    done = run("analyze", "web-2", "unreached", saved(repository, *fleet()), *options)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    checked((repository / "r.sarif").read_bytes())
    root = JUnitXml.fromfile("r.xml")
    assert (root.failures, root.errors) == (1, 1)
    assert (repository / "r.txt").read_text().startswith("::error title=vnicheck::Checked 1 of 2 servers. 1 error, ")
    assert "unreached: ssh\\_timeout" in (repository / "r.md").read_text()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--vpc", "prod"], "vnicheck/snapshot/prod/"),
        (["--region", "us-south", "--name", "w*/"], "vnicheck/us-south/all/name=w*%2F/"),
    ],
)
def test_a_sarif_run_is_named_by_its_selection(repository: Path, options: list[str], name: str) -> None:
    done = lint(saved(repository, *fleet(), member("w/", WELL)), "-f", "sarif", *options)
    assert json.loads(done.stdout)["runs"][0]["automationDetails"]["id"] == name


# --- baselines --------------------------------------------------------------------------------------------------------


def test_a_baseline_from_the_first_run_to_the_last(repository: Path) -> None:
    web, other = member("web-1", BROKEN), member("web-2", BROKEN)
    first = lint(saved(repository, web), "--write-baseline", "known.json")
    assert first.returncode == 1, "what is there is told once"
    assert first.stderr == "vnicheck: note: known.json now holds 3 findings\n"

    same = lint(saved(repository, web), "--baseline", "known.json")
    assert (same.returncode, "Nothing new; 3 known from the baseline." in same.stdout) == (0, True)

    worse = lint(saved(repository, web, other), "--baseline", "known.json", "-f", "json")
    assert worse.returncode == 1
    known = {
        instance["name"]: {finding["known"] for finding in instance["findings"]}
        for instance in json.loads(worse.stdout)["instances"]
    }
    assert known == {"web-1": {True}, "web-2": {False}}

    outage = lint(
        saved(repository, member("web-1", problems=(TIMEOUT,))),
        *("--baseline", "known.json", "--write-baseline", "known.json"),
    )
    assert outage.returncode == 3
    assert "could not be looked at, and stays in the baseline" in outage.stdout
    assert len(json.loads((repository / "known.json").read_text())["findings"]) == 4, "and the note on the outage"

    better = lint(saved(repository, member("web-1", WELL)), "--baseline", "known.json")
    assert better.returncode == 0
    assert "4 of the baseline gone." in better.stdout


def test_that_a_server_is_gone_is_said_where_all_were_read(repository: Path) -> None:
    """A snapshot may be of a few servers that somebody named."""
    options = ("--cloud-only", f"--guest=web-1={COLLECTED}", "--allow-incomplete", "-f", "json")
    with StandIn(region("us-south", "web-1", "web-2")) as api:
        lint(*options, "--write-baseline", "known.json", env={**api.environ, "IBMCLOUD_REGION": "us-south"})
    known = json.loads((repository / "known.json").read_text())["findings"]
    assert {each["name"] for each in known} == {"web-2"}
    with StandIn(region("us-south", "web-1")) as api:
        environ = {**api.environ, "IBMCLOUD_REGION": "us-south"}
        taken = run("snapshot", "web-1", "-o", "s.json", f"--guest=web-1={COLLECTED}", env=environ)
        assert taken.returncode == 0, taken.stderr
        live = json.loads(lint(*options, "--baseline", "known.json", env=environ).stdout)["baseline"]
    assert (len(live["gone"]), live["elsewhere"]) == (len(known), 0)
    part = json.loads(lint("--snapshot", "s.json", "--baseline", "known.json", "-f", "json").stdout)["baseline"]
    assert (part["gone"], part["elsewhere"]) == ([], len(known))


def test_a_baseline_that_is_none(repository: Path) -> None:
    (repository / "known.json").write_text('{"schema": "vnicheck.report/1"}')
    done = lint(saved(repository, member("web", BROKEN)), "--baseline", "known.json")
    assert "its schema is 'vnicheck.report/1', and this version reads 'vnicheck.baseline/2'" in one_line(done)
    assert done.returncode == 2


def test_a_first_baseline_of_an_incomplete_run_says_what_it_lacks(repository: Path) -> None:
    done = lint(saved(repository, *fleet()), "--write-baseline", "known.json")
    assert "what could not be checked is not in it, and will be new once it can be" in done.stderr


def test_schemas_are_published() -> None:
    import jsonschema

    schema = json.loads(run("schema", "baseline").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate({"schema": "vnicheck.baseline/1", "findings": []})


# --- mutes and expectations -------------------------------------------------------------------------------------------


def test_mutes_and_expectations_count(repository: Path) -> None:
    config = repository / "vnicheck.toml"
    mute = '[[mute]]\nrule = "VNC101"\nserver = "web"\nreason = "known"\nexpires = 2999-12-31\n'
    config.write_text(mute)
    here = saved(repository, member("web", BROKEN))
    assert lint(here).returncode == 0
    config.write_text(
        mute + '[[expect]]\nserver = "web"\nto = "eth1"\nfrom = "vpc"\nport = 443\nverdict = "delivered"\n'
    )
    done = lint(here, "-f", "sarif=r.sarif", "-f", "text", "--verbose")
    assert (done.returncode, "VNC501" in done.stdout) == (1, True)
    (result, *_) = checked((repository / "r.sarif").read_bytes())["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 6, "the expectation's own line"


def test_tables_that_name_nobody_are_told_only_where_everybody_was_asked(repository: Path) -> None:
    (repository / "vnicheck.toml").write_text(
        '[[mute]]\nrule = "VNC101"\nserver = "gone-*"\nreason = "known"\nexpires = 2999-12-31\n'
    )
    here = saved(repository, *fleet())
    assert "no server is so named" not in lint(here).stderr, "a server with one interface may be"
    assert "no server is so named" not in lint(here, "--name", "w*").stderr
    assert "[[mute]] 1 (VNC101 on gone-*): no server is so named" in lint(here, "--include-single-homed").stderr


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_the_same_as_its_file(repository: Path) -> None:
    folder = SnapshotFolder(repository / "folder")
    for region in ("eu-de", "us-south"):
        servers = tuple(server for server in fleet() if server.region == region)
        folder.write_cloud(region, msgspec.structs.replace(snapshot(), servers=servers))
        for server in servers:
            if server.guest is not None:
                folder.write_guest(region, server.id, server.guest)
    file = json.loads(lint(saved(repository, *fleet()), "-f", "json").stdout)
    apart = json.loads(lint("--snapshot", str(folder.path), "-f", "json").stdout)
    assert apart | {"generated_at": ""} == file | {"generated_at": ""}
    one = json.loads(lint("--snapshot", str(folder.path), "--region", "eu-de", "-f", "json").stdout)
    assert [instance["name"] for instance in one["instances"]] == ["web-1"]


def test_a_spoilt_guest_in_a_folder_is_its_servers_problem(repository: Path) -> None:
    folder = SnapshotFolder(repository / "folder")
    servers = (member("web-1", BROKEN), member("web-2", BROKEN), member("web-3", BROKEN))
    folder.write_cloud("us-south", snapshot(*servers))
    folder.write_guest("us-south", "id-web-2", BROKEN)
    folder.write_guest("us-south", "id-web-1", BROKEN)
    (file,) = (repository / "folder" / "us-south" / "guests").glob("*web-1*")
    file.write_text("{")
    done = lint("--snapshot", str(folder.path), "-f", "json")
    assert (done.returncode, done.stderr) == (1, "")
    told = {
        each["name"]: [problem["code"] for problem in each["problems"]] for each in json.loads(done.stdout)["instances"]
    }
    assert told == {"web-1": ["guest_unreadable"], "web-2": [], "web-3": ["guest_not_collected"]}


# --- determinism ------------------------------------------------------------------------------------------------------


def shuffled(world: dict[str, Any], seed: int) -> dict[str, Any]:
    """The world with every list that the API may give in another order in another order."""
    order = random.Random(seed)
    made: dict[str, Any] = json.loads(json.dumps(world))
    for value in made.values():
        for items in [value] if isinstance(value, list) else value.values():
            order.shuffle(items)
    for server in (*made["instances"], *made["bare_metal_servers"]):
        for key in ("network_interfaces", "network_attachments"):
            order.shuffle(server.get(key, []))
    for vni in made["virtual_network_interfaces"]:
        order.shuffle(vni["security_groups"])
    for group in made["security_groups"]:
        order.shuffle(group["targets"])
        order.shuffle(group["rules"])
    return made


def test_the_same_input_is_the_same_bytes(repository: Path) -> None:
    world = region("us-south", "web-1", "web-2", "db")
    world.security_group("more", rules=[{"direction": "inbound"}, {"direction": "outbound"}])
    world.instance(
        "many",
        interfaces=[
            {"subnet": "a", "address": f"10.0.0.{number}", "security_groups": ["default", "more"]}
            for number in (101, 102, 103)
        ],
    )
    formats = ("json", "sarif", "junit", "markdown", "html", "github")
    told = []
    for seed in (1, 2, 3):
        with StandIn(shuffled(world.data, seed)) as api:
            files = [word for name in formats for word in ("-f", f"{name}={seed}.{name}")]
            options = ["--cloud-only", f"--guest=web-1={COLLECTED}", f"--guest=db={COLLECTED}"]
            done = lint(
                *options, *files, "-f", "text", "--write-baseline", f"{seed}.baseline",
                env={**api.environ, "PYTHONHASHSEED": str(seed), "IBMCLOUD_REGION": "us-south"},
            )  # fmt: skip
            assert done.returncode == 1, done.stderr  # nothing answers for the addresses of db: VNC107
            assert api.unexpected == []
        written = {name: (repository / f"{seed}.{name}").read_text() for name in (*formats, "baseline")}
        time = json.loads(written["json"])["generated_at"]
        told.append({name: text.replace(time, "NOW").replace(api.url, "URL") for name, text in written.items()})
        told[-1]["text"] = done.stdout
        told[-1]["json"] = _without_reading_times(told[-1]["json"])
    for name in told[0]:
        assert told[1][name] == told[0][name], name
        assert told[2][name] == told[0][name], name


def _without_reading_times(text: str) -> str:
    """When the VPC was read stands beside each fact of it."""
    document = json.loads(text)
    for instance in document["instances"]:
        for finding in instance["findings"]:
            for fact in finding["evidence"]:
                fact["collected_at"] = ""
    return json.dumps(document)


# --- live -------------------------------------------------------------------------------------------------------------


def region(name: str, *servers: str) -> World:
    """A region whose servers have two interfaces each, those of the collected guest by their MAC addresses."""
    world = World(region=name).vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number, server in enumerate(servers):
        world.instance(
            server,
            interfaces=[
                {"subnet": "a", "address": f"10.0.0.{10 * number + place}", "mac": mac}
                for place, mac in zip((11, 12), MACS, strict=True)
            ],
        )
    return world


def everywhere(home: StandIn, **roots: str) -> None:
    world = World(region="us-south")
    for name, root in roots.items():
        world.listed_region(name.replace("_", "-"), root)
    home.world["regions"] = world.data["regions"]


def test_all_regions_and_a_dead_one_hides_nothing(repository: Path) -> None:
    root = f"http://127.0.0.1:{refusing_port()}"
    with StandIn(region("us-south", "web-1")) as home, StandIn(region("eu-de", "web-2")) as away:
        everywhere(home, us_south=home.root, eu_de=away.root, eu_gb=root)
        done = lint(
            "--all-regions", "--cloud-only", f"--guest=web-1={COLLECTED}", f"--guest=web-2={COLLECTED}",
            "-f", "json", "-f", "sarif=r.sarif", "--api-timeout", "15", env=home.environ,
        )  # fmt: skip
        assert home.unexpected == away.unexpected == []
    assert (done.returncode, done.stderr) == (3, "")
    report = json.loads(done.stdout)
    assert [(each["region"], each["name"]) for each in report["instances"]] == [
        ("eu-de", "web-2"),
        ("us-south", "web-1"),
    ]
    problems = {each["name"]: [problem["code"] for problem in each["problems"]] for each in report["regions"]}
    assert problems == {"eu-de": [], "eu-gb": ["api_unreachable"], "us-south": []}
    assert report["coverage"]["percent"] is None
    document = checked((repository / "r.sarif").read_bytes())
    assert document["runs"][0]["automationDetails"]["id"] == "vnicheck/all/all/"


def test_a_vpc_that_only_one_region_has(repository: Path) -> None:
    other = World(region="eu-de").vpc("test", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    with StandIn(region("us-south", "web-1")) as home, StandIn(other) as away:
        everywhere(home, us_south=home.root, eu_de=away.root)
        options = ("--all-regions", "--cloud-only", f"--guest=web-1={COLLECTED}", "--vpc")
        done = lint(*options, "prod", "-f", "json", env=home.environ)
        assert [each["name"] for each in json.loads(done.stdout)["regions"]] == ["us-south"]
        assert done.returncode == 0
        assert "is 'nowhere'" in one_line(lint(*options, "nowhere", env=home.environ))


def test_nothing_is_asked_about_servers_out_of_scope(repository: Path) -> None:
    """Bulk lists, and per server only what those that were chosen need."""
    world = region("us-south", "web-1")
    for number in range(30):
        world.instance(
            f"single-{number}", interfaces=[{"subnet": "a", "address": f"10.0.0.{100 + number}"}], legacy=True
        )
        world.bare_metal_server(f"metal-{number}", interfaces=[{"subnet": "a", "address": f"10.0.0.{150 + number}"}])
    with StandIn(world) as api:
        done = lint("--cloud-only", f"--guest=web-1={COLLECTED}", env=api.environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert "60 with one interface left out" in " ".join(done.stdout.split())
        assert not [
            call
            for call in api.lines
            if "single" in call or "/network_interfaces" in call or "/network_attachments" in call
        ]
        assert len(api.calls) <= 14
        assert api.unexpected == []


def test_cloud_only_says_what_can_be_said(repository: Path) -> None:
    """A job that may not log in anywhere can still fail when someone adds an interface."""
    with StandIn(region("us-south", "web-1", "web-2")) as api:
        done = lint("--cloud-only", "-f", "json", "--flows", env=api.environ)
        assert lint("--cloud-only", "--fail-on", "warning", env=api.environ).returncode == 1
        forgiven = lint("--cloud-only", "--allow-incomplete", env=api.environ)
    assert (done.returncode, done.stderr) == (3, "")
    assert forgiven.returncode == 0
    assert "Checked 0 of 2 servers" in forgiven.stdout
    for instance in json.loads(done.stdout)["instances"]:
        assert [problem["code"] for problem in instance["problems"]] == ["guest_not_collected"]
        verdicts = {flow["verdict"] for flow in instance["flows"]}
        assert verdicts == {"unknown", "dropped"}
        assert [(each["rule"], each["confidence"]) for each in instance["findings"]] == [
            ("VNC403", "assumed"),
            ("VNC401", "observed"),
        ]


def test_load_balancers_that_could_not_be_read_are_mentioned(repository: Path) -> None:
    with StandIn(region("us-south", "web-1")) as api:
        api.fail("/load_balancers", status=403, times=None)
        done = lint("--cloud-only", f"--guest=web-1={COLLECTED}", env={**api.environ, "IBMCLOUD_REGION": "us-south"})
    assert done.returncode == 0
    assert "note: load balancers of us-south were not read: list_load_balancers" in " ".join(done.stdout.split())


def test_no_credentials_is_two() -> None:
    done = lint("--all-regions")
    assert (done.returncode, "no credentials for the VPC API" in one_line(done)) == (2, True)


def test_a_file_name_steers_no_terminal_and_no_ci(repository: Path) -> None:
    (repository / "tf").mkdir()
    (repository / "tf" / "a\n::error::x\x1b[31m.tf").write_text('resource "ibm_is_instance" {{{')
    done = lint(saved(repository, member("web", BROKEN)), "--terraform=tf", "--format=sarif=lint.sarif")
    assert done.returncode == 1
    (note,) = [line for line in done.stderr.splitlines() if "passed over" in line]
    assert note.startswith("vnicheck: note: tf/a")
    assert "\x1b" not in done.stderr
    assert not any(line.startswith("::") for line in done.stderr.splitlines())
