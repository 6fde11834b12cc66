"""netplan's files, read by us and by netplan itself: what its generator writes for networkd sets the same."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.managers import GENERATE, require_manager
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
    root = tmp_path / "netplan"
    (root / "etc/netplan").mkdir(parents=True)
    (root / "etc/netplan/50-vni.yaml").write_text(HEAD + FILES[name])
    (root / "etc/netplan/50-vni.yaml").chmod(0o600)
    subprocess.run([str(GENERATE), "--root-dir", str(root)], check=True, capture_output=True, timeout=60)
    made = {f"/etc/systemd/network/{path.name}": path.read_text() for path in root.glob("run/systemd/network/*.net*")}
    assert made
    ours = _set(collect_configured(tmp_path / "ours", {"/etc/netplan/50-vni.yaml": HEAD + FILES[name]}))
    theirs = _set(collect_configured(tmp_path / "theirs", dict(made)))
    assert ours == theirs
    assert ours[0], "every one of the files sets a rule"


def _set(data: bytes) -> tuple[set[tuple[object, ...]], set[tuple[object, ...]]]:
    boot = read_guest(data, via="file").boot
    assert boot is not None
    assert "routing" not in boot.unknown, boot.unknown
    return {_of_rule(rule) for rule in boot.rules}, {_of_route(route) for route in boot.routes}


def _of_rule(rule: BootRule) -> tuple[object, ...]:
    return rule.src, rule.dst, rule.table, rule.priority


def _of_route(route: BootRoute) -> tuple[object, ...]:
    return route.table, route.prefix
