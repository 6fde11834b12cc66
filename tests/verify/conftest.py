"""What these tests share."""

from pathlib import Path

import pytest

from tests.support.demo_file import demo_file


@pytest.fixture(scope="session")
def check_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot of the article's last check."""
    return Path(demo_file(tmp_path_factory.mktemp("snapshots"), 3))
