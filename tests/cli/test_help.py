"""Help, in groups with examples, and the versions: complete, plain, and true to what the program takes."""

import re
import shlex
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.program import run
from vnicheck import __version__
from vnicheck.cli.app import COMMANDS, _loaded
from vnicheck.cli.failure import MEANINGS, Exit
from vnicheck.cli.help import ENVIRONMENT, EXAMPLES, GROUPS, command_help
from vnicheck.cli.tree import commands

SOURCES = [path.read_text() for path in Path(str(files("vnicheck"))).rglob("*.py") if path.name != "help.py"]


def test_every_command_is_in_one_group_and_has_examples() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_taken(line: str) -> None:
    name, *arguments = shlex.split(line.partition(" > ")[0])
    assert _loaded(name).make_context(name, arguments).info_name == name  # it raises where it is none


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_that_help_names_are_those_that_are_taken(name: str) -> None:
    params = [each for each in _loaded(name).params if each.name != "help"]
    taken = {option for each in params if each.param_type_name == "option" for option in each.opts}
    taken |= {option for each in params if each.param_type_name == "option" for option in each.secondary_opts}
    (described,) = [each for each in commands() if each.name == name]
    assert {option for each in described.options for option in each.names} == taken | {"--help", "-h"}
    assert len(described.arguments) == sum(each.param_type_name == "argument" for each in params)
    shown = command_help(described)
    for option in taken:
        assert re.search(rf"(?:^  |, ){re.escape(option)}\b", shown, re.MULTILINE), option


def test_the_programs_help_has_the_exit_codes_and_the_environment() -> None:
    assert set(MEANINGS) == set(Exit)
    shown = run("--help").stdout
    for code, said in MEANINGS.items():
        assert re.search(rf"^  {int(code)} +{re.escape(said[:40])}", shown, re.MULTILINE)
    for names in ENVIRONMENT:
        for name in re.findall(r"[A-Z_]{4,}", names):
            assert any(name in source for source in SOURCES) or name in {"VPC_URL", "VPC_AUTH_TYPE", "HTTPS_PROXY"}, (
                name
            )


def test_help_is_plain_and_as_wide_as_the_terminal() -> None:
    for arguments in (["--help"], ["lint", "--help"]):
        done = run(*arguments, env={"COLUMNS": "60", "FORCE_COLOR": "1"})
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 75
        assert len(run(*arguments, env={"COLUMNS": "100"}).stdout.splitlines()) < len(done.stdout.splitlines())


@pytest.mark.parametrize("arguments", [["--version", "-v"], ["-v", "--version"], ["--version", "--verbose"]])
def test_versions(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    first, python, _, *libraries = done.stdout.splitlines()
    assert first == f"vnicheck {__version__}"
    assert python.startswith("Python 3.")
    assert f"paramiko {version('paramiko')}" in libraries
    assert f"ibm-vpc {version('ibm-vpc')}" in libraries
    assert not any(line.startswith(("pytest", "distributed")) for line in libraries)
