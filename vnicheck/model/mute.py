"""A mute of `vnicheck.toml`: findings that are known and accepted until a day.

[[mute]]
rule = "VNC102"             # or its name
server = "web-*"            # a glob on the name, or an id or CRN
reason = "moves to policy routing with release 7"
expires = 2026-12-31        # the last day on which it holds
"""

from msgspec import Struct

from vnicheck.model.naming import Day


class Mute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All four are mandatory."""

    rule: str
    server: str
    reason: str
    expires: Day

    def __post_init__(self) -> None:
        for key in ("rule", "server", "reason"):
            if not getattr(self, key).strip():
                raise ValueError(f"{key!r} is empty")
