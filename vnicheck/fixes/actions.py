"""Effects as actions: the steps that bring them about and take them back, and what they cost, in words."""

from collections.abc import Iterable, Iterator

from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.fixes.state_filtering import MODE, SPOOFING
from vnicheck.model.cloud import ServerKind
from vnicheck.model.guest import PolicyRule, Route, RouteType
from vnicheck.model.lines import format_route, route_words, rule_words, short_prefix
from vnicheck.model.plan import Action, Step

_IAM = "is.virtual-network-interface.virtual-network-interface"
IAM_ACTIONS = {
    MODE: (f"{_IAM}.update", f"{_IAM}.manage-protocol-state-filtering-mode"),
    "allow_ip_spoofing": (f"{_IAM}.update", f"{_IAM}.manage-ip-spoofing"),
}
"""What a PATCH of the field needs (IBM Cloud Docs, VPC: vni-updating, ip-spoofing-about)."""


def action_of(effect: Effect) -> Action:
    """The action. Names in it are plain (`is_plain_interface`): nothing of it needs quoting."""
    match effect:
        case AddRoutes():
            return Action(kind="route", summary=_said_of_table(effect), steps=steps_of(effect))
        case AddRule():
            return Action(kind="policy_rule", summary=_said_of_rule(effect.rule), steps=steps_of(effect))
        case SetRpFilter():
            summary = f"rp_filter of {effect.interface} loose, no longer strict"
            return Action(kind="sysctl", summary=summary, steps=steps_of(effect))
        case PatchVni():
            return _patch(effect)


def steps_of(effect: AddRoutes | AddRule | SetRpFilter) -> tuple[Step, ...]:
    """One command a step, so that less is left to be cleaned up where one is refused."""
    match effect:
        case AddRoutes():
            return tuple(map(_add_route, effect.routes))
        case AddRule():
            return (_add_rule(effect.rule),)
        case SetRpFilter():
            return (_set_sysctl(effect.path, effect.old, effect.new),)


def _add_route(route: Route) -> Step:
    words = route_words(route)
    shown = format_route(Route(prefix=route.prefix, type=route.type, nexthops=route.nexthops))
    return Step(
        command=f"ip route add {words}",
        undo=f"ip route del {words}",
        check=f"ip -4 route show table {route.table} 2>/dev/null | grep -Eq '^{_literal(shown)}( |$)'",
    )


def _add_rule(rule: PolicyRule) -> Step:
    """`ip` shows tables by number where it knows -N, and else by name."""
    words = rule_words(rule)
    selector = f"from {short_prefix(rule.src or 'all')}"
    return Step(
        command=f"ip rule add {words}",
        undo=f"ip rule del {words}",
        check=(
            "{ ip -4 -N rule show 2>/dev/null || ip -4 rule show; } | "
            f"grep -Eq '^{rule.priority}:[[:space:]]+{_literal(selector)} lookup {rule.table} *$'"
        ),
    )


def _set_sysctl(path: str, old: int, new: int) -> Step:
    return Step(
        command=f"sysctl -q -w {path}={new}",
        undo=f"sysctl -q -w {path}={old}",
        check=f'[ "$(sysctl -n {path})" = {new} ]',
    )


def _literal(words: str) -> str:
    """Plain words as a pattern of grep -E."""
    return words.replace(".", "[.]")


def _said_of_table(effect: AddRoutes) -> str:
    interfaces = ", ".join(dict.fromkeys(hop.interface or "" for route in effect.routes for hop in route.nexthops))
    said = f"table {effect.table}: the subnet of {interfaces} on-link, everything else by its gateway"
    kept = thrown((effect,))
    return f"{said}; what is sent to {', '.join(kept)} asks the rules behind" if kept else said


def _said_of_rule(rule: PolicyRule) -> str:
    return f"traffic from {short_prefix(rule.src or '')} uses table {rule.table}"


def _patch(effect: PatchVni) -> Action:
    what = "disable protocol state filtering" if effect.field == MODE else "allow IP spoofing"
    return Action(
        kind="vni_patch",
        summary=f"{what} on {effect.name}",
        patch={effect.field: effect.new},
        undo_patch={effect.field: effect.old},
        vni=effect.vni,
        vni_name=effect.name,
    )


SPOOFING_ROLES: dict[ServerKind, str] = {
    "instance": "IP Spoofing Operator",
    "bare_metal_server": "Bare Metal Advanced Network Operator",
}
"""Who may allow IP spoofing (IBM Cloud Docs, VPC: vsi-is-iam-access, bare_metal_server_manage_nic)."""


def iam_actions(effects: Iterable[Effect]) -> tuple[str, ...]:
    """The IAM actions that applying the effects needs beside reading."""
    needed = [action for each in effects if isinstance(each, PatchVni) for action in IAM_ACTIONS[each.field]]
    return tuple(dict.fromkeys(needed))


def thrown(effects: Iterable[Effect]) -> list[str]:
    """The prefixes for which tables of the plan leave packets to the rules behind."""
    routes = [route for each in effects if isinstance(each, AddRoutes) for route in each.routes]
    return list(dict.fromkeys(route.prefix for route in routes if route.type is RouteType.THROW))


def side_effects(effects: Iterable[Effect], kind: ServerKind) -> Iterator[str]:
    """What the effects do beside what they are for, on a server of this kind, and whom they take."""
    effects = list(effects)
    sources = [
        short_prefix(each.rule.src) for each in effects if isinstance(each, AddRule) and each.rule.src is not None
    ]
    if sources:
        yield (
            f"all that the server sends from {', '.join(sources)} leaves by the interface of that address; routes that "
            "are added to the main table later do not count for it"
        )
    kept = thrown(effects)
    if kept:
        yield f"networks of the server's own that appear later beside {', '.join(kept)} need a route like theirs"
    for each in effects:
        if isinstance(each, SetRpFilter):
            yield (
                f"{each.interface} no longer drops packets whose sender is reached by another interface: whoever is "
                f"behind {each.interface} can send with a forged source address"
            )
        elif isinstance(each, PatchVni) and each.field == MODE:
            yield (
                f"{each.name} passes TCP packets of connections that it has not seen opened, of all its flows; its "
                "security groups and network ACLs still hold"
            )
        elif isinstance(each, PatchVni):
            yield (
                f"SECURITY: whoever controls the server can send from any address by {each.name}, as any other host "
                "of the VPC"
            )
    if any(isinstance(each, PatchVni) and each.field == SPOOFING for each in effects):
        yield f"allowing IP spoofing takes the IAM role {SPOOFING_ROLES[kind]}"
