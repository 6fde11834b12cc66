"""NetworkManager's profiles: which one each interface gets at boot, and what it sets.

nm-settings-keyfile(5), NetworkManager.conf(5): a profile is for the interfaces that it names (any, where it names none)
and that are of its type; of those that activate by themselves the one with the highest `autoconnect-priority` is taken,
among equals the one that was used last, which no file tells. A file that others than root may read or write is none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from vnicheck.guest.parsers.boot.fate import MAX_PAIRS, TOO_MANY, BootSetting, Fate, Outcome, Use, all_of, any_of
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, prefix_of, rule_of, table_of
from vnicheck.guest.parsers.boot.machine import Machine, globbed, has_mac, is_ethernet, plain_mac
from vnicheck.guest.parsers.boot.netplan import Definition
from vnicheck.guest.parsers.boot.networkd import matches
from vnicheck.guest.parsers.boot.nm_conf import is_managed
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import MAIN_TABLE, BootRoute, BootRule, Manager, Owner
from vnicheck.model.interface import Interface

_NO = {"false", "no", "off", "0", "f", "n"}
_ETHERNET = {"ethernet", "802-3-ethernet"}
_UNSEEN = {"driver", "path", "kernel-command-line"}
_LEFT_ASIDE = re.compile(r"\..*|.*~|.*\.(rpm|dpkg-)[a-z]+")
"""Names of files that NetworkManager does not read (nm_keyfile_utils_ignore_filename)."""
_NO_RULES = "netplan may not hand rules to NetworkManager"
_VIRTUAL = {
    "bond",
    "bridge",
    "dummy",
    "ip-tunnel",
    "loopback",
    "macvlan",
    "team",
    "tun",
    "vlan",
    "vpn",
    "vrf",
    "vxlan",
    "wireguard",
}
Keys = dict[tuple[str, str], str]


class Profile(Struct, frozen=True):
    """A profile, of a file or of netplan. `starts`: whether it activates by itself; `read`: whether it is one."""

    path: str
    keys: Keys
    starts: Fate
    settings: Sequence[tuple[str, Sequence[BootSetting | None] | None]]
    priority: int | None = 0
    definition: Definition | None = None
    read: Fate = True
    fits: Mapping[str, Fate] | None = None
    """The interfaces that it is for, where its keys do not tell (of an ifcfg file)."""


def read_profiles(files: BootFiles, paths: Sequence[str], names: Names) -> Iterator[Profile]:
    """The profiles of the files."""
    for path in paths:
        name = path.rpartition("/")[2]
        if _LEFT_ASIDE.fullmatch(name) is None:
            keys = _keys(files.lines[path])
            try:
                settings = list(_settings(files.lines[path], names))
            except NotUnderstood:
                settings = None
            priority = keys.get(("connection", "autoconnect-priority"), "0")
            yield Profile(
                path=path,
                keys=keys,
                starts=_starts(keys),
                read=_is_read(path, files),
                settings=[(path, settings)],
                priority=priority_of(priority),
            )


def priority_of(text: str) -> int | None:
    """None where it is no number that NetworkManager takes."""
    return int(text) if re.fullmatch(r"-?\d{1,4}", text, re.ASCII) else None


def of_netplan(definition: Definition) -> Profile:
    """The profile that netplan makes: it takes routes into it, and leaves rules out (0.106, nm.c)."""
    path = f"/run/NetworkManager/system-connections/netplan-{definition.id}.nmconnection"
    return Profile(path, {}, definition.up, definition.settings, definition=definition)


def apply(
    profiles: Sequence[Profile], machine: Machine, unmanaged: Sequence[str], runs: Fate, outcome: Outcome
) -> dict[str, Fate]:
    """What the profiles set on the interfaces that get them; whether one does, by file. `unmanaged`: what the
    configuration keeps from it.
    """
    fates: list[list[Fate]] = [[] for _ in profiles]
    links = machine.interfaces or ()
    many = len(links) * len(profiles) * len(profiles) > MAX_PAIRS * 2
    for link in () if many else links:
        if link.name == "lo":
            continue
        wants = [all_of(profile.read, profile.starts, _is_for(profile, link, machine)) for profile in profiles]
        managed = is_managed(link, unmanaged)
        for number, profile in enumerate(profiles):
            others = [
                (each, want)
                for each, want in zip(profiles, wants, strict=True)
                if each is not profile and want is not False
            ]
            wins = _wins(profile, others, link)
            fates[number].append(all_of(managed, wants[number], wins))
            if _configures(profile, machine, link.name):
                taken = all_of(managed, profile.read, _is_for(profile, link, machine), wins, runs)
                outcome.uses[link.name] = Use(taken, profile.starts, _NO_RULES if profile.definition else "")
    found: dict[str, Fate] = {}
    for profile, of_profile in zip(profiles, fates, strict=True):
        fate: Fate = any_of(*of_profile)
        if machine.interfaces is None or many:
            fate = TOO_MANY if many else "which interfaces there are is not known"
        for path, settings in profile.settings:
            rules = [each for each in settings or () if isinstance(each, BootRule)] if profile.definition else []
            rest = None if settings is None else [each for each in settings if each not in rules]
            outcome.take(path, all_of(fate, runs), _again(rest))
            outcome.take(path, all_of(fate, runs, _NO_RULES), rules)
        found[profile.path] = all_of(fate, runs)
    return found


def _configures(profile: Profile, machine: Machine, name: str) -> bool:
    """Whether this is what configures the interface now."""
    owner = machine.owners.get(name)
    if owner is None:
        return False
    if profile.definition is not None:
        return owner == Owner(manager=Manager.NETPLAN, handle=profile.definition.id)
    return owner.manager is Manager.NETWORK_MANAGER and (
        profile.path == machine.profiles.get(owner.handle) or profile.keys.get(("connection", "uuid")) == owner.handle
    )


def _again(settings: Sequence[BootSetting | None] | None) -> Iterator[BootSetting | None]:
    if settings is None:
        raise NotUnderstood
    yield from settings


def _wins(profile: Profile, others: Sequence[tuple[Profile, Fate]], link: Interface) -> Fate:
    """Whether it is taken ahead of the others that may be for the same interface."""
    fates: list[Fate] = []
    for other, want in others:
        if profile.priority is None or other.priority is None or profile.priority == other.priority:
            fates.append(f"{capped(other.path)} may be for {link.name} too")
        elif other.priority > profile.priority:
            fates.append(False if want is True else f"{capped(other.path)} may be for {link.name} too, and comes first")
    return all_of(*fates)


def _is_read(path: str, files: BootFiles) -> Fate:
    mode = files.modes.get(path)
    if path.startswith("/usr/lib/"):
        return True
    if mode is None:
        return "whether others than root may read it, and it is none, is not known"
    return mode.user == 0 and mode.bits[3:] == "------"


def _starts(keys: Keys) -> Fate:
    if keys.get(("connection", "autoconnect"), "").lower() in _NO:
        return False
    if keys.get(("connection", "permissions"), ""):
        return "it is for some users"
    return True


def _is_for(profile: Profile, link: Interface, machine: Machine) -> Fate:
    if profile.definition is not None:
        of_kind: Fate = is_ethernet(link) if profile.definition.makes is None else True
        return all_of(of_kind, matches(profile.definition.conditions, link, machine))
    if profile.fits is not None:
        return profile.fits.get(link.name, False)
    keys = profile.keys
    fates = [_is_of_type(keys, link)]
    name = keys.get(("connection", "interface-name"), "")
    if name:
        fates.append(name == link.name)
    names = keys.get(("match", "interface-name"), "")
    if names:
        fates.append(_matches(names, link.name))
    for section in ("ethernet", "802-3-ethernet"):
        for key, value in keys.items():
            if key == (section, "mac-address") and value:
                fates.append(_own_mac(link, value))
            elif key[0] == section and key[1].startswith("mac-address-") and key[1].endswith("list") and value:
                fates.append(plain_mac(link.mac or "") not in {plain_mac(each) for each in value.split(";")})
    fates += [
        f"whether its {key}={capped(value)[:40]} holds for {link.name} is not known"
        for (section, key), value in keys.items()
        if section == "match" and key in _UNSEEN and value
    ]
    return all_of(*fates)


def _own_mac(link: Interface, value: str) -> Fate:
    """By the interface's own address, or the one that it has, where it has none of its own."""
    return plain_mac(link.permanent_mac) == plain_mac(value) if link.permanent_mac else has_mac(link, [value])


def _matches(value: str, name: str) -> Fate:
    """`eth*;!eth0`: with `|` one of them has to match, without one too, `&` all, `!` none (nm_utils_match)."""
    patterns = [each for each in value.split(";") if each]
    if any(each[0] in "|&\\" for each in patterns):
        return "its match is not understood"
    refused = [each[1:] for each in patterns if each.startswith("!")]
    wanted = [each for each in patterns if not each.startswith("!")]
    return not any(globbed(each, name) for each in refused) and (
        not wanted or any(globbed(each, name) for each in wanted)
    )


def _is_of_type(keys: Keys, link: Interface) -> Fate:
    kind = keys.get(("connection", "type"), "")
    if kind in _ETHERNET:
        return is_ethernet(link)
    if not kind:
        return f"its type is not known, nor whether {link.name} is of it"
    if kind == link.kind:
        return True
    wired = is_ethernet(link) and link.kind_shown
    if wired and (kind in _VIRTUAL or link.kind is not None or link.bus == "virtio"):
        return False
    return f"whether {link.name} is of type {capped(kind)[:40]} is not known"


def _keys(lines: Sequence[Line]) -> Keys:
    keys: Keys = {}
    section = ""
    for line in lines:
        text = line.text.strip()
        if text.startswith("["):
            section = text.strip("[]")
        else:
            key, _, value = (part.strip() for part in text.partition("="))
            keys[section, key] = value
    return keys


def _settings(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """`routing-rule1=priority 5 from 10.0.0.12 table 1003`, `route1=10.0.0.0/24,10.0.0.1,0` with
    `route1_options=table=1003`, `route-table=1003`, in the section [ipv4].
    """
    section = ""
    tables: dict[str, int] = {}
    routes: list[tuple[str, Line, str]] = []
    disabled = ruled = False
    for line in lines:
        key, _, value = (part.strip() for part in line.text.partition("="))
        if key.startswith("["):
            section = key
        elif section == "[ipv4]":
            if key.startswith("routing-rule"):
                ruled = True
                yield rule_of(value.split(), line.source, names)
            elif key == "route-table":
                tables[""] = table_of(value, names)
                yield BootRoute(source=line.source, table=tables[""])
            elif key.endswith("_options"):
                options = dict(option.partition("=")[::2] for option in value.split(","))
                if "table" in options:
                    tables[key.removesuffix("_options")] = table_of(options["table"], names)
            elif key.startswith("route"):
                routes.append((key, line, value.partition(",")[0]))
            elif key == "method" and value == "disabled":
                disabled = True
    if disabled and (routes or tables or ruled):
        raise NotUnderstood  # no IPv4 there; which of it is set all the same is not known
    for key, line, prefix in routes:
        table = tables.get(key, tables.get("", MAIN_TABLE))
        if table != MAIN_TABLE:
            yield BootRoute(source=line.source, table=table, prefix=prefix_of(prefix) or "0.0.0.0/0")
