"""Whether boot does something: known, or why not; and what that comes to of several conditions."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import BootRoute, BootRule

Fate = bool | str
"""True, False, or why it is not known."""
BootSetting = BootRule | BootRoute


def all_of(*fates: Fate) -> Fate:
    """Whether all are so: one that is not decides, whatever is not known of the others."""
    if any(fate is False for fate in fates):
        return False
    return next((fate for fate in fates if fate is not True), True)


def any_of(*fates: Fate) -> Fate:
    """Whether one is so."""
    return no(all_of(*map(no, fates)))


def no(fate: Fate) -> Fate:
    """The contrary; what is not known stays so."""
    return not fate if isinstance(fate, bool) else fate


MAX_PAIRS = 200_000
"""Of files and interfaces that are held against each other: a server that names more keeps others waiting."""
TOO_MANY = "there are too many files and interfaces to tell which are for which"


class Found(Struct, frozen=True):
    """A setting that boot carries out, or may."""

    path: str
    setting: BootSetting
    fate: Fate


class Use(Struct, frozen=True):
    """What boot does with the configuration that an interface has now: whether it is the interface's again, and whether
    that comes up by itself. `why`: what else speaks against it.
    """

    taken: Fate
    up: Fate
    why: str = ""


class Outcome:
    """What boot sets (`found`), what files name that it does not set (`idle`), the doubts, and of each interface what
    becomes of the configuration that it has now (`uses`).
    """

    def __init__(self) -> None:
        self.found: list[Found] = []
        self.idle: list[BootSetting] = []
        self.doubts: list[str] = []
        self.uses: dict[str, Use] = {}
        self.of_netplan: str | None = None
        """Why not all of netplan's files are understood."""

    def take(self, path: str, fate: Fate, settings: Iterable[BootSetting | None]) -> None:
        """The settings of a file, or of a part of it. Of what boot does not do nothing has to be understood."""
        taken, understood = _read(settings)
        if fate is False:
            self.idle += taken
            return
        if not understood:
            self.doubts.append(f"{capped(path)} holds more than is understood")
        elif taken and isinstance(fate, str):
            self.doubts.append(f"{capped(path)}: {fate}")
        if understood:
            self.found += [Found(path, setting, fate) for setting in taken]

    def doubt(self, why: str) -> None:
        """Boot may set more than is told."""
        self.doubts.append(why)


def _read(settings: Iterable[BootSetting | None]) -> tuple[list[BootSetting], bool]:
    taken: list[BootSetting] = []
    each: Iterator[BootSetting | None] = iter(settings)
    while True:
        try:
            setting = next(each)
        except StopIteration:
            return taken, True
        except NotUnderstood:
            return taken, False
        if setting is not None:
            taken.append(setting)
