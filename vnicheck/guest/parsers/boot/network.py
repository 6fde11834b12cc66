"""Which policy rules and routes the next boot sets, by each network manager, by scripts and by units.

A file counts where its manager runs (or where none is known to run), for the interfaces that it is for, where boot
brings them up; scripts and units where boot runs them. What cannot be told makes the part `routing` unknown.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase, translate

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.guest.parsers.boot import daemons, ifcfg, ifupdown, keyfiles, networkd, owned, scripts
from vnicheck.guest.parsers.boot.fate import Fate, Outcome
from vnicheck.guest.parsers.boot.files import BootFiles
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.netplan import read_definitions
from vnicheck.guest.parsers.boot.nm_conf import unmanaged_devices
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import BootRoute, BootRule, NotAgain

_MAX_FILES = 1500
_MAX_LINES = 9000
"""The script tells of 8000."""
_MANY = "there are more files, or lines in them, than are read"
_OLD = "an older script collected it, which did not tell for which interfaces its files are, and whether boot uses them"


class BootRouting(Struct, frozen=True):
    """What is surely set. `doubt`: why there may be more; `rp_filter`: why rp_filter may be set from there too.

    `idle`: what files name that boot does not set.
    """

    rules: tuple[BootRule, ...]
    routes: tuple[BootRoute, ...]
    doubt: str | None
    rp_filter: str | None
    idle: tuple[BootRule | BootRoute, ...] = ()
    not_again: dict[str, NotAgain] = {}
    """Of which interfaces what configures them now may not do so again."""


def boot_routing(files: BootFiles, names: Names, machine: Machine) -> BootRouting:
    """What the files set on such a server."""
    many = len(files.paths) > _MAX_FILES or sum(map(len, files.lines.values())) > _MAX_LINES
    outcome = Outcome() if many else carried_out(files, names, machine)
    if many:
        outcome.doubt(_MANY)
    if files.doubt is not None:
        outcome.doubt(files.doubt)
    for path in files.unreadable:
        if _counts(path, machine.managers) and daemons.counts(path, files):
            outcome.doubt(f"{capped(path)} could not be read")
    found = _lasting(outcome)
    if found and not files.tell_interfaces:
        outcome.doubt(_OLD)
    return BootRouting(
        rules=tuple(setting for setting in found if isinstance(setting, BootRule)),
        routes=tuple(setting for setting in found if isinstance(setting, BootRoute)),
        doubt=outcome.doubts[0] if outcome.doubts else None,
        rp_filter=_touches(files),
        idle=tuple(outcome.idle),
        not_again=dict(owned.not_again(machine, outcome, _unread(files, outcome, many=many))),
    )


def _unread(files: BootFiles, outcome: Outcome, *, many: bool) -> dict[str, str]:
    """Why not all files of a kind could be read."""
    found = {_kind(path): f"{capped(path)} could not be read" for path in files.unreadable}
    if outcome.of_netplan is not None:
        found["netplan"] = outcome.of_netplan
    of_all = _MANY if many else files.doubt if files.tell_interfaces else _OLD
    return found if of_all is None else {kind: of_all for _, kind, _ in _KINDS}


def carried_out(files: BootFiles, names: Names, machine: Machine) -> Outcome:
    """What boot does of each manager's files, as far as they are read, then of what belongs to none."""
    outcome = Outcome()
    runs = {manager: _runs(manager, files, machine) for manager in _UNITS}
    paths: dict[str, list[str]] = {kind: [] for kind in {kind for _, kind, _ in _KINDS}}
    for path in _read_at_boot(files):
        paths[_kind(path)].append(path)
    definitions = read_definitions(files, paths["netplan"], names, outcome)
    outcome.of_netplan = outcome.doubts[0] if outcome.doubts else None
    of_networkd, of_manager = {}, []
    for each in definitions:
        if each.manager == "NetworkManager":
            of_manager.append(keyfiles.of_netplan(each))
        else:
            name = f"10-netplan-{each.id}.network"
            of_networkd[name] = networkd.Network(name, each.conditions, each.up, each.settings, id=each.id)
    networks, alone = networkd.read_networks(files, paths["networkd"], names, of_networkd)
    for path in alone if runs["systemd-networkd"] is not False else ():
        outcome.doubt(f"{capped(path)} adds to a file that is not there")
    made = networkd.made_by_netdev(files, paths["networkd"])
    made |= {each.makes for each in definitions if each.makes is not None}
    networkd.apply(networks, machine, made, runs["systemd-networkd"], outcome)
    written = {profile.path for profile in of_manager}
    profiles = [each for each in keyfiles.read_profiles(files, paths["keyfile"], names) if each.path not in written]
    unmanaged = unmanaged_devices(files, ifupdown.interfaces_named(files, paths["ifupdown"]))
    profiles += [*of_manager, *ifcfg.profiles(files, machine)]
    won = keyfiles.apply(profiles, machine, unmanaged, runs["NetworkManager"], outcome)
    ifcfg.apply_scripts(files, names, machine, runs, won, outcome)
    ifcfg.apply_wicked(files, names, machine, runs["wicked"], outcome)
    ifupdown.apply(files, paths["ifupdown"], names, machine, runs["networking"], outcome)
    dispatched = paths["dispatcher"] if runs["NetworkManager"] is not False else []
    scripts.apply(files, [*dispatched, *paths["script"]], names, machine, outcome)
    daemons.apply(files, names, outcome)
    return outcome


def _lasting(outcome: Outcome) -> list[BootRule | BootRoute]:
    """What is found, but what only files of /run set that something makes anew: another file tells of it, or none."""
    lasting = [each.setting for each in outcome.found if not each.path.startswith("/run/")]
    elsewhere = {replace(setting, source="") for setting in lasting}
    for each in outcome.found:
        if each.path.startswith("/run/") and replace(each.setting, source="") not in elsewhere:
            lasting.append(each.setting)
            outcome.doubt(f"{capped(each.path)} is gone at the next boot, unless something makes it anew")
    return lasting


def _runs(manager: str, files: BootFiles, machine: Machine) -> Fate:
    """Whether a manager runs at boot: it does now, and systemd starts it."""
    if any(f"{scripts.UNITS}{unit}" in files.masked for unit in _UNITS[manager]):
        return False
    if set(_UNITS).isdisjoint(machine.managers):
        return True
    wanted = any(link.endswith(f"/{unit}") for link in files.wanted for unit in _UNITS[manager])
    if manager in machine.managers:
        started = wanted or not machine.systemd or not files.tell_interfaces
        return started or f"{manager} runs now, but nothing that was read starts it at boot"
    return f"{manager} does not run now, but boot may start it" if wanted and machine.systemd else False


def _touches(files: BootFiles) -> str | None:
    """What may set rp_filter beside sysctl.d."""
    touches = [
        f"{line.source} sets it too"
        for of_path in files.lines.values()
        for line in of_path
        if line.text == "rp_filter" or line.text.lstrip().startswith("IPv4ReversePathFilter")
    ]
    touches += [f"{capped(path)} could not be read" for path in files.unreadable if _may_set_rp_filter(path)]
    return touches[0] if touches else None


def _read_at_boot(files: BootFiles) -> Iterator[str]:
    """The files but those that the manager leaves aside: of netplan and networkd where a namesake in a folder of higher
    rank masks them; of interfaces.d what nothing includes.
    """
    ranked = [(path, match) for path in files.paths if (match := _MASKING(path)) is not None]
    chosen: dict[str, str] = {}
    for path, match in sorted(ranked, key=lambda each: networkd.RANKS.index(each[1][1])):
        chosen.setdefault(match[2], path)
    masked = {path for path, match in ranked if chosen[match[2]] != path}
    lines = (line for path in files.paths if _kind(path) == "ifupdown" for line in files.lines[path])
    sources = [line.text for line in lines if line.text.startswith("source")]
    for path in files.paths:
        if path not in masked and (not path.startswith(ifupdown.INCLUDED) or _is_included(path, sources)):
            yield path


def _is_included(path: str, sources: Sequence[str]) -> bool:
    """Whether interfaces(5) or what lies beside it includes a file of interfaces.d; a folder's names must be plain."""
    folder, _, name = path.rpartition("/")
    for text in dict.fromkeys(sources):
        word, _, place = text.partition(" ")
        place = place.strip() if place.strip().startswith("/") else f"/etc/network/{place.strip()}"
        if word == "source" and fnmatchcase(path, place):
            return True
        if (
            word.startswith("source-dir")
            and fnmatchcase(folder, place.rstrip("/"))
            and re.fullmatch("[A-Za-z0-9_-]+", name)
        ):
            return True
    return False


def _may_set_rp_filter(path: str) -> bool:
    """Scripts, and networkd's files but those in /run: netplan, which makes these, has no setting for it."""
    kind = _kind(path)
    return kind in {"script", "dispatcher", "ifupdown"} or (kind == "networkd" and not path.startswith("/run/"))


def _counts(path: str, managers: Sequence[str]) -> bool:
    """Whether some manager that reads the file runs; where none is known, every file counts."""
    readers = next(managers for _, kind, managers in _KINDS if kind == _kind(path))
    return not readers or set(_UNITS).isdisjoint(managers) or not set(readers).isdisjoint(managers)


def _kind(path: str) -> str:
    return next(kind for pattern, kind in _PATTERNS if pattern(path) is not None)


_UNITS = {
    "NetworkManager": ("NetworkManager.service",),
    "systemd-networkd": ("systemd-networkd.service", "systemd-networkd.socket"),
    "networking": ("networking.service",),
    "network": ("network.service",),
    "wicked": ("wicked.service", "wickedd.service"),
}
"""The managers that read files, and systemd's names for them."""
_NM, _NETWORKD = "NetworkManager", "systemd-networkd"
_KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("/etc/NetworkManager/dispatcher.d/*", "dispatcher", (_NM,)),
    ("*/NetworkManager/system-connections*", "keyfile", (_NM,)),
    ("*/NetworkManager/*", "configuration", (_NM,)),
    ("/etc/sysconfig/network-scripts*", "ifcfg", (_NM, "network")),
    ("/etc/sysconfig/network*", "wicked", ("wicked",)),
    ("*/netplan*", "netplan", (_NETWORKD, _NM)),
    ("*/systemd/networkd.conf*", "tables", (_NETWORKD,)),
    ("*/systemd/network*", "networkd", (_NETWORKD,)),
    ("/etc/network/interfaces*", "ifupdown", ("networking",)),
    ("/run/network/interfaces*", "ifupdown", ("networking",)),
    ("/etc/default/networking", "defaults", ("networking",)),
    ("/etc/wireguard*", "tunnel", ()),
    ("/etc/keepalived/*", "keepalived", ()),
    ("*", "script", ()),
)
"""Pattern of the path, what it is, and the managers that read it."""
_PATTERNS = [(re.compile(translate(pattern)).match, kind) for pattern, kind, _ in _KINDS]
_MASKING = re.compile(
    rf"({'|'.join(networkd.RANKS)})/((?:systemd/network|systemd/networkd\.conf\.d|netplan)/.+)"
).fullmatch
