"""The configured expectations of one server: which of its flows each is about. Exact, as the classes of flows are."""

from collections.abc import Iterable

from msgspec import Struct

from vnicheck.engine.classify import local_addresses
from vnicheck.engine.refinement import intersection, port_ranges, remote_ranges
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import LAST, Range, merge_ranges, prefix_range, range_prefixes
from vnicheck.model.expectation import EVERY_PORT, Expectation
from vnicheck.model.flow import Flow, Protocol, Scope, Verdict
from vnicheck.model.naming import names_server


class Expected(Struct, frozen=True, kw_only=True):
    """An expectation in the terms of one server.

    `locals`: the server's addresses that it is about; where there are none `nowhere` says why. `remotes`: sorted,
    disjoint ranges; of a scope the whole address space, with `scope`.
    """

    source: Expectation
    locals: frozenset[str]
    nowhere: str | None
    remotes: tuple[Range, ...]
    scope: Scope | None

    def is_about(self, flow: Flow) -> bool:
        """Whether some flow of the class is one of the expected ones."""
        return self._same_kind(flow) and bool(self.shared_remotes(flow)) and bool(self.shared_ports(flow))

    def holds(self, flow: Flow) -> bool:
        """Whether every flow of the class is one of the expected ones."""
        return (
            self._same_kind(flow)
            and self.shared_remotes(flow) == remote_ranges(flow)
            and self.shared_ports(flow) == port_ranges(flow, without=EVERY_PORT)
        )

    def shared_remotes(self, flow: Flow) -> list[Range]:
        """The remotes of the class that the expectation is about."""
        return intersection(remote_ranges(flow), self.remotes)

    def shared_ports(self, flow: Flow) -> list[Range]:
        """The ports of the class that the expectation is about; for ICMP one range, which stands for none."""
        ports = EVERY_PORT if self.source.protocol is Protocol.ICMP else self.source.ports
        return intersection(port_ranges(flow, without=EVERY_PORT), [ports])

    def _same_kind(self, flow: Flow) -> bool:
        return (
            flow.direction is self.source.flow_direction
            and flow.protocol is self.source.protocol
            and flow.local in self.locals
            and self.scope in (None, flow.remote_scope)
        )


def expectations_of(view: ServerView) -> tuple[Expected, ...]:
    """The expectations whose pattern means the server, in the order of the file; what is said twice stands once."""
    said: dict[tuple[object, ...], Expected] = {}
    for source in view.config.expect:
        if not names_server(source.server, view.server):
            continue
        locals_, nowhere = _locals(view, source.local)
        remotes = source.remote_prefixes(view.config.networks)
        whole = isinstance(remotes, Scope)
        ranges = [(0, LAST)] if whole else merge_ranges(prefix_range(prefix) for prefix in remotes)
        said.setdefault(
            identity(source),
            Expected(
                source=source,
                locals=frozenset(locals_),
                nowhere=nowhere,
                remotes=tuple(ranges),
                scope=remotes if isinstance(remotes, Scope) else None,
            ),
        )
    return tuple(said.values())


def identity(source: Expectation) -> tuple[str, ...]:
    """What the expectation says but for whom: the same words, however the table is written."""
    first, last = source.ports
    ports = "" if source.protocol is Protocol.ICMP else f"{first}-{last}"
    return (source.direction, source.remote or "", source.local or "", source.protocol, ports, source.verdict)


def expected_drops(view: ServerView, flows: Iterable[Flow]) -> frozenset[int]:
    """The indexes of the flows that are wholly expected to be dropped."""
    drops = [each for each in expectations_of(view) if each.source.wanted is Verdict.DROPPED]
    if not drops:
        return frozenset()
    return frozenset(index for index, flow in enumerate(flows) if any(each.holds(flow) for each in drops))


def prefixes(ranges: Iterable[Range]) -> list[str]:
    """The fewest prefixes that cover the ranges."""
    return [prefix for first, last in ranges for prefix in range_prefixes(first, last)]


def _locals(view: ServerView, word: str | None) -> tuple[list[str], str | None]:
    """The addresses that a word means on the server, and why there are none.

    A guest interface of that name comes before a VNI's: interfaces of the VPC often bear names such as `eth1`, and the
    guest's `eth1` may be another.
    """
    known = [local.address for local in local_addresses(view)]
    if word is None:
        return known, None if known else "the server has no address"
    if word in known:
        return [word], None
    behind = view.vni_of(word)
    guest = view.server.guest
    if behind is None and guest is not None and any(link.name == word for link in guest.interfaces):
        return [], f"{word} in the guest is matched to no VNI"
    named = [behind] if behind is not None else [vni for vni in view.server.vnis if word in (vni.id, vni.name)]
    if named:
        addresses = [address for vni in named for address in vni.carried if address in known]
        return addresses, None if addresses else f"{word} has no address yet"
    for vni in view.server.vnis:
        if any(floating_ip.address == word for floating_ip in vni.floating_ips):
            return [vni.primary_address], None
    unmatched = [vni for vni in view.server.vnis if vni.id not in view.interface_of]
    if unmatched:
        return [], f"which interface {word} is cannot be told: {view.why_unmatched(unmatched[0])}"
    return [], f"the server has no interface, VNI or address {word}"
