"""The program as a process, and the one line that a failure of it is."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import forked

_OF_PYTHONS_START = ("PYTHON", "LC_", "LANG", "LD_")


def run(
    *arguments: str,
    env: dict[str, str] | None = None,
    program: tuple[str, ...] = ("-m", "vnicheck"),
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, *arguments]
    environ = {**bare_environment(), "PYTHONPATH": str(forked.ROOT), **(env or {})}
    if program == ("-m", "vnicheck") and not any(key.startswith(_OF_PYTHONS_START) for key in env or {}):
        return subprocess.CompletedProcess(command, *forked.run(arguments, environ, folder, timeout=60))
    return subprocess.run(
        command,
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bare_environment() -> dict[str, str]:
    """The environment without what is ours, and without the user's own credentials."""
    ours = ("VPC_", "IBM", "IC_", "VNICHECK_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONIOENCODING")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**kept, "IBMCLOUD_HOME": "/nowhere", "XDG_CONFIG_HOME": "/nowhere"}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failure is."""
    assert done.stdout == ""
    assert done.stderr.startswith("vnicheck: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.removeprefix("vnicheck: ").rstrip("\n")


def lint(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return run("lint", *arguments, **more)
