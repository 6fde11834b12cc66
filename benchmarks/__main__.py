"""`python -m benchmarks [NAME...]`: runs the benchmarks named, or all."""

import sys

from benchmarks import classify, start

ALL = {"start": start.main, "classify": classify.main}


def main() -> None:
    for name in sys.argv[1:] or ALL:
        if name not in ALL:
            sys.exit(f"no benchmark {name!r}: there are {', '.join(ALL)}")
        print(f"== {name}")
        ALL[name]()


if __name__ == "__main__":
    main()
