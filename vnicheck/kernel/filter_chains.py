"""A packet's way through netfilter's chains: which rules may end it.

A verdict of accept ends one base chain, a drop ends the packet. A rule of which it is not known whether it applies is
followed both ways.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.kernel.filter_addresses import ByAddress, address_sets
from vnicheck.kernel.filter_match import Packets, Turn, address_range, applies, cuts_of, is_named, port_range
from vnicheck.model.address import Range
from vnicheck.model.address_map import membership
from vnicheck.model.firewall import Firewall, FirewallChain, FirewallRule, Selector, Verdict
from vnicheck.model.memo import Memo

TRANSLATING = {Verdict.DNAT, Verdict.REDIRECT}
NEW_SOURCE = {Verdict.SNAT, Verdict.MASQUERADE}
_DOUBTFUL = {Verdict.DROP, Verdict.REJECT, Verdict.QUEUE, Verdict.OTHER}
_NOT_PASSING = _DOUBTFUL | TRANSLATING | NEW_SOURCE
_PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100, "out": 100,
}  # fmt: skip
_PRIORITY = re.compile(r"([a-z]+)?\s*([+-]?)\s*(\d+)?", re.ASCII)
_TRACKING = -200
"""NF_IP_PRI_CONNTRACK: before it no packet has a connection."""
TRACKS = {"prerouting", "output"}
"""Where connections are found and made."""
_NAT = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
"""NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC: when chains of type nat are asked, whatever their own priority."""
_ARP, _BRIDGE = "arp", "bridge"
_BEFORE_IP = {"ingress", "egress"}
"""Hooks of devices, which ARP meets too."""
_OF_IP = set(Selector) - {Selector.IIF, Selector.OIF}
_CLEARS = re.compile(
    r"-A .* -j MARK --set-xmark 0x0/0x[0-9a-f]+"
    r"|(?:(?!mark set).)*\bmeta mark set meta mark & 0x[0-9a-f]+(?: (?:accept|return|counter)(?:(?!mark set|…).)*)?",
    re.ASCII,
)
"""A rule that only takes bits from the mark, and leaves what is unmarked so."""
_LONG = 32
"""Rules of a chain from which on they are looked up by address."""
_DEEPEST = 16
"""The kernel allows no more jumps in a row."""
MOST_RULES = 2_000_000
"""Rules asked for one guest, and hooks passed, before the rest is left unknown: seconds."""


class TooManyRulesError(Exception):
    """More rules were asked than are asked."""


class AtHook(Struct, frozen=True):
    """What packets meet at a hook: `stopped`, rules that may end them; `translated`, rules that may give them other
    addresses, each with whether it surely does.
    """

    stopped: tuple[FirewallRule, ...] = ()
    translated: tuple[tuple[FirewallRule, bool], ...] = ()
    cuts: frozenset[int] = frozenset()
    """The ports at which their rules told the packets apart."""


def _what_stops(chains: Iterable[FirewallChain], meets: Callable[[FirewallRule], bool]) -> str | None:
    for chain in chains:
        if chain.policy is Verdict.DROP:
            return f"policy drop of chain {chain.table} {chain.name}"
        for rule in chain.rules:
            if rule.verdict in _DOUBTFUL and meets(rule):
                return rule.text
    return None


class Chains:
    """The chains of a guest, by hook."""

    def __init__(
        self,
        firewall: Firewall,
        only_address: Mapping[str, int],
        beneath: Mapping[str | None, tuple[str, ...]] | None = None,
    ) -> None:
        """`only_address`: of the interfaces that have but one address, that. `beneath`: of each the devices that its
        packets cross, itself first.
        """
        self._only_address = only_address
        self._beneath = {} if beneath is None else beneath
        self._by_name = {(chain.family, chain.table, chain.name): chain for chain in firewall.chains}
        self._base: dict[str, list[FirewallChain]] = {}
        for chain in firewall.chains:
            if chain.hook is not None and chain.family not in {_ARP, _BRIDGE}:
                self._base.setdefault(chain.hook, []).append(chain)
        for chains in self._base.values():
            chains.sort(key=lambda chain: (_turn(chain), priority(chain.priority)))
        self._left = MOST_RULES
        self._by_address: dict[tuple[str, str, str], ByAddress] = {}
        self._passed, self._told_apart = Memo(), Memo()
        self._first: dict[Hashable, int] = {}
        self.cuts: set[int] = set()
        """The ports at which rules that were asked told packets apart, since somebody emptied it."""
        rules = [rule for chain in firewall.chains for rule in chain.rules]
        self.marks_connections = any(rule.sets_mark or "CONNMARK" in rule.text for rule in rules)
        self.untracks = any(rule.untracks for rule in rules)
        """Whether some rule keeps packets out of connection tracking."""

    def against_arp(self) -> str | None:
        """A rule or policy that may keep the guest from finding the MAC address of its next hops."""
        met = [chain for chain in self._by_name.values() if chain.family == _ARP or chain.hook in _BEFORE_IP]
        return _what_stops(met, lambda rule: not any(match.selector in _OF_IP for match in rule.matches))

    def against_frames(self) -> str | None:
        """A rule or policy that may stop what crosses a bridge."""
        return _what_stops([chain for chain in self._by_name.values() if chain.family == _BRIDGE], lambda _: True)

    def matters(self, *hooks: str) -> bool:
        """Whether some rule or policy of these hooks does more than to accept, which may be to keep out of tracking."""
        return any(
            base.policy is Verdict.DROP
            or any(rule.verdict in _NOT_PASSING or rule.untracks or self._is_lost(at, rule) for rule in at.rules)
            for base, at in self._chains_at(hooks)
        )

    def rules_of(self, *hooks: str) -> Iterator[FirewallRule]:
        """All rules that packets at these hooks may meet."""
        for _, at in self._chains_at(hooks):
            yield from at.rules

    def rules_for(self, chain: FirewallChain, packets: Packets) -> Sequence[FirewallRule]:
        """The rules of a chain, of long ones without those for a single address that the packets have not."""
        if len(chain.rules) < _LONG:
            return chain.rules
        key = (chain.family, chain.table, chain.name)
        if key not in self._by_address:
            self._by_address[key] = ByAddress(chain.rules)
        return self._by_address[key].met(packets)

    def _is_lost(self, chain: FirewallChain, rule: FirewallRule) -> bool:
        """Whether it jumps to a chain that is not there."""
        return rule.verdict in {Verdict.JUMP, Verdict.GOTO} and self.chain_of(chain, rule.target) is None

    def _chains_at(self, hooks: Iterable[str]) -> Iterator[tuple[FirewallChain, FirewallChain]]:
        """The base chains of these hooks, each with every chain that is met from it, itself first."""
        return ((base, at) for hook in hooks for base in self._base.get(hook, ()) for at in self._met(base))

    def _met(self, chain: FirewallChain) -> Iterator[FirewallChain]:
        waiting, seen = [chain], {(chain.family, chain.table, chain.name)}
        while waiting:
            at = waiting.pop()
            yield at
            keys = {(at.family, at.table, rule.target) for rule in at.rules if rule.target is not None}
            waiting += [self._by_name[key] for key in sorted(keys - seen) if key in self._by_name]
            seen |= keys

    def pass_hook(self, hook: str, packets: Packets, device: str | None = None) -> tuple[AtHook, Packets]:
        """The packets at a hook, and as they are behind it: with the destination that a rule of prerouting surely gives
        them, where it says which. `device`: of the chains bound to one. Packets that the hook's rules do not tell apart
        by their ends meet the same.
        """
        self.spend()
        source = self._like(hook, Selector.SOURCE, packets.source)
        destination = packets.destination
        if hook != "prerouting":  # nothing gives them another one
            destination = self._like(hook, Selector.DESTINATION, destination)
        alike = replace(packets, source=source, destination=destination)
        at, behind = self._passed.once((hook, device, alike), lambda: self._pass_hook(hook, alike, device))
        self.cuts |= at.cuts
        led = behind.destination if hook == "prerouting" else packets.destination
        return at, replace(behind, source=packets.source, destination=led)

    def _like(self, hook: str, end: Selector, address: int) -> int:
        """The first address asked about that the hook's rules do not tell from this one."""
        sets = self._told_apart.once((hook, end), lambda: membership(list(address_sets(self.rules_of(hook), {end}))))
        return self._first.setdefault((hook, end, sets.at(address)), address)

    def _pass_hook(self, hook: str, packets: Packets, device: str | None) -> tuple[AtHook, Packets]:
        stopped: list[FirewallRule] = []
        translated: list[tuple[FirewallRule, bool]] = []
        cuts: set[int] = set()
        for chain in self._base.get(hook, ()):
            if chain.device is not None and not self._is_on(chain.device, device):
                continue
            if chain.type == "nat" and packets.led_to is not None and hook == "prerouting":
                packets = _at(packets, *packets.led_to)
            if chain.type == "nat" and (_is_past_nat(packets) or any(surely for _, surely in translated)):
                continue  # only a connection's first packet meets it, and one translation is all
            early = _turn(chain) <= _TRACKING or hook in _BEFORE_IP
            at = replace(packets, state=None) if early else packets
            walk = _Walk(self, at)
            through = walk.chain(chain, 0)
            cuts |= walk.cuts
            if through and chain.policy is Verdict.DROP:
                walk.ends.append(
                    FirewallRule(text=f"policy drop of chain {chain.table} {chain.name}", verdict=Verdict.DROP)
                )
            packets = replace(packets, marked=packets.marked or walk.packets.marked)
            if walk.untracks:
                surely = walk.surely_untracks and early and hook in TRACKS
                packets = replace(packets, state="untracked" if surely else None)
            stopped += [rule for rule in walk.ends if rule.verdict in _DOUBTFUL]
            only = packets.state == "new" and not through and len(walk.ends) == 1
            only = only and not self._is_beside(chain)
            translated += [(rule, only) for rule in walk.ends if rule.verdict in TRANSLATING | NEW_SOURCE]
            if only and hook == "prerouting":
                packets = self._led(walk.ends[0], packets) or packets
        return AtHook(tuple(stopped), tuple(translated), frozenset(cuts)), packets

    def may_untrack(self, hook: str, packets: Packets) -> bool:
        """Whether rules of a hook may keep such packets out of connection tracking."""
        walks = [(_Walk(self, replace(packets, state=None)), chain) for chain in self._base.get(hook, ())]
        for walk, chain in walks:
            walk.chain(chain, 0)
            self.cuts |= walk.cuts
        return any(walk.untracks for walk, _ in walks)

    def _is_on(self, told: str, device: str | None) -> bool:
        """Whether what crosses the device meets a chain that is bound to devices, `eth0, eth1` or `eth*`."""
        crossed = self._beneath.get(device, () if device is None else (device,))
        names = tuple(name.strip() for name in told.split(","))
        return any(is_named(names, each) for each in crossed)

    def _is_beside(self, nat: FirewallChain) -> bool:
        """Whether it is not known which is asked first, a chain that translates or another one."""
        others = self._base.get(nat.hook or "", ())
        return any(chain.type != "nat" and _turn(chain) == _turn(nat) for chain in others)

    def _led(self, rule: FirewallRule, packets: Packets) -> Packets | None:
        """The packets with the destination that a rule gives them; None: it may be one of several."""
        address, _, port = (rule.target or "").partition(":")
        where: Range | None = None
        if rule.verdict is Verdict.DNAT:
            where = address_range(address)
        elif (
            rule.verdict is Verdict.REDIRECT
            and not address
            and (only := self._only_address.get(packets.iif or "")) is not None
        ):
            where = only, only
        ports = port_range(port) if port else packets.dports
        if where is None or where[0] != where[1] or ports is None or (port and ports[0] != ports[1]):
            return None
        return _at(packets, where[0], ports)

    def chain_of(self, beside: FirewallChain, name: str | None) -> FirewallChain | None:
        """The chain of a jump."""
        return None if name is None else self._by_name.get((beside.family, beside.table, name))

    def spend(self) -> None:
        """Raises TooManyRulesError."""
        self._left -= 1
        if self._left < 0:
            raise TooManyRulesError


class _Walk:
    """Through one base chain. `ends`: the rules that may end it. `untracks`, `surely_untracks`: whether one may keep
    the packets out of connection tracking, or surely does.
    """

    def __init__(self, chains: Chains, packets: Packets) -> None:
        self._chains = chains
        self.packets = packets
        self.ends: list[FirewallRule] = []
        self.cuts: set[int] = set()
        self.untracks = self.surely_untracks = False
        self._sure = True
        """Of all rules met so far it is known whether they apply."""

    def chain(self, chain: FirewallChain, depth: int) -> bool:
        """Whether packets may come out at the chain's end, or return from it."""
        returned = False
        for rule in self._chains.rules_for(chain, self.packets):
            self._chains.spend()
            holds = applies(rule, self.packets)
            if holds is False:
                continue
            if holds is None:
                self.cuts.update(cuts_of(rule, self.packets))
            if rule.sets_mark and _CLEARS.fullmatch(rule.text) is None:
                self.packets = replace(self.packets, marked=True)
            self.untracks = self.untracks or rule.untracks
            self._sure = self._sure and (holds is True or rule.verdict is None)
            self.surely_untracks = self.surely_untracks or (rule.untracks and holds is True and self._sure)
            if rule.verdict is None:
                continue
            if rule.verdict is Verdict.RETURN:
                returned, surely = True, True
            elif rule.verdict in {Verdict.JUMP, Verdict.GOTO}:
                through = self._jump(chain, rule, depth)
                returned = returned or (through and rule.verdict is Verdict.GOTO)
                surely = rule.verdict is Verdict.GOTO or not through
            else:
                self.ends.append(rule)
                surely = rule.verdict is not Verdict.OTHER and (rule.verdict is not Verdict.TPROXY)
            if holds and surely:
                return returned
        return True

    def _jump(self, chain: FirewallChain, rule: FirewallRule, depth: int) -> bool:
        target = self._chains.chain_of(chain, rule.target)
        if target is None or depth >= _DEEPEST:
            self.ends.append(replace(rule, verdict=Verdict.OTHER))
            return True
        return self.chain(target, depth + 1)


def _is_past_nat(packets: Packets) -> bool:
    """Whether no chain that translates is asked for them: those that follow go where the first went."""
    return packets.state is not None and (packets.state != "new" or packets.turn is not Turn.OPENS)


def _at(packets: Packets, destination: int, ports: Range) -> Packets:
    """The packets as they are led to an address and ports."""
    own = packets.own if destination == packets.destination else None
    return replace(packets, destination=destination, dports=ports, translated=True, own=own)


def _turn(chain: FirewallChain) -> int:
    """When it is asked."""
    own = priority(chain.priority)
    return _NAT.get(chain.hook or "", own) if chain.type == "nat" else own


@lru_cache(maxsize=1 << 10)
def priority(text: str | None) -> int:
    """The number of `filter`, `mangle - 5` or `-300`."""
    match = _PRIORITY.fullmatch((text or "").strip())
    if match is None:
        return 0
    name, sign, number = match.groups()
    return _PRIORITIES.get(name or "", 0) + int(number or 0) * (-1 if sign == "-" else 1)
