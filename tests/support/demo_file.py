"""The demo's snapshots as files, for commands that read one."""

from pathlib import Path

from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import encode_snapshot


def demo_file(folder: Path, check: int) -> str:
    """The snapshot of a check, by its number, in a file of this folder."""
    path = folder / f"check-{check}.json"
    path.write_bytes(encode_snapshot(load_check(CHECKS[check - 1])))
    return str(path)
