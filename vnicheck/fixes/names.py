"""Names that may stand in a command: what a shell, `ip`, YAML or an ini file could read otherwise is refused."""

import re

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", re.ASCII)


def is_plain_interface(name: str) -> bool:
    """Whether an interface's name means nothing but itself wherever a fix may write it (at most 15 characters)."""
    return _PLAIN.fullmatch(name) is not None
