"""Which program configures each interface, from what the managers note of it.

/run/systemd/netif/links/3:ADMIN_STATE=configured
/run/systemd/netif/links/3:NETWORK_FILE=/run/systemd/network/10-netplan-eth1.network
/run/NetworkManager/devices/3:managed=true
/run/NetworkManager/devices/3:connection-uuid=0a0b0c0d-1111-2222-3333-444455556666
nmcli:0a0b0c0d-1111-2222-3333-444455556666:eth1:/run/NetworkManager/system-connections/netplan-eth1.nmconnection
/run/network/ifstate:eth1=eth1
/etc/sysconfig/network/ifcfg-eth1:

An interface that two managers claim has no owner that could be told.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from vnicheck.model.guest import Interface, Manager, Owner

_NETWORKD = "/run/systemd/netif/links/"
_NETWORK_MANAGER = "/run/NetworkManager/devices/"
_NMCLI = "nmcli"
_IFUPDOWN = "/run/network/ifstate"
_WICKED = "/etc/sysconfig/network/ifcfg-"
_SCRIPTS = "/etc/sysconfig/network-scripts/ifcfg-"
_GENERATED = re.compile(r"/run/systemd/network/10-netplan-(.+)\.network")
_WRITTEN = re.compile(r"/(?:run|etc)/NetworkManager/system-connections/netplan-(.+)\.nmconnection")
"""The names that netplan gives to the files that it makes of its own (netplan: networkd.c, nm.c)."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_NOT_CONFIGURED = {"", "unmanaged", "linger", "initialized", "pending"}
_LONGEST = 300

Claim = tuple[str, Owner]


def parse_owners(text: str, interfaces: Iterable[Interface], managers: Sequence[str]) -> dict[str, Owner]:
    """The owners, by the interface's name. `managers`: those that run; what another one left behind is no claim."""
    names = {str(interface.index): interface.name for interface in interfaces}
    known = set(names.values())
    notes: dict[str, dict[str, str]] = {_NMCLI: {}}
    for line in text.split("\n"):
        path, _, rest = line.partition(":")
        key, _, value = (rest, "", "") if path == _NMCLI else rest.partition("=")
        notes.setdefault(path, {})[key] = value
    claims: dict[str, set[Owner]] = {}
    for name, owner in _claims(notes, names, managers):
        if name in known and len(owner.handle) <= _LONGEST and owner.handle.isprintable():
            claims.setdefault(name, set()).add(owner)
    return {name: owners.pop() for name, owners in claims.items() if len(owners) == 1}


def parse_profiles(text: str) -> dict[str, str]:
    """The files of NetworkManager's active connections, by UUID."""
    prefix = f"{_NMCLI}:"
    return dict(_profiles(line.removeprefix(prefix) for line in text.split("\n") if line.startswith(prefix)))


def _claims(notes: dict[str, dict[str, str]], names: dict[str, str], managers: Sequence[str]) -> Iterator[Claim]:
    files = dict(_profiles(notes[_NMCLI]))
    for path, values in notes.items():
        if path.startswith(_NETWORKD) and "systemd-networkd" in managers:
            file = values.get("NETWORK_FILE", "")
            if file and values.get("ADMIN_STATE", "") not in _NOT_CONFIGURED:
                yield names.get(path.removeprefix(_NETWORKD), ""), _by_file(_GENERATED, file, Manager.NETWORKD, file)
        elif path.startswith(_NETWORK_MANAGER) and "NetworkManager" in managers:
            uuid = values.get("connection-uuid", "")
            if values.get("managed") == "true" and _UUID.fullmatch(uuid):
                owner = _by_file(_WRITTEN, files.get(uuid, ""), Manager.NETWORK_MANAGER, uuid)
                yield names.get(path.removeprefix(_NETWORK_MANAGER), ""), owner
        elif path == _IFUPDOWN:
            for name, logical in values.items():
                yield name, Owner(manager=Manager.IFUPDOWN, handle=logical)
        elif path.startswith(_WICKED) and "wicked" in managers:
            name = path.removeprefix(_WICKED)
            yield name, Owner(manager=Manager.WICKED, handle=name)
        elif path.startswith(_SCRIPTS) and "network" in managers and "NetworkManager" not in managers:
            name = path.removeprefix(_SCRIPTS)
            yield name, Owner(manager=Manager.NETWORK_SCRIPTS, handle=name)


def _by_file(pattern: re.Pattern[str], file: str, manager: Manager, handle: str) -> Owner:
    """Netplan by the id in the file's name, where netplan made the file; else the manager itself."""
    match = pattern.fullmatch(file)
    return Owner(manager=manager, handle=handle) if match is None else Owner(manager=Manager.NETPLAN, handle=match[1])


def _profiles(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """UUID and file of `UUID:DEVICE:FILE`, where nmcli writes a backslash before a colon that belongs to a value."""
    for line in lines:
        parts = re.split(r"(?<!\\):", line)
        if len(parts) == 3:
            yield parts[0], re.sub(r"\\(.)", r"\1", parts[2])
