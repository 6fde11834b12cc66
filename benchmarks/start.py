"""How long the program takes to start, beside Python itself and a bare Typer program, rounds interleaved."""

import os
import statistics
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

ROUNDS = 11
BARE = """
import typer
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
@app.command()
def main(name: str = "x"): ...
@app.command()
def other(name: str = "x"): ...
app(["--help"])
"""


CALL = BARE.replace("--help", "main")
"""What Typer alone takes to call a command: since 0.29 it loads pydantic for that."""
SNAPSHOT = files("vnicheck.demo") / "recorded.json"


NAMES = 5000


def completing(program: str, folder: Path) -> list[str]:
    """A bash that completes a server's name, of as many as are kept; it starts no program."""
    (folder / "vnicheck").mkdir()
    (folder / "vnicheck" / "servers").write_text("".join(f"web-{number}\n" for number in range(NAMES)))
    script = subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    code = f"XDG_CACHE_HOME={folder}; COMP_WORDS=(vnicheck analyze web-49); COMP_CWORD=2\n{script}\n_vnicheck"
    return ["bash", "--norc", "-c", code]


def main() -> None:
    with TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    program = str(Path(sys.executable).parent / "vnicheck")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "bare Typer program --help": [sys.executable, "-c", BARE],
        "bare Typer program, called": [sys.executable, "-c", CALL],
        "vnicheck --version": [program, "--version"],
        "vnicheck --help": [program, "--help"],
        "vnicheck lint --help": [program, "lint", "--help"],
        "vnicheck analyze --help": [program, "analyze", "--help"],
        "vnicheck analyze --snapshot": [program, "analyze", "server", f"--snapshot={SNAPSHOT}"],
        "vnicheck demo": [program, "demo"],
        "bash completes a server": completing(program, folder),
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    cpus: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):  # the first round warms up
        for name, command in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{name} failed")
            walls[name].append(time.perf_counter() - start)
            cpus[name].append(usage.ru_utime + usage.ru_stime)
    medians = {name: statistics.median(values[1:]) for name, values in cpus.items()}
    base, bare = medians["python -c pass"], medians["bare Typer program, called"]
    print(f"{'median of ' + str(ROUNDS):<28} {'wall ms':>8} {'CPU ms':>7} {'x python':>9} {'x bare Typer':>13}")
    for name, median in medians.items():
        wall = statistics.median(walls[name][1:])
        print(f"{name:<28} {wall * 1000:8.0f} {median * 1000:7.0f} {median / base:9.1f} {median / bare:13.2f}")
