"""Real servers and a home of one's own for the tests of the guest's side."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.sshd import Sshd, generate_key


@pytest.fixture(scope="session")
def client_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that every test server takes."""
    return generate_key(tmp_path_factory.mktemp("keys") / "client")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no agent: nothing of the developer's own SSH set-up takes part."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def start_sshd(tmp_path: Path, client_key: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers that are stopped after the test."""
    running: list[Sshd] = []

    def start(name: str = "sshd", **arguments: object) -> Sshd:
        server = Sshd(tmp_path / name, client_key=client_key, **arguments)  # type: ignore[arg-type]
        running.append(server.start())
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def known(tmp_path: Path) -> Callable[..., Path]:
    """Writes a known_hosts file with the servers' keys."""

    def write(*servers: Sshd, name: str = "known_hosts") -> Path:
        path = tmp_path / name
        path.write_text("".join(server.known_hosts_line() for server in servers))
        return path

    return write
