"""Names of servers as last read of the cloud, for the shells' completion, which reads the file by itself.

One name a line, the latest first, in the user's cache folder, for this user alone.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vnicheck.system.files import PRIVATE, UnreadableError, make_private_folder, read_file, replace_file

MOST = 5000
"""Names that are kept."""
_LONGEST = 128
_LIMIT = 1 << 20


def cache_file() -> Path:
    """`$XDG_CACHE_HOME/vnicheck/servers`, below ~/.cache where that is not set; as the scripts find it."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(folder) if folder.startswith("/") else Path.home() / ".cache") / "vnicheck" / "servers"


def remember(names: Iterable[str], *, whole: bool = False) -> None:
    """Puts names before those that are kept, or in their place where they are all there are (`whole`). That they cannot
    be kept is no reason to fail.
    """
    new = [name for name in names if name.isprintable() and name.strip() == name and 0 < len(name) <= _LONGEST]
    with suppress(OSError, RuntimeError, UnreadableError, UnicodeError):  # RuntimeError: there is no home folder
        place = cache_file()
        kept = dict.fromkeys(name for name in new if not name.startswith("-"))
        if not whole and place.exists():
            kept |= dict.fromkeys(read_file(place, _LIMIT).decode().splitlines())
        make_private_folder(place.parent)
        replace_file(place, "".join(f"{name}\n" for name in list(kept)[:MOST]).encode(), mode=PRIVATE)
