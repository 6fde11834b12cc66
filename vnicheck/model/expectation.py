"""An expected flow of `vnicheck.toml`: what must be delivered, or must be dropped.

[[expect]]
server = "web-*"            # a glob on the name, or an id or CRN
from = "on-prem"            # the remote: a named network, a scope (subnet, vpc, private, service, internet), a CIDR
to = "eth1"                 # the server's side: an interface, a VNI, or one of its addresses; default all of them
protocol = "tcp"            # the default
port = 443                  # or "8000-8100"; default every port
verdict = "delivered"       # or "dropped"

With `direction = "outbound"` the server opens the flow, and `from` and `to` change places.
"""

import re
from typing import Literal

from msgspec import Struct, field

from vnicheck.model.address import parse_prefix
from vnicheck.model.flow import Direction, Protocol, Scope, Verdict

_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)
EVERY_PORT = (1, 65535)


class Expectation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`start` and `end` are the file's `from` and `to`."""

    server: str
    direction: Literal["inbound", "outbound"] = "inbound"
    start: str | None = field(default=None, name="from")
    end: str | None = field(default=None, name="to")
    protocol: Protocol = Protocol.TCP
    port: int | str | None = None
    verdict: Literal["delivered", "dropped"]

    def __post_init__(self) -> None:
        if not self.server.strip():
            raise ValueError("'server' is empty")
        if self.remote is None:
            key = "from" if self.direction == "inbound" else "to"
            raise ValueError(f"'{key}' is missing: it says which remotes an {self.direction} expectation is about")
        if self.protocol is Protocol.ICMP and self.port is not None:
            raise ValueError("icmp has no ports: leave 'port' out")
        first, last = self.ports
        if not 1 <= first <= last <= EVERY_PORT[1]:
            raise ValueError(f"port {self.port!r} is not within 1-65535")

    @property
    def remote(self) -> str | None:
        """The other side, as written; None only before the invariants are checked."""
        return self.start if self.direction == "inbound" else self.end

    @property
    def local(self) -> str | None:
        """The server's side, as written; None for all of its addresses."""
        return self.end if self.direction == "inbound" else self.start

    @property
    def ports(self) -> tuple[int, int]:
        """The destination ports. Raises ValueError."""
        if self.port is None:
            return EVERY_PORT
        if isinstance(self.port, int):
            return self.port, self.port
        match = _PORTS.fullmatch(self.port)
        if match is None:
            raise ValueError(f"port {self.port[:40]!r} is neither a number nor a range like '8000-8100'")
        return int(match[1]), int(match[2])

    @property
    def wanted(self) -> Verdict:
        """The verdict that its flows must have."""
        return Verdict(self.verdict)

    @property
    def flow_direction(self) -> Direction:
        """Who opens its flows."""
        return Direction(self.direction)

    def remote_prefixes(self, networks: dict[str, tuple[str, ...]]) -> tuple[str, ...] | Scope:
        """The remotes: prefixes, or a scope. Raises ValueError where the word means nothing, or two things."""
        word = self.remote or ""
        scope = next((scope for scope in Scope if scope.value == word), None)
        if word in networks:
            if scope is not None:
                raise ValueError(f"{word!r} is a network of yours and a scope: rename the network")
            return networks[word]
        if scope is not None:
            return scope
        try:
            parse_prefix(word)
        except ValueError as error:
            if "host bits" in str(error):
                raise
            known = ", ".join((*networks, *(scope.value for scope in Scope)))
            raise ValueError(f"{word[:60]!r} is no network, scope, CIDR or address; there are {known}") from None
        return (word,)
