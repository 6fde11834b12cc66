"""Writes the demo's packaged snapshots: `python -m tests.support.demo_snapshots`."""

from pathlib import Path

from tests.support import cases
from vnicheck.demo.checks import CHECKS
from vnicheck.model.snapshot import encode_snapshot

DEMO = Path(__file__).parents[2] / "vnicheck" / "demo"


def main() -> None:
    for check in CHECKS:
        name = f"check-{check.number}.json"
        (DEMO / name).write_bytes(encode_snapshot(cases.snapshot_of(f"article-check-{check.number}")))
        print(f"wrote {DEMO / name}")


if __name__ == "__main__":
    main()
