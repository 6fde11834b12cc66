"""Effects as actions: the commands that bring them about and take them back, and what they cost, in words."""

from collections.abc import Iterable, Iterator

from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter
from vnicheck.fixes.state_filtering import MODE
from vnicheck.model.guest import PolicyRule
from vnicheck.model.lines import route_words, rule_words, short_prefix
from vnicheck.model.plan import Action

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
            return _fill_table(effect)
        case AddRule():
            return _add_rule(effect.rule)
        case SetRpFilter():
            return _set_rp_filter(effect)
        case PatchVni():
            return _patch(effect)


def _fill_table(effect: AddRoutes) -> Action:
    words = [route_words(route) for route in effect.routes]
    interfaces = ", ".join(dict.fromkeys(hop.interface or "" for route in effect.routes for hop in route.nexthops))
    return Action(
        where="guest",
        kind="route",
        summary=f"table {effect.table}: the subnet of {interfaces} on-link, everything else by its gateway",
        command=" && ".join(f"ip route add {each}" for each in words),
        undo="; ".join(f"ip route del {each}" for each in reversed(words)),
    )


def _add_rule(rule: PolicyRule) -> Action:
    words = rule_words(rule)
    source = short_prefix(rule.src or "")
    summary = f"what is sent from {source} asks table {rule.table}"
    if rule.dst is not None:
        summary = f"what is sent from {source} to {rule.dst} goes on asking the main table"
    return Action(
        where="guest",
        kind="policy_rule",
        summary=summary,
        command=f"ip rule add {words}",
        undo=f"ip rule del {words}",
    )


def _set_rp_filter(effect: SetRpFilter) -> Action:
    return Action(
        where="guest",
        kind="sysctl",
        summary=f"rp_filter of {effect.interface} loose, no longer strict",
        command=f"sysctl -q -w {effect.path}={effect.new}",
        undo=f"sysctl -q -w {effect.path}={effect.old}",
    )


def _patch(effect: PatchVni) -> Action:
    what = "disable protocol state filtering" if effect.field == MODE else "allow IP spoofing"
    return Action(
        where="vpc",
        kind="vni_patch",
        summary=f"{what} on {effect.name}",
        patch={effect.field: effect.new},
        undo_patch={effect.field: effect.old},
        vni=effect.vni,
        vni_name=effect.name,
    )


def iam_actions(effects: Iterable[Effect]) -> tuple[str, ...]:
    """The IAM actions that applying the effects needs beside reading."""
    needed = [action for each in effects if isinstance(each, PatchVni) for action in IAM_ACTIONS[each.field]]
    return tuple(dict.fromkeys(needed))


def side_effects(effects: Iterable[Effect]) -> Iterator[str]:
    """What the effects do beside what they are for."""
    effects = list(effects)
    sources = [
        short_prefix(each.rule.src)
        for each in effects
        if isinstance(each, AddRule) and each.rule.src is not None and each.rule.dst is None
    ]
    if sources:
        yield (
            f"all that the server sends from {', '.join(sources)} leaves by the interface of that address; routes that "
            "are added to the main table later do not count for it"
        )
    kept = [each.rule.dst for each in effects if isinstance(each, AddRule) and each.rule.dst is not None]
    if kept:
        networks = ", ".join(dict.fromkeys(kept))
        yield f"networks of the server's own that appear later beside {networks} need a rule like theirs"
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
