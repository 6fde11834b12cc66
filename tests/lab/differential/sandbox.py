"""A private network namespace for this process, the commands of a configuration in it, and our own collection of it."""

import ctypes
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from vnicheck.guest.assemble import read_guest
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.kernel.host import HiddenState
from vnicheck.model.guest import Guest

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_FAILED = re.compile(r"^Command failed -:(\d+)", re.MULTILINE)
_libc = ctypes.CDLL(None, use_errno=True)
_machine_network = os.readlink("/proc/self/ns/net")
_script = collect_script_text()


class Applied(Struct, frozen=True):
    """What became of a configuration: the commands that the kernel took, and the state that no dump shows."""

    taken: tuple[str, ...]
    state: HiddenState


def enter_new_namespace() -> None:
    """Leave this process's network namespace for a new one; the old one ends with its last process."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _require_private()


def _require_private() -> None:
    if os.readlink("/proc/self/ns/net") == _machine_network:
        raise RuntimeError("still in the machine's own network namespace")


def apply(commands: Sequence[str]) -> Applied:
    """Run the commands in order, whatever fails: runs of `ip` lines in one batch, sysctls as writes to /proc/sys."""
    _require_private()
    taken: list[str] = []
    batch: list[str] = []
    for command in commands:
        if command.startswith("ip "):
            batch.append(command)
            continue
        taken += _run_batch(batch)
        batch = []
        if write_sysctl(command.removeprefix("sysctl -w ")):
            taken.append(command)
    taken += _run_batch(batch)
    rules = any(command.startswith("ip rule ") for command in taken)
    local = any(re.match(r"ip route (add|append|prepend|replace) local ", command) for command in taken)
    return Applied(tuple(taken), HiddenState(custom_rules=rules, custom_local_routes=local))


def _run_batch(lines: list[str]) -> list[str]:
    """The lines that the kernel took. `ip` ends the whole batch at some errors: then another goes on behind that line,
    found by a question after each line whose answers are counted.
    """
    taken: list[str] = []
    while lines:
        text = "".join(line.removeprefix("ip ") + "\nlink show dev lo\n" for line in lines)
        done = subprocess.run(
            ["ip", "-brief", "-force", "-batch", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        reached = len(done.stdout.splitlines())
        failed = {int(number) // 2 for number in _FAILED.findall(done.stderr)}
        taken += [line for number, line in enumerate(lines[:reached]) if number not in failed]
        lines = lines[reached + 1 :]
    return taken


def write_sysctl(assignment: str) -> bool:
    """`net/ipv4/conf/v0/rp_filter=1`. False where there is no such key."""
    path, _, value = assignment.partition("=")
    try:
        Path("/proc/sys", path).write_text(value)
    except OSError:
        return False
    return True


def collect(*, plain: bool) -> Guest:
    """This namespace as our collect script and parsers see it."""
    environment = {**os.environ, "VNICHECK_PLAIN": "1" if plain else "0"}
    done = subprocess.run(["sh"], input=_script.encode(), capture_output=True, env=environment, check=True, timeout=120)
    return read_guest(done.stdout, via="local", collected_at="2026-01-01T00:00:00Z")
