"""Files of /etc/sysconfig: a description of each interface, `ifcfg-eth1`, and beside it `rule-eth1` and `route-eth1` of
network-scripts or NetworkManager's plugin for them, or `ifrule-eth1` and `ifroute-eth1` of wicked.

sysconfig.txt of initscripts, nm-settings-ifcfg-rh(5), ifcfg(5) of wicked: boot brings up what does not say ONBOOT=no
(wicked: what says STARTMODE=auto, or hotplug); DEVICE is the name, HWADDR the address that the interface has to have.
The files beside are read where there is such a description, by its name or by the interface's. NetworkManager leaves
rule-* to a script of another package, and takes of all that fit one as of its own profiles.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from vnicheck.guest.parsers.boot.fate import BootSetting, Fate, Outcome, Use, all_of, any_of
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, route_of, rule_of, table_of
from vnicheck.guest.parsers.boot.keyfiles import Keys, Profile, priority_of
from vnicheck.guest.parsers.boot.machine import Machine, has_mac, is_ethernet
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import BootRoute, Manager
from vnicheck.model.interface import Interface

_SCRIPTS = "/etc/sysconfig/network-scripts"
_WICKED = "/etc/sysconfig/network"
_STARTED = {"auto", "hotplug", "boot", "nfsroot", "on", "onboot"}
_NOT_STARTED = {"manual", "off"}
Reader = Callable[[Sequence[Line], Names], Iterator[BootSetting | None]]


class _Beside(Struct, frozen=True):
    path: str
    name: str
    """Of the interface, or of the description."""
    read: Reader


def profiles(files: BootFiles, machine: Machine) -> Iterator[Profile]:
    """The descriptions as NetworkManager has them: one without a name or an address is for every interface. Without
    UUID it has one that is made of its path.
    """
    for path, values in _descriptions(files).items():
        uuid = values.get("UUID") or uuid_of(path)
        keys: Keys = {("connection", "uuid"): uuid}
        controlled = values.get("NM_CONTROLLED", "yes").lower() not in {"no", "n", "false", "0"}
        fits = {link.name: _fits(values, link) for link in machine.interfaces or ()}
        priority = priority_of(values.get("AUTOCONNECT_PRIORITY", "0"))
        yield Profile(path, keys, _is_up(values), (), priority, read=controlled, fits=fits)


def uuid_of(path: str) -> str:
    """What NetworkManager calls an ifcfg file that says no UUID: nm_uuid_generate_from_string: MD5 of its path."""
    digest = hashlib.md5(path.encode(errors="replace"), usedforsecurity=False).hexdigest()
    return "-".join(digest[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


def _fits(values: Mapping[str, str], link: Interface) -> Fate:
    name, address = values.get("DEVICE", ""), values.get("HWADDR", "")
    if "$" in name:
        return "its name is a shell's variable"
    named = name == link.name if name else is_ethernet(link)
    return all_of(named, has_mac(link, [address]) if address else True)


def _descriptions(files: BootFiles) -> dict[str, dict[str, str]]:
    return {path: _values(files.lines[path]) for path in files.paths if path.startswith(f"{_SCRIPTS}/ifcfg-")}


def apply_scripts(
    files: BootFiles,
    names: Names,
    machine: Machine,
    runs: Mapping[str, Fate],
    won: Mapping[str, Fate],
    outcome: Outcome,
) -> None:
    """What network-scripts set, or NetworkManager from their files. `runs`: which of the two do at boot; `won`: of each
    description whether NetworkManager takes it for an interface that is there.
    """
    descriptions = _descriptions(files)
    off = _values(files.lines.get(_WICKED, ())).get("NETWORKING", "yes") == "no"
    scripts = all_of(runs["network"], not off)
    started: dict[str, tuple[Fate, Fate]] = {}
    for path, values in descriptions.items():
        up, taken = _is_up(values), _is_for(path, values, machine)
        fate = all_of(up, taken)
        absent = all_of(fate, runs["NetworkManager"]) if isinstance(taken, str) else False
        started[path] = all_of(fate, scripts), any_of(won[path], absent)
        for owned in machine.owned(Manager.NETWORK_SCRIPTS, _suffix(path)):
            outcome.uses[owned] = Use(all_of(_is_of(values, owned), taken, scripts), up)
        outcome.take(path, started[path][1], _of_description(files.lines[path], names))
    for beside in _beside(files, _SCRIPTS, {"rule-": _rule_words, "route-": _route_words}):
        own = [path for path in descriptions if beside.name in {_suffix(path), descriptions[path].get("DEVICE", "")}]
        fates = []
        for path in own:
            by_scripts, by_manager = started[path]
            if beside.read is _rule_words:
                by_manager = all_of(by_manager, "whether NetworkManager has the script that reads it is not known")
            if _suffix(path) != beside.name:
                by_manager = False
            fates += [by_scripts, by_manager]
        outcome.take(beside.path, any_of(*fates), beside.read(files.lines[beside.path], names))


def apply_wicked(files: BootFiles, names: Names, machine: Machine, runs: Fate, outcome: Outcome) -> None:
    """What wicked sets: of its descriptions, what lies beside them, and `routes`, which is for every interface."""
    descriptions = {path: _values(files.lines[path]) for path in files.paths if path.startswith(f"{_WICKED}/ifcfg-")}
    started: dict[str, Fate] = {}
    for path, values in descriptions.items():
        mode = values.get("STARTMODE", "manual").lower()
        known: Fate = mode in _STARTED if mode in _STARTED | _NOT_STARTED else f"its STARTMODE is {capped(mode)[:40]}"
        taken = all_of(_there(_suffix(path), machine), runs)
        started[path] = all_of(known, taken)
        for owned in machine.owned(Manager.WICKED, _suffix(path)):
            outcome.uses[owned] = Use(taken, known)
        outcome.take(path, started[path], _of_hook(files.lines[path]))
    for beside in _beside(files, _WICKED, {"ifrule-": _rule_words, "ifroute-": _route_words}):
        fate = started.get(f"{_WICKED}/ifcfg-{beside.name}", False)
        outcome.take(beside.path, fate, beside.read(files.lines[beside.path], names))
    path = f"{_WICKED}/routes"
    if path in files.lines:
        outcome.take(path, any_of(*started.values()), _route_words(files.lines[path], names))


def _is_up(values: Mapping[str, str]) -> Fate:
    on = values.get("ONBOOT", "yes").lower()
    return True if on in {"yes", "y", "true", "1"} else False if on == "no" else f"its ONBOOT is {capped(on)[:40]}"


def _is_for(path: str, values: Mapping[str, str], machine: Machine) -> Fate:
    """Whether a description is for an interface that is there."""
    address = values.get("HWADDR", "")
    if "DEVICE" not in values:
        if not address:
            return _there(_suffix(path), machine)
        return any_of(*(has_mac(link, [address]) for link in machine.interfaces or ()))
    link = machine.named(values["DEVICE"])
    has = has_mac(link, [address]) if link is not None and address else True
    return all_of(_there(values["DEVICE"], machine), has)


def _is_of(values: Mapping[str, str], name: str) -> bool:
    """Whether a description does not name another interface."""
    return values.get("DEVICE", name) == name


def _there(name: str, machine: Machine) -> Fate:
    if "$" in name:
        return "its name is a shell's variable"
    return machine.named(name) is not None or f"there is no {capped(name)[:40]} now"


def _suffix(path: str) -> str:
    return path.rpartition("/ifcfg-")[2]


def _beside(files: BootFiles, folder: str, readers: Mapping[str, Reader]) -> Iterator[_Beside]:
    for path in files.paths:
        for prefix, read in readers.items():
            if path.startswith(f"{folder}/{prefix}"):
                yield _Beside(path, path.removeprefix(f"{folder}/{prefix}"), read)


def _values(lines: Sequence[Line]) -> dict[str, str]:
    values = {}
    for line in lines:
        key, _, value = line.text.strip().partition("=")
        values[key] = value.partition(" #")[0].strip().strip("\"'")
    return values


def _of_hook(lines: Sequence[Line]) -> Iterator[BootSetting | None]:
    """A script that wicked runs after the interface is up."""
    for line in lines:
        key, _, value = line.text.strip().partition("=")
        if key == "POST_UP_SCRIPT" and value.strip().strip("\"'"):
            raise NotUnderstood
    yield from ()


def _of_description(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """What NetworkManager alone reads of it."""
    for line in lines:
        key, _, value = line.text.strip().partition("=")
        value = value.strip().strip("\"'")
        if key.startswith("ROUTING_RULE"):
            yield rule_of(value.split(), line.source, names)
        elif key == "IPV4_ROUTE_TABLE":
            yield BootRoute(source=line.source, table=table_of(value, names))


def _rule_words(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """A rule a line, in the words of `ip rule add`."""
    for line in lines:
        words = line.text.split()
        if words and words[0] in {"ipv4", "-4"}:
            del words[0]
        yield rule_of(words, line.source, names)


def _route_words(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """A route a line; the form with ADDRESS0= knows only the main table."""
    for line in lines:
        if "=" not in line.text:
            yield route_of(line.text.split(), line.source, names)
