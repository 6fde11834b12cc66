"""What helps published ports: marks of connections, which lead containers' answers back by the interface where their
connection came in. Advice for whoever owns the server's netfilter rules; nothing applies it.
"""

from collections.abc import Iterable, Iterator

from vnicheck.findings.facts import Facts
from vnicheck.findings.published import containers_devices, is_published
from vnicheck.fixes.actions import steps_of
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect
from vnicheck.fixes.policy_routing import propose
from vnicheck.kernel.validate import STRICT
from vnicheck.model.finding import Fix
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest
from vnicheck.model.lines import is_plain_interface

WHY = "containers answer from their own addresses, which no rule for the server's sees; connection marks help"
_KEPT = (
    "keep the nft rules in a file that nftables.service loads (/etc/nftables.conf includes it), the rule and the table "
    "where the network's manager has its own (docs/fixes.md, Published ports)"
)


def connection_marks(facts: Facts, flows: Iterable[Flow], made: Iterable[Effect] = ()) -> tuple[Fix, ...]:
    """The way for these flows, an interface where they come in at a time. `made`: what a plan makes already."""
    by_ingress: dict[str, list[Flow]] = {}
    for flow in flows:
        if is_published(flow) and flow.ingress is not None and flow.ingress != flow.egress:
            by_ingress.setdefault(flow.ingress, []).append(flow)
    return tuple(_way(facts, ingress, some, list(made)) for ingress, some in by_ingress.items())


def _way(facts: Facts, ingress: str, flows: list[Flow], made: list[Effect]) -> Fix:
    title = f"for ports that are published at {ingress}: {WHY}"
    devices = containers_devices(flows)
    effects = propose(facts, dict.fromkeys(flow.local for flow in flows)).effects
    rule = next((each.rule for each in effects if isinstance(each, AddRule)), None)
    guest = facts.guest_with("rules", "interfaces")
    if guest is None or rule is None or rule.table is None or not all(map(is_plain_interface, (ingress, *devices))):
        return Fix(title, by_hand=True)
    if (other := _other_marks(guest)) is not None:
        return Fix(f"{title}, but would replace the marks of others ({other})", by_hand=True)
    table = [each for each in effects if isinstance(each, AddRoutes) and each not in made]
    mark = _free_mark(guest, rule.table)
    commands = [step.command for each in table for step in steps_of(each)]
    commands += _nft(ingress, devices, mark)
    commands += [
        f"ip rule add iif {device} fwmark {mark:#x} table {rule.table} priority {rule.priority}" for device in devices
    ]
    if _strict(guest, ingress):
        commands.append(f"sysctl -w net/ipv4/conf/{ingress}/rp_filter=2")
    return Fix(f"{title}; {_KEPT}", tuple(commands), by_hand=True)


def _other_marks(guest: Guest) -> str | None:
    """A rule of netfilter that marks connections, or reads their marks: a connection has but one."""
    chains = guest.firewall.chains if guest.firewall is not None else ()
    texts = (rule.text for chain in chains for rule in chain.rules)
    return next((text for text in texts if "connmark" in text.lower() or "ct mark" in text), None)


def _nft(ingress: str, devices: Iterable[str], mark: int) -> Iterator[str]:
    name = f"vnicheck_{mark:x}"
    chain = f"ip {name} prerouting"
    yield f"nft add table ip {name}"
    yield f"nft 'add chain {chain} {{ type filter hook prerouting priority mangle; }}'"
    yield f"nft 'add rule {chain} iifname \"{ingress}\" ct state new ct mark set {mark:#x}'"
    for device in devices:
        yield f"nft 'add rule {chain} iifname \"{device}\" ct mark {mark:#x} meta mark set ct mark'"


def _free_mark(guest: Guest, wanted: int) -> int:
    """A mark that no policy rule selects, and that no rule of netfilter writes."""
    chains = guest.firewall.chains if guest.firewall is not None else ()
    texts = [rule.text for chain in chains for rule in chain.rules if "mark" in rule.text.lower()]
    selectors = [(rule.fwmark, rule.fwmask) for rule in guest.rules if rule.fwmark is not None]

    def is_free(mark: int) -> bool:
        selected = any((mark ^ value) & mask == 0 for value, mask in selectors)
        return not selected and not any(f"{mark:x}" in text.lower() for text in texts)

    return next((mark for mark in range(wanted, wanted + len(selectors) + len(texts) + 1) if is_free(mark)), wanted)


def _strict(guest: Guest, interface: str) -> bool:
    return max(guest.sysctls.get(f"net/ipv4/conf/{name}/rp_filter", 0) for name in ("all", interface)) == STRICT
