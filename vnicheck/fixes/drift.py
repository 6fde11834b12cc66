"""What differs between a server as it was planned for and as it is now, among all that a plan may rest on."""

from msgspec import structs

from vnicheck.model.cloud import Fabric
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

_GUEST = ("interfaces", "routes", "rules", "sysctls", "hooks", "missing", "unmodelled", "boot", "network_managers")
_NAMES = {"sysctls": "settings", "vnis": "VNIs", "boot": "configuration", "network_managers": "network managers"}


def drift(planned: Server, now: Server, fabric: Fabric, fabric_now: Fabric) -> tuple[str, ...]:
    """The facts that differ, in words: `its policy rules`; nothing where all are the same."""
    differing = [name for name in _GUEST if _of(planned.guest, name) != _of(now.guest, name)]
    differing += [name for name in ("vnis", "status") if getattr(planned, name) != getattr(now, name)]
    said = [f"its {_NAMES.get(name, name)}" for name in differing]
    said += [
        f"the VPC's {name.replace('_', ' ')}"
        for name in Fabric.__struct_fields__
        if name != "load_balancer_members" and getattr(fabric, name) != getattr(fabric_now, name)
    ]
    return tuple(said)


def _of(guest: Guest | None, name: str) -> object:
    return None if guest is None else structs.asdict(guest)[name]
