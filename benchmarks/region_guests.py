"""What the servers of a made region show from inside: distributions, ways of routing, and container software."""

import random

from benchmarks.region import Machine, Nic
from tests.support.guest_parts import with_default_tables
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.guest import (
    BootConfig,
    BootValue,
    Guest,
    Interface,
    InterfaceAddress,
    OperatingSystem,
    Sockets,
)
from vnicheck.model.snapshot import Problem

COLLECTED = "2026-01-01T00:00:00Z"
KERNELS = {
    "rhel": ("9.4", "5.14.0-427.13.1.el9_4.x86_64", "NetworkManager"),
    "ubuntu": ("24.04", "6.8.0-31-generic", "systemd-networkd"),
    "debian": ("12", "6.1.0-25-amd64", "networking"),
    "sles": ("15.6", "6.4.0-150600.21-default", "wicked"),
}
RP_FILTER = {"rhel": (0, 1), "ubuntu": (2, 2), "debian": (0, 0), "sles": (2, 2)}
"""As shipped: that of all, and that of each interface."""
KEYS = ("accept_local", "src_valid_mark", "forwarding", "send_redirects", "ignore_routes_with_linkdown", "log_martians")
RULES = "0: from all lookup local\n{}32766: from all lookup main\n32767: from all lookup default\n"
CILIUM = "9: from all fwmark 0x200/0xf00 lookup 2004\n"


def guest_of(machine: Machine, macs: list[str]) -> Guest | Problem | None:
    """The guest, why it could not be read, or None where it was not tried. `macs`: of the interfaces, in order."""
    if machine.status != "running":
        return None
    if not machine.reachable:
        return Problem(code="ssh_timeout", message=f"no answer from {machine.nics[0].address} within 10 s")
    chance = random.Random(machine.name)
    names = [_name(machine, n) for n in range(len(machine.nics))]
    every, each = RP_FILTER[machine.image]
    loosened = machine.routing != "policy" and each == 1 and chance.random() < 0.4
    version, kernel, manager = KERNELS[machine.image]
    links = [
        _loopback(),
        *(_link(machine, n, names, mac) for n, mac in enumerate(macs)),
        *(_container_link(machine, len(macs) + 2)),
    ]
    sysctls = {f"net/ipv4/conf/{name}/{key}": 0 for name in ("all", *(link.name for link in links)) for key in KEYS}
    for link in links:
        sysctls[f"net/ipv4/conf/{link.name}/rp_filter"] = 2 if loosened and link.name == names[-1] else each
        sysctls[f"net/ipv4/conf/{link.name}/forwarding"] = int(machine.extra != "")
    sysctls["net/ipv4/conf/all/rp_filter"] = every
    boot = None
    if chance.random() < 0.7:
        file = "/usr/lib/sysctl.d/50-default.conf"
        values = {"all": every, **dict.fromkeys(names, each)}
        boot = BootConfig(
            sysctls={
                f"net/ipv4/conf/{name}/rp_filter": BootValue(value=value, source=f"{file}:{line}")
                for line, (name, value) in enumerate(values.items(), 20)
            },
            unknown={"routing": "not collected"},
        )
    made = Guest(
        collected_at=COLLECTED,
        os=OperatingSystem(id=machine.image, version=version, kernel=kernel, hostname=machine.name),
        ip_version="6.1.0",
        interfaces=tuple(links),
        routes=parse_routes(_routes(machine, names)).items,
        rules=parse_rules(_rules(machine)).items,
        sysctls=sysctls,
        counters={"TcpExtIPReversePathFilter": chance.randrange(3)},
        network_managers=(manager,),
        sockets=Sockets(udp_everywhere=(68, 323) if machine.image == "rhel" else (68,)),
        boot=boot,
        missing={"routes_local": "made by rule"},
    )
    return with_default_tables(made)


def _name(machine: Machine, n: int) -> str:
    vlan = machine.nics[n].vlan
    if vlan is not None:
        return f"vlan{vlan}"
    return f"eth{n}" if machine.image in {"rhel", "sles"} else f"ens{n + 3}"


def _loopback() -> Interface:
    address = InterfaceAddress(prefix="127.0.0.1/8", scope="host")
    return Interface(name="lo", index=1, up=True, carrier=True, flags=("LOOPBACK", "UP"), addresses=(address,))


def _link(machine: Machine, n: int, names: list[str], mac: str) -> Interface:
    nic = machine.nics[n]
    primary = InterfaceAddress(prefix=f"{nic.address}/22", dynamic=True)
    others = tuple(InterfaceAddress(prefix=f"{address}/22", secondary=True) for address in nic.secondary)
    return Interface(
        name=names[n],
        index=n + 2,
        up=True,
        carrier=True,
        mac=mac,
        kind="vlan" if nic.vlan is not None else None,
        parent=names[0] if nic.vlan is not None else None,
        flags=("BROADCAST", "MULTICAST", "UP", "LOWER_UP"),
        mtu=1500,
        addresses=(primary, *others),
    )


def _container_link(machine: Machine, index: int) -> list[Interface]:
    kinds = {"docker": ("docker0", "172.17.0.1/16", "bridge"), "cni": ("cilium_host", "10.244.3.1/32", "veth")}
    if machine.extra not in kinds:
        return []
    name, prefix, kind = kinds[machine.extra]
    mac = "02:42:00:00:00:01"
    addresses = (InterfaceAddress(prefix=prefix),)
    return [Interface(name=name, index=index, up=True, carrier=True, mac=mac, kind=kind, addresses=addresses)]


def _routes(machine: Machine, names: list[str]) -> str:
    lines = []
    for n, (nic, name) in enumerate(zip(machine.nics, names, strict=True)):
        if n == 0 or (machine.image == "rhel" and machine.routing == "main"):
            lines.append(f"default via {nic.gateway} dev {name} proto dhcp src {nic.address} metric {100 + n}")
    for n, (nic, name) in enumerate(zip(machine.nics, names, strict=True)):
        lines.append(f"{nic.cidr} dev {name} proto kernel scope link src {nic.address} metric {100 + n}")
    if machine.extra == "docker":
        lines.append("172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1")
    if machine.extra == "cni":
        lines += [f"10.244.{n}.0/24 via 10.244.3.1 dev cilium_host src 10.244.3.1 mtu 1450" for n in range(3, 9)]
    if machine.routing != "main":
        for n, (nic, name) in enumerate(zip(machine.nics, names, strict=True)):
            if n > 0:
                lines.append(f"default via {nic.gateway} dev {name} table {1000 + n} proto static")
                lines.append(f"{nic.cidr} dev {name} table {1000 + n} proto static scope link")
    return "\n".join(lines) + "\n"


def _rules(machine: Machine) -> str:
    lines = CILIUM if machine.extra == "cni" else ""
    if machine.routing == "policy":
        for n, nic in enumerate(machine.nics):
            if n > 0:
                lines += "".join(f"{1000 + n}: from {address} lookup {1000 + n}\n" for address in _addresses(nic))
    return RULES.format(lines)


def _addresses(nic: Nic) -> tuple[str, ...]:
    return (nic.address, *nic.secondary)
