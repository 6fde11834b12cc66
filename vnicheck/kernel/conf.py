"""Effective values of the per-interface IPv4 sysctls (net.ipv4.conf.{all,IFACE}.KEY), as the kernel combines them.

Source: include/linux/inetdevice.h (IN_DEV_MAXCONF, IN_DEV_ORCONF) and Documentation/networking/ip-sysctl.rst.
A value is asked for only where a verdict turns on it, so one that was not collected makes just that verdict unknown.
"""

from collections.abc import Mapping

from vnicheck.kernel.undetermined import Undetermined


class Conf:
    """Reads `net/ipv4/conf` of a guest's sysctls. Every method raises Undetermined where a needed value is missing."""

    def __init__(self, sysctls: Mapping[str, int], missing: str | None = None) -> None:
        self._sysctls = sysctls
        self._missing = missing or "not collected"

    def value(self, interface: str, key: str) -> int:
        """The raw value of one interface's key."""
        value = self._sysctls.get(f"net/ipv4/conf/{interface}/{key}")
        if value is None:
            raise Undetermined(f"sysctl net.ipv4.conf.{interface.replace('.', '/')}.{key}: {self._missing}")
        return value

    def rp_filter(self, interface: str) -> int:
        """0 off, 1 strict, 2 loose: the larger of `all` and the interface, of which any value but 0 and 1 is loose
        (net/ipv4/fib_frontend.c tells 0 and 1 apart from all others, also from those below 0).
        """
        larger = max(self.value("all", "rp_filter"), self.value(interface, "rp_filter"))
        return larger if larger in {0, 1} else 2

    def either(self, interface: str, key: str) -> bool:
        """Keys that `all` or the interface can switch on (accept_local, src_valid_mark, send_redirects, ...)."""
        return bool(self.value("all", key)) or bool(self.value(interface, key))

    def both(self, interface: str, key: str) -> bool:
        """Keys that only `all` and the interface together switch on (bc_forwarding)."""
        return bool(self.value("all", key)) and bool(self.value(interface, key))

    def forwarding(self, interface: str) -> bool:
        """Forwarding of packets that enter by the interface; `all` does not count."""
        return bool(self.value(interface, "forwarding"))
