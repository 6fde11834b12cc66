"""Policy rules and routes that files configure, per network manager, as real shells collect them; and no secrets."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.configured import collect_configured, configured_guest
from tests.support.sshd import require
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import BootRouting, boot_routing
from vnicheck.guest.parsers.names import Names
from vnicheck.model.guest import BootConfig, Interface

SECRET = "hunter2-K9x"
NETPLAN = f"""# {SECRET}
network:
  version: 2
  renderer: networkd
  ethernets:
    eth1:
      match:
        name: "eth?"
      set-name: eth1
      addresses:
        - 10.0.0.12/24
      auth:
        key-management: eap
        password: "{SECRET}"
        identity: {SECRET}
        private-key: |
          {SECRET}
          from {SECRET}
        client-key-password:
          "{SECRET}"
      routes:
        - to: default
          via: 10.0.0.1
          table: 1003
        - to: 10.9.0.0/16
          via: 10.0.0.1
      routing-policy:
        - from: 10.0.0.12
          table: 1003
          priority: 1003
"""
KEYFILE = f"""[connection]
id=eth1
type=ethernet
interface-name=eth1
autoconnect-priority=5
[802-1x]
password={SECRET}
[wifi-security]
psk={SECRET}
[vpn-secrets]
route-secret={SECRET}
[ipv4]
method=manual
address1=10.0.0.12/24,10.0.0.1
route1=0.0.0.0/0,10.0.0.1
route1_options=table=1003
route2=10.9.0.0/16,10.0.0.1
routing-rule1=priority 1003 from 10.0.0.12 table 1003
[ipv6]
routing-rule1=priority 5 from fd00::1 table 7
"""
NETWORKD = f"""[Match]
Name=eth1
[Network]
Description={SECRET}
[Route]
Gateway=10.0.0.1
Table=1003
[RoutingPolicyRule]
From=10.0.0.12
Table=1003
Priority=1003
[DHCPv4]
RouteTable=1004
"""
INTERFACES = f"""auto eth1
iface eth1 inet static
  address 10.0.0.12/24
  wpa-psk {SECRET}
  up ip route add default via 10.0.0.1 dev eth1 table 1003
  post-up /sbin/ip -4 rule add from 10.0.0.12 lookup 1003 pref 1003 || true
  down echo {SECRET}
"""
SCRIPT = f"""#!/bin/sh
TOKEN={SECRET}
# ip rule add from 9.9.9.9 table 9
ip route add default via 10.0.0.1 dev eth1 table 1003
  /usr/sbin/ip rule add from 10.0.0.12 table 1003 priority 1003
"""
UNIT = """[Service]
ExecStart=/usr/sbin/ip rule add from 10.0.0.12 table vni priority 1003
ExecStart=-ip route replace default via 10.0.0.1 dev eth1 table vni
"""
WANTED: dict[str, str | Path | None] = {
    "/etc/systemd/system/multi-user.target.wants/vni.service": Path("/etc/systemd/system/vni.service")
}
"""That is what `systemctl enable vni` makes."""
IFCFG = {"/etc/sysconfig/network-scripts/ifcfg-eth1": "DEVICE=eth1\nONBOOT=yes\n"}
PLACES: dict[str, dict[str, str | Path | None]] = {
    "netplan": {"/etc/netplan/50-vni.yaml": NETPLAN},
    "NetworkManager": {"/etc/NetworkManager/system-connections/Wired connection 1.nmconnection": KEYFILE},
    "ifcfg": {
        "/etc/sysconfig/network-scripts/ifcfg-eth1": f"DEVICE=eth1\nKEY={SECRET}\n",
        "/etc/sysconfig/network-scripts/rule-eth1": "# comment\nfrom 10.0.0.12 table 1003 prio 1003\n",
        "/etc/sysconfig/network-scripts/route-eth1": "default via 10.0.0.1 dev eth1 table 1003\n"
        "10.9.0.0/16 via 10.0.0.1\n",
    },
    "ifcfg of NetworkManager": {
        "/etc/sysconfig/network-scripts/ifcfg-eth1": 'ROUTING_RULE_1="priority 1003 from 10.0.0.12 table 1003"\n'
        "IPV4_ROUTE_TABLE=1003\n"
    },
    "systemd-networkd": {"/etc/systemd/network/20-eth1.network": NETWORKD},
    "systemd-networkd by drop-in": {
        "/usr/lib/systemd/network/20-eth1.network": "[Match]\nName=eth1\n",
        "/etc/systemd/network/20-eth1.network.d/a.conf": NETWORKD,
    },
    "systemd-networkd with indented lines": {"/etc/systemd/network/20-eth1.network": re.sub(r"(?m)^", "  ", NETWORKD)},
    "NetworkManager with indented lines": {
        "/etc/NetworkManager/system-connections/a.nmconnection": re.sub(r"(?m)^", "  ", KEYFILE)
    },
    "ifupdown": {
        "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
        "/etc/network/interfaces.d/eth1": INTERFACES,
    },
    "ifupdown by its folder": {
        "/etc/network/interfaces": "source-directory interfaces.d\n",
        "/etc/network/interfaces.d/eth1": INTERFACES,
    },
    "wicked": {
        "/etc/sysconfig/network/ifroute-eth1": "default 10.0.0.1 - eth1 table 1003\n",
        "/etc/sysconfig/network/ifrule-eth1": "ipv4 from 10.0.0.12 table 1003 priority 1003\n",
        "/etc/sysconfig/network/ifcfg-eth1": f"STARTMODE=auto\nWIRELESS_KEY_0={SECRET}\nPOST_UP_SCRIPT=\n",
    },
    "rc.local": {"/etc/rc.local": SCRIPT},
    "dispatcher": {"/etc/NetworkManager/dispatcher.d/50-vni": SCRIPT},
    "netplan in flow style": {
        "/etc/netplan/a.yaml": "network: {version: 2, ethernets: {eth1: {addresses: [10.0.0.12/24], "
        "routes: [{to: default, via: 10.0.0.1, table: 1003}], "
        "routing-policy: [{from: 10.0.0.12, table: 1003, priority: 1003}]}}}\n"
    },
    "netplan with entries in flow style": {
        "/etc/netplan/a.yaml": "network:\n  ethernets:\n    eth1:\n      addresses: [10.0.0.12/24]\n"
        "      dhcp4-overrides: {use-routes: false, route-metric: 200}\n      routes:\n"
        '        - {to: "0.0.0.0/0", via: "10.0.0.1", table: 1003}\n      routing-policy: [\n'
        "        {from: 10.0.0.12, table: 1003, priority: 1003},\n      ]\n"
    },
    "netplan with overrides": {
        "/etc/netplan/a.yaml": NETPLAN.replace(
            "      routes:\n", "      dhcp4-overrides:\n        use-routes: false\n        use-dns: no\n      routes:\n"
        )
    },
    "netplan with anchors": {
        "/etc/netplan/a.yaml": NETPLAN.replace("routing-policy:", "routing-policy: &rules")
        .replace("eth1:", "eth1: &second")
        .replace("routes:\n        - to: default", "routes:\n        - &way\n          to: default"),
    },
    "a rule file with tabs": {
        **IFCFG,
        "/etc/sysconfig/network-scripts/rule-eth1": "from\t10.0.0.12\ttable 1003\tprio 1003\n",
        "/etc/sysconfig/network-scripts/route-eth1": "default\tvia 10.0.0.1\tdev eth1\ttable\t1003\n",
    },
    "networkd with a table's name": {
        "/etc/systemd/networkd.conf": "[Network]\nRouteTable=mgmt:7 vni:1003\n",
        "/etc/systemd/network/20-eth1.network": NETWORKD.replace("1003", "vni").replace(
            "Priority=vni", "Priority=1003"
        ),
    },
    "ifupdown with a variable": {
        "/etc/network/interfaces": "source /etc/network/interfaces.d/*\nauto eth1\niface eth1 inet dhcp\n"
        "\tup\tip\troute add default via 10.0.0.1 dev $IFACE table 1003\n"
        "  post-up ip rule add from 10.0.0.12 lookup vni pref 1003 && "
        'ip route add 10.0.0.0/24 dev "${IFACE}" table vni\n',
        "/etc/iproute2/rt_tables.d/vni.conf": "1003\tvni\n",
    },
    "several commands": {
        "/etc/rc.local": "#!/bin/sh\nip rule add from 10.0.0.12 table 1003 priority 1003; "
        "/sbin/ip route add default via 10.0.0.1 dev eth1 table 1003\n"
    },
    "a script that a unit starts": {
        **WANTED,
        "/etc/systemd/system/vni.service": "[Service]\nExecStart=/bin/sh /etc/vni/routes up\n",
        "/etc/vni/routes": SCRIPT,
    },
    "a script that cron starts": {"/etc/cron.d/vni": "@reboot root /etc/vni/routes\n", "/etc/vni/routes": SCRIPT},
    "unit": {
        **WANTED,
        "/etc/systemd/system/vni.service": UNIT,
        "/etc/iproute2/rt_tables": "1003 vni\n",
    },
}


def boot_of(data: bytes) -> BootConfig:
    found = read_guest(data, via="file").boot
    assert found is not None
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shell", ["dash -s", "busybox ash -s"])
def test_each_manager(tmp_path: Path, place: str, shell: str) -> None:
    require(shell.split()[0])
    data = collect_configured(tmp_path, PLACES[place], shell=shell)
    assert SECRET.encode() not in data
    boot = boot_of(data)
    assert "routing" not in boot.unknown, boot.unknown
    (rule,) = boot.rules
    assert (rule.src, rule.dst, rule.table, rule.priority) == ("10.0.0.12/32", None, 1003, 1003)
    assert rule.source.partition(":")[0] in PLACES[place]
    routes = {(route.table, route.prefix) for route in boot.routes}
    assert routes & {(1003, "0.0.0.0/0"), (1003, None)}
    assert all(table != 254 for table, _ in routes)


def test_all_at_once_and_no_secret(tmp_path: Path) -> None:
    files = {path: text for place in PLACES.values() for path, text in place.items()}
    data = collect_configured(tmp_path, files)
    assert SECRET.encode() not in data
    assert len(boot_of(data).rules) > 6


def test_unreadable_is_not_absent(tmp_path: Path) -> None:
    guest = configured_guest(tmp_path, PLACES["NetworkManager"], unreadable=("/etc/NetworkManager/system-connections",))
    assert guest.boot is not None
    assert guest.boot.unknown["routing"] == "/etc/NetworkManager/system-connections could not be read"
    assert guest.boot.rules == ()
    assert guest.missing == {}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/rc.local", "#!/bin/sh\nip rule add from $ADDRESS table 1003\n"),
        (
            "/etc/rc.local",
            "#!/bin/sh\nip rule add from 10.0.0.12 table 1003; curl x | sh; ip rule add from 1.1.1.1 table 4\n",
        ),
        ("/etc/network/interfaces", "auto eth1\niface eth1 inet dhcp\n  up ip rule add from $IF_ADDRESS table 1003\n"),
        ("/etc/network/interfaces", "source /srv/network/*\n"),
        ("/etc/rc.local", "#!/bin/sh\nfor a in x y; do ip rule add from $a table 1; done\n"),
        ("/etc/network/interfaces", "auto eth1\niface eth1 inet dhcp\n  up /usr/local/bin/routing\n"),
        ("/etc/netplan/a.yaml", "network: {ethernets: {eth1: {routing-policy: [{from: 10.0.0.12, mark: 7}]}}}\n"),
        ("/etc/netplan/a.yaml", NETPLAN + "    eth2:\n      <<: *second\n"),
        ("/etc/netplan/a.yaml", "network:\n  ethernets:\n   eth1:\n  bad\n      routes:\n - to: 1.1.1.1\n  x:\n"),
        ("/etc/netplan/a.yaml", NETPLAN.replace("table: 1003", "table: '1003'  # of the VNI")),
        ("/etc/netplan/a.yaml", NETPLAN.replace("eth1:", "eth1: !second")),
        ("/etc/netplan/a.yaml", NETPLAN.replace("eth1:", "'eth1':  # the second VNI")),
        ("/etc/netplan/a.yaml", NETPLAN + "  # padding\n" * 2000 + "    eth2: {}\n"),
        (
            "/etc/netplan/a.yaml",
            f"network: {{ethernets: {{eth1: {{addresses: [{'10.0.0.12/24, ' * 40}], routes: []}}}}}}\n",
        ),
        ("/etc/sysconfig/network-scripts/rule-eth1", "fwmark 7 table 1003\n"),
        ("/etc/sysconfig/network-scripts/rule-eth1", "from 10.0.0.12 table nameless\n"),
        ("/etc/sysconfig/network/ifcfg-eth1", "STARTMODE=auto\nPOST_UP_SCRIPT=compat:suse:vni\n"),
        ("/etc/systemd/network/a.network", "[Match]\nName=eth1\n[RoutingPolicyRule]\nFirewallMark=7\nTable=1003\n"),
        (
            "/etc/systemd/network/a.network",
            "[Match]\nName=eth1\n[RoutingPolicyRule]\nInvertRule=yes\nFrom=10.0.0.1\nTable=1003\n",
        ),
        ("/etc/systemd/network/a.network", "[Match]\nName=eth1\n[RoutingPolicyRule]\nFrom=10.0.0.1\nTable=nameless\n"),
    ],
)
def test_what_is_not_understood_is_told(tmp_path: Path, path: str, text: str) -> None:
    assert "routing" in boot_of(collect_configured(tmp_path, {**IFCFG, path: text})).unknown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/rc.local", "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter\n"),
        ("/etc/systemd/system/a.service", "[Service]\nExecStart=/sbin/sysctl -w net.ipv4.conf.all.rp_filter=0\n"),
        ("/etc/systemd/network/a.network", "[Network]\nIPv4ReversePathFilter=no\n"),
        ("/etc/network/interfaces", "iface eth1 inet dhcp\n  up sysctl -w net.ipv4.conf.eth1.rp_filter=0\n"),
    ],
)
def test_other_places_that_set_rp_filter(tmp_path: Path, path: str, text: str) -> None:
    boot = boot_of(collect_configured(tmp_path, {path: text}))
    assert boot.unknown["sysctls"].startswith(f"{path}:2" if "[" in text or "iface" in text else path)


def test_comments_in_netplans_files_hide_nothing(tmp_path: Path) -> None:
    commented = re.sub(r"(?m)^([^'\"\n]+)$", r"\1  # a comment", NETPLAN)
    assert "eth1:  # a comment" in commented
    plain = boot_of(collect_configured(tmp_path / "plain", {"/etc/netplan/a.yaml": NETPLAN}))
    boot = boot_of(collect_configured(tmp_path / "commented", {"/etc/netplan/a.yaml": commented}))
    assert "routing" not in boot.unknown
    assert (boot.rules, boot.routes) == (plain.rules, plain.routes)
    assert boot.rules


def routing(text: str, *managers: str) -> BootRouting:
    eth1 = Interface(name="eth1", index=2, up=True, carrier=True)
    return boot_routing(read_boot_files(f"@applied\n{text}"), Names(), Machine(interfaces=(eth1,), managers=managers))


def test_a_manager_that_does_not_run_sets_nothing() -> None:
    path = "/etc/sysconfig/network-scripts/rule-eth1"
    section = f"@read {path.replace('rule', 'ifcfg')}\n@read {path}\n{path}:1:from 1.1.1.1 table 7"
    unread = "@unreadable /etc/NetworkManager/system-connections"
    assert len(routing(section).rules) == 1
    assert len(routing(section, "network").rules) == 1
    assert routing(section, "systemd-networkd").rules == ()
    assert routing(unread, "networking").doubt is None
    assert routing(unread, "NetworkManager").doubt is not None
    assert routing(unread, "dhclient").doubt is not None


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/systemd/network/20-eth1.network": None, "/usr/lib/systemd/network/20-eth1.network": NETWORKD},
        {"/etc/systemd/network/20-eth1.network": "", "/etc/systemd/network/20-eth1.network.d/a.conf": NETWORKD},
        {
            "/etc/systemd/network/20-eth1.network": "[Match]\nName=eth1\n",
            "/etc/systemd/network/20-eth1.network.d/a.conf": None,
            "/usr/lib/systemd/network/20-eth1.network.d/a.conf": NETWORKD,
        },
        {"/etc/network/interfaces": "auto lo\n", "/etc/network/interfaces.d/eth1": INTERFACES},
        {"/etc/network/interfaces": "source interfaces.d/eth0\n", "/etc/network/interfaces.d/eth1": INTERFACES},
        {"/etc/network/interfaces": "source-directory interfaces.d\n", "/etc/network/interfaces.d/a.cfg": INTERFACES},
    ],
)
def test_what_a_manager_leaves_aside_sets_nothing(tmp_path: Path, files: dict[str, str | None]) -> None:
    boot = boot_of(collect_configured(tmp_path, files))
    assert (boot.rules, boot.routes, boot.unknown) == ((), (), {})


@pytest.mark.parametrize(
    "path",
    [
        "/run/systemd/network/20-eth1.network",
        "/run/NetworkManager/system-connections/eth1.nmconnection",
        "/run/netplan/eth1.yaml",
        "/etc/systemd/network/20-eth1.network.d/a.conf",
    ],
)
def test_what_may_not_be_there_at_boot_is_told(tmp_path: Path, path: str) -> None:
    text = NETPLAN if path.endswith("yaml") else KEYFILE if path.endswith("nmconnection") else NETWORKD
    assert path in boot_of(collect_configured(tmp_path, {path: text})).unknown["routing"]


def test_what_netplan_made_counts_as_netplans_own_files(tmp_path: Path) -> None:
    made = NETWORKD.partition("[DHCPv4]")[0]
    files = {"/etc/netplan/a.yaml": NETPLAN, "/run/systemd/network/10-netplan-eth1.network": made}
    boot = boot_of(collect_configured(tmp_path, files))
    assert boot.unknown == {}
    assert [rule.source for rule in boot.rules] == ["/etc/netplan/a.yaml"]


def test_links_to_nothing_are_no_files(tmp_path: Path) -> None:
    files: dict[str, str | Path | None] = {
        "/etc/systemd/system/gone.service": Path("/usr/lib/systemd/system/no-such.service"),
        "/etc/systemd/system/masked.service": None,
    }
    assert boot_of(collect_configured(tmp_path, files)).unknown == {}
    strange: dict[str, str | Path | None] = {"/etc/sysctl.d/50-gone.conf": Path("/no-such")}
    assert "50-gone.conf" in boot_of(collect_configured(tmp_path, strange)).unknown["sysctls"]


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/run/systemd/network/10-netplan-eth0.network", True),
        ("/etc/systemd/network/eth0.network", False),
        ("/etc/rc.local", False),
        ("/etc/netplan/50-cloud-init.yaml", True),
        ("/etc/NetworkManager/dispatcher.d/10-vni", False),
    ],
)
def test_which_unreadable_files_may_set_rp_filter(path: str, known: bool) -> None:
    assert (routing(f"@unreadable {path}").rp_filter is None) is known
    assert routing(f"@unreadable {path}").doubt == f"{path} could not be read"


def test_nothing_is_configured(tmp_path: Path) -> None:
    boot = boot_of(collect_configured(tmp_path, {}))
    assert (boot.rules, boot.routes, boot.unknown) == ((), (), {})


FILE = "/etc/systemd/network/a.network"
SECTION = f"@read {FILE}\n" + "\n".join(
    f"{FILE}:{number}:{line}"
    for number, line in enumerate(["[Match]", "Name=eth1", "[RoutingPolicyRule]", "From=10.0.0.12", "Table=1003"], 1)
)
LINK = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"


@pytest.mark.parametrize(
    ("marks", "running", "rules", "doubt"),
    [
        (f"@applied\n@wanted {LINK}", "systemd-networkd", 1, None),
        ("@applied", "systemd-networkd", 1, "systemd-networkd runs now, but nothing that was read starts it at boot"),
        ("@applied\n@masked /etc/systemd/system/systemd-networkd.service", "systemd-networkd", 0, None),
        ("@applied", "networking", 0, None),
        (f"@applied\n@wanted {LINK}", "networking", 1, "systemd-networkd does not run now, but boot may start it"),
        ("", "systemd-networkd", 1, "an older script collected it"),
    ],
)
def test_a_manager_that_boot_does_not_start(marks: str, running: str, rules: int, doubt: str | None) -> None:
    """The last one: a collection of a script that did not take for which interfaces files are."""
    eth1 = Interface(name="eth1", index=2, up=True, carrier=True)
    server = Machine(interfaces=(eth1,), managers=(running,), systemd=True)
    found = boot_routing(read_boot_files(f"{marks}\n{SECTION}"), Names(), server)
    assert len(found.rules) == rules
    assert (found.doubt is None) == (doubt is None)
    assert doubt is None or doubt in str(found.doubt)


@pytest.mark.parametrize(
    ("link", "condition", "rules", "known"),
    [
        ({"bus": "virtio"}, "Driver=virtio_net", 1, True),
        ({"bus": "virtio"}, "Driver=mlx5_core", 0, True),
        ({"bus": "pci"}, "Driver=virtio_net", 1, False),
        ({"bus": "virtio", "link_type": "ether"}, "Type=wlan", 0, True),
        ({"link_type": "ether"}, "Type=wlan", 1, False),
        ({}, "PermanentMACAddress=02:00:00:00:00:0b", 1, True),
        ({"permanent_mac": "02:00:00:00:00:ff"}, "PermanentMACAddress=02:00:00:00:00:0b", 0, True),
        ({"permanent_mac": "02:00:00:00:00:ff"}, "PermanentMACAddress=02:00:00:00:00:ff", 1, True),
        ({"permanent_mac": "02:00:00:00:00:ff"}, "MACAddress=02:00:00:00:00:0b", 1, False),
        ({"kind": "dummy"}, "Kind=dummy", 1, False),
        ({"kind": "vlan"}, "Kind=!vlan", 0, True),
    ],
)
def test_what_is_known_of_an_interface(link: dict[str, Any], condition: str, rules: int, known: bool) -> None:
    """A virtual one that no file makes may not be there; an address that was changed lasts until the boot."""
    eth1 = Interface(
        name="eth1",
        index=2,
        up=True,
        carrier=True,
        mac="02:00:00:00:00:0b",
        kind_shown=True,
        **link,
    )
    text = SECTION.replace("Name=eth1", condition)
    found = boot_routing(read_boot_files(f"@applied\n{text}"), Names(), Machine(interfaces=(eth1,)))
    assert (len(found.rules), found.doubt is None) == (rules, known)
