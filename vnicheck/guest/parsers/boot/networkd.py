"""systemd-networkd: which .network file each interface takes, and what boot sets of it.

systemd.network(5), networkd's source (networkd-network.c, network_get; net-condition.c): of the files in the order of
their names, whatever their folders, the first that matches an interface takes it, for good; the others do nothing for
it. A file without conditions is left aside (since systemd 243; before, it took every interface). What netplan makes of
its own files stands among them.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from vnicheck.guest.parsers.boot.fate import MAX_PAIRS, TOO_MANY, BootSetting, Fate, Outcome, Use, all_of, any_of, no
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, route_of, rule_of, table_of
from vnicheck.guest.parsers.boot.machine import Machine, driver_of, globbed, has_mac, has_permanent_mac, is_found
from vnicheck.guest.parsers.names import Names, parse_number
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import BootRoute, Manager, Owner
from vnicheck.model.interface import Interface

Conditions = Mapping[str, Sequence[str]]
Section = tuple[str, Line, dict[str, str]]

RANKS = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
EITHER_MAC = "MACAddress or PermanentMACAddress"
"""What netplan makes of `macaddress`, as its version has it."""
_YES = {"yes", "true", "on", "1", "y", "t"}
_UP = {"", "up", "always-up"}
DOWN = {"manual", "down", "always-down"}
_OF_WIRELESS = {"WLANInterfaceType", "SSID", "BSSID"}
_OF_THE_SYSTEM = {"Virtualization", "KernelCommandLine", "KernelVersion", "Credential", "Architecture", "Firmware"}
"""They hold or not as the next boot finds the system: another kernel, another image."""
_TYPES = {"vlan", "bond", "bridge", "vxlan", "wireguard"}
_OLD = {("ubuntu", "16"), ("ubuntu", "18"), ("debian", "9"), ("debian", "10")}
"""Their systemd is older than 243."""


class Network(Struct, frozen=True):
    """A .network file, or what netplan makes one of. `up`: whether it brings its interfaces up and configures them."""

    name: str
    conditions: Conditions
    up: Fate
    settings: Sequence[tuple[str, Sequence[BootSetting | None] | None]]
    """By file; None where that is not understood."""
    there: Fate = True
    """Whether there is such a file at the next boot."""
    id: str | None = None
    """Netplan's, where it makes the file."""

    def configures(self, owner: Owner | None) -> bool:
        """Whether this is what configures an interface of that owner."""
        if owner is None:
            return False
        if self.id is not None:
            return owner == Owner(manager=Manager.NETPLAN, handle=self.id)
        return owner.manager is Manager.NETWORKD and owner.handle.rpartition("/")[2] == self.name


def read_networks(
    files: BootFiles, paths: Sequence[str], names: Names, of_netplan: Mapping[str, Network]
) -> tuple[list[Network], list[str]]:
    """The .network files with their drop-ins, and drop-ins without a file. `paths`: those that are not masked.

    What netplan makes lies in /run: a namesake in /etc masks it, and it masks those of packages.
    """
    known = _tables(files, names)
    mains = {path.rpartition("/")[2]: path for path in paths if path.endswith(".network")}
    drop_ins: dict[str, list[str]] = {name: [] for name in {**mains, **of_netplan}}
    alone: list[str] = []
    for path in sorted(paths, key=lambda path: path.rpartition("/")[2]):
        folder, inside, _ = path.partition(".network.d/")
        if inside:
            drop_ins.get(f"{folder.rpartition('/')[2]}.network", alone).append(path)
    found = []
    for name, more in drop_ins.items():
        main = mains.get(name)
        if name in of_netplan and (main is None or not main.startswith("/etc/")):
            found.append(_added(of_netplan[name], more, files, known))
            continue
        if name in of_netplan:
            found.append(replace(of_netplan[name], there=False))
        if main is not None and files.lines[main]:
            gone = f"{capped(main)} is gone at the next boot, unless something makes it anew"
            there: Fate = gone if main.startswith("/run/") else True
            found.append(_added(Network(name, {}, True, (), there), [main, *more], files, known))
    return found, alone


def _added(network: Network, paths: Sequence[str], files: BootFiles, names: Names) -> Network:
    """The file with what the others add to it."""
    sections = {path: _sections(files.lines[path]) for path in paths}
    every = [section for of_path in sections.values() for section in of_path]
    link = {key: value for title, _, values in every if title == "[Link]" for key, value in values.items()}
    lines = [line for path in paths for line in files.lines[path]]
    return Network(
        name=network.name,
        conditions=_conditions(lines, network.conditions),
        up=_up(link) if link.keys() & {"ActivationPolicy", "Unmanaged"} else network.up,
        settings=[*network.settings, *((path, _settings(of_path, names)) for path, of_path in sections.items())],
        there=network.there,
        id=network.id,
    )


def _up(link: Mapping[str, str]) -> Fate:
    policy = link.get("ActivationPolicy", "")
    if policy in DOWN or link.get("Unmanaged", "").lower() in _YES:
        return False
    return True if policy in _UP else f"its ActivationPolicy is {capped(policy)[:40]}"


def apply(networks: Sequence[Network], machine: Machine, made: frozenset[str], runs: Fate, outcome: Outcome) -> None:
    """What the files set on the interfaces that they take. `made`: virtual interfaces that boot makes."""
    ordered = sorted(networks, key=lambda network: network.name.encode())
    fates: list[list[Fate]] = [[] for _ in ordered]
    names = {link.name for link in machine.interfaces or ()}
    absent = [
        Interface(name=name, index=1, up=False, carrier=False) for name in sorted(made - names) if 0 < len(name) < 16
    ]
    links = (*(machine.interfaces or ()), *absent)
    many = len(links) * len(ordered) > MAX_PAIRS
    for link in () if many else links:
        there: Fate = is_found(link) or link.name in made or f"what makes {link.name} at boot is not known"
        before: Fate = False
        for network, of_network in zip(ordered, fates, strict=True):
            match = all_of(matches(network.conditions, link, machine), network.there)
            taken = all_of(match, no(before), there)
            of_network.append(all_of(taken, network.up))
            if network.configures(machine.owners.get(link.name)):
                outcome.uses[link.name] = Use(all_of(taken, runs), network.up)
            before = any_of(before, match)
    for network, of_network in zip(ordered, fates, strict=True):
        fate: Fate = any_of(*of_network)
        if machine.interfaces is None or many:
            fate = TOO_MANY if many else "which interfaces there are is not known"
        for path, settings in network.settings:
            outcome.take(path, all_of(fate, runs), _again(settings))


def _again(settings: Sequence[BootSetting | None] | None) -> Iterator[BootSetting | None]:
    if settings is None:
        raise NotUnderstood
    yield from settings


def matches(conditions: Conditions, link: Interface, machine: Machine) -> Fate:
    """Whether an interface meets all conditions of a [Match] section."""
    if not conditions:
        old = (machine.os[0], machine.os[1].partition(".")[0]) in _OLD
        return (
            "a file without conditions is for every interface, or for none, as systemd's version has it"
            if old
            else False
        )
    holds = all_of(*(_holds(key, values, link, machine) for key, values in conditions.items()))
    if link.name == "lo" and "lo" not in conditions.get("Name", ()):
        return all_of(holds, "whether it is for lo too is not known")  # as systemd's version has it
    return holds


def _holds(key: str, values: Sequence[str], link: Interface, machine: Machine) -> Fate:
    not_known = f"whether {key}={capped(' '.join(values))[:60]} holds for {link.name} is not known"
    if key == "Name":
        return any(_listed(values, name) for name in (link.name, *link.altnames))
    if any(mark in word for word in values for mark in "\"'"):
        return not_known
    if key == "MACAddress":
        return has_mac(link, values)
    if key == "PermanentMACAddress":
        return has_permanent_mac(link, values)
    if key == EITHER_MAC:
        fates = {has_mac(link, values), has_permanent_mac(link, values)}
        return fates.pop() if len(fates) == 1 else not_known
    if key == "Kind" and (link.kind_shown or link.kind is not None):
        return _listed(values, link.kind or "")
    if key == "Type":
        listed = {_listed(values, each) for each in _types_of(link)}
        return listed.pop() if len(listed) == 1 else not_known
    if key == "Driver" and (driver := driver_of(link)) is not None:
        return _listed(values, driver)
    if key in _OF_WIRELESS and (link.bus == "virtio" or link.kind is not None):
        return False
    if key == "Host" and machine.hostname:
        return _is_host(values[-1], machine.hostname, not_known)
    return not_known


def _is_host(value: str, hostname: str, not_known: str) -> Fate:
    """By the name, a glob, or the machine's id, which was not collected."""
    name = value.removeprefix("!")
    found: Fate = globbed(name, hostname)
    if not found and len(name) == 32 and all(digit in "0123456789abcdef" for digit in name):
        found = not_known
    return no(found) if name != value else found


def _types_of(link: Interface) -> set[str]:
    """The types that networkd may see: udev's, or the kernel's (networkd(1): `networkctl list`)."""
    if link.name == "lo" or link.link_type == "loopback":
        return {"loopback"}
    if link.kind in _TYPES:
        return {link.kind}
    if link.kind == "veth" or (link.bus == "virtio" and link.link_type == "ether"):
        return {"ether"}
    return {"ether", "wlan", link.link_type or "ether", link.kind or "ether"}


def _listed(patterns: Sequence[str], name: str) -> bool:
    """Whether one of the globs matches and none of those with `!` (net_condition_test_strv)."""
    refused = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(globbed(pattern, name) for pattern in refused):
        return False
    return not wanted or any(globbed(pattern, name) for pattern in wanted)


def _conditions(lines: Sequence[Line], before: Conditions) -> dict[str, list[str]]:
    """The [Match] section: values of one key add up, an empty one takes them away, a `!` is for all words."""
    found = {key: list(words) for key, words in before.items()}
    section = ""
    for line in lines:
        text = line.text.strip()
        if text.startswith("["):
            section = text
        elif section == "[Match]":
            key, _, value = (part.strip() for part in text.partition("="))
            words = value.split()
            inverted = bool(words) and words[0].startswith("!")
            if key in {"MACAddress", "PermanentMACAddress", "Host"}:
                inverted = False
            of_key = found.setdefault(f"{key} that goes on" if value.endswith("\\") else key, [])
            if not words:
                of_key.clear()
            of_key += [f"!{word.removeprefix('!')}" if inverted else word for word in words]
    return {key: words for key, words in found.items() if words}


def _sections(lines: Sequence[Line]) -> list[Section]:
    sections: list[Section] = []
    for line in lines:
        if line.text.lstrip().startswith("["):
            sections.append((line.text.strip(), line, {}))
        elif sections:
            key, _, value = line.text.partition("=")
            sections[-1][2][key.strip()] = value.strip()
    return sections


def _settings(sections: Sequence[Section], names: Names) -> list[BootSetting | None] | None:
    try:
        return list(_read(sections, names))
    except NotUnderstood:
        return None


def _read(sections: Sequence[Section], names: Names) -> Iterator[BootSetting | None]:
    """[RoutingPolicyRule] and [Route] sections, `RouteTable=` of DHCP."""
    for name, line, values in sections:
        if any(value.endswith("\\") for value in values.values()):
            raise NotUnderstood  # the next line goes on with it
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


def made_by_netdev(files: BootFiles, paths: Sequence[str]) -> frozenset[str]:
    """The names of virtual interfaces that .netdev files describe."""
    return frozenset(
        values["Name"]
        for path in paths
        if path.endswith(".netdev") and not path.startswith("/run/")
        for name, _, values in _sections(files.lines[path])
        if name == "[NetDev]" and "Name" in values
    )


def _tables(files: BootFiles, names: Names) -> Names:
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
    return Names(tables, names.groups)
