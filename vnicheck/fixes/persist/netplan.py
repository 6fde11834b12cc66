"""netplan: a file of our own that adds routes and rules to the id of the interface (netplan merges files by id).

Before the file takes its place, netplan's own generator reads all files with it, in a folder aside: one that it does
not accept would leave the server without a network at the next boot.
"""

from typing import Any

from vnicheck.fixes.persist.share import NotKept, Share
from vnicheck.fixes.persist.shell import file_action
from vnicheck.model.guest import PolicyRule, Route, RouteType
from vnicheck.model.lines import short_prefix
from vnicheck.model.plan import Action, File

_SECTIONS = {None: "ethernets", "veth": "ethernets", "vlan": "vlans", "bond": "bonds", "bridge": "bridges"}
"""netplan's section of each kind of interface."""
_GENERATE = r"""{
r=$(if command -v netplan >/dev/null; then netplan generate --root-dir "$d"; else generate --root-dir "$d"; fi 2>&1)
s=$?; rm -rf "$d"; r=$(printf '%s\n' "$r" | grep -E 'yaml:[0-9]|rror' | sed -e "s|$d||" -e 1q)
[ "$s" = 0 ] || { printf 'netplan does not accept it: %s\n' "$r" >&2; false; }
}"""
_CHECK = (
    'd=$(mktemp -d) && mkdir -p "$d/etc/netplan"',
    'for p in lib etc run; do [ ! -d "/$p/netplan" ] || { mkdir -p "$d/$p" && cp -Rp "/$p/netplan" "$d/$p/"; }; done',
    'cp -p "$t" "$d$f"',
    "PATH=$PATH:/usr/libexec/netplan:/usr/lib/netplan:/lib/netplan",
    _GENERATE,
)
"""The command itself needs Python and more; the generator (which it runs) is there wherever netplan is."""


def actions(share: Share) -> tuple[Action, ...]:
    """The file. Raises NotKept for kinds of interfaces that we know no section of."""
    path = f"/etc/netplan/90-vnicheck-{share.label}.yaml"
    file = File(path=path, text=_text(share), mode=0o600)
    return (file_action(f"netplan: {path} adds routes and rules to {share.handle}", file, check=_CHECK),)


def _text(share: Share) -> str:
    import yaml

    section = _SECTIONS.get(share.interface.kind)
    if section is None:
        raise NotKept(f"which section of netplan's an interface of kind {share.interface.kind} is in is not known")
    body: dict[str, Any] = {}
    if share.routes:
        body["routes"] = [_route(route) for route in share.routes]
    body["routing-policy"] = [_rule(rule) for rule in share.rules]
    network = {"network": {"version": 2, section: {share.handle: body}}}
    return f"# Written by vnicheck.\n{yaml.safe_dump(network, sort_keys=False)}"


def _route(route: Route) -> dict[str, Any]:
    """`to: 0.0.0.0/0` is the default route in every version; `default` is not known to old ones."""
    entry: dict[str, Any] = {"to": route.prefix}
    if route.type is not RouteType.UNICAST:
        return {**entry, "type": route.type.value, "table": route.table}
    (hop,) = route.nexthops
    if hop.gateway is not None:
        entry["via"] = hop.gateway
    else:
        entry["scope"] = "link"
    if "onlink" in hop.flags:
        entry["on-link"] = True
    if route.source is not None:
        entry["from"] = route.source
    if route.metric:
        entry["metric"] = route.metric
    entry["table"] = route.table
    return entry


def _rule(rule: PolicyRule) -> dict[str, Any]:
    entry: dict[str, Any] = {} if rule.src is None else {"from": short_prefix(rule.src)}
    return {**entry, "table": rule.table, "priority": rule.priority}
