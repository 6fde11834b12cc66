"""`vnicheck.toml`: what a user tells us of networks beyond the VPC, and of assumptions that do not hold.

[networks]
on-prem = ["10.8.0.0/16", "10.9.0.0/16"]

[assumptions]
psf-auto = { web-1 = "disabled" }          # or one word for all
psf-opening = true
psf-protocols = ["tcp"]
spoofing-check = true
spoofing-sibling = "passed"                # or "dropped"; or { web-1 = "passed" }; without it: not known
spoofing-arrival = "passed"                # likewise
packets-unmarked = true                    # or { web-1 = false }
fip-return = true
sg-stateless = true
client-ports = "1024-65535"
remote-reachable = ["10.8.0.0/16"]         # private networks that are reached; others are then unknown

[[expect]] and [[mute]]: see vnicheck.model.expectation and vnicheck.model.mute.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeVar

from msgspec import Struct, field

from vnicheck.model.address import merge_ranges, parse_prefix, prefix_range
from vnicheck.model.expectation import Expectation
from vnicheck.model.flow import Protocol
from vnicheck.model.mute import Mute

Filtering = Literal["enabled", "disabled"]
OpenValue = Literal["passed", "dropped"]
T = TypeVar("T")
NETWORK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}", re.ASCII)
MAX_NETWORKS = 1000
MOST_DAYS = 36500
"""Each is a class of its own in every partition of flows, for each address; their prefixes cost next to nothing."""
_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)


class Assumptions(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Overrides, by the ids of `vnicheck assumptions`. The defaults are what is assumed without them.

    Some are said for all servers, or by a server's name, id, profile (`bx3d-8x40`) or kind (`instance`,
    `bare_metal_server`), the first of these that is named.
    `spoofing_sibling`, `spoofing_arrival`: open questions, not known unless said here.
    """

    psf_auto: Filtering | dict[str, Filtering] = field(default_factory=dict)
    psf_opening: bool = True
    psf_protocols: tuple[Protocol, ...] = (Protocol.TCP,)
    spoofing_check: bool = True
    spoofing_sibling: OpenValue | dict[str, OpenValue] = field(default_factory=dict)
    spoofing_arrival: OpenValue | dict[str, OpenValue] = field(default_factory=dict)
    packets_unmarked: bool | dict[str, bool] = True
    fip_return: bool = True
    sg_stateless: bool = True
    client_ports: str = "1024-65535"
    remote_reachable: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        first, last = self.client_port_range
        if not 1 <= first <= last <= 65535:
            raise ValueError(f"client-ports {self.client_ports!r} is not a range within 1-65535")
        for prefix in self.remote_reachable or ():
            parse_prefix(prefix)

    def auto_filters(self, kind: str, *names: str) -> bool:
        """Whether mode auto comes to filtering on a server of this kind that goes by these names."""
        said = setting_for(self.psf_auto, (*names, kind))
        return kind == "instance" if said is None else said == "enabled"

    @property
    def client_port_range(self) -> tuple[int, int]:
        """The ports that an opening side may use. Raises ValueError."""
        match = _PORTS.fullmatch(self.client_ports)
        if match is None:
            raise ValueError(f"client-ports {self.client_ports[:40]!r} is not a range like 1024-65535")
        return int(match[1]), int(match[2])


def setting_for(said: T | Mapping[str, T], names: Iterable[str]) -> T | None:
    """What is said of a server that goes by these names, the more telling ones first; None where nothing is."""
    if not isinstance(said, Mapping):
        return said
    return next((said[name] for name in names if name in said), None)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `networks`: names for prefixes; no two networks share an address. `expect` and `mute`: its tables."""

    networks: dict[str, tuple[str, ...]] = {}
    assumptions: Assumptions = Assumptions()
    expect: tuple[Expectation, ...] = ()
    mute: tuple[Mute, ...] = ()
    max_age: int = field(default=365, name="max-age")
    """Days that a guest may be older, or younger, than the VPC's side that it is held beside."""

    def for_server(self, server: str, vnis: Sequence[str]) -> "Config":  # noqa: ARG002 - for those that know more
        """What counts for a server, by the ids of it and of its VNIs."""
        return self

    def __post_init__(self) -> None:
        ranges: list[tuple[int, int]] = []
        if not 0 <= self.max_age <= MOST_DAYS:
            raise ValueError(f"max-age {self.max_age} is no number of days up to {MOST_DAYS}")
        if len(self.networks) > MAX_NETWORKS:
            raise ValueError(f"{len(self.networks)} networks; there is room for {MAX_NETWORKS}: join those alike")
        for name, prefixes in self.networks.items():
            if not NETWORK_NAME.fullmatch(name):
                raise ValueError(f"network name {name[:40]!r}: use letters, digits, spaces and . _ -")
            if not prefixes:
                raise ValueError(f"network {name!r} has no prefixes")
            ranges += merge_ranges(prefix_range(prefix) for prefix in prefixes)
        ranges.sort()
        for (_, last), (first, _) in pairwise(ranges):
            if first <= last:
                raise ValueError("two networks share addresses")
        for number, expectation in enumerate(self.expect, start=1):
            try:
                expectation.remote_prefixes(self.networks)
            except ValueError as error:
                raise ValueError(f"[[expect]] {number}: {error}") from error
