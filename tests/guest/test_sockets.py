"""Sockets as /proc tells them: from text, and from real ones through the collect script."""

import sys
from pathlib import Path

import pytest

from tests.support.guest_namespace import run_in_namespace
from tests.support.sshd import require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.sockets import parse_sockets
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.guest import Sockets

WILD = "udp   12: 00000000:{:04X} 00000000:0000 07 00000000:00000000 00:00000000 00000000  0 0 1 2 0000 0"
WILD6 = f"udp   12: {'0' * 32}:0035 {'0' * 32}:0000 07 00000000:00000000 00:00000000 00000000  0 0 1 2 0000 0"
HALF = "tcp    3: 0C00000A:0050 0400080A:9C40 03 00000000:00000000 01:00000014 00000000 0 0 0 1 0000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Sockets()),
        (WILD.format(53), Sockets(udp_everywhere=(53,))),
        (WILD6, Sockets(udp_everywhere=(53,))),
        (f"{WILD.format(123)}\n{WILD.format(53)}\n{WILD.format(53)}", Sockets(udp_everywhere=(53, 123))),
        (f"{HALF}\n{HALF}", Sockets(half_open={"10.0.0.12": 2})),
        ("udp nonsense\ntcp 1: zz\nsomething else", Sockets()),
    ],
)
def test_parse(text: str, expected: Sockets) -> None:
    assert parse_sockets(text) == expected


@pytest.mark.root
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox ash"])
def test_real_sockets(shell: str, tmp_path: Path) -> None:
    """A socket on every address is told, one on a single address is not."""
    require_root()
    require("unshare", shell.split()[0])
    open_them = (
        "import socket,subprocess,sys\n"
        "everywhere=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);everywhere.bind(('0.0.0.0',5353))\n"
        "one=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);one.bind(('127.0.0.1',5454))\n"
        "sys.stdout.write(subprocess.run(sys.argv[1].split()+['-s'],input=open(sys.argv[2]).read(),"
        "capture_output=True,text=True).stdout)"
    )
    program, script = tmp_path / "open.py", tmp_path / "collect.sh"
    program.write_text(open_them)
    script.write_text(collect_script_text())
    output = run_in_namespace(f"ip link set lo up\n{sys.executable} {program} '{shell}' {script}")
    assert read_guest(output, via="file").sockets == Sockets(udp_everywhere=(5353,))
