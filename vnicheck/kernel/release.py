"""The kernel's release, where an answer depends on it (docs/kernel-model.md, "Kernel versions")."""

import re

QUICK_CHECK_OF_SOURCE = (4, 15)
"""Since then a source that is one of the guest's own addresses is refused also where rp_filter is off."""

REVERSE_PORTS_SWAPPED = (5, 8)
"""Since then the lookup of the way back swaps the ports, as it does the addresses."""

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\D|$)", re.ASCII)


def parse_release(text: str) -> tuple[int, int] | None:
    """`"6.1.0-25-amd64"` as (6, 1); None where it says nothing."""
    match = _RELEASE.match(text)
    return None if match is None else (int(match[1]), int(match[2]))


def is_at_least(release: tuple[int, int] | None, wanted: tuple[int, int]) -> bool:
    """Whether the kernel surely is that new. Distributions carry changes back, so an older one may know them too."""
    return release is not None and release >= wanted
