"""What was seen on the guest that may decide beside rules, routes and sysctls: where it may, the model says nothing."""

from collections.abc import Iterable

from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import prefix_range
from vnicheck.model.guest import Hook, HookKind

EVERYTHING = "0.0.0.0/0"


class Hooks:
    """The hooks of a guest. Every `require_` method raises Undetermined where a hook may touch the packet."""

    def __init__(self, hooks: Iterable[Hook], missing: str | None = None) -> None:
        """`missing`: why it was not looked for all of them; any packet may then be touched."""
        hooks = list(hooks)
        self._missing = missing
        self._source_match = next((hook for hook in hooks if hook.kind is HookKind.SOURCE_MATCH), None)
        self._programs = {hook.interface: hook for hook in hooks if hook.kind is HookKind.INGRESS_PROGRAM}
        self._policies = [
            (hook, prefix_range(hook.src or EVERYTHING), prefix_range(hook.dst or EVERYTHING))
            for hook in hooks
            if hook.kind is HookKind.IPSEC
        ]

    def prefixes(self) -> set[str]:
        """The prefixes that IPsec policies name."""
        return {prefix for hook, _, _ in self._policies for prefix in (hook.src, hook.dst) if prefix is not None}

    def require_no_program(self, interface: str) -> None:
        """A tc filter sees every packet that comes in by its interface, before all else."""
        self._require_looked()
        hook = self._programs.get(interface)
        if hook is not None:
            raise Undetermined(f"a filter on {interface} sees packets first, and is not modelled ({hook.text})")

    def require_no_source_match(self) -> None:
        """A rule that looks up the way back may refuse what the kernel itself accepts."""
        self._require_looked()
        if self._source_match is not None:
            raise Undetermined(f"netfilter may refuse the source by its way back ({self._source_match.text})")

    def require_no_ipsec(self, source: int, destination: int) -> None:
        """IPsec takes packets that its policies name, in either direction, and excuses them from rp_filter."""
        self._require_looked()
        for hook, (first, last), (low, high) in self._policies:
            if (first <= source <= last and low <= destination <= high) or (
                first <= destination <= last and low <= source <= high
            ):
                raise Undetermined(f"IPsec is not modelled ({hook.text})")

    def _require_looked(self) -> None:
        if self._missing is not None:
            raise Undetermined(f"what else may judge packets on the guest: {self._missing}")
