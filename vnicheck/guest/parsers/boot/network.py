"""Which policy rules and routes the configuration files set at the next boot, for each network manager.

A file counts where its manager runs (or where none is known to run); scripts and units always count. What a file says
is taken for set whatever interface it is for. What cannot be told makes the part `routing` unknown.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase, translate

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.guest.parsers.boot.files import MAX_BOOT_LINES, BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, commands_of, prefix_of, route_of, rule_of, table_of
from vnicheck.guest.parsers.names import Names, parse_number
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import MAIN_TABLE, BootRoute, BootRule

BootSetting = BootRule | BootRoute
Reader = Callable[[Sequence[Line], Names], Iterator[BootSetting | None]]


class BootRouting(Struct, frozen=True):
    """What is surely set. `doubt`: why there may be more; `rp_filter`: why rp_filter may be set from there too."""

    rules: tuple[BootRule, ...]
    routes: tuple[BootRoute, ...]
    doubt: str | None
    rp_filter: str | None


def boot_routing(files: BootFiles, names: Names, managers: Sequence[str]) -> BootRouting:
    """What the files set, where `managers` run."""
    doubts = [files.doubt] if files.doubt is not None else []
    doubts += [f"{capped(path)} could not be read" for path in files.unreadable if _counts(path, managers)]
    found: list[BootSetting] = []
    of_run: list[tuple[str, BootSetting]] = []
    of_networkd = replace(names, tables=_tables_of_networkd(files))
    for path in _read_at_boot(files):
        if not _counts(path, managers):
            continue
        try:
            reader = _reader(path)
            if (main := _main_file(path)) and not any(one.endswith(f"/{main}") for one in files.paths):
                raise NotUnderstood  # a drop-in: networkd reads it where there is a file that it adds to
            known = of_networkd if reader is _networkd else names
            settings = [setting for setting in reader(files.lines[path], known) if setting is not None]
        except NotUnderstood:
            doubts.append(f"{capped(path)} holds more than is understood")
            continue
        if path.startswith("/run/"):
            of_run += [(path, setting) for setting in settings]
        else:
            found += settings
    elsewhere = {replace(setting, source="") for setting in found}
    for path, setting in of_run:
        if replace(setting, source="") not in elsewhere:
            found.append(setting)
            doubts.append(f"{capped(path)} is gone at the next boot, unless something makes it anew")
    touches = [
        f"{line.source} sets it too"
        for of_path in files.lines.values()
        for line in of_path
        if line.text == "rp_filter" or line.text.lstrip().startswith("IPv4ReversePathFilter")
    ]
    touches += [f"{capped(path)} could not be read" for path in files.unreadable if _may_set_rp_filter(path)]
    return BootRouting(
        rules=tuple(setting for setting in found if isinstance(setting, BootRule)),
        routes=tuple(setting for setting in found if isinstance(setting, BootRoute)),
        doubt=doubts[0] if doubts else None,
        rp_filter=touches[0] if touches else None,
    )


def _read_at_boot(files: BootFiles) -> Iterator[str]:
    """The files but those that the manager leaves aside: of netplan and networkd where a namesake in a folder of higher
    rank masks them, or their .network file is masked or empty; of interfaces.d what nothing includes.
    """
    ranked = [(path, match) for path in files.paths if (match := _MASKING(path)) is not None]
    chosen: dict[str, str] = {}
    for path, match in sorted(ranked, key=lambda each: _RANKS.index(each[1][1])):
        chosen.setdefault(match[2], path)
    masked = {path for path, match in ranked if chosen[match[2]] != path}
    for path in files.paths:
        main = chosen.get(_main_file(path))
        emptied = main is not None and not files.lines[main]
        if path not in masked and not emptied and (not path.startswith(_INTERFACES[0]) or _is_included(path, files)):
            yield path


def _main_file(path: str) -> str:
    """`systemd/network/20-eth1.network`, to which networkd's drop-in adds; nothing where it is no drop-in."""
    match = _MASKING(path)
    folder, inside, _ = match[2].partition(".network.d/") if match is not None else ("", "", "")
    return f"{folder}.network" if inside else ""


def _is_included(path: str, files: BootFiles) -> bool:
    """Whether interfaces(5) or what lies beside it includes a file of interfaces.d; a folder's names must be plain."""
    folder, _, name = path.rpartition("/")
    for line in (line for of_path in files.lines.values() for line in of_path if _kind(line.path)[0] == _IFUPDOWN):
        word, _, place = line.text.partition(" ")
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


def _tables_of_networkd(files: BootFiles) -> dict[str, int]:
    """The names that networkd.conf gives to routing tables, `RouteTable=vni:1003 mgmt:1004`: networkd knows no others
    but the kernel's (networkd.conf(5), systemd.network(5)). What is given later wins; an empty value takes all away.
    """
    tables: dict[str, int] = {}
    for path in sorted(path for path in files.paths if "/systemd/networkd.conf" in path):
        for line in files.lines[path]:
            key, _, value = (part.strip() for part in line.text.partition("="))
            if key != "RouteTable":
                continue
            if not value:
                tables = {}
            for word in value.split():
                name, _, number = word.partition(":")
                found = parse_number(number)
                if found is not None:
                    tables[name] = found
    return tables


def _may_set_rp_filter(path: str) -> bool:
    """Scripts, and networkd's files but those in /run: netplan, which makes these, has no setting for it."""
    reader = _reader(path)
    return reader is _commands or (reader is _networkd and not path.startswith("/run/"))


def _counts(path: str, managers: Sequence[str]) -> bool:
    """Whether some manager that reads the file runs; where none is known, every file counts."""
    readers, _ = _kind(path)
    return not readers or _KNOWN.isdisjoint(managers) or not set(readers).isdisjoint(managers)


def _reader(path: str) -> Reader:
    return _kind(path)[1]


def _kind(path: str) -> tuple[tuple[str, ...], Reader]:
    """The managers that read a file, and how it is read."""
    for pattern, managers, reader in _PATTERNS:
        if pattern(path) is not None:
            return managers, reader
    return (), _commands


def _keyfile(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """NetworkManager: `routing-rule1=priority 5 from 10.0.0.12 table 1003`, `route1=10.0.0.0/24,10.0.0.1,0` with
    `route1_options=table=1003`, `route-table=1003`, in the section [ipv4].
    """
    section = ""
    tables: dict[str, int] = {}
    routes: list[tuple[str, Line, str]] = []
    manual = False
    for line in lines:
        if line.text.lstrip().startswith("["):
            section = line.text.strip()
        elif section == "[connection]":
            manual = line.text.partition("=")[2].strip().lower() in {"false", "no", "off", "0"}
        elif section == "[ipv4]" and manual:
            raise NotUnderstood  # `autoconnect=false`: it is set when somebody activates the profile
        elif section == "[ipv4]":
            key, _, value = (part.strip() for part in line.text.partition("="))
            if key.startswith("routing-rule"):
                yield rule_of(value.split(), line.source, names)
            elif key == "route-table":
                tables[""] = table_of(value, names)
                yield BootRoute(source=line.source, table=tables[""])
            elif key.endswith("_options"):
                options = dict(option.partition("=")[::2] for option in value.split(","))
                if "table" in options:
                    tables[key.removesuffix("_options")] = table_of(options["table"], names)
            else:
                routes.append((key, line, value.partition(",")[0]))
    for key, line, prefix in routes:
        table = tables.get(key, tables.get("", MAIN_TABLE))
        if table != MAIN_TABLE:
            yield BootRoute(source=line.source, table=table, prefix=prefix_of(prefix) or "0.0.0.0/0")


def _ifcfg(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    for line in lines:
        key, _, value = line.text.partition("=")
        value = value.strip().strip("\"'")
        if key.startswith("ROUTING_RULE"):
            yield rule_of(value.split(), line.source, names)
        elif key == "IPV4_ROUTE_TABLE":
            yield BootRoute(source=line.source, table=table_of(value, names))
        elif value:
            raise NotUnderstood  # a script that runs after the interface is up


def _rule_words(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """`rule-eth1`, `ifrule-eth1`: a rule a line, in the words of `ip rule add`."""
    for line in lines:
        words = line.text.split()
        if words and words[0] in {"ipv4", "-4"}:
            del words[0]
        yield rule_of(words, line.source, names)


def _route_words(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """`route-eth1`, `ifroute-eth1`, `routes`: a route a line; the form with ADDRESS0= knows only the main table."""
    for line in lines:
        if "=" not in line.text:
            yield route_of(line.text.split(), line.source, names)


def _networkd(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """[RoutingPolicyRule] and [Route] sections of .network files, `RouteTable=` of DHCP."""
    sections: list[tuple[str, Line, dict[str, str]]] = []
    for line in lines:
        if line.text.lstrip().startswith("["):
            sections.append((line.text.strip(), line, {}))
        elif sections:
            key, _, value = line.text.partition("=")
            sections[-1][2][key.strip()] = value.strip()
    for name, line, values in sections:
        if name == "[RoutingPolicyRule]":
            keys = {"From": "from", "To": "to", "Table": "table", "Priority": "priority"}
            if values.keys() - keys.keys() - {"Family"}:
                raise NotUnderstood  # a rule that applies to some packets only
            if values.get("Family") != "ipv6":
                words = [word for key, value in values.items() if key in keys for word in (keys[key], value)]
                yield rule_of(words, line.source, names)
        elif name == "[Route]" and "Table" in values:
            yield route_of([values.get("Destination", "default"), "table", values["Table"]], line.source, names)
        elif name in {"[DHCPv4]", "[DHCP]"} and "RouteTable" in values:
            yield BootRoute(source=line.source, table=table_of(values["RouteTable"], names))


def _netplan(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """`routing-policy` and `routes` of every interface, whatever its kind."""
    if any(line.text == "#withheld" for line in lines):
        raise NotUnderstood
    from vnicheck.guest.parsers.boot.plain_yaml import load_yaml

    try:
        top = load_yaml("\n".join(line.text for line in lines))
    except ValueError:
        raise NotUnderstood from None
    entries = 0
    for kind in _mappings(top):
        for interfaces in _mappings(kind):
            for interface in _mappings(interfaces):
                for setting in _netplan_entries(interface, lines[0].path, names):
                    entries += 1
                    if entries > MAX_BOOT_LINES:
                        raise NotUnderstood  # aliases make more of them than a file has lines
                    yield setting


def _netplan_entries(interface: dict[object, object], path: str, names: Names) -> Iterator[BootSetting | None]:
    source = capped(path)
    of_vrf = {"table": interface["table"]} if "table" in interface else {}
    for entry in _entries(interface, "routing-policy"):
        if entry.keys() - {"from", "to", "table", "priority"}:
            raise NotUnderstood
        yield rule_of([str(word) for pair in (of_vrf | entry).items() for word in pair], source, names)
    for entry in (of_vrf | entry for entry in _entries(interface, "routes")):
        if "table" in entry:
            yield route_of([str(entry.get("to", "default")), "table", str(entry["table"])], source, names)


def _mappings(value: object) -> list[dict[object, object]]:
    return [each for each in value.values() if isinstance(each, dict)] if isinstance(value, dict) else []


def _entries(interface: dict[object, object], key: str) -> list[dict[str, object]]:
    entries = interface.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise NotUnderstood
    return entries


def _nothing(_lines: Sequence[Line], _names: Names) -> Iterator[BootSetting | None]:
    """networkd.conf names tables (`_tables_of_networkd`), and sets nothing itself."""
    return iter(())


def _commands(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    """The `ip` commands of ifupdown's files, scripts and units. `$IFACE` is the interface that ifupdown brings up."""
    for line in lines:
        word, _, rest = line.text.partition(" ")
        if line.text == "?" or (word.startswith("source") and not rest.strip().startswith(_INTERFACES)):
            raise NotUnderstood
        if line.text != "rp_filter" and not word.startswith("source"):
            yield from commands_of(line.text, line.source, names)


_INTERFACES = ("/etc/network/interfaces.d", "interfaces.d")
"""What is included from there was looked for anyway."""
_NM, _NETWORKD, _IFUPDOWN = "NetworkManager", "systemd-networkd", ("networking",)
_KINDS: tuple[tuple[str, tuple[str, ...], Reader], ...] = (
    ("/etc/NetworkManager/dispatcher.d/*", (_NM,), _commands),
    ("*/NetworkManager/system-connections*", (_NM,), _keyfile),
    ("/etc/sysconfig/network-scripts/rule-*", (_NM, "network"), _rule_words),
    ("/etc/sysconfig/network-scripts/route-*", (_NM, "network"), _route_words),
    ("/etc/sysconfig/network-scripts*", (_NM, "network"), _ifcfg),
    ("/etc/sysconfig/network/ifrule-*", ("wicked",), _rule_words),
    ("/etc/sysconfig/network/*route*", ("wicked",), _route_words),
    ("/etc/sysconfig/network*", ("wicked",), _ifcfg),
    ("*/netplan*", (_NETWORKD, _NM), _netplan),
    ("*/systemd/networkd.conf*", (_NETWORKD,), _nothing),
    ("*/systemd/network*", (_NETWORKD,), _networkd),
    ("/etc/network/interfaces*", _IFUPDOWN, _commands),
)
"""Pattern of the path, the managers that read such a file, and how it is read; anything else is a script."""
_PATTERNS = [(re.compile(translate(pattern)).match, managers, reader) for pattern, managers, reader in _KINDS]
_RANKS = ("/etc", "/run", "/usr/lib", "/lib")
_MASKING = re.compile(rf"({'|'.join(_RANKS)})/((?:systemd/network|systemd/networkd\.conf\.d|netplan)/.+)").fullmatch
_KNOWN = {manager for _, managers, _ in _KINDS for manager in managers}
