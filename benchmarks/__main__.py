"""`python -m benchmarks [NAME...]`: runs the benchmarks named, or all but the long one (`scale`)."""

import sys

from benchmarks import classify, collect, plans, rehearse, scale, start, thousand

ALL = {
    "start": start.main,
    "classify": classify.main,
    "collect": collect.main,
    "plans": plans.main,
    "thousand": thousand.main,
    "rehearse": rehearse.main,
    "scale": scale.main,
}
LONG = {"scale"}


def main() -> None:
    for name in sys.argv[1:] or [name for name in ALL if name not in LONG]:
        if name not in ALL:
            sys.exit(f"no benchmark {name!r}: there are {', '.join(ALL)}")
        print(f"== {name}")
        ALL[name]()


if __name__ == "__main__":
    main()
