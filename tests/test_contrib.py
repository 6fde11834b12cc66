"""The GitHub action, the GitLab template and the Tekton task: their shapes, and their scripts run with a real vnicheck.

The scripts run as the systems run them, in an environment that holds nothing else, with inputs that mean harm.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml

from tests.support.fleet import BROKEN, TIMEOUT, WELL, member, snapshot
from tests.support.sarif import checked
from tests.support.sshd import require
from vnicheck.model.snapshot import Server, encode_snapshot

REPOSITORY = Path(__file__).parents[1]
ACTION = REPOSITORY / "action.yml"
GITLAB = REPOSITORY / "contrib" / "gitlab" / "vnicheck.gitlab-ci.yml"
TEKTON = REPOSITORY / "contrib" / "tekton" / "vnicheck-lint.yaml"
NASTY = ['"; touch pwned; "', "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a b", "*", "$HOME", "\\", "-x"]


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def program(folder: Path) -> str:
    """A PATH with vnicheck, and what every system has."""
    folder.mkdir()
    wrapper = folder / "vnicheck"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m vnicheck "$@"\n')
    wrapper.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


class Workspace:
    """A checkout beside an empty runner's folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.checkout = tmp_path / "checkout"
        (self.checkout / ".git").mkdir(parents=True)
        self.runner = tmp_path / "runner"
        self.runner.mkdir()
        self.path = program(tmp_path / "bin")

    def snapshot(self, *servers: Server) -> str:
        (self.checkout / "s.json").write_bytes(encode_snapshot(snapshot(*servers)))
        return "--snapshot=s.json"

    def run(self, command: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.checkout,
            env={"PATH": self.path, "HOME": str(self.runner), "CI": "true", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def is_untouched(self) -> bool:
        return not list(self.checkout.parent.rglob("pwned"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    require("bash", "sh", "od")
    return Workspace(tmp_path)


def github(workspace: Workspace, arguments: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs the action's last step as the runner does; inputs by their names in the action, `_` for `-`."""
    action = loaded(ACTION)
    step = action["runs"]["steps"][-1]
    given = {name: text["default"] for name, text in action["inputs"].items()} | {"arguments": arguments}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    given |= {"server_url": "https://github.example", "action_repository": "o/vnicheck", "action_ref": "v1"}
    environ = {
        key: re.sub(r"\$\{\{ (?:inputs|github)\.([a-z_-]+) \}\}", lambda match: given[match[1]], text)
        for key, text in step["env"].items()
    }
    installed = workspace.runner / "vnicheck" / "bin"
    installed.mkdir(parents=True, exist_ok=True)
    shutil.copy(workspace.path.partition(":")[0] + "/vnicheck", installed)
    script = workspace.runner / "step.sh"
    script.write_text(step["run"])
    output, summary = workspace.runner / "output", workspace.runner / "summary"
    output.touch()
    return workspace.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        RUNNER_TEMP=str(workspace.runner),
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
        **environ,
    )


# --- GitHub -----------------------------------------------------------------------------------------------------------


def check(schema: str, path: Path, *more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *more, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_is_one() -> None:
    check("vendor.github-actions", ACTION)


def test_no_input_stands_in_a_script() -> None:
    """What `${{ }}` puts into a script is read as commands, and so is what `$( )` of Tekton does."""
    require("bash")
    for step in loaded(ACTION)["runs"]["steps"]:
        assert "${{" not in step["run"]
        subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True, timeout=30)
    assert "$(" not in loaded(TEKTON)["spec"]["steps"][0]["script"]


@pytest.mark.parametrize(
    ("servers", "status"),
    [
        ([member("well", WELL)], 0),
        ([member("web-1", BROKEN), member("unreached", problems=(TIMEOUT,))], 1),
        ([member("well", WELL), member("unreached", problems=(TIMEOUT,))], 3),
    ],
)
def test_the_action_ends_as_lint_does(workspace: Workspace, servers: list[Server], status: int) -> None:
    done = github(workspace, workspace.snapshot(*servers))
    assert done.returncode == status, done.stderr
    assert (workspace.runner / "output").read_text() == f"status={status}\n"
    checked((workspace.checkout / "vnicheck.sarif").read_bytes())
    assert len(list(JUnitXml.fromfile(str(workspace.checkout / "vnicheck.xml")))) == len(servers) + 1
    assert (workspace.runner / "summary").read_text().startswith("## vnicheck\n")


def test_only_annotations_are_workflow_commands(workspace: Workspace) -> None:
    """Whatever a server is called: commands are off while text is printed."""
    forger = member("::error::forged", BROKEN)
    lines = github(workspace, workspace.snapshot(forger, member("web-1", BROKEN))).stdout.splitlines()
    first, last = lines[0], next(number for number, line in enumerate(lines) if line == f"::{lines[0][17:]}::")
    assert re.fullmatch(r"::stop-commands::[0-9a-f]{32}", first)
    assert "2 of 2 servers drop flows" in lines[1]
    annotations = lines[last + 1 :]
    assert annotations[0].startswith("::error title=vnicheck::Checked 2 of 2")
    assert not [line for line in annotations if line.startswith("::error::")]


def test_options_of_the_action_reach_lint(workspace: Workspace) -> None:
    snapshot = workspace.snapshot(member("web-1", BROKEN), member("web-2", BROKEN, region="eu-de"))
    written = github(workspace, f"{snapshot}\n--write-baseline=known.json\n", regions="us-south  eu-de")
    assert written.returncode == 1
    known = github(workspace, snapshot, baseline="known.json", vpc="prod", terraform=".", sarif="out/x y.sarif")
    assert known.returncode == 2, "there is no such folder"
    (workspace.checkout / "out").mkdir()
    known = github(workspace, snapshot, baseline="known.json", vpc="prod", terraform=".", sarif="out/x y.sarif")
    assert known.returncode == 0, known.stderr
    checked((workspace.checkout / "out" / "x y.sarif").read_bytes())
    everywhere = github(workspace, snapshot, regions="all")
    assert (everywhere.returncode, "--all-regions has no meaning with --snapshot" in everywhere.stderr) == (2, True)


@pytest.mark.parametrize("nasty", NASTY)
def test_inputs_of_the_action_are_never_commands(workspace: Workspace, nasty: str) -> None:
    inputs = dict.fromkeys(("regions", "vpc", "fail_on", "baseline", "terraform", "sarif", "junit"), nasty)
    done = github(workspace, f"{workspace.snapshot(member('web-1', BROKEN))}\n{nasty}", **inputs)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("vnicheck: ")
    assert workspace.is_untouched


def test_rules_link_to_the_pages_of_the_action(workspace: Workspace) -> None:
    github(workspace, workspace.snapshot(member("web-1", BROKEN)), sarif="found.sarif")
    (run,) = json.loads((workspace.checkout / "found.sarif").read_text())["runs"]
    first = run["tool"]["driver"]["rules"][0]
    assert first["helpUri"] == f"https://github.example/o/vnicheck/blob/v1/docs/rules/{first['id']}-{first['name']}.md"


def test_names_with_any_characters_reach_lint_whole(workspace: Workspace) -> None:
    done = github(workspace, f"{workspace.snapshot(member('a b$x', BROKEN))}\n--name=a b$x", junit="$HOME (1).xml")
    assert done.returncode == 1, done.stderr
    assert (workspace.checkout / "$HOME (1).xml").exists()


# --- GitLab -----------------------------------------------------------------------------------------------------------


def gitlab(workspace: Workspace, arguments: str) -> subprocess.CompletedProcess[str]:
    (script,) = loaded(GITLAB)[".vnicheck-lint"]["script"]
    program = workspace.path.partition(":")[0] + "/vnicheck"
    return workspace.run(["sh", "-ec", script], VNICHECK=program, VNICHECK_ARGUMENTS=arguments)


def test_the_gitlab_template_is_one() -> None:
    check("vendor.gitlab-ci", GITLAB, "--data-transform", "gitlab-ci")


def test_the_gitlab_job_ends_as_lint_does_and_leaves_what_it_promises(workspace: Workspace) -> None:
    job = loaded(GITLAB)[".vnicheck-lint"]
    here = workspace.snapshot(member("web-1", BROKEN))
    done = gitlab(workspace, f"{here}\n\n--name=web-*\n")
    assert (done.returncode, done.stderr) == (1, "")
    for file in (*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]):
        assert (workspace.checkout / file).stat().st_size > 0
    incomplete = gitlab(workspace, workspace.snapshot(member("unreached", problems=(TIMEOUT,))))
    assert incomplete.returncode == 3
    assert "allow_failure" not in job


def test_nothing_is_installed_by_a_name_that_anybody_could_register() -> None:
    """What pip is given: our own folder, or files whose hashes the repository holds."""
    steps = loaded(ACTION)["runs"]["steps"]
    action, template = steps[0]["run"], "\n".join(loaded(GITLAB)[".vnicheck-lint"]["before_script"])
    for script in (action, template):
        installs = [line for line in script.splitlines() if "-m pip" in line or "pip[@]" in line]
        assert installs
        assert "--require-hashes -r" in script
        assert "--no-deps" in script
        assert not re.search(r"(?<![/\w-])vnicheck(\[|\s|$)(?!lint)", "\n".join(installs))
    assert "GITHUB_PATH" not in ACTION.read_text()
    assert "GITHUB_ENV" not in ACTION.read_text()
    assert re.search(r'VNICHECK_SOURCE: "https://\S+/refs/tags/v[0-9.]+\.tar\.gz"', GITLAB.read_text())
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "vnicheck").rglob("*.py")]
    for page in pages:
        assert not re.search(r"pip install '?vnicheck", page.read_text()), page
    assert re.search(
        r'repository: "[^"]+", ref: v[0-9.]+, path: \.vnicheck }', (REPOSITORY / "docs/lint.md").read_text()
    )


def test_the_gitlab_job_says_what_it_lacks(tmp_path: Path) -> None:
    job = loaded(GITLAB)[".vnicheck-lint"]
    given = {**os.environ, "VNICHECK_SOURCE": job["variables"]["VNICHECK_SOURCE"]}
    done = subprocess.run(
        ["sh", "-ec", "\n".join(job["before_script"])],
        env=given, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "VNICHECK_SOURCE: set it to the archive of a tag" in done.stderr


@pytest.mark.long(sampled=False)
@pytest.mark.timeout(600)
def test_the_gitlab_template_installs_a_release_as_it_says(workspace: Workspace, tmp_path: Path) -> None:
    archive = tmp_path / "v0.tar.gz"
    names = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    with tarfile.open(archive, "w:gz") as tar:
        for name in names:
            tar.add(REPOSITORY / name, f"vnicheck-0/{name}")
    job = loaded(GITLAB)[".vnicheck-lint"]
    script = "\n".join([*job["before_script"], '"$VNICHECK" --version'])
    done = subprocess.run(
        ["sh", "-ec", script],
        env={**os.environ, "VNICHECK_SOURCE": archive.as_uri()},
        cwd=workspace.checkout, capture_output=True, text=True, timeout=550, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vnicheck ")


def test_arguments_of_the_gitlab_job_are_never_commands(workspace: Workspace) -> None:
    names = "".join(f"--name={nasty}\n" for nasty in NASTY if nasty != "*")
    done = gitlab(workspace, f"{workspace.snapshot(member('web-1', BROKEN))}\n{names}")
    assert (done.returncode, "nothing to check" in done.stderr) == (2, True)
    assert "$(touch pwned)" in done.stderr
    assert workspace.is_untouched


# --- Tekton -----------------------------------------------------------------------------------------------------------


def tekton(workspace: Workspace, *arguments: str, ssh: str = "") -> subprocess.CompletedProcess[str]:
    (step,) = loaded(TEKTON)["spec"]["steps"]
    script = workspace.runner / "script"
    script.write_text(step["script"])
    script.chmod(0o755)
    return workspace.run([str(script), *arguments], SSH_FOLDER=ssh, STATUS_FILE=str(workspace.runner / "status"))


def test_the_tekton_task_names_what_it_uses() -> None:
    task = loaded(TEKTON)
    assert (task["apiVersion"], task["kind"]) == ("tekton.dev/v1", "Task")
    spec = task["spec"]
    named = set(re.findall(r"\$\((params|workspaces|results)\.([a-z]+)", TEKTON.read_text()))
    declared = {(kind, each["name"]) for kind in ("params", "workspaces", "results") for each in spec[kind]}
    assert named <= declared
    (step,) = spec["steps"]
    assert step["args"] == ["$(params.arguments[*])"]
    assert {each["name"] for each in step["env"]} >= {"IBMCLOUD_API_KEY", "SSH_FOLDER", "STATUS_FILE"}


def test_the_tekton_step_ends_as_lint_does(workspace: Workspace) -> None:
    done = tekton(workspace, workspace.snapshot(member("web-1", BROKEN)))
    assert (done.returncode, (workspace.runner / "status").read_text()) == (1, "1")
    for name in ("vnicheck.xml", "vnicheck.sarif", "vnicheck.html"):
        assert (workspace.checkout / name).stat().st_size > 0


def test_the_tekton_step_takes_an_ssh_configuration(workspace: Workspace) -> None:
    (workspace.runner / "config").write_text("Host *\n")
    done = tekton(workspace, "--help", ssh=str(workspace.runner))
    assert done.returncode == 0
    broken = tekton(workspace, workspace.snapshot(member("web-1", BROKEN)), ssh=str(workspace.runner))
    assert broken.returncode == 1, broken.stderr


def test_arguments_of_the_tekton_step_are_never_commands(workspace: Workspace) -> None:
    names = [f"--name={nasty}" for nasty in NASTY if nasty != "*"]
    done = tekton(workspace, workspace.snapshot(member("web-1", BROKEN)), *names)
    assert (done.returncode, "nothing to check" in done.stderr) == (2, True)
    assert workspace.is_untouched


# --- docs/lint.md -----------------------------------------------------------------------------------------------------


def test_the_workflow_of_the_page_is_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs/lint.md").read_text(), re.DOTALL)
    workflows = [block for block in blocks if "runs-on" in block]
    assert len(workflows) == 1
    (tmp_path / "workflow.yml").write_text(workflows[0])
    check("vendor.github-workflows", tmp_path / "workflow.yml")
    steps = yaml.safe_load(workflows[0])["jobs"]["vnicheck"]["steps"]
    (fetched,) = [step["with"]["path"] for step in steps if "repository" in step.get("with", {})]
    (ours,) = [step for step in steps if step["uses"] == f"./{fetched}"]
    assert set(ours["with"]) <= set(loaded(ACTION)["inputs"])
