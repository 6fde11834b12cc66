"""`python -m tests.lab.differential --seed 1 --configurations 500`: the model against this machine's kernel."""

import argparse
import os
import sys
import time

from tests.lab.differential.compare import Tally
from tests.lab.differential.run import run, shrink


def main() -> int:
    """0 where all answers agree, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.differential", description=__doc__)
    parser.add_argument(
        "--seed",
        default="1",
        help="configurations are named SEED/NUMBER (default 1); those of a seed that begins with `agents` have rules "
        "and tables of Tailscale, CNIs and the like",
    )
    parser.add_argument("--configurations", type=int, default=300, help="how many (default 300)")
    parser.add_argument("--shrink", metavar="SEED/NUMBER", help="only reduce this configuration")
    parser.add_argument("--no-shrink", action="store_true", help="do not reduce what disagrees")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("network namespaces need root")
    if arguments.shrink:
        _print_smallest(arguments.shrink)
        return 1
    started = time.monotonic()
    tally = run(arguments.seed, arguments.configurations, _progress)
    _print_tally(tally, time.monotonic() - started)
    names = list(dict.fromkeys(key.split()[1] for key in tally.outcomes if key.startswith("disagrees: ")))
    for disagreement in tally.disagreements[:20]:
        print(disagreement)
    if names:
        print("configurations that disagree:", " ".join(names[:40]))
    if names and not arguments.no_shrink:
        for name in names[:3]:
            _print_smallest(name)
    return 1 if tally.disagreements else 0


def _progress(done: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} configurations", end="", file=sys.stderr, flush=True)


def _print_tally(tally: Tally, seconds: float) -> None:
    print(f"{tally.configurations} configurations in {seconds:.0f} s ({tally.configurations / seconds:.1f}/s)")
    print(f"answers compared: {tally.compared} (input {tally.input}, output {tally.output})")
    print(f"answers over all worlds compared: {tally.over_worlds}; packets sent: {tally.packets}")
    print(
        f"answers in every world compared: {tally.in_every_world}, {tally.of_several_worlds} of them where it depends "
        "on mark, TOS or user"
    )
    for title, counts in (
        ("not told", tally.not_told),
        ("undetermined", tally.undetermined),
        ("over worlds", tally.undetermined_over_worlds),
    ):
        print(f"{title}: {counts.total()}")
        for reason, count in counts.most_common(12):
            print(f"  {count:7} {reason}")
    print("outcomes:")
    for outcome, count in sorted(tally.outcomes.items()):
        if not outcome.startswith("disagrees"):
            print(f"  {count:7} {outcome}")
    print(f"disagreements: {len(tally.disagreements)}")


def _print_smallest(name: str) -> None:
    try:
        commands, disagreement = shrink(name)
    except LookupError as error:
        print(f"\n# {error} when asked alone")
        return
    print(f"\n# {name}, in a namespace of its own (unshare -n)")
    print("\n".join(commands))
    print(disagreement)


if __name__ == "__main__":
    raise SystemExit(main())
