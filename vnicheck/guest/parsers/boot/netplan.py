"""netplan: which files it makes of its own for systemd-networkd and NetworkManager, and what these set.

netplan(5), and what `netplan generate` writes: definitions of one id add up over all files, in the order of the files'
names; a scalar that is given later wins.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from vnicheck.guest.parsers.boot.fate import BootSetting, Fate, Outcome
from vnicheck.guest.parsers.boot.files import MAX_BOOT_LINES, BootFiles
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, route_of, rule_of
from vnicheck.guest.parsers.boot.networkd import EITHER_MAC, Conditions
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped

_FOUND = {"ethernets", "wifis", "modems"}
"""Sections of interfaces that a boot finds; those of the others netplan makes."""
_OF_NETWORK_MANAGER = {"modems", "nm-devices"}
_NOT_UP = {"manual", "off"}
_KEYS = {"name": "Name", "macaddress": EITHER_MAC, "driver": "Driver"}
_WITHHELD = "#withheld"


class Definition(Struct, frozen=True):
    """One id. `conditions` as systemd-networkd has them."""

    id: str
    kind: str
    manager: str
    """`systemd-networkd` or `NetworkManager`."""
    conditions: Conditions
    up: Fate
    settings: Sequence[tuple[str, Sequence[BootSetting | None]]]

    @property
    def makes(self) -> str | None:
        """The interface that it makes."""
        return None if self.kind in _FOUND else self.id


class _Merged:
    """What all files say of one id."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.values: dict[str, object] = {}
        self.match: dict[str, object] = {}
        self.settings: dict[str, list[BootSetting | None]] = {}

    def add(self, values: Mapping[object, object]) -> None:
        match = values.get("match")
        if "match" in values and match is not None and not isinstance(match, dict):
            raise NotUnderstood
        if isinstance(match, dict):
            self.match |= {str(key): value for key, value in match.items()}
        self.values |= {str(key): value for key, value in values.items()}


def read_definitions(files: BootFiles, paths: Sequence[str], names: Names, outcome: Outcome) -> list[Definition]:
    """The definitions of all files that are not masked; a file that is not understood is a doubt."""
    merged: dict[str, _Merged] = {}
    renderers: dict[str, str] = {}
    entries = 0
    for path in sorted(paths, key=lambda path: path.rpartition("/")[2]):
        try:
            for kind, name, values in _interfaces(files, path, renderers):
                of_id = merged.setdefault(name, _Merged(kind))
                of_id.add(values)
                for setting in _entries(values, path, names):
                    entries += 1
                    if entries > MAX_BOOT_LINES:
                        raise NotUnderstood  # aliases make more of them than a file has lines
                    of_id.settings.setdefault(path, []).append(setting)
        except NotUnderstood:
            outcome.doubt(f"{capped(path)} holds more than is understood")
    return [_definition(name, of_id, renderers) for name, of_id in merged.items()]


def _interfaces(
    files: BootFiles, path: str, renderers: dict[str, str]
) -> Iterator[tuple[str, str, dict[object, object]]]:
    """Section, id and what is said of it; what manages a section (all of them: ``) goes to `renderers`."""
    lines = files.lines[path]
    if any(line.text == _WITHHELD for line in lines):
        raise NotUnderstood
    from vnicheck.guest.parsers.boot.plain_yaml import load_yaml

    try:
        top = load_yaml("\n".join(line.text for line in lines))
    except ValueError:
        raise NotUnderstood from None
    for network in _mappings(top).values():
        for kind, of_kind in network.items():
            if kind == "renderer":
                renderers[""] = str(of_kind)
            elif isinstance(of_kind, dict):
                if "renderer" in of_kind:
                    renderers[str(kind)] = str(of_kind["renderer"])
                for name, values in _mappings(of_kind).items():
                    yield str(kind), name, values


def _definition(name: str, of_id: _Merged, renderers: Mapping[str, str]) -> Definition:
    renderer = of_id.values.get("renderer") or renderers.get(of_id.kind) or renderers.get("") or "networkd"
    manager = (
        "NetworkManager" if renderer == "NetworkManager" or of_id.kind in _OF_NETWORK_MANAGER else "systemd-networkd"
    )
    return Definition(
        id=name,
        kind=of_id.kind,
        manager=manager,
        conditions=_conditions(name, of_id),
        up=_up(of_id.values),
        settings=[(path, settings) for path, settings in of_id.settings.items()],
    )


def _up(values: Mapping[str, object]) -> Fate:
    """YAML takes a plain `off` for false."""
    mode = values.get("activation-mode", "")
    return "its activation-mode is not known" if mode is None else mode not in (*_NOT_UP, False)


def _conditions(name: str, of_id: _Merged) -> dict[str, list[str]]:
    """What the generator writes to [Match]: a name that is given to the interface counts, not the one that it had."""
    if of_id.kind not in _FOUND or "match" not in of_id.values:
        return {"Name": [name]}
    given = {"name": of_id.values["set-name"]} if "set-name" in of_id.values else {}
    found: dict[str, list[str]] = {}
    for key, value in (of_id.match | given).items():
        words = value if isinstance(value, list) else [value]
        # Values that stayed on the server leave the key. For a match without keys netplan's versions differ.
        found[_KEYS.get(key, key) if value is not None else f"{key} of netplan"] = [str(word) for word in words]
    return found or {"match of netplan": ["nothing"]}


def _entries(interface: Mapping[object, object], path: str, names: Names) -> Iterator[BootSetting | None]:
    """`routing-policy` and `routes`."""
    source = capped(path)
    of_vrf = {"table": interface["table"]} if "table" in interface else {}
    for entry in _listed(interface, "routing-policy"):
        if entry.keys() - {"from", "to", "table", "priority"}:
            raise NotUnderstood
        yield rule_of([str(word) for pair in (of_vrf | entry).items() for word in pair], source, names)
    for entry in (of_vrf | entry for entry in _listed(interface, "routes")):
        if "table" in entry:
            yield route_of([str(entry.get("to", "default")), "table", str(entry["table"])], source, names)


def _mappings(value: object) -> dict[str, dict[object, object]]:
    """Of a mapping what holds mappings itself; empty definitions (`eth1:`) count."""
    if not isinstance(value, dict):
        return {}
    return {str(key): each or {} for key, each in value.items() if each is None or isinstance(each, dict)}


def _listed(interface: Mapping[object, object], key: str) -> list[dict[str, object]]:
    entries = interface.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotUnderstood
    return entries
