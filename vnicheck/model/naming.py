"""How the configuration names servers, and the days that it gives."""

from fnmatch import fnmatchcase
from typing import Protocol


class Named(Protocol):
    """What has a server's name, id and CRN: the server itself, or its report."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def crn(self) -> str: ...


class Day(str):
    """A day, ISO 8601 (`2026-12-31`): days compare as text."""

    __slots__ = ()


def names_server(pattern: str, server: Named) -> bool:
    """Whether a pattern means the server: its id or CRN exactly, or a glob on its name, upper and lower case apart."""
    return pattern in (server.id, server.crn) or fnmatchcase(server.name, pattern)
