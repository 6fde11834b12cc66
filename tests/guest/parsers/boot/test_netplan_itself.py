"""netplan's files, read by us and by netplan itself: what its generator writes for networkd sets the same."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.managers import GENERATE, require_manager
from tests.support.carried_out import Told, told_of
from tests.support.configured import collect_configured
from vnicheck.guest.assemble import read_guest
from vnicheck.model.guest import BootRoute, BootRule

HEAD = "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n"
FILES = {
    "block style": """    eth1:
      addresses: [10.0.0.12/24]
      routes:
        - to: default
          via: 10.0.0.1
          table: 1003
        - {to: 10.9.0.0/16, via: 10.0.0.1, table: 1003}
      routing-policy:
        - from: 10.0.0.12
          table: 1003
          priority: 7
        - {from: 10.0.0.13/32, to: 10.8.0.0/16, table: 1003}
""",
    "flow style over lines": """    eth1:
      addresses: [10.0.0.12/24]
      routes: [
        {to: 0.0.0.0/0, via: 10.0.0.1, table: 1003, metric: 5},
        {to: 10.9.0.0/16, via: 10.0.0.1},
      ]
      routing-policy: [{from: 10.0.0.12, table: 1003}]
""",
    "overrides": """    eth0: {dhcp4: true, dhcp4-overrides: {use-routes: false, route-metric: 200}}
    eth1:
      dhcp4: true
      dhcp4-overrides:
        use-routes: true
        use-dns: false
      routing-policy:
        - from: 10.0.0.12
          table: 1003
""",
    "anchors": """    eth1:
      addresses: [10.0.0.12/24]
      routes: &ways
        - to: default
          via: 10.0.0.1
          table: 1003
      routing-policy:
        - from: 10.0.0.12
          table: 1003
    eth2:
      addresses: [10.0.0.13/24]
      routes: *ways
""",
    "a VRF's table": """    eth1: {addresses: [10.0.0.12/24]}
  vrfs:
    vrf1:
      table: 1003
      interfaces: [eth1]
      routes:
        - to: default
          via: 10.0.0.1
      routing-policy:
        - from: 10.0.0.12
""",
    "quoted": """    "eth1":
      addresses: ["10.0.0.12/24"]
      "routes":
        - "to": "default"
          via: '10.0.0.1'
          table: 1003
      routing-policy:
        - to: '10.7.0.0/16'
          table: 1003  # of the second VNI
          priority: 1003
""",
}


@pytest.mark.root
@pytest.mark.parametrize("name", FILES)
def test_netplan_sets_what_we_read(tmp_path: Path, name: str) -> None:
    require_manager(GENERATE)
    made = {path.replace("/run/", "/etc/", 1): text for path, text in _generated(tmp_path, HEAD + FILES[name]).items()}
    assert made
    ours = _set(collect_configured(tmp_path / "ours", {"/etc/netplan/50-vni.yaml": HEAD + FILES[name]}))
    theirs = _set(collect_configured(tmp_path / "theirs", dict(made)))
    assert ours == theirs
    assert ours[0], "every one of the files sets a rule"


RULE = "routing-policy: [{from: 10.0.0.12, table: 1003}]"
ROUTE = "addresses: [10.0.0.12/24], routes: [{to: 10.9.0.0/16, via: 10.0.0.1, table: 1003}]"
APPLIED: dict[str, tuple[str, Told]] = {
    "a match by name": (f"    vni: {{match: {{name: 'eth[12]'}}, {RULE}}}\n", "set"),
    "in block style": (f"    vni:\n      match:\n        name: eth1*\n      {RULE}\n", "set"),
    "a match of another": (f"    vni: {{match: {{name: 'ens*'}}, {RULE}}}\n", "not set"),
    "a name that it gives": (f"    vni:\n      match: {{name: 'ens*'}}\n      set-name: eth1\n      {RULE}\n", "set"),
    "another MAC address": (f"    vni: {{match: {{macaddress: '02:00:00:00:00:ff'}}, {RULE}}}\n", "not set"),
    "a driver": (f"    vni:\n      match:\n        driver: [veth, 'ix*']\n      {RULE}\n", "set"),
    "another driver": (f"    vni:\n      match:\n        driver: virtio_net\n      {RULE}\n", "not set"),
    "no interface of that name": (f"    eth9: {{{RULE}}}\n", "not set"),
    "started by hand": (f"    eth1: {{activation-mode: manual, {RULE}}}\n", "not set"),
    "off": (f"    eth1:\n      activation-mode: off\n      {RULE}\n", "not set"),
    "optional": (f"    eth1: {{optional: true, {RULE}}}\n", "set"),
    "a VLAN that it makes": (f"    eth1: {{}}\n  vlans:\n    v5: {{id: 5, link: eth1, {RULE}}}\n", "set"),
    "of NetworkManager": (f"    eth1: {{renderer: NetworkManager, {ROUTE}}}\n", "set"),
    "of NetworkManager, another": (f"    eth9: {{renderer: NetworkManager, {ROUTE}}}\n", "not set"),
    "of NetworkManager, by hand": (
        f"    eth1: {{renderer: NetworkManager, activation-mode: manual, {ROUTE}}}\n",
        "not set",
    ),
}


@pytest.mark.root
@pytest.mark.parametrize("name", APPLIED)
def test_definitions_are_for_the_interfaces_that_netplan_makes_them_for(tmp_path: Path, name: str) -> None:
    text, expected = APPLIED[name]
    yaml = HEAD + text
    assert told_of(collect_configured(tmp_path / "ours", {"/etc/netplan/50-vni.yaml": yaml})) == {1003: expected}
    require_manager(GENERATE)
    made = {path.replace("/run/", "/etc/", 1): text for path, text in _generated(tmp_path, yaml).items()}
    assert told_of(collect_configured(tmp_path / "theirs", dict(made))) == {1003: expected}


@pytest.mark.root
def test_netplan_hands_no_rules_to_network_manager(tmp_path: Path) -> None:
    """0.106 leaves them out without a word; whether others do is not known."""
    yaml = f"{HEAD}    eth1: {{renderer: NetworkManager, {RULE}}}\n"
    assert told_of(collect_configured(tmp_path, {"/etc/netplan/50-vni.yaml": yaml})) == {1003: "unknown"}
    require_manager(GENERATE)
    (made,) = _generated(tmp_path / "theirs", yaml).values()
    assert "interface-name=eth1" in made
    assert "1003" not in made


OTHERS: dict[str, tuple[dict[str, str | Path | None], Told]] = {
    "a file that comes first": ({"/etc/systemd/network/05-a.network": "[Match]\nName=eth1\n"}, "not set"),
    "a file that comes later": ({"/etc/systemd/network/20-a.network": "[Match]\nName=eth1\n"}, "set"),
    "one that may come first": ({"/etc/systemd/network/05-a.network": "[Match]\nPath=pci-*\n"}, "unknown"),
    "a namesake": ({"/etc/systemd/network/10-netplan-eth1.network": "[Match]\nName=eth1\n"}, "not set"),
    "a mask": ({"/etc/systemd/network/10-netplan-eth1.network": None}, "not set"),
    "a namesake of a package": ({"/usr/lib/systemd/network/10-netplan-eth1.network": "[Match]\nName=eth0\n"}, "set"),
    "a drop-in": (
        {"/etc/systemd/network/10-netplan-eth1.network.d/a.conf": "[Link]\nActivationPolicy=manual\n"},
        "not set",
    ),
    "another yaml": ({"/etc/netplan/60-b.yaml": HEAD + "    eth1: {activation-mode: manual}\n"}, "not set"),
    "a yaml that turns it on again": ({"/etc/netplan/60-b.yaml": HEAD + "    eth1: {renderer: networkd}\n"}, "set"),
}


@pytest.mark.root
@pytest.mark.parametrize("name", OTHERS)
def test_what_else_is_for_the_interface(tmp_path: Path, name: str) -> None:
    more, expected = OTHERS[name]
    files = {"/etc/netplan/50-vni.yaml": f"{HEAD}    eth1: {{{RULE}}}\n", **more}
    assert told_of(collect_configured(tmp_path, files)) == {1003: expected}


def _generated(folder: Path, yaml: str) -> dict[str, str]:
    """The files that netplan's generator makes, by their paths."""
    root = folder / "netplan"
    (root / "etc/netplan").mkdir(parents=True)
    (root / "etc/netplan/50-vni.yaml").write_text(yaml)
    (root / "etc/netplan/50-vni.yaml").chmod(0o600)
    subprocess.run([str(GENERATE), "--root-dir", str(root)], check=True, capture_output=True, timeout=60)
    found = [*root.glob("run/systemd/network/*.net*"), *root.glob("run/NetworkManager/system-connections/*")]
    return {f"/{path.relative_to(root)}": path.read_text() for path in found}


def _set(data: bytes) -> tuple[set[tuple[object, ...]], set[tuple[object, ...]]]:
    boot = read_guest(data, via="file").boot
    assert boot is not None
    assert "routing" not in boot.unknown, boot.unknown
    return {_of_rule(rule) for rule in boot.rules}, {_of_route(route) for route in boot.routes}


def _of_rule(rule: BootRule) -> tuple[object, ...]:
    return rule.src, rule.dst, rule.table, rule.priority


def _of_route(route: BootRoute) -> tuple[object, ...]:
    return route.table, route.prefix
