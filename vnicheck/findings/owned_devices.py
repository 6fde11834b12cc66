"""Devices that container software or a tunnel made for itself: what is set on them is theirs to choose."""

import re

_OWNED = re.compile(
    r"(cali|tunl|vxlan|cilium|lxc|veth|docker|br-|cni|flannel|tun|tap|podman|virbr|kube-|nodelocaldns|wg|tailscale)"
    r"[A-Za-z0-9_.-]*"
)


def is_owned(interface: str) -> bool:
    """Whether the name is one that such software gives its devices (`cali1a2b`, `docker0`, `br-4f5e`)."""
    return owner_of(interface) is not None


def owner_of(interface: str) -> str | None:
    """What such a name begins with, `cali` or `br-`; None for any other name."""
    match = _OWNED.fullmatch(interface)
    return None if match is None else match[1]
