"""`vnicheck --version -v`: what this program is made of, for a report of an error."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from vnicheck import __version__

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def versions() -> Iterator[str]:
    """A line each for the program, Python, the system, and the libraries that the program needs."""
    yield f"vnicheck {__version__}"
    yield f"Python {platform.python_version()} ({sys.executable})"
    yield f"{platform.system()} {platform.release()} {platform.machine()}"
    try:
        needed = requires("vnicheck") or []
    except PackageNotFoundError:
        yield "libraries: not known, for it is not installed as a package"
        return
    names = {found[0] for line in needed if "extra ==" not in line and (found := _NAME.match(line))}
    for name in sorted(names):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name}: missing"
