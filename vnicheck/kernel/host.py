"""A guest compiled for lookups: its tables, its policy rules and its addresses, in one possible state of the kernel."""

from collections.abc import Hashable

from msgspec import Struct

from vnicheck.kernel.conf import Conf
from vnicheck.kernel.fib import Match, NextHops
from vnicheck.kernel.lookup import Lookups, TableMaps
from vnicheck.kernel.open_fields import Decision, Effort, OpenFields, Tree
from vnicheck.kernel.release import parse_release
from vnicheck.kernel.rules import is_default, may_ask_for_gateway, reads_ports
from vnicheck.kernel.undetermined import Undetermined, known
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.address_map import AddressMap, constant, membership
from vnicheck.model.guest import (
    DEFAULT_TABLE,
    LOCAL_TABLE,
    MAIN_TABLE,
    Guest,
    Interface,
    NextHop,
    Route,
    RouteType,
)
from vnicheck.model.memo import Memo

_CORE_FACTS = ("interfaces", "routes", "routes_local", "rules")


class HiddenState(Struct, frozen=True):
    """What no dump shows (docs/kernel-model.md): both flags stick once a namespace has seen the thing.

    `custom_rules`: a policy rule was ever added or deleted, so that `local` and `main` are separate tables.
    `custom_local_routes`: a route of type local was ever added by a user.
    """

    custom_rules: bool
    custom_local_routes: bool


class Host:
    """One guest in one hidden state. What reads a single fact raises Undetermined where that is not known."""

    def __init__(
        self,
        guest: Guest,
        state: HiddenState,
        *,
        fields: OpenFields | None = None,
        tables: TableMaps | None = None,
        effort: Effort | None = None,
    ) -> None:
        """`fields`, `tables`, `effort`: those of the same guest in other states, or on trial."""
        self.guest = guest
        self.state = state
        self.conf = Conf(guest.sysctls, guest.missing.get("sysctls"))
        self.interfaces = {interface.name: interface for interface in guest.interfaces}
        self.addresses = {
            parse_address(address.address): interface.name
            for interface in guest.interfaces
            for address in interface.addresses
        }
        self.own = membership([[(address, address) for address in self.addresses]])
        """1 for the addresses of interfaces."""
        self.realms = any(route.realms for route in guest.routes) or any(rule.realms for rule in guest.rules)
        self.reads_ports = reads_ports(guest.rules)
        self.release = parse_release(guest.os.kernel)
        self.fields = fields if fields is not None else OpenFields(guest)
        self.effort = effort if effort is not None else Effort()
        self._blocked = _blocking_fact(guest)
        self._tables = tables if tables is not None else TableMaps()
        self._lookups: Lookups | None = None
        self._known = Memo()
        self._hosted = [
            (route.table, prefix_range(route.prefix))
            for route in guest.routes
            if route.type is RouteType.LOCAL or route.scope in {"host", "nowhere"}
        ]

    @property
    def lookups(self) -> Lookups:
        """Its lookups. Raises Undetermined where the guest lacks a fact on which every lookup may depend."""
        self.require_facts()
        if self._lookups is None:
            self._lookups = Lookups(
                self.guest,
                custom_rules=self.state.custom_rules,
                fields=self.fields,
                tables=self._tables,
                effort=self.effort,
                nexthops=NextHops(self._usable, self.may_carry, self._carriers()),
            )
        return self._lookups

    @property
    def tables(self) -> tuple[AddressMap[Tree], ...]:
        """The maps of its tables; none where no lookup is known."""
        try:
            return tuple(self.lookups.tables.values())
        except Undetermined:
            return ()

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

    def is_local_source(self, address: int) -> bool:
        """Whether the guest may send from an address: one of its interfaces', or one that table local makes its own
        (net/ipv4/devinet.c, __ip_dev_find). Raises Undetermined.
        """
        if address in self.addresses:
            return True
        table: AddressMap[object] = self.lookups.tables.get(
            LOCAL_TABLE if self.state.custom_rules else MAIN_TABLE, constant(None)
        )
        match = table.at(address)
        while isinstance(match, Decision):  # of the TOS, which is 0
            match = match.yes if match.values & 1 else match.no
        match = known(match)
        return isinstance(match, Match) and match.route.type is RouteType.LOCAL

    def uses_gateway(self, nexthop: NextHop, route: Route) -> bool:
        """Whether the nexthop's gateway counts; else the kernel takes the destination to be on-link.

        It does not count where it resolved to one of the guest's own addresses when the route was made: the kernel
        looks it up without mark, source, TOS, protocol or ports, in the route's own table, else by the rules
        (net/ipv4/fib_semantics.c, fib_check_nh_v4_gw). Raises Undetermined where it may be so today: no dump shows how
        it was then.
        """
        if nexthop.gateway is None:
            return False
        gateway = parse_address(nexthop.gateway)
        if "onlink" in nexthop.flags:
            return True
        hosting = self._known.once(("hosting", gateway), lambda: self._tables_hosting(gateway))
        if route.table in hosting or not hosting.isdisjoint(self._tables_asked_for(gateway)):
            raise Undetermined(f"the gateway {nexthop.gateway} is an address of the guest itself")
        return True

    def _tables_hosting(self, address: int) -> frozenset[int]:
        """The tables in which an address is the guest's own."""
        return frozenset(table for table, (first, last) in self._hosted if first <= address <= last)

    def _tables_asked_for(self, gateway: int) -> set[int]:
        """The tables that rules may ask for a gateway; more than they do where a rule jumps or was not understood."""
        if not self.state.custom_rules:
            return {LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE}
        return self._known.once(
            ("asked", gateway),
            lambda: {
                rule.table
                for rule in self.guest.rules
                if rule.table is not None and (rule.invert or rule.unmodelled or may_ask_for_gateway(rule, gateway))
            },
        )

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

    def _carriers(self) -> Hashable:
        """What beside its flags decides whether a nexthop is usable, or may carry."""
        ignoring = [item for item in self.guest.sysctls.items() if item[0].endswith("/ignore_routes_with_linkdown")]
        return tuple(ignoring), tuple((link.name, link.up) for link in self.guest.interfaces)


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
