"""systemd-networkd without netplan: a drop-in beside the .network file that configures the interface."""

from vnicheck.fixes.persist.share import NotKept, Share
from vnicheck.fixes.persist.shell import file_action
from vnicheck.model.guest import PolicyRule, Route, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.plan import Action, File


def actions(share: Share) -> tuple[Action, ...]:
    """The drop-in: one in /etc counts wherever the file itself is. Raises NotKept."""
    name = share.plain(share.owner.handle.rpartition("/")[2])
    if not name.endswith(".network"):
        raise NotKept(f"{name[:60]!r} is no .network file")
    folder = f"/etc/systemd/network/{name}.d"
    path = f"{folder}/50-vnicheck-{share.label}.conf"
    text = "\n".join(["# Written by vnicheck.", *map(_route, share.routes), *map(_rule, share.rules)])
    summary = f"systemd-networkd: {path} adds routes and rules to {name}"
    return (file_action(summary, File(path=path, text=text), own_folder=True),)


def _section(name: str, values: dict[str, object]) -> str:
    return "".join([f"[{name}]\n", *(f"{key}={value}\n" for key, value in values.items() if value is not None)])


def _route(route: Route) -> str:
    if route.type is not RouteType.UNICAST:
        return _section("Route", {"Destination": route.prefix, "Type": route.type.value, "Table": route.table})
    (hop,) = route.nexthops
    return _section(
        "Route",
        {
            "Destination": route.prefix,
            "Gateway": hop.gateway,
            "Scope": "link" if hop.gateway is None else None,
            "GatewayOnLink": "yes" if "onlink" in hop.flags else None,
            "PreferredSource": route.source,
            "Metric": route.metric or None,
            "Table": route.table,
        },
    )


def _rule(rule: PolicyRule) -> str:
    return _section(
        "RoutingPolicyRule",
        {
            "From": None if rule.src is None else short_prefix(rule.src),
            "Table": rule.table,
            "Priority": rule.priority,
        },
    )
