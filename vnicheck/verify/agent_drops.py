# ruff: noqa: UP006, UP035 - it runs on servers' Python 3.6, too
"""Counts what the kernel drops, by its reason, while the agent runs beside which this is sent. Standard library only.

The kernel counts by perf events that are this process's own file descriptors, and end with it: tracefs is read alone,
where it is mounted already, and nothing is switched on there.
"""

import ctypes
import fcntl
import os
import re
import resource
import struct
from typing import Dict, List, Tuple

SYSCALLS = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "s390x": 331}
"""perf_event_open, by machine, of programs with pointers of 8 bytes."""
POINTER = 8
TRACEPOINT, CLOSE_ON_EXEC, SET_FILTER = 2, 8, 0x40082406
REASONS = (
    "IP_RPFILTER", "IP_LOCAL_SOURCE", "IP_INVALID_SOURCE", "NETFILTER_DROP", "XFRM_POLICY", "TC_INGRESS", "TC_EGRESS",
    "XDP", "IP_INNOROUTES", "IP_OUTNOROUTES", "NEIGH_FAILED", "SECURITY_HOOK", "BPF_CGROUP_EGRESS",
)  # fmt: skip
"""Those that tell of routes and filters; the first ones first, where not all can be counted."""
BEHIND_OTHERS = 1024
"""The first descriptor that counts: select() takes smaller ones alone."""


class Drops:
    """IPv4 packets of the whole machine that skb:kfree_skb gives one of REASONS for. `why`: why not all are counted."""

    def __init__(self, wanted: bool) -> None:
        self.why = ""
        self._counting = {}  # type: Dict[str, List[int]]
        try:
            if wanted:
                self._start()
        except OSError as error:
            self.why = os.strerror(error.errno or 0)
        except ValueError as error:
            self.why = str(error)

    def _start(self) -> None:
        folder = tracefs()
        if not folder:
            self.why = "tracefs is not mounted"
            return
        identity, numbers = kfree_skb(folder)
        cpus = online()
        syscall = SYSCALLS.get(os.uname().machine) if struct.calcsize("P") == POINTER else None
        if not numbers or syscall is None:
            self.why = "its kernel names no reasons (before 5.17)" if not numbers else "its machine is not known"
            return
        soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = BEHIND_OTHERS + len(cpus) * len(numbers)
        if 0 <= soft < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if most < 0 else min(needed, most), most))
        for name, number in numbers:
            counters = []  # type: List[int]
            try:
                for cpu in cpus:
                    counters.append(counter(syscall, identity, cpu))
                    fcntl.ioctl(counters[-1], SET_FILTER, b"reason == %d && protocol == 0x0800\0" % number)
            except OSError:
                for each in counters:
                    os.close(each)
                raise
            self._counting[name] = counters

    def counts(self) -> Dict[str, int]:
        """By reason, what was counted since the start."""
        return {
            name: sum(struct.unpack("=Q", os.read(each, 8))[0] for each in counters)
            for name, counters in self._counting.items()
        }


def counter(syscall: int, identity: int, cpu: int) -> int:
    """A descriptor that counts an event on a CPU, whoever runs there (perf_event_attr of its first 64 bytes)."""
    attributes = ctypes.create_string_buffer(
        struct.pack("=IIQQQQQIIQ", TRACEPOINT, 64, identity, 0, 0, 0, 0, 0, 0, 0), 64
    )
    libc = ctypes.CDLL(None, use_errno=True)
    made = libc.syscall(ctypes.c_long(syscall), attributes, -1, cpu, -1, ctypes.c_ulong(CLOSE_ON_EXEC))
    if made < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        return fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, BEHIND_OTHERS)
    finally:
        os.close(made)


def text_of(path: str) -> str:
    with open(path) as file:
        return file.read()


def tracefs() -> str:
    """Where it is mounted; looked up, for a step into debugfs/tracing alone would have the kernel mount it."""
    mounts = [line.split() for line in text_of("/proc/self/mounts").splitlines()]
    return next((words[1] for words in mounts if words[2:3] == ["tracefs"]), "")


def kfree_skb(folder: str) -> Tuple[int, List[Tuple[str, int]]]:
    """The event's id, and the numbers of REASONS that this kernel has."""
    event = folder + "/events/skb/kfree_skb/"
    form = text_of(event + "format")
    known = {name: int(number) for number, name in re.findall(r'\{ *(\d+), *"(?:SKB_DROP_REASON_)?(\w+)" *\}', form)}
    fields = re.findall(r"(\w+);\toffset", form)
    if not {"reason", "protocol"} <= set(fields):
        known.clear()
    return int(text_of(event + "id")), [(name, known[name]) for name in REASONS if name in known]


def online() -> List[int]:
    """The CPUs that run: `0-3,8`."""
    found = []  # type: List[int]
    for part in text_of("/sys/devices/system/cpu/online").strip().split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found
