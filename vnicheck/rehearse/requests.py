"""What is asked of the program inside the sandbox, and what it answers: a line of JSON each."""

from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.model.guest import Guest
from vnicheck.rehearse.network import Network
from vnicheck.rehearse.packets import Tried


class Build(Struct, frozen=True, kw_only=True, tag="build"):
    """Rebuild the server in its network. Answer: Built."""

    network: Network
    guest: Guest


class Send(Struct, frozen=True, kw_only=True, tag="send"):
    """Try flows, each as often as there are `timeouts` (seconds). Answer: Sent."""

    flows: tuple[Tried, ...]
    timeouts: tuple[float, ...]


class Run(Struct, frozen=True, kw_only=True, tag="run"):
    """Run a script (POSIX sh) as root of the rebuilt server. Answer: Ran."""

    script: str
    seconds: float


class Patch(Struct, frozen=True, kw_only=True, tag="patch"):
    """Change fields of a VNI, by their names in the VPC API. Answer: Done."""

    vni: str
    changes: dict[str, Any]


class Shell(Struct, frozen=True, tag="shell"):
    """Give the terminal to a shell in the rebuilt server, until it ends. Answer: Done."""


class Built(Struct, frozen=True, kw_only=True, tag="built"):
    """`told`: what differs from what was to be rebuilt. `kernel`: `uname -r`."""

    told: tuple[str, ...]
    kernel: str


class Fate(Struct, frozen=True, kw_only=True):
    """What became of a flow. `leg` and `at` of one that was not delivered: which packet died, and where: a stage of the
    VPC and its VNI, or `guest`; None where nothing tells.
    """

    delivered: bool
    leg: str | None = None
    at: str | None = None


class Sent(Struct, frozen=True, kw_only=True, tag="sent"):
    """One fate a flow, in their order. `rp_filter_drops`: what the server's counter rose by."""

    fates: tuple[Fate, ...]
    rp_filter_drops: int


class Ran(Struct, frozen=True, kw_only=True, tag="ran"):
    """How a script ended (`status`), and what it printed, at most 4 MiB each."""

    status: int
    stdout: bytes
    stderr: bytes


class Done(Struct, frozen=True, tag="done"):
    """It is done."""


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """It could not be done: one line."""

    message: str


Request = Build | Send | Run | Patch | Shell
Reply = Built | Sent | Ran | Done | Failed
requests = msgspec.json.Decoder(Request)
replies = msgspec.json.Decoder(Reply)
