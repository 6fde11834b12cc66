"""What was seen on the guest that may decide beside rules, routes and sysctls: where it may, the model says nothing."""

from collections.abc import Iterable, Mapping

from vnicheck.kernel.marks import Marked
from vnicheck.kernel.packet import ICMP
from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import prefix_range
from vnicheck.model.address_map import AddressMap, choose, constant
from vnicheck.model.firewall import Firewall, Verdict
from vnicheck.model.guest import Hook, HookKind

EVERYTHING = "0.0.0.0/0"
MOST_PORT = 65535
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_TRANSLATING = {Verdict.DNAT, Verdict.REDIRECT, Verdict.TPROXY, Verdict.OTHER}


class Hooks:
    """The hooks of a guest: each method says what a packet's fate may depend on, or None."""

    def __init__(
        self,
        hooks: Iterable[Hook],
        missing: str | None = None,
        beneath: Mapping[str | None, tuple[str, ...]] | None = None,
        marked: Marked | None = None,
    ) -> None:
        """`missing`: why it was not looked for all of them; any packet may then be touched. `beneath`: of each
        interface the devices that its packets cross, itself first. `marked`: the marks that packets
        may have; None: any.
        """
        hooks = list(hooks)
        missed = None if missing is None else Unknown(f"what else may judge packets on the guest: {missing}")
        self._missed = missed
        self.source_match: Unknown | None = missed
        """Whether a rule that looks up the way back may refuse what the kernel itself accepts."""
        matching = next((hook for hook in hooks if hook.kind is HookKind.SOURCE_MATCH), None)
        if matching is not None and missed is None:
            self.source_match = Unknown(f"netfilter may refuse the source by its way back ({matching.text})")
        self._beneath = {} if beneath is None else beneath
        self._programs = {hook.interface: hook for hook in hooks if hook.kind is HookKind.INGRESS_PROGRAM}
        self._programs_out = {hook.interface: hook for hook in hooks if hook.kind is HookKind.EGRESS_PROGRAM}
        everywhere = next((hook for hook in hooks if hook.kind is HookKind.BPF_PROGRAM), None)
        self.everywhere: Unknown | None = None
        """Whether a BPF program of no interface may refuse what the guest takes, or change what it sends."""
        if everywhere is not None and missed is None:
            self.everywhere = Unknown(f"a BPF program judges packets, and is not modelled ({everywhere.text})")
        self._servers = [
            (hook, prefix_range(hook.dst or EVERYTHING)) for hook in hooks if hook.kind is HookKind.VIRTUAL_SERVER
        ]
        self.balance = bool(self._servers)
        """Whether there are virtual servers."""
        self._policies = [
            (hook, prefix_range(hook.src or EVERYTHING), prefix_range(hook.dst or EVERYTHING))
            for hook in hooks
            if hook.kind is HookKind.IPSEC
            and (hook.fwmark is None or marked is None or marked.may_be(hook.fwmark, hook.fwmask))
        ]
        self.read_marks = any(hook.fwmark is not None for hook in hooks)
        """Whether some of them are for packets of a mark."""

    def balanced(self, address: int, proto: int) -> AddressMap[Unknown | None]:
        """Of packets to an address, by their destination port, whether a virtual server may take them (IPVS at input,
        net/netfilter/ipvs).
        """
        found: AddressMap[Unknown | None] = constant(None)
        if proto == ICMP:
            return found
        for hook, (first, last) in reversed(self._servers):
            if first <= address <= last and _NUMBERS.get(hook.protocol or "", proto) == proto:
                ports = (0, MOST_PORT) if hook.port is None else (hook.port, hook.port)
                doubt = Unknown(f"a virtual server may lead it to a real one, which answers ({hook.text})")
                found = choose([ports], constant(doubt), found)
        return found

    def prefixes(self) -> set[str]:
        """The prefixes that IPsec policies name."""
        return {prefix for hook, _, _ in self._policies for prefix in (hook.src, hook.dst) if prefix is not None}

    def program(self, interface: str) -> Unknown | None:
        """A tc filter sees every packet that comes in by its interface, before all else."""
        hook = self._met(self._programs, interface)
        if self._missed is not None or hook is None:
            return self._missed
        return Unknown(f"a filter on {hook.interface} sees packets first, and is not modelled ({hook.text})")

    def program_out(self, interface: str) -> Unknown | None:
        """A tc filter on output sees every packet that leaves by its interface, after all else, and may drop it or
        lead it elsewhere; so may a BPF program of no interface.
        """
        hook = self._met(self._programs_out, interface)
        if self._missed is not None or hook is None:
            return self._missed or self.everywhere
        return Unknown(f"a filter on {hook.interface} sees packets as they leave, and is not modelled ({hook.text})")

    def _met(self, programs: Mapping[str | None, Hook], interface: str) -> Hook | None:
        crossed = self._beneath.get(interface, (interface,))
        return next((programs[device] for device in crossed if device in programs), None)

    def ipsec(self, address: int) -> AddressMap[Unknown | None]:
        """IPsec takes packets that its policies name, in either direction, and excuses them from rp_filter. By the
        other end of packets from or to the address.
        """
        found: AddressMap[Unknown | None] = constant(self._missed)
        if self._missed is not None:
            return found
        for hook, *ends in reversed(self._policies):
            doubt = constant(Unknown(f"IPsec is not modelled ({hook.text})"))
            for (first, last), other in (ends, reversed(ends)):
                if first <= address <= last:
                    found = choose([other], doubt, found)
        return found


def translation(firewall: Firewall | None) -> Unknown | None:
    """Whether netfilter may give packets that come in another destination than the one that they have."""
    rules = (rule for chain in (firewall.chains if firewall is not None else ()) for rule in chain.rules)
    rule = next((rule for rule in rules if rule.verdict in _TRANSLATING), None)
    return None if rule is None else Unknown(f"netfilter may lead it elsewhere ({rule.text})")
