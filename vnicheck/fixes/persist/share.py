"""What the configuration of one interface is to set at boot: its part of a plan's routes and rules."""

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from vnicheck.fixes.effects import AddRoutes, AddRule, Effect
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import Guest, Interface, Manager, NextHop, Owner, PolicyRule, Route, RouteType
from vnicheck.model.lines import format_route, is_plain_interface, short_prefix
from vnicheck.model.words import listed, one_line

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,99}", re.ASCII)
"""Names that mean nothing but themselves in every file and command that we write."""
UNFIT_NAME = "the interface has a name that is not written"
_SINGLE = {"networking": Manager.IFUPDOWN, "wicked": Manager.WICKED}
_HELPERS = {"dhclient", "udhcpc", "cloud-init"}
"""They work for a manager, or once ahead of it."""


class NotKept(Exception):  # noqa: N818 - no error: the plan says that a boot loses this, and why
    """Why something cannot be written to the server's configuration."""


class Unowned(NotKept):
    """Who configures these interfaces is not known, and why not."""

    def __init__(self, interfaces: Sequence[str], why: str) -> None:
        super().__init__(f"which program configures {listed(interfaces)} {why}")
        self.interfaces, self.why = tuple(interfaces), why


class Share(Struct, frozen=True, kw_only=True):
    """One interface's part. `label` names our files: it differs between plans, for their priorities do."""

    interface: Interface
    owner: Owner
    label: str
    routes: tuple[Route, ...]
    rules: tuple[PolicyRule, ...]
    lost: tuple[str, ...] = ()
    """Routes of these tables that are not written, each in words."""

    @property
    def name(self) -> str:
        """The interface's."""
        return self.interface.name

    @property
    def handle(self) -> str:
        """The manager's name for the interface's configuration. Raises NotKept unless it is plain."""
        return self.plain(self.owner.handle)

    def plain(self, name: str) -> str:
        """The name. Raises NotKept unless it may stand in a file and in a command."""
        if PLAIN.fullmatch(name) is None:
            said = one_line(name, 60)
            raise NotKept(f"{self.owner.manager.value} knows {self.name} by a name that is not written ('{said}')")
        return name


class Unkept(Struct, frozen=True):
    """What cannot be written, and why."""

    what: str
    why: str


def shares(guest: Guest, effects: Sequence[Effect]) -> Iterator[Share | Unkept]:
    """Each interface's share of the plan; those that nobody is known to configure together."""
    added = {effect.table: effect.routes for effect in effects if isinstance(effect, AddRoutes)}
    rules = [effect.rule for effect in effects if isinstance(effect, AddRule)]
    by_interface = grouped((_interface_of(guest, added, rule.table), rule) for rule in rules)
    unowned: list[tuple[Unowned, list[PolicyRule]]] = []
    for name, own in by_interface.items():
        try:
            yield _share(guest, name, own, added)
        except Unowned as none:
            unowned.append((none, own))
        except NotKept as why:
            yield Unkept(rules_said(own), str(why))
    for reason, alike in grouped((none.why, (none, own)) for none, own in unowned).items():
        names = [name for none, _ in alike for name in none.interfaces]
        yield Unkept(rules_said(rule for _, own in alike for rule in own), str(Unowned(names, reason)))


def rules_said(rules: Iterable[PolicyRule]) -> str:
    """`the rules of 10.0.0.12 and 10.0.0.13`."""
    return f"the rules of {listed(list(dict.fromkeys(short_prefix(rule.src or 'all') for rule in rules)))}"


def file_label(interface: str) -> str:
    """The interface in the name of a file: some managers skip names with dots."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", interface)


def who_configures(guest: Guest, name: str) -> Owner:
    """Who configures the interface. Raises NotKept where that cannot be told."""
    owners = guest.owners
    if owners is None:
        running = set(guest.network_managers) - _HELPERS
        manager = _SINGLE.get(next(iter(running), "")) if len(running) == 1 else None
        if manager is None:
            raise Unowned([name], "was not collected")
        return Owner(manager=manager, handle=name)
    if name not in owners:
        raise Unowned([name], "cannot be told")
    others = [one_line(other, 40) for other, owner in owners.items() if owner == owners[name] and other != name]
    if others:
        handle = one_line(owners[name].handle, 80)
        raise NotKept(
            f"what configures {name} ({owners[name].manager.value}: {handle}) configures {listed(others)} too"
        )
    return owners[name]


def _interface_of(guest: Guest, added: dict[int, tuple[Route, ...]], table: int | None) -> str | None:
    """The interface that a table leads out by: one of the plan's, or of the guest's own."""
    routes = added.get(table) if table is not None else None
    if routes is None:
        routes = tuple(route for route in guest.routes if route.table == table)
    names = {hop.interface for route in routes for hop in route.nexthops}
    return names.pop() if len(names) == 1 else None


def _share(guest: Guest, name: str | None, rules: Sequence[PolicyRule], added: dict[int, tuple[Route, ...]]) -> Share:
    interface = next((link for link in guest.interfaces if link.name == name), None)
    if interface is None:
        raise NotKept("they belong to no single interface")
    if not is_plain_interface(interface.name):
        raise NotKept(UNFIT_NAME)
    routes: list[Route] = []
    lost: list[str] = []
    for table in dict.fromkeys(rule.table for rule in rules):
        if table is None:
            continue
        if table in added:
            routes += added[table]
        else:
            kept, left = _reused(guest, table)
            routes += kept
            lost += left
    return Share(
        interface=interface,
        owner=who_configures(guest, interface.name),
        label=f"{file_label(interface.name)}-{min(rule.priority for rule in rules)}",
        routes=tuple(routes),
        rules=tuple(rules),
        lost=tuple(lost),
    )


def _reused(guest: Guest, table: int) -> tuple[list[Route], list[str]]:
    """Of a table that was there already, the routes that the boot is known not to set, and what is not written."""
    boot = guest.boot
    if boot is None or "routing" in boot.unknown:
        why = "its configuration was not collected" if boot is None else boot.unknown["routing"]
        return [], [f"whether a boot sets the routes of table {table} is not known ({why})"]
    kept, lost = [], []
    for route in guest.routes:
        if route.table != table or any(
            one.table == table and one.prefix in {None, route.prefix} for one in boot.routes
        ):
            continue
        simple = len(route.nexthops) == 1 and route.nexthop_id is None and not (route.tos or route.realms)
        if route.type is RouteType.UNICAST and simple and not route.unmodelled:
            kept.append(_plain(route))
        else:
            lost.append(f"no file sets '{one_line(route.text or format_route(route), 120)}'")
    return kept, lost


def _plain(route: Route) -> Route:
    """The route as it is to be set, without what the kernel notes of its state."""
    (hop,) = route.nexthops
    flags = tuple(flag for flag in hop.flags if flag == "onlink")
    return msgspec.structs.replace(
        route, protocol="boot", nexthops=(NextHop(interface=hop.interface, gateway=hop.gateway, flags=flags),), text=""
    )
