"""What systemd-sysctl would set at the next boot, from the files of sysctl.d and its kin.

Semantics of sysctl.d(5): a file masks its namesakes in folders of lower rank; the files left are read in the order of
their names, whatever their folders; a later line wins. A key that is named exactly, with a value or as `-key` without
one, is out of the reach of every glob. Where the first separator of a key is a slash, dots belong to names; where it is
a dot, dots and slashes change places. Interface keys are applied again when an interface appears (99-systemd.rules).

An interface that no line names takes `net.ipv4.conf.default` as it appears (net/ipv4/devinet.c, inetdev_init).
"""

import re
from collections.abc import Iterable
from fnmatch import translate

from msgspec import Struct

from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import BootValue

UFW = "/etc/ufw/sysctl.conf"
_FOLDERS = ("/etc/sysctl.d/", "/run/sysctl.d/", "/usr/local/lib/sysctl.d/", "/usr/lib/sysctl.d/", "/lib/sysctl.d/")
_CONF = "net/ipv4/conf/"
_VALUE = re.compile(r"-?(0x[0-9a-fA-F]{1,8}|0|[1-9]\d{0,9})", re.ASCII)
"""What the kernel takes for a number, but octal ones."""
_UNMODELLED = re.compile(r"\\|\[[:.=]")
"""Of glob(7): quoting, and classes of characters."""
_NOT_PER_INTERFACE = ("forwarding", "mc_forwarding")
"""net.ipv4.ip_forward is copied into every interface's `forwarding`: not followed here."""


class Setting(Struct, frozen=True):
    """One assignment. `value` None: `-key` without a value, which only keeps globs away."""

    key: str
    value: str | None
    source: str


def boot_sysctls(files: BootFiles, keys: Iterable[str]) -> tuple[dict[str, BootValue], str | None]:
    """The boot values of those `keys` (paths below /proc/sys) that some file sets, and what is not known of the rest.

    Without systemd nothing is told: each distribution has its own order.
    """
    if "systemd" not in files.flags:
        return {}, "systemd does not run here, and what else applies sysctls at boot is not modelled"
    settings = _settings(line for path in _effective(files.paths) for line in files.lines[path])
    others = {setting.key: setting for line in files.lines.get(UFW, ()) if (setting := _setting(line)) is not None}
    values: dict[str, BootValue] = {}
    for key in keys:
        name, _, leaf = key.removeprefix(_CONF).partition("/")
        if not key.startswith(_CONF) or not leaf or leaf in _NOT_PER_INTERFACE:
            continue
        value = _value(settings, others, key)
        if value is None and name != "all":
            value = _inherited(_value(settings, others, f"{_CONF}default/{leaf}"))
        if value is not None:
            values[key] = value
    doubts = [f"{capped(path)} could not be read" for path in files.unreadable]
    doubts += [files.doubt] if files.doubt is not None else []
    doubts += [
        f"{each.source} holds a pattern that is not understood"
        for each in settings.values()
        if _UNMODELLED.search(each.key)
    ]
    doubts += [f"{capped(path)} is gone at the next boot, unless something makes it anew" for path in _of_run(files)]
    return values, doubts[0] if doubts else None


def _effective(paths: Iterable[str]) -> list[str]:
    """The files that are read, in their order: of one name the one in the folder of the highest rank."""
    by_name: dict[str, tuple[int, str]] = {}
    for path in paths:
        for rank, folder in enumerate(_FOLDERS):
            name = path.removeprefix(folder)
            if name != path and "/" not in name and (name not in by_name or rank < by_name[name][0]):
                by_name[name] = (rank, path)
    return [by_name[name][1] for name in sorted(by_name)]


def _of_run(files: BootFiles) -> list[str]:
    """The files of /run that are read now, where they or namesakes that they mask hold a line."""
    held = {path.rpartition("/")[2] for path, lines in files.lines.items() if lines}
    return [path for path in _effective(files.paths) if path.startswith("/run/") and path.rpartition("/")[2] in held]


def _settings(lines: Iterable[Line]) -> dict[str, Setting]:
    """By key, in the order in which they are applied: a key that is set anew with another value moves to the end."""
    settings: dict[str, Setting] = {}
    for line in lines:
        setting = _setting(line)
        if setting is None:
            continue
        before = settings.get(setting.key)
        if before is None or before.value != setting.value:
            settings.pop(setting.key, None)
            settings[setting.key] = setting
    return settings


def _setting(line: Line) -> Setting | None:
    """The assignment that a line makes; None where it makes none."""
    key, equals, value = line.text.strip().partition("=")
    key = key.strip()
    if key.startswith("-"):
        key = key[1:].lstrip()
    elif not equals:
        return None
    return Setting(normalize(key), value.strip() if equals else None, line.source)


def normalize(key: str) -> str:
    """The path below /proc/sys that a key means: `net.ipv4.conf.eth0/100.rp_filter` is of the interface `eth0.100`."""
    first = re.search(r"[./]", key)
    if first is not None and first[0] == ".":
        key = key.translate(str.maketrans("./", "/."))
    return re.sub(r"/(\.?/)+", "/", f"/{key}/").strip("/")


def _value(settings: dict[str, Setting], others: dict[str, Setting], key: str) -> BootValue | None:
    """What sets the key itself; ufw sets its own at about the same time, so where the two differ nothing is known."""
    setting = _applied(settings, key)
    other = others.get(key)
    if other is not None and setting is not None and other.value != setting.value:
        return BootValue(value=None, source=f"both {setting.source} and {other.source} set it")
    chosen = other if other is not None else setting
    if chosen is None or chosen.value is None:
        return None
    if _VALUE.fullmatch(chosen.value) is None:
        return BootValue(value=None, source=f"{chosen.source} sets it to {capped(chosen.value)[:40]!r}")
    number = chosen.value
    return BootValue(value=int(number, 16 if "x" in number.lower() else 10), source=chosen.source)


def _applied(settings: dict[str, Setting], key: str) -> Setting | None:
    if key in settings:
        return settings[key] if settings[key].value is not None else None
    last = None
    for setting in settings.values():
        if setting.value is not None and _matches(setting.key, key):
            last = setting
    return last


def _matches(pattern: str, key: str) -> bool:
    """glob(7): `*` and `?` stop at slashes, so folder by folder; `[^a]` is glibc's `[!a]`."""
    parts, names = pattern.split("/"), key.split("/")
    return len(parts) == len(names) and all(
        re.fullmatch(translate(part.replace("[^", "[!")), name) is not None
        for part, name in zip(parts, names, strict=True)
    )


def _inherited(value: BootValue | None) -> BootValue | None:
    return None if value is None else BootValue(value=value.value, source=value.source, inherited=True)
