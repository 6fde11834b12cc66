"""NetworkManager: routes and rules of a connection's profile, by nmcli, which writes the keyfile or ifcfg file itself.

`nmcli connection modify` saves the profile and leaves the device as it is. Adding what is there changes nothing, and
removing takes out just that.
"""

import shlex

from vnicheck.fixes.persist.share import Share
from vnicheck.model.guest import PolicyRule, Route, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.plan import Action, Step


def actions(share: Share) -> tuple[Action, ...]:
    """The change of the profile. Its `lines` are those of a keyfile."""
    values = [("ipv4.routes", _route(route)) for route in share.routes]
    values += [("ipv4.routing-rules", _rule(rule)) for rule in share.rules]
    uuid = share.handle
    return (
        Action(
            kind="persist",
            summary=f"NetworkManager: connection {uuid} ({share.name}) gets routes and rules",
            steps=(Step(_modify(uuid, "+", values), _modify(uuid, "-", values[::-1])),),
            lines=("[ipv4]", *keyfile_lines(share)),
        ),
    )


def keyfile_lines(share: Share) -> list[str]:
    """What a keyfile says of it, numbered from 1: a profile that has such lines already counts on from its own."""
    lines = []
    for number, route in enumerate(share.routes, 1):
        lines += [f"route{number}={','.join(_way(route))}", f"route{number}_options={','.join(_options(route))}"]
    return lines + [f"routing-rule{number}={_rule(rule)}" for number, rule in enumerate(share.rules, 1)]


def _modify(uuid: str, sign: str, values: list[tuple[str, str]]) -> str:
    words = [word for key, value in values for word in (f"{sign}{key}", shlex.quote(value))]
    return " ".join(["nmcli connection modify uuid", uuid, *words])


def _route(route: Route) -> str:
    """`0.0.0.0/0 10.0.0.1 table=1003`, as in nm-settings-nmcli(5)."""
    return " ".join([*_way(route), *_options(route)])


def _way(route: Route) -> list[str]:
    gateway = [hop.gateway for hop in route.nexthops if hop.gateway is not None]
    return [route.prefix, *gateway, *([str(route.metric)] if route.metric else [])]


def _options(route: Route) -> list[str]:
    source = [] if route.source is None else [f"src={route.source}"]
    kind = [] if route.type is RouteType.UNICAST else [f"type={route.type.value}"]
    onlink = ["onlink=true"] if any("onlink" in hop.flags for hop in route.nexthops) else []
    return [f"table={route.table}", *source, *kind, *onlink]


def _rule(rule: PolicyRule) -> str:
    source = "" if rule.src is None else f" from {short_prefix(rule.src)}"
    return f"priority {rule.priority}{source} table {rule.table}"
