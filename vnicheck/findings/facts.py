"""What rules look at: one server, and what is predicted of its flows."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from msgspec import Struct, field

from vnicheck.engine.interfaces import of_virtual_machine
from vnicheck.engine.server_view import ServerView
from vnicheck.model.cloud import Vni
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest

T = TypeVar("T")


class Facts(Struct, frozen=True):
    """One server and its predicted flows.

    `read_at`: when the VPC's side was read (UTC, ISO 8601; empty where that is not known). `every_flow`: `flows` are
    all of the server's, not the one that a trace asked for.
    """

    view: ServerView
    flows: tuple[Flow, ...]
    read_at: str = ""
    every_flow: bool = True
    known: dict[Hashable, Any] = field(default_factory=dict)
    """What several rules ask, worked out once (`once`)."""

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What `compute` says of these facts, computed once for each key."""
        if key not in self.known:
            self.known[key] = compute()
        known: T = self.known[key]
        return known

    def is_inside(self, place: str | None) -> bool:
        """Whether an interface surely leads to no VNI: what is behind it is the guest's own (docker0, a tunnel)."""
        if place is None or self.view.vni_of(place) is not None:
            return False
        server, known = self.view.server, self.view.interface_of
        return all(vni.id in known or of_virtual_machine(server, vni) for vni in server.vnis)

    def vni_named(self, place: str) -> Vni | None:
        """The VNI behind a hop's place (a guest interface, or the VNI's own name)."""
        return self.view.vni_of(place) or next((vni for vni in self.view.server.vnis if vni.name == place), None)

    def owner(self, address: str) -> Vni | None:
        """The VNI that an address belongs to."""
        own = next((vni for vni in self.view.server.vnis if address in vni.carried), None)
        return own if own is not None else self.view.public.get(address)

    def guest_with(self, *facts: str) -> Guest | None:
        """The guest, where it was collected and none of these facts (keys of `Guest.missing`) is missing."""
        guest = self.view.server.guest
        return None if guest is None or not guest.missing.keys().isdisjoint(facts) else guest
