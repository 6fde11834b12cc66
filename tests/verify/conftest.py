"""What these tests share."""

from pathlib import Path

import pytest

from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.snapshot import encode_snapshot


@pytest.fixture(scope="session")
def check_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot of the article's last check."""
    file = tmp_path_factory.mktemp("snapshots") / "check-3.json"
    file.write_bytes(encode_snapshot(load_check(CHECKS[2])))
    return file
