"""ifupdown: a second stanza of the interface, in a file of /etc/network/interfaces.d.

The lines are right whichever stanza comes first (the gateway is found by the table's own route of the subnet), do
nothing where they ran before, and never make `ifup` fail. `source-directory` takes only names of letters, digits,
hyphens and underscores.
"""

from vnicheck.fixes.persist.share import Share
from vnicheck.fixes.persist.shell import file_action, lines_action
from vnicheck.model.lines import format_route, rule_words
from vnicheck.model.plan import Action, File

INTERFACES = "/etc/network/interfaces"
_LEADS_THERE = (
    r"^[[:space:]]*source[[:space:]]+(/etc/network/)?interfaces\.d/(vnicheck-)?\*[[:space:]]*$"
    r"|^[[:space:]]*source-directory[[:space:]]+(/etc/network/)?interfaces\.d/?[[:space:]]*$"
)


def actions(share: Share) -> tuple[Action, ...]:
    """The file, and the line of /etc/network/interfaces that leads to it, where none does."""
    path = f"{INTERFACES}.d/vnicheck-{share.label}"
    taken_in = f"ifupdown: {INTERFACES} takes the file in, unless it takes in all of its folder"
    return (
        file_action(f"ifupdown: {path} adds routes and rules to {share.name}", File(path=path, text=_text(share))),
        lines_action(taken_in, INTERFACES, share.label, [f"source {path}"], unless=_LEADS_THERE),
    )


def _text(share: Share) -> str:
    routes = [format_route(route) for route in share.routes]
    rules = [rule_words(rule) for rule in share.rules]
    lines = [
        "# Written by vnicheck.",
        f"iface {share.handle} inet manual",
        *(f"  up ip route replace {route} || true" for route in routes),
        *(f"  up ip rule add {rule} || true" for rule in rules),
        *(f"  down ip rule del {rule} || true" for rule in reversed(rules)),
        *(f"  down ip route del {route} || true" for route in reversed(routes)),
    ]
    return "\n".join([*lines, ""])
