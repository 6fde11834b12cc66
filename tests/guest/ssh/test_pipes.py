"""Files of SSH's that are pipes: read where that makes sense, and never waited for for ever."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.config_lines import read_config
from vnicheck.guest.ssh.keys import read_key_file
from vnicheck.guest.ssh.known_hosts import KnownHosts
from vnicheck.system import files


def read_known_hosts(path: Path) -> None:
    KnownHosts().entries((path,), "web-1")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (read_config, "is a pipe that nobody writes to; name another with -F"),
        (read_known_hosts, "is a pipe that nobody writes to; name another with --known-hosts"),
        (read_key_file, "is no file, but a pipe; name another key with -i"),
    ],
)
def test_a_pipe_that_nobody_writes_to(
    read: Callable[[Path], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_WRITER_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CollectionError, match=said):
        read(tmp_path / "pipe")


def test_a_configuration_may_come_by_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f'sleep 0.2; echo Host x >"{tmp_path}/pipe"']):
        assert read_config(tmp_path / "pipe") == "Host x\n"
