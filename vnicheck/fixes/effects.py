"""What a fix changes, in the model's terms, and the server as it is after that."""

from collections import Counter
from collections.abc import Container, Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.cloud import Vni
from vnicheck.model.guest import Guest, PolicyRule, Route
from vnicheck.model.lines import format_route, format_rule
from vnicheck.model.snapshot import Server


class AddRoutes(Struct, frozen=True, kw_only=True, tag="add_routes"):
    """Routes into a table that held none: what its rules lead to is of no use without all of them."""

    table: int
    routes: tuple[Route, ...]


class AddRule(Struct, frozen=True, kw_only=True, tag="add_rule"):
    """One policy rule, behind those of its priority (net/core/fib_rules.c, fib_nl_newrule)."""

    rule: PolicyRule


class SetRpFilter(Struct, frozen=True, kw_only=True, tag="set_rp_filter"):
    """The interface's own value; the larger of it and that of `all` is in force."""

    interface: str
    old: int
    new: int

    @property
    def path(self) -> str:
        """Below /proc/sys."""
        return f"net/ipv4/conf/{self.interface}/rp_filter"


VniField = Literal["protocol_state_filtering_mode", "allow_ip_spoofing"]


class PatchVni(Struct, frozen=True, kw_only=True, tag="patch_vni"):
    """One field of a VNI, by its name in the VPC API."""

    vni: str
    """Its id."""
    name: str
    field: VniField
    old: str | bool
    new: str | bool


Effect = AddRoutes | AddRule | SetRpFilter | PatchVni


def carry_out(server: Server, effects: Iterable[Effect]) -> Server:
    """The server with the effects. Raises ValueError where one is of a guest that was not collected."""
    guest, vnis = server.guest, server.vnis
    for effect in effects:
        if isinstance(effect, PatchVni):
            vnis = tuple(_patched(vni, effect) for vni in vnis)
        elif guest is None:
            raise ValueError(f"{server.name[:60]!r} has no guest to change")
        else:
            guest = _changed(guest, effect)
    return msgspec.structs.replace(server, guest=guest, vnis=vnis)


def with_effects(
    guest: Guest, effects: Iterable[AddRoutes | AddRule | SetRpFilter], *, ahead_of_equals: bool = False
) -> Guest:
    """The guest with the effects; `ahead_of_equals`: each rule ahead of those of its priority, as a boot may put it."""
    for effect in effects:
        guest = _changed(guest, effect, ahead_of_equals=ahead_of_equals)
    return guest


def of_sources(effects: Iterable[Effect], sources: Container[str | None]) -> tuple[AddRoutes | AddRule, ...]:
    """Of policy routing the rules by these sources (`10.0.0.12/32`), with the tables that they lead to."""
    routing = [effect for effect in effects if isinstance(effect, AddRoutes | AddRule)]
    tables = {each.rule.table for each in routing if isinstance(each, AddRule) and each.rule.src in sources}
    return tuple(
        each for each in routing if (each.rule.src in sources if isinstance(each, AddRule) else each.table in tables)
    )


def standing(guest: Guest, effects: Iterable[Effect]) -> list[Effect]:
    """Those of the effects on the guest that it shows, in part at least."""
    return [effect for effect in effects if not isinstance(effect, PatchVni) and _stands(guest, effect)]


def with_own_rules(guest: Guest, effects: Iterable[Effect]) -> Guest:
    """The guest, on which the effects were carried out, with their rules as they were set: busybox's `ip` shows less
    of a rule than it may hold.
    """
    own = {_as_shown(guest, effect.rule): effect.rule for effect in effects if isinstance(effect, AddRule)}
    shown = [_as_shown(guest, rule) for rule in guest.rules]
    seen = Counter(shown)
    rules = tuple(own.get(key, rule) if seen[key] == 1 else rule for key, rule in zip(shown, guest.rules, strict=True))
    return msgspec.structs.replace(guest, rules=rules)


def altered(guest: Guest, effect: AddRoutes | AddRule | SetRpFilter) -> str | None:
    """What somebody else set in the effect's place since, in words; None where nothing is there, or the effect."""
    match effect:
        case SetRpFilter():
            value = guest.sysctls.get(effect.path)
            return None if value in {effect.old, effect.new, None} else f"rp_filter of {effect.interface} is {value}"
        case AddRule():
            same = (rule for rule in guest.rules if rule.priority == effect.rule.priority)
            return None if _stands(guest, effect) else next((f"the rule '{format_rule(rule)}'" for rule in same), None)
        case AddRoutes():
            ours = {(route.table, route.prefix) for route in effect.routes}
            same_way = (route for route in guest.routes if (route.table, route.prefix) in ours)
            if _stands(guest, effect):
                return None
            return next((f"the route '{format_route(route)}'" for route in same_way), None)


def _stands(guest: Guest, effect: AddRoutes | AddRule | SetRpFilter) -> bool:
    match effect:
        case SetRpFilter():
            return guest.sysctls.get(effect.path) == effect.new
        case AddRule():
            return any(_as_shown(guest, rule) == _as_shown(guest, effect.rule) for rule in guest.rules)
        case AddRoutes():
            routes = {_route_key(route) for route in guest.routes}
            return any(_route_key(route) in routes for route in effect.routes)


def _as_shown(guest: Guest, rule: PolicyRule) -> PolicyRule:
    """As a plan has a rule: without its line, and of busybox's without the doubt whether that shows all of it."""
    doubted = guest.ip_version.startswith("BusyBox")
    return msgspec.structs.replace(rule, text="", unmodelled=() if doubted else rule.unmodelled)


def _route_key(route: Route) -> tuple[object, ...]:
    """What tells a route from others; not what the kernel shows of its state."""
    return (
        route.table,
        route.prefix,
        route.tos,
        route.metric,
        route.type,
        tuple((hop.interface, hop.gateway) for hop in route.nexthops),
    )


def _patched(vni: Vni, patch: PatchVni) -> Vni:
    return msgspec.structs.replace(vni, **{patch.field: patch.new}) if vni.id == patch.vni else vni


def _changed(guest: Guest, effect: AddRoutes | AddRule | SetRpFilter, *, ahead_of_equals: bool = False) -> Guest:
    if isinstance(effect, AddRoutes):
        return msgspec.structs.replace(guest, routes=(*guest.routes, *effect.routes))
    if isinstance(effect, SetRpFilter):
        return msgspec.structs.replace(guest, sysctls=guest.sysctls | {effect.path: effect.new})
    rules = (effect.rule, *guest.rules) if ahead_of_equals else (*guest.rules, effect.rule)
    rules = tuple(sorted(rules, key=lambda rule: rule.priority))  # stable: behind its equals, or ahead of them
    return msgspec.structs.replace(guest, rules=rules)
