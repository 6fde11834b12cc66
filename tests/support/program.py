"""The program as a process, and the one line that a failure of it is."""

import gc
import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from vnicheck import __main__


def run(
    *arguments: str,
    env: dict[str, str] | None = None,
    program: tuple[str, ...] = ("-m", "vnicheck"),
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        env={**bare_environment(), "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in this process, for what asks it often: starting it anew takes a second."""
    threshold = gc.get_threshold()
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            status = __main__._run(list(arguments))
    finally:
        gc.set_threshold(*threshold)
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in streams)
    return subprocess.CompletedProcess(arguments, status, stdout, stderr)


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
