"""Ordinary servers with two interfaces, their rules in the usual file of the distribution: nothing is unknown there."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.configured import collect_configured, configured_guest
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.boot.ifcfg import uuid_of
from vnicheck.model.guest import Guest, Manager, Owner

pytestmark = pytest.mark.root

Files = dict[str, str | Path | None]
IFCFG = "/etc/sysconfig/network-scripts/ifcfg-"
UUID = "0a0b0c0d-1111-2222-3333-444455556666"
CLOUD_INIT = (
    "# This file is generated from information provided by the datasource.  Changes\n# to it will not persist\n"
)
UBUNTU_CLOUD_INIT = f"""{CLOUD_INIT}network:
    ethernets:
        eth0:
            dhcp4: true
            dhcp6: false
            match:
                macaddress: 02:00:00:00:00:0a
            set-name: eth0
        eth1:
            dhcp4: true
            dhcp4-overrides:
                route-metric: 200
            match:
                macaddress: 02:00:00:00:00:0b
            set-name: eth1
    version: 2
"""
UBUNTU_VNI = """network:
  version: 2
  ethernets:
    eth1:
      routes:
      - to: 10.0.0.0/24
        scope: link
        table: 1003
      - to: default
        via: 10.0.0.1
        table: 1003
      routing-policy:
      - from: 10.0.0.12
        table: 1003
        priority: 1003
"""
GENERATED = """[Match]
PermanentMACAddress=02:00:00:00:00:0b
Name=eth1

[Link]
RequiredForOnline=yes

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6

[Route]
Destination=10.0.0.0/24
Scope=link
Table=1003

[Route]
Destination=0.0.0.0/0
Gateway=10.0.0.1
Table=1003

[RoutingPolicyRule]
From=10.0.0.12
Table=1003
Priority=1003

[DHCP]
RouteMetric=200
UseMTU=true
"""
PACKAGED_NETWORKS: Files = {
    "/usr/lib/systemd/network/80-container-host0.network": "[Match]\nKind=veth\nName=host0\nVirtualization=container\n"
    "\n[Network]\nDHCP=yes\n",
    "/usr/lib/systemd/network/80-container-ve.network": "[Match]\nKind=veth\nName=ve-*\n\n[Network]\nDHCPServer=yes\n",
    "/usr/lib/systemd/network/80-wifi-adhoc.network": "[Match]\nType=wlan\nWLANInterfaceType=ad-hoc\n\n[Network]\n",
    "/usr/lib/systemd/network/80-6rd-tunnel.network": "[Match]\nKind=sit\nName=6rd-*\n\n[Network]\nDHCP=no\n",
    "/usr/lib/systemd/network/99-default.link": "[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel\n",
}
DHCLIENT: Files = {
    "/etc/dhcp/dhclient-exit-hooks.d/rfc3442-classless-routes": """# set classless routes based on the format of RFC3442
RUN="yes"
if [ "$RUN" = "yes" ]; then
	if [ -n "$new_rfc3442_classless_static_routes" ]; then
			while [ $# -gt 0 ]; do
				# set route (ip detects host routes automatically)
				ip -4 route add "${net_address}/${net_length}" \\
					${via_arg} dev "${interface}" >/dev/null 2>&1
			done
	fi
fi
"""
}
"""As isc-dhcp-client brings it, which Ubuntu and Debian install."""
UBUNTU: Files = {
    **PACKAGED_NETWORKS,
    **DHCLIENT,
    "/etc/netplan/50-cloud-init.yaml": UBUNTU_CLOUD_INIT,
    "/etc/netplan/60-vni.yaml": UBUNTU_VNI,
    "/run/systemd/network/10-netplan-eth1.network": GENERATED,
    "/run/systemd/network/10-netplan-eth0.network": GENERATED.replace("0b", "0a").replace("eth1", "eth0")[:120],
    "/etc/systemd/networkd.conf": "[Network]\n#ManageForeignRoutes=yes\n",
    "/run/systemd/generator/multi-user.target.wants/systemd-networkd.service": Path("/x"),
    "/etc/network/if-up.d/resolved": "#!/bin/sh\nif [ -x /usr/bin/resolvectl ]; then\n exit 0\nfi\n",
}
DEBIAN_VNI = """auto eth1
iface eth1 inet dhcp
    post-up ip route add 10.0.0.0/24 dev eth1 table 1003
    post-up ip route add default via 10.0.0.1 dev $IFACE table 1003 || true
    post-up ip rule add from 10.0.0.12/32 table 1003 priority 1003 || true
    pre-down ip rule del from 10.0.0.12/32 table 1003 || true
"""
DEBIAN: Files = {
    **PACKAGED_NETWORKS,
    **DHCLIENT,
    "/etc/network/interfaces": "# This file describes the network interfaces available on your system\n"
    "source /etc/network/interfaces.d/*\n",
    "/etc/network/interfaces.d/50-cloud-init": f"{CLOUD_INIT}auto lo\niface lo inet loopback\n\n"
    "auto eth0\niface eth0 inet dhcp\n",
    "/etc/network/interfaces.d/60-vni": DEBIAN_VNI,
    "/etc/default/networking": "# Configuration for networking\n#CONFIGURE_INTERFACES=yes\n",
    "/run/network/ifstate": "lo=lo\neth0=eth0\neth1=eth1\n",
    "/etc/systemd/system/multi-user.target.wants/networking.service": Path("/x"),
    "/etc/network/if-up.d/mtuipv6": '#!/bin/sh\nset -e\n[ -n "$IF_MTU6" ] || exit 0\n',
}
CLOUD_DEBIAN: Files = DEBIAN | {
    "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n"
    "# Cloud images dynamically generate config fragments for newly attached interfaces.\n"
    "source-directory /run/network/interfaces.d\n",
    "/run/network/interfaces.d/eth1": "auto eth1\nallow-hotplug eth1\n\niface eth1 inet dhcp\n",
}
IFCFG_0 = """# Created by cloud-init on instance boot automatically, do not edit.
#
BOOTPROTO=dhcp
DEVICE=eth0
HWADDR=02:00:00:00:00:0a
ONBOOT=yes
STARTMODE=auto
TYPE=Ethernet
USERCTL=no
"""
IFCFG_1 = IFCFG_0.replace("eth0", "eth1").replace("0a", "0b")
NM_CONF: Files = {
    "/etc/NetworkManager/NetworkManager.conf": "[main]\n#plugins=keyfile,ifcfg-rh\n\n[logging]\n#level=DEBUG\n",
    "/usr/lib/NetworkManager/conf.d/10-slaves-order.conf": "[main]\nslaves-order=name\n",
    "/etc/NetworkManager/conf.d/99-cloud-init.conf": "[main]\ndns = none\n",
    "/etc/NetworkManager/dispatcher.d/hook-network-manager": '#!/bin/sh\ncase "$2" in\nup) exec x;;\nesac\n',
    "/etc/systemd/system/multi-user.target.wants/NetworkManager.service": Path("/x"),
    "/etc/sysconfig/network": "NETWORKING=yes\nNOZEROCONF=yes\n",
}
ROCKY_8: Files = {
    **NM_CONF,
    f"{IFCFG}eth0": IFCFG_0,
    f"{IFCFG}eth1": IFCFG_1 + f'UUID={UUID}\nROUTING_RULE_1="priority 1003 from 10.0.0.12 table 1003"\n',
    "/etc/sysconfig/network-scripts/route-eth1": "10.0.0.0/24 dev eth1 table 1003\n"
    "default via 10.0.0.1 dev eth1 table 1003\n",
}
KEYFILE_0 = """# Generated by cloud-init. Changes will be lost.

[connection]
id=cloud-init eth0
uuid=1dd9a779-d327-56e1-8454-c65e2556c12c
autoconnect-priority=120
type=ethernet
interface-name=eth0

[user]
org.freedesktop.NetworkManager.origin=cloud-init

[ethernet]
mac-address=02:00:00:00:00:0a

[ipv4]
method=auto
may-fail=false
"""
KEYFILE_1 = f"""[connection]
id=eth1
uuid={UUID}
type=ethernet
interface-name=eth1

[ethernet]

[ipv4]
method=auto
route1=10.0.0.0/24
route1_options=table=1003
route2=0.0.0.0/0,10.0.0.1
route2_options=table=1003
routing-rule1=priority 1003 from 10.0.0.12 table 1003

[ipv6]
addr-gen-mode=default
method=auto

[proxy]
"""
LO = "[connection]\nid=lo\ntype=loopback\ninterface-name=lo\n[ipv4]\nmethod=manual\n"
ROCKY_9: Files = {
    **NM_CONF,
    "/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection": KEYFILE_0,
    "/etc/NetworkManager/system-connections/eth1.nmconnection": KEYFILE_1,
    "/run/NetworkManager/system-connections/lo.nmconnection": LO,
    "/etc/sysconfig/network-scripts/readme-ifcfg-rh.txt": "NetworkManager stores new network profiles in keyfiles.\n",
}
WIRED = KEYFILE_1.replace("id=eth1", "id=Wired connection 1\nautoconnect-priority=-999")
ROCKY_9_BY_NMCLI: Files = {
    **{path: text for path, text in ROCKY_9.items() if "eth1" not in path},
    "/etc/NetworkManager/system-connections/Wired connection 1.nmconnection": WIRED,
}
NETPLAN_1 = Owner(manager=Manager.NETPLAN, handle="eth1")
NM_1 = Owner(manager=Manager.NETWORK_MANAGER, handle=UUID)
SERVERS: dict[str, tuple[Files, str, Owner]] = {
    "Ubuntu, a file of its own": (UBUNTU, "systemd-networkd", NETPLAN_1),
    "Ubuntu, in cloud-init's file": (
        {path: text for path, text in UBUNTU.items() if "60-vni" not in path}
        | {
            "/etc/netplan/50-cloud-init.yaml": UBUNTU_CLOUD_INIT.replace(
                "            set-name: eth1\n",
                "            set-name: eth1\n            nameservers:\n                addresses: [161.26.0.7]\n"
                + "".join(f"      {line}\n" for line in UBUNTU_VNI.splitlines()[4:]),
            )
        },
        "systemd-networkd",
        NETPLAN_1,
    ),
    "Debian with ifupdown": (DEBIAN, "", Owner(manager=Manager.IFUPDOWN, handle="eth1")),
    "Debian's image for clouds": (CLOUD_DEBIAN, "", Owner(manager=Manager.IFUPDOWN, handle="eth1")),
    "Rocky 8 with ifcfg": (ROCKY_8, "NetworkManager", NM_1),
    "Rocky 9 with keyfiles": (ROCKY_9, "NetworkManager", NM_1),
    "Rocky 9, what NetworkManager made changed by nmcli": (ROCKY_9_BY_NMCLI, "NetworkManager", NM_1),
}


def collected(folder: Path, files: Files, runs: str, **more: Any) -> Guest:
    """The server with such a program running, and what that notes of eth1."""
    first = "index=$(ip -o link show eth1 | cut -d: -f1)\nmkdir -p /run/cloud-init\n"
    if runs:
        first += f"mkdir -p /run/bin; cp $(command -v sleep) /run/bin/{runs}\n"
        first += f"/run/bin/{runs} 100 >/dev/null 2>&1 </dev/null 3<&- &\n"
    if runs == "systemd-networkd":
        first += "mkdir -p /run/systemd/netif/links; touch /run/systemd/netif/state\n"
        note = "ADMIN_STATE=configured\\nNETWORK_FILE=/run/systemd/network/10-netplan-eth1.network\\n"
        first += f"printf '{note}' >/run/systemd/netif/links/$index\n"
    if runs == "NetworkManager":
        first += "mkdir -p /run/NetworkManager/devices\n"
        first += f"printf 'managed=true\\nconnection-uuid={UUID}\\n' >/run/NetworkManager/devices/$index\n"
    told = collect_configured(folder, files, first=first, **more)
    return read_guest(told.replace(b'"info_kind":"veth"', b""), via="file")  # as of a plain device


@pytest.mark.parametrize("name", SERVERS)
def test_an_ordinary_server_keeps_its_rules(tmp_path: Path, name: str) -> None:
    files, runs, owner = SERVERS[name]
    inside = collected(tmp_path, files, runs)
    assert inside.owners is not None
    assert inside.owners["eth1"] == owner
    boot = inside.boot
    assert boot is not None
    assert boot.unknown == {}
    assert [(rule.src, rule.table, rule.priority) for rule in boot.rules] == [("10.0.0.12/32", 1003, 1003)]
    assert {(route.prefix, route.table) for route in boot.routes} == {("10.0.0.0/24", 1003), ("0.0.0.0/0", 1003)}
    assert boot.not_again == {}


def test_an_ifcfg_file_and_a_keyfile_for_one_interface(tmp_path: Path) -> None:
    """NetworkManager takes the one that was used last: which that is no file tells."""
    key = "/etc/NetworkManager/system-connections/eth1.nmconnection"
    rules = IFCFG_1 + 'ROUTING_RULE_1="priority 1003 from 10.0.0.12 table 1003"\n'
    files: Files = {**NM_CONF, f"{IFCFG}eth1": rules, key: "[connection]\ntype=ethernet\ninterface-name=eth1\n"}
    both = collected(tmp_path / "both", files, "NetworkManager").boot
    assert both is not None
    assert "may be for eth1 too" in both.unknown["routing"]
    files[f"{IFCFG}eth1"] = f"{rules}AUTOCONNECT_PRIORITY=5\n"
    first = collected(tmp_path / "first", files, "NetworkManager").boot
    assert first is not None
    assert (first.unknown, len(first.rules)) == ({}, 1)


def test_the_uuid_of_an_ifcfg_file_without_one() -> None:
    """That of `System eth0`, on every machine of Red Hat's."""
    assert uuid_of("/etc/sysconfig/network-scripts/ifcfg-eth0") == "5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03"


def test_a_hook_of_dhclients_that_somebody_changed_is_not_taken_for_the_packages(tmp_path: Path) -> None:
    (path, text), *_ = DHCLIENT.items()
    changed = str(text).replace('dev "${interface}"', 'dev "${interface}" table 7').replace("\\\n", " ")
    boot = configured_guest(tmp_path, {path: changed}).boot
    assert boot is not None
    assert "holds more than is understood" in boot.unknown["routing"]


def test_what_only_a_file_in_run_brings_up(tmp_path: Path) -> None:
    """Debian's helper makes it anew as the interface appears; no file says so."""
    files = CLOUD_DEBIAN | {"/etc/network/interfaces.d/60-vni": DEBIAN_VNI.replace("auto eth1\n", "")}
    boot = collected(tmp_path, files, "").boot
    assert boot is not None
    assert "a file in /run, which is gone at the next boot" in boot.unknown["routing"]
    assert boot.not_again["eth1"].how == "unknown"


def test_rules_in_a_file_in_run(tmp_path: Path) -> None:
    files = CLOUD_DEBIAN | {"/run/network/interfaces.d/eth1": DEBIAN_VNI}
    del files["/etc/network/interfaces.d/60-vni"]
    boot = collected(tmp_path, files, "").boot
    assert boot is not None
    assert "in /run" in boot.unknown["routing"]
