"""`vnicheck rules` and `vnicheck explain`, and the facts behind a finding with `--explain`."""

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.program import run
from vnicheck import __version__
from vnicheck.cli import given
from vnicheck.cli.app import COMMANDS
from vnicheck.rules.registry import RULES


def test_rules_are_a_line_each_with_the_severity_where_it_is_fixed() -> None:
    done = run("rules")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [rule.id for rule in RULES]
    for line, rule in zip(lines, RULES, strict=True):
        assert line.split()[1:3] == [rule.name, rule.severity or "varies"]
        assert line.endswith(rule.summary)


def test_rules_as_json_have_their_pages() -> None:
    done = run("rules", "-f", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [
        {"id": rule.id, "name": rule.name, "severity": rule.severity, "summary": rule.summary, "page": rule.page}
        for rule in RULES
    ]
    refused = run("rules", "-f", "yaml")
    assert (refused.returncode, refused.stderr) == (2, "vnicheck: --format 'yaml': write text or json\n")


@pytest.mark.parametrize("name", ["VNC201", "asymmetric-path"])
def test_a_page_is_found_by_id_and_by_name(name: str) -> None:
    done = run("explain", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# VNC201 asymmetric-path\n\nA path is asymmetric and works")
    assert "## How to fix" in done.stdout


def test_explain_shows_every_fact() -> None:
    brief, whole = run("demo"), run("demo", "--explain")
    assert (brief.returncode, whole.returncode) == (0, 0)
    assert "facts: --explain" in brief.stdout
    assert "facts: --explain" not in whole.stdout
    assert "(collected 20" in " ".join(whole.stdout.split())


def test_each_command_of_the_table_is_given_its_options() -> None:
    for name, (module, _) in COMMANDS.items():
        options = getattr(given, f"{name.title().replace('-', '')}Options")
        work = getattr(import_module(f"vnicheck.cli.{module}"), name.replace("-", "_"))
        (parameter,) = inspect.signature(work).parameters.values()
        assert parameter.annotation is options, name


def test_the_programs_own_help_loads_no_command() -> None:
    code = (
        "import sys; from vnicheck.cli.app import app; app(['--help'], standalone_mode=False); "
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in {'vnicheck', 'paramiko', 'ibm_vpc', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.splitlines()[-1] == "vnicheck vnicheck.cli vnicheck.cli.app vnicheck.cli.failure vnicheck.cli.help"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_loads_its_options_and_nothing_that_works(name: str) -> None:
    code = (
        f"import sys; from vnicheck.cli.app import app; app([{name!r}, '--help'], standalone_mode=False); "
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in {'vnicheck', 'paramiko', 'rich', 'msgspec'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {module.removeprefix("vnicheck.cli.") for module in done.stdout.splitlines()[-1].split()}
    options = {"bundles", "given", "options"}
    assert loaded == {"vnicheck", "vnicheck.cli", "app", "failure", "help", "tree", *options}


def test_the_version_is_told_without_typer() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--version']; from vnicheck.__main__ import main\n"
        "try: main()\n"
        "finally: print(*sorted({'typer', 'rich', 'msgspec', 'vnicheck.cli.app'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"vnicheck {__version__}\n\n"


@pytest.mark.parametrize("module", sorted({module for module, _ in COMMANDS.values()}))
def test_a_command_loads_what_is_slow_only_when_it_is_needed(module: str) -> None:
    slow = {"paramiko", "ibm_vpc", "ibm_cloud_sdk_core", "requests", "hcl2", "distributed", "jinja2"}
    code = f"import sys, vnicheck.cli.{module}; print(*sorted({slow!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_texts_and_paths_of_the_command_line_are_taken_without_pydantic(tmp_path: Path) -> None:
    code = (
        "import sys; from vnicheck.cli.app import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "print('pydantic' in sys.modules)"
    )

    def told(*arguments: str) -> list[str]:
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    missing = f"cannot read {tmp_path / 'none.json'}: No such file or directory"
    assert told("analyze", "web", "--snapshot", str(tmp_path / "none.json")) == [missing, "False"]
    number, _ = told("analyze", "web", "--jobs", "many")
    assert "integer" in number


def test_a_snapshot_is_analyzed_without_what_asks_servers_and_what_writes_files() -> None:
    code = "import sys, vnicheck.cli.analyze; print(*sorted({'yaml', 'vnicheck.guest.ssh.runner'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
