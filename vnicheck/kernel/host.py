"""A guest compiled for lookups: its tables, its policy rules and its addresses, in one possible state of the kernel."""

from msgspec import Struct

from vnicheck.kernel.conf import Conf
from vnicheck.kernel.fib import Failure, Match, NoMatch, Table, tables_of
from vnicheck.kernel.release import parse_release
from vnicheck.kernel.rules import CompiledRule, Lookup, is_default, reads_ports
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.guest import (
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    Guest,
    Interface,
    NextHop,
    Route,
    RouteType,
    RuleAction,
)

_CORE_FACTS = ("interfaces", "routes", "routes_local", "rules")


class HiddenState(Struct, frozen=True):
    """What no dump shows (docs/kernel-model.md): both flags stick once a namespace has seen the thing.

    `custom_rules`: a policy rule was ever added or deleted, so that `local` and `main` are separate tables.
    `custom_local_routes`: a route of type local was ever added by a user.
    """

    custom_rules: bool
    custom_local_routes: bool


class Found(Struct, frozen=True):
    """A lookup's answer with the policy rule that led to it, and the table (local and main may be one: main)."""

    match: Match | NoMatch
    rule: str
    table: int | None = None


class Host:
    """One guest in one hidden state. Every lookup raises Undetermined where it meets what is not known."""

    def __init__(self, guest: Guest, state: HiddenState) -> None:
        self.guest = guest
        self.state = state
        self.conf = Conf(guest.sysctls, guest.missing.get("sysctls"))
        self.interfaces = {interface.name: interface for interface in guest.interfaces}
        self.addresses = {
            parse_address(address.address): interface.name
            for interface in guest.interfaces
            for address in interface.addresses
        }
        self.realms = any(route.realms for route in guest.routes) or any(rule.realms for rule in guest.rules)
        self.reads_ports = reads_ports(guest.rules)
        self.release = parse_release(guest.os.kernel)
        self._blocked = _blocking_fact(guest)
        by_table = tables_of(guest.routes)
        if not state.custom_rules:
            by_table[MAIN_TABLE] = by_table.pop(LOCAL_TABLE, []) + by_table.get(MAIN_TABLE, [])
        self.tables = {number: Table(routes, self._usable, self.may_carry) for number, routes in by_table.items()}
        self._hosted = [
            prefix_range(route.prefix)
            for route in guest.routes
            if route.type is RouteType.LOCAL or route.scope in {"host", "nowhere"}
        ]
        self._rules = [CompiledRule(rule) for rule in guest.rules]
        self._first_with = {rule.priority: i for i, rule in reversed(list(enumerate(guest.rules)))}

    def interface(self, name: str) -> Interface:
        """The interface of that name. Raises Undetermined where it is not, or not wholly, known."""
        interface = self.interfaces.get(name)
        if interface is None:
            raise Undetermined(f"interface {name} was not collected")
        if interface.unmodelled:
            raise Undetermined(f"interface {name} has something not understood: {interface.unmodelled[0]}")
        if interface.master is not None:
            raise Undetermined(f"{name} belongs to {interface.master}, which is not modelled")
        return interface

    def require_facts(self) -> None:
        """Raises Undetermined where the guest lacks a fact on which every lookup may depend."""
        if self._blocked is not None:
            raise Undetermined(self._blocked)

    def lookup(self, lookup: Lookup) -> Found:
        """One FIB lookup through the policy rules (fib_lookup, __fib_lookup)."""
        self.require_facts()
        if not self.state.custom_rules:
            return self._lookup_merged(lookup)
        index = 0
        while index < len(self._rules):
            compiled = self._rules[index]
            rule = compiled.rule
            index += 1
            if not compiled.matches(lookup):
                continue
            if rule.action is RuleAction.GOTO:
                target = self._first_with.get(rule.goto if rule.goto is not None else -1)
                if target is not None:  # an unresolved goto is passed over
                    index = target
                continue
            if rule.action is RuleAction.NOP:
                continue
            if compiled.refusal is not None:
                return Found(compiled.refusal, rule.text)
            table = self.tables.get(rule.table) if rule.table is not None else None
            match = table.lookup(lookup.destination, tos=lookup.tos, oif=lookup.oif) if table is not None else None
            if match is None or (isinstance(match, Match) and self._suppressed(compiled, match)):
                continue
            return Found(match, rule.text, rule.table)
        return Found(NoMatch(Failure.NO_ROUTE, "no policy rule leads to a route"), "")

    def is_local_source(self, address: int) -> bool:
        """Whether the guest may send from an address: one of its interfaces', or one that table local makes its own
        (net/ipv4/devinet.c, __ip_dev_find).
        """
        if address in self.addresses:
            return True
        table = self.tables.get(LOCAL_TABLE if self.state.custom_rules else MAIN_TABLE)
        match = table.lookup(address, tos=0, oif=None) if table is not None else None
        return isinstance(match, Match) and match.route.type is RouteType.LOCAL

    def uses_gateway(self, nexthop: NextHop) -> bool:
        """Whether the nexthop's gateway counts; else the kernel takes the destination to be on-link.

        It does not count where it resolved to one of the guest's own addresses when the route was made (fib_check_nh).
        Raises Undetermined where that would be so today: no dump shows how it was then.
        """
        if nexthop.gateway is None:
            return False
        gateway = parse_address(nexthop.gateway)
        if "onlink" not in nexthop.flags and any(first <= gateway <= last for first, last in self._hosted):
            raise Undetermined(f"the gateway {nexthop.gateway} is an address of the guest itself")
        return True

    def _lookup_merged(self, lookup: Lookup) -> Found:
        for number in (MAIN_TABLE, DEFAULT_TABLE):
            table = self.tables.get(number)
            match = table.lookup(lookup.destination, tos=lookup.tos, oif=lookup.oif) if table is not None else None
            if match is not None:
                shown = match.route.table if isinstance(match, Match) else number
                return Found(match, _default_rule_text(shown), number)
        return Found(NoMatch(Failure.NO_ROUTE, "no routing table has a route"), "")

    def _suppressed(self, compiled: CompiledRule, match: Match) -> bool:
        rule = compiled.rule
        if rule.suppress_prefixlength is not None and match.length <= rule.suppress_prefixlength:
            return True
        if rule.suppress_ifgroup is None:
            return False
        device = match.route.nexthops[0].interface
        interface = self.interfaces.get(device) if device is not None else None
        if interface is None:
            raise Undetermined(f"policy rule selects by the group of an interface not collected: {rule.text}")
        return interface.group == rule.suppress_ifgroup

    def may_carry(self, nexthop: NextHop) -> bool:
        """Whether a nexthop of several may be chosen: also one without carrier that should be passed over, for the
        kernel notes that when the carrier goes or the nexthops change, not when the sysctl does (fib_rebalance).
        """
        interface = self.interfaces.get(nexthop.interface or "")
        return "dead" not in nexthop.flags or ("linkdown" in nexthop.flags and interface is not None and interface.up)

    def _usable(self, nexthop: NextHop) -> bool:
        if "dead" in nexthop.flags:
            return False
        return not (
            "linkdown" in nexthop.flags
            and nexthop.interface is not None
            and self.conf.either(nexthop.interface, "ignore_routes_with_linkdown")
        )


def hidden_states(guest: Guest) -> tuple[HiddenState, ...]:
    """The hidden states that the collected facts leave possible and that can differ in their answers.

    Rules other than the three that every namespace starts with tell that they were changed; the same three may have
    been changed and changed back. Where rules were changed, local routes make no difference.
    """
    if not is_default(guest.rules):
        return (HiddenState(custom_rules=True, custom_local_routes=True),)
    custom_local = (True,) if any(_made_by_user(route) for route in guest.routes) else (False, True)
    states = [HiddenState(custom_rules=False, custom_local_routes=local) for local in custom_local]
    return (*states, HiddenState(custom_rules=True, custom_local_routes=True))


def _made_by_user(route: Route) -> bool:
    return route.type is RouteType.LOCAL and (route.table != LOCAL_TABLE or route.protocol != "kernel")


def _blocking_fact(guest: Guest) -> str | None:
    for fact in _CORE_FACTS:
        if fact in guest.missing:
            return f"{fact} of the guest: {guest.missing[fact]}"
    for line in guest.unmodelled:
        if line.section in _CORE_FACTS:
            return f"a line of {line.section} was not understood: {line.text}"
    return None


def _default_rule_text(table: int) -> str:
    return {LOCAL_TABLE: "0: from all lookup local", MAIN_TABLE: "32766: from all lookup main"}.get(
        table, "32767: from all lookup default"
    )
