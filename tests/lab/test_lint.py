"""Lint end to end, as a CI job runs it: three servers, of which one is broken, one healthy, and one out of reach.

The program runs without a terminal and with CI=true; it reads the stand-in API and logs in over real SSH.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from tests.lab.fleet import BROKEN, GONE, HEALTHY, MEND, Fleet
from tests.lab.require import require_lab
from tests.support.sarif import checked
from tests.support.sshd import require

pytestmark = pytest.mark.root

REPOSITORY = Path(__file__).resolve().parents[2]
FORMATS = ("sarif", "junit", "json", "markdown", "html", "text")
MUTE = '[[mute]]\nrule = "{}"\nserver = "broken"\nreason = "release 7"\nexpires = 2999-12-31\n'
EXPECT = '[[expect]]\nserver = "{}"\nto = "eth1"\nfrom = "vpc"\nprotocol = "tcp"\nverdict = "delivered"\n'


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require_lab()
    require("sshd", "ssh-keygen")
    with Fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
def job(fleet: Fleet, tmp_path: Path) -> "Job":
    return Job(fleet, tmp_path)


class Job:
    """A checkout that jobs run in."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        (folder / ".git").mkdir()
        (folder / "main.tf").write_text('resource "ibm_is_instance" "b" {\n  name = "broken"\n}\n')

    def lint(self, *options: str, config: str = "") -> subprocess.CompletedProcess[str]:
        (self.folder / "vnicheck.toml").write_text(config)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("VPC_", "IBM", "IC_"))}
        return self.fleet.broken.client.run(
            [sys.executable, "-m", "vnicheck", "lint", *self.fleet.options, "--connect-timeout", "1.5", *options],
            cwd=self.folder,
            env={
                **clean,
                **self.fleet.api.environ,
                "CI": "true",
                "PYTHONPATH": str(REPOSITORY),
                "IBMCLOUD_REGION": "us-south",
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            },
            timeout=60,
            check=False,
        )

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


def rules(report: Any, server: str) -> set[str]:
    (instance,) = [each for each in report["instances"] if each["name"] == server]
    return {finding["rule"] for finding in instance["findings"]}


def test_a_broken_server_fails_the_job_and_an_unreachable_one_hides_nothing(job: Job) -> None:
    files = [word for name in FORMATS for word in ("-f", f"{name}=report.{name}")]
    done = job.lint(*files, "-f", "github", "--terraform", ".")
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(job.read("report.json"))
    assert {each["name"]: each["status"] for each in report["instances"]} == {
        BROKEN: "analyzed",
        GONE: "incomplete",
        HEALTHY: "analyzed",
    }
    assert rules(report, BROKEN) >= {"VNC101"}
    assert not [each for each in report["instances"][2]["findings"] if each["severity"] == "error"]
    (problem,) = report["instances"][1]["problems"]
    assert problem["code"] in {"ssh_no_answer", "ssh_unreachable"}
    assert report["coverage"] == {"servers": 3, "checked": 2, "stopped": 0, "single_homed": 0, "percent": 66.7}

    assert job.read("report.text").startswith("us-south: 1 of 3 servers drops flows; ")
    assert done.stdout.startswith("::error title=vnicheck::Checked 2 of 3 servers in us-south. ")
    assert f"::warning title=vnicheck%3A not checked::{GONE}: ssh_" in done.stdout
    assert job.read("summary") == job.read("report.markdown")
    document = checked((job.folder / "report.sarif").read_bytes())
    first = document["runs"][0]["results"][0]
    assert (first["ruleId"], first["properties"]["server"]) == ("VNC101", BROKEN)
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "main.tf"
    suites = {suite.name: suite for suite in JUnitXml.fromfile(str(job.folder / "report.junit"))}
    assert suites[f"us-south.{BROKEN}"].failures >= 1
    assert suites[f"us-south.{GONE}"].errors == 1
    assert (suites[f"us-south.{HEALTHY}"].failures, suites[f"us-south.{HEALTHY}"].errors) == (0, 0)
    page = job.read("report.html")
    assert "1 of 3 servers" in page
    assert BROKEN in page
    assert GONE in page
    assert job.fleet.api.unexpected == []


def test_what_is_healthy_passes_and_what_is_out_of_reach_is_incomplete(job: Job) -> None:
    assert job.lint("--name", HEALTHY).returncode == 0
    both = ("--name", HEALTHY, "--name", GONE)
    assert job.lint(*both).returncode == 3
    assert job.lint(*both, "--min-coverage", "50").returncode == 0
    assert job.lint("--name", "nobody").returncode == 2


def test_mutes_and_expectations_decide(job: Job) -> None:
    reachable = ("--name", BROKEN, "--name", HEALTHY, "-f", "json")
    errors = MUTE.format("VNC101")
    muted = job.lint(*reachable, config=errors)
    assert (muted.returncode, json.loads(muted.stdout)["summary"]["muted"]) == (0, 1)
    wanted = job.lint(*reachable, config=errors + EXPECT.format(BROKEN))
    assert wanted.returncode == 1
    assert "VNC501" in rules(json.loads(wanted.stdout), BROKEN)
    met = job.lint(*reachable, config=errors + EXPECT.format(HEALTHY))
    assert met.returncode == 0


def test_without_ssh_what_can_be_said_is_said(job: Job) -> None:
    done = job.lint("--cloud-only", "-f", "json", "--flows")
    assert done.returncode == 3
    for instance in json.loads(done.stdout)["instances"]:
        assert "delivered" not in {flow["verdict"] for flow in instance["flows"]}


def test_a_baseline_from_the_first_day_to_the_mended_server(job: Job) -> None:
    """Last, for it fixes the broken server."""
    first = job.lint("--write-baseline", "known.json")
    assert first.returncode == 1
    assert "what could not be checked is not in it" in first.stderr
    known = json.loads(job.read("known.json"))
    assert {each["name"] for each in known["findings"]} >= {BROKEN}

    again = job.lint("--baseline", "known.json", "-f", "sarif=known.sarif", "-f", "text")
    assert again.returncode == 3, "nothing new, and one that could not be checked"
    assert "Nothing new in what could be checked; " in again.stdout
    states = {
        each["baselineState"] for each in checked((job.folder / "known.sarif").read_bytes())["runs"][0]["results"]
    }
    assert states == {"unchanged"}

    job.fleet.broken.target.run(["sh", "-eu"], input=MEND)
    fixed = job.lint("--baseline", "known.json", "--allow-incomplete", "-f", "json", "-f", "sarif=fixed.sarif")
    assert fixed.returncode == 0, fixed.stdout
    gone = {(each["rule"], each["name"]) for each in json.loads(fixed.stdout)["baseline"]["gone"]}
    assert ("VNC101", BROKEN) in gone
    document = checked((job.folder / "fixed.sarif").read_bytes())
    assert "VNC101" not in {each["ruleId"] for each in document["runs"][0]["results"]}
