"""Plans with persistent configuration, and a server's /etc in memory where their commands run for real."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

import msgspec

from tests.lab.managers import GENERATE, require_manager
from tests.lab.require import require_lab
from tests.support.plans import STRICT, plan
from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, server, two_vnis, vni
from tests.support.sshd import require
from vnicheck.fixes.effects import Effect
from vnicheck.fixes.persist.keep import Kept, persist
from vnicheck.fixes.planner import Strategy
from vnicheck.model.guest import BootConfig, Manager, Owner
from vnicheck.model.plan import Action
from vnicheck.model.snapshot import Server
from vnicheck.rehearse.namespaces import Namespace

UUID = "5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03"
UUIDS = {
    "eth0": UUID.replace("5", "4"),
    "eth1": UUID,
    "eth2": UUID.replace("5", "6"),
    "eth1.100": UUID.replace("5", "7"),
}
MANAGERS = tuple(Manager)


def owner(manager: Manager, interface: str) -> Owner:
    """Who owns an interface, with the handle that such a manager has."""
    handles = {
        Manager.NETWORKD: f"/etc/systemd/network/20-{interface}.network",
        Manager.NETWORK_MANAGER: UUIDS.get(interface, UUID),
    }
    return Owner(manager=manager, handle=handles.get(manager, interface))


def owned(of: Server, manager: Manager, **changes: object) -> Server:
    """The server with all its interfaces owned by the manager, and no configuration that sets rules or routes."""
    assert of.guest is not None
    names = [each.name for each in of.guest.interfaces if each.name not in {"lo", "docker0"}]
    more: dict[str, object] = {
        "owners": {name: owner(manager, name) for name in names},
        "boot": BootConfig(carried_out=True),
    }
    return msgspec.structs.replace(of, guest=msgspec.structs.replace(of.guest, **(more | changes)))


VLAN = server(
    *two_vnis(),
    guest=guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1.100", 1, "10.0.0.12/24", kind="vlan", parent="eth1"),
        routes=TWO_DEFAULTS.replace("eth1", "eth1.100"),
        rp_filter={"eth0": 1, "eth1.100": 1},
    ),
)
SECONDARY = server(
    vni(0, "10.0.0.11", allow_ip_spoofing=True),
    vni(1, "10.0.0.12", "10.0.0.14", allow_ip_spoofing=True),
    guest=guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.0.12/24", "10.0.0.14/24"),
        link("docker0", 3, "172.17.0.1/16", mac="02:42:00:00:00:01"),
        routes=TWO_DEFAULTS + "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n",
        rp_filter=STRICT,
    ),
)
"""Two addresses on one VNI, and containers, whose network is thrown back to the rules behind."""


def effects_for(of: Server, strategy: Strategy = "policy-routing") -> tuple[Effect, ...]:
    """What the strategy changes of such a server, whoever owns its interfaces."""
    assert of.guest is not None
    plain = msgspec.structs.replace(of.guest, owners=None, boot=None, network_managers=())
    return _effects(msgspec.json.encode(msgspec.structs.replace(of, guest=plain)), strategy)


@cache
def _effects(server: bytes, strategy: Strategy) -> tuple[Effect, ...]:
    return plan(msgspec.json.decode(server, type=Server), fabric(), strategy).effects


def kept(of: Server, strategy: Strategy = "policy-routing") -> Kept:
    """What is kept of the strategy's plan, and what is said of the rest."""
    return persist(of.guest, effects_for(of, strategy))


class Machine:
    """A server of its own: network, /etc and /run. `files` are put there first."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            self.sh(f"mkdir -p '{path.rpartition('/')[0]}' && cat >'{path}'", stdin=text)

    def sh(
        self, script: str, *, shell: str = "dash", stdin: str | None = None, path: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a script; `path`: folders whose programs come first."""
        prefix = f"PATH={path}:$PATH\n" if path else ""
        return self.namespace.run([*shell.split(), "-c", prefix + script], input=stdin, check=check, cwd="/")

    def perform(self, actions: Sequence[Action], *, shell: str = "dash", undo: bool = False, path: str = "") -> None:
        """The commands as change.sh runs them, or what undoes them, the last one first."""
        for action in reversed(actions) if undo else actions:
            command = action.undo if undo else action.command
            assert command is not None
            self.sh(f"step() (\n{command}\n)\nstep", shell=shell, path=path)

    def refusal(self, action: Action, *, shell: str = "dash", path: str = "") -> str:
        """What a command says that refuses."""
        done = self.sh(action.command or "", shell=shell, path=path, check=False)
        assert done.returncode != 0
        assert done.stdout == ""
        return done.stderr

    def read(self, file: str) -> str:
        return self.namespace.run(["cat", file]).stdout

    def tree(self) -> list[str]:
        """Every file, folder and link of /etc with its mode and owner, and what the files hold."""
        script = r"cd /etc && find . -printf '%P %y %m %U %l\n' && find . -type f -exec sha256sum {} +"
        return sorted(self.sh(script).stdout.splitlines())


def needed(manager: Manager) -> str:
    """The folder whose programs the manager's commands call. Skips the test without them."""
    if manager is not Manager.NETPLAN:
        return ""
    require_manager(GENERATE)
    return str(GENERATE.parent)


@contextmanager
def machine(files: Mapping[str, str] | None = None) -> Iterator[Machine]:
    require_lab()
    require("dash")
    with Namespace.create("machine", copied=["/etc"], empty=["/run"]) as namespace:
        made = Machine(namespace)
        made.write(files or {})
        yield made


CLOUD_INIT = """\
network:
  version: 2
  ethernets:
    eth0:
      addresses:
      - 10.0.0.11/24
      routes:
      - to: default
        via: 10.0.0.1
    eth1:
      addresses: [10.0.0.12/24, 10.0.0.14/24]
  vlans:
    eth1.100:
      id: 100
      link: eth1
"""
BASES: dict[Manager, dict[str, str]] = {
    Manager.NETPLAN: {"/etc/netplan/50-cloud-init.yaml": CLOUD_INIT},
    Manager.NETWORKD: {"/etc/systemd/network/20-eth1.network": "[Match]\nName=eth1\n[Network]\nAddress=10.0.0.12/24\n"},
    Manager.NETWORK_MANAGER: {},
    Manager.IFUPDOWN: {"/etc/network/interfaces": "auto eth1\niface eth1 inet static\n  address 10.0.0.12/24\n"},
    Manager.WICKED: {"/etc/sysconfig/network/ifcfg-eth1": "STARTMODE=auto\n"},
    Manager.NETWORK_SCRIPTS: {
        "/etc/sysconfig/network-scripts/ifcfg-eth1": "DEVICE=eth1\n",
        "/etc/sysconfig/network-scripts/route-eth1": "10.9.0.0/16 via 10.0.0.1",
    },
}
"""What the managers' own files say before the fix; one of them has a last line without an end."""
