"""Files as others leave them: pipes without end, devices, links laid out for us, and who may read what we write."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vnicheck.cli.output import write_bytes
from vnicheck.system.files import (
    PRIVATE,
    FileTooLargeError,
    UnreadableError,
    make_private_folder,
    open_file,
    read_again,
    read_file,
    read_named,
    replace_file,
)


@pytest.fixture(autouse=True)
def _umask() -> None:
    os.umask(0o022)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f'sleep 0.3; (printf one; sleep 0.3; printf two) >"{pipe}"']):
        assert read_named(pipe, 100, seconds=10) == b"onetwo"


def test_a_process_substitution_that_writes_nothing_is_empty_at_once() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    assert read_named(Path(f"/dev/fd/{reading}"), 100, seconds=60) == b""
    os.close(reading)


@pytest.mark.parametrize("said", [b"", b"a beginning"])
def test_a_pipe_without_end_is_left_after_a_time(tmp_path: Path, said: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, said)
    with pytest.raises(UnreadableError, match=r"is a pipe that did not end in 0\.3 seconds"):
        read_named(pipe, 100, seconds=0.3)
    os.close(writer)


def test_a_pipe_that_nobody_writes_to_is_told_as_that(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="is a pipe that nobody writes to"):
        read_named(tmp_path / "pipe", 100, seconds=0.3)


def test_a_pipe_that_is_asked_for_again_says_the_same_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f'printf key >"{pipe}"']):
        assert [read_again(pipe, 100) for _ in range(2)] == [b"key", b"key"]


def test_a_file_of_the_kernels_that_has_no_end_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As /proc/kmsg is, which only root may open, and which loses what is read."""
    terminal, user = os.openpty()
    monkeypatch.setattr("os.open", lambda *_: os.dup(user))  # says that there is nothing yet
    os.set_blocking(user, False)
    monkeypatch.setattr("stat.S_ISREG", lambda _: True)
    with pytest.raises(UnreadableError, match="is no ordinary file: it has no end"):
        read_named(tmp_path / "kmsg", 100)
    os.close(terminal)
    os.close(user)


def test_a_file_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FileTooLargeError, match="larger than 1024 MiB"):
        read_named(tmp_path / "big", 1 << 30)


def test_a_pipe_is_bounded_in_size(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    thread = threading.Thread(target=lambda: os.write(writing, b"x" * 5000))
    thread.start()
    with pytest.raises(FileTooLargeError, match="larger than 4000 bytes"):
        read_named(Path(f"/dev/fd/{reading}"), 4000, seconds=10)
    thread.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/tty"])
def test_devices_are_refused(device: str) -> None:
    with pytest.raises(UnreadableError, match=r"is no file, but a device|No such device or address"):
        read_named(Path(device), 100)


def test_the_empty_device_is_an_empty_file() -> None:
    assert read_named(Path("/dev/null"), 100) == b""


def test_a_socket_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, why in {"socket": "is no file, but a socket", ".": "a directory", "nothing": "No such file"}.items():
            with pytest.raises(UnreadableError, match=why):
                read_named(tmp_path / name, 100)


def test_among_files_of_a_folder_a_pipe_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cloud.json")
    with pytest.raises(UnreadableError, match="is no file, but a pipe"):
        read_file(tmp_path / "cloud.json", 100)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_links_that_lie_where_a_file_is_made_are_not_followed(tmp_path: Path) -> None:
    """The name of the unfinished file used to be known beforehand, from our number."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    place = tmp_path / "report.json"
    for name in (f".report.json.{os.getpid()}.partial", "report.partial", "report.json.partial"):
        (tmp_path / name).symlink_to(precious)
    replace_file(place, b"new")
    assert (place.read_bytes(), precious.read_text()) == (b"new", "precious")


def test_a_link_at_the_place_itself_is_replaced_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "report").symlink_to(precious)
    replace_file(tmp_path / "report", [b"n", b"ew"], mode=PRIVATE)
    assert (tmp_path / "report").read_bytes() == b"new"
    assert precious.read_text() == "precious"
    assert mode(tmp_path / "report") == 0o600


def test_the_unfinished_file_has_a_name_of_its_own_each_time_and_is_gone_after(tmp_path: Path) -> None:
    names: list[str] = []

    def parts() -> object:
        names.extend(path.name for path in tmp_path.iterdir())
        yield b"part"
        raise OSError(28, "No space left on device")

    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            replace_file(tmp_path / "report", parts())  # type: ignore[arg-type]
    assert len(set(names)) == 2
    assert list(tmp_path.iterdir()) == []


def test_who_may_read_what(tmp_path: Path) -> None:
    replace_file(tmp_path / "report", b"")
    replace_file(tmp_path / "snapshot", b"", mode=PRIVATE)
    assert (mode(tmp_path / "report"), mode(tmp_path / "snapshot")) == (0o644, 0o600)


def test_a_file_that_all_could_read_is_private_when_written_anew(tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_text("old")
    replace_file(tmp_path / "snapshot", b"new", mode=PRIVATE)
    assert mode(tmp_path / "snapshot") == 0o600


def test_private_folders_all_the_way_down(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "fleet" / "us-south" / "guests")
    make_private_folder(tmp_path / "fleet" / "us-south" / "guests")
    for name in ("fleet", "fleet/us-south", "fleet/us-south/guests"):
        assert mode(tmp_path / name) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        make_private_folder(tmp_path / "file" / "inner")


def test_a_stream_that_goes_to_a_file_is_written_to_and_its_name_stays(tmp_path: Path) -> None:
    # asked of the check itself: where it is wrong, writing would replace the machine's own /dev/stdout
    ask = (
        "import sys; from pathlib import Path; from vnicheck.system.files import may_replace\n"
        "print([may_replace(Path(name)) for name in sys.argv[1:]])"
    )
    names = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", str(tmp_path / "report"), "/dev/shm/report"]
    with (tmp_path / "out").open("w+") as out:
        subprocess.run([sys.executable, "-c", ask, *names], stdout=out, check=True)
        out.seek(0)
        assert out.read() == "[False, False, False, True, True]\n"


def _write_whole(place: Path) -> None:
    write_bytes(b"secret", place, private=True)


def _write_as_it_comes(place: Path) -> None:
    with open_file(place) as file:
        file.write(b"secret")


@pytest.mark.parametrize("write", [_write_whole, _write_as_it_comes], ids=["whole", "as it comes"])
def test_a_link_to_a_pipe_is_replaced_and_the_pipes_reader_gets_nothing(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    pipe, report = tmp_path / "pipe", tmp_path / "report"
    os.mkfifo(pipe)
    report.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(report)
    assert os.read(reader, 10) == b""
    os.close(reader)
    assert not report.is_symlink()
    assert report.read_bytes() == b"secret"
