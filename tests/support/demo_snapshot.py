"""Writes the demo's packaged snapshot: `python -m tests.support.demo_snapshot`."""

from pathlib import Path

from tests.support import cases
from vnicheck.model.snapshot import encode_snapshot

RECORDED = Path(__file__).parents[2] / "vnicheck" / "demo" / "recorded.json"


def main() -> None:
    RECORDED.write_bytes(encode_snapshot(cases.snapshot_of("article-check-1")))
    print(f"wrote {RECORDED}")


if __name__ == "__main__":
    main()
