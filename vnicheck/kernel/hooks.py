"""What was seen on the guest that may decide beside rules, routes and sysctls: where it may, the model says nothing."""

from collections.abc import Iterable

from vnicheck.kernel.undetermined import Unknown
from vnicheck.model.address import prefix_range
from vnicheck.model.address_map import AddressMap, choose, constant
from vnicheck.model.guest import Hook, HookKind

EVERYTHING = "0.0.0.0/0"


class Hooks:
    """The hooks of a guest: each method says what a packet's fate may depend on, or None."""

    def __init__(self, hooks: Iterable[Hook], missing: str | None = None) -> None:
        """`missing`: why it was not looked for all of them; any packet may then be touched."""
        hooks = list(hooks)
        missed = None if missing is None else Unknown(f"what else may judge packets on the guest: {missing}")
        self._missed = missed
        self.source_match: Unknown | None = missed
        """Whether a rule that looks up the way back may refuse what the kernel itself accepts."""
        matching = next((hook for hook in hooks if hook.kind is HookKind.SOURCE_MATCH), None)
        if matching is not None and missed is None:
            self.source_match = Unknown(f"netfilter may refuse the source by its way back ({matching.text})")
        self._programs = {hook.interface: hook for hook in hooks if hook.kind is HookKind.INGRESS_PROGRAM}
        self._policies = [
            (hook, prefix_range(hook.src or EVERYTHING), prefix_range(hook.dst or EVERYTHING))
            for hook in hooks
            if hook.kind is HookKind.IPSEC
        ]

    def prefixes(self) -> set[str]:
        """The prefixes that IPsec policies name."""
        return {prefix for hook, _, _ in self._policies for prefix in (hook.src, hook.dst) if prefix is not None}

    def program(self, interface: str) -> Unknown | None:
        """A tc filter sees every packet that comes in by its interface, before all else."""
        hook = self._programs.get(interface)
        if self._missed is not None or hook is None:
            return self._missed
        return Unknown(f"a filter on {interface} sees packets first, and is not modelled ({hook.text})")

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
