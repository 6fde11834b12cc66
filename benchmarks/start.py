"""How long the program takes to start, beside Python itself and a bare Typer program, rounds interleaved."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

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


def main() -> None:
    program = str(Path(sys.executable).parent / "vnicheck")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "bare Typer program --help": [sys.executable, "-c", BARE],
        "vnicheck --version": [program, "--version"],
        "vnicheck --help": [program, "--help"],
        "vnicheck analyze --help": [program, "analyze", "--help"],
        "vnicheck demo": [program, "demo"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):  # the first round warms up
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    base, bare = medians["python -c pass"], medians["bare Typer program --help"]
    print(f"{'median of ' + str(ROUNDS):<28} {'ms':>6} {'x python':>9} {'x bare Typer':>13}")
    for name, median in medians.items():
        print(f"{name:<28} {median * 1000:6.0f} {median / base:9.1f} {median / bare:13.2f}")
