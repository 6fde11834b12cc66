"""What we write is accepted, and read as meant, by the managers' own programs, and by systemd-networkd itself."""

import subprocess

import pytest

from tests.lab.managers import (
    GENERATE,
    IFQUERY,
    NETWORKD,
    NMCLI,
    boot_ifupdown,
    boot_networkd,
    require_manager,
)
from tests.support.boot_sandbox import BASES, SECONDARY, VLAN, Machine, effects_for, kept, machine, needed, owned
from vnicheck.fixes.effects import AddRoutes, AddRule
from vnicheck.fixes.persist.network_manager import keyfile_lines
from vnicheck.fixes.persist.share import Share, shares
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.model.guest import Manager, Route, RouteType
from vnicheck.model.snapshot import Server

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

LINKS = "for i in 0 1; do ip link add eth$i type veth peer name p$i && ip link set p$i up; done"
CASES = {"several addresses and containers": SECONDARY, "a VLAN": VLAN}


def wanted_rules(of: Server) -> set[tuple[int, str | None, str | None, int | None]]:
    rules = [effect.rule for effect in effects_for(of) if isinstance(effect, AddRule)]
    return {(rule.priority, rule.src, rule.dst, rule.table) for rule in rules}


def wanted_routes(of: Server) -> set[tuple[str, int, str | None, str | None]]:
    return {_way(route) for effect in effects_for(of) if isinstance(effect, AddRoutes) for route in effect.routes}


def _way(route: Route) -> tuple[str, int, str | None, str | None]:
    """A route that throws packets back leads to `throw`."""
    if route.type is RouteType.THROW:
        return route.prefix, route.table, "throw", None
    (hop,) = route.nexthops
    return route.prefix, route.table, hop.interface, hop.gateway


def assert_set(host: Machine, of: Server) -> None:
    """The kernel of this network holds just the plan's rules, and its routes in a table of their own."""
    rules = parse_rules(host.sh("ip -j -N rule show").stdout).items
    found = {(rule.priority, rule.src, rule.dst, rule.table) for rule in rules}
    assert found - {(0, None, None, 255), (32766, None, None, 254), (32767, None, None, 253)} == wanted_rules(of)
    routes = parse_routes(host.sh("ip -j -N -d route show table all").stdout).items
    assert {_way(each) for each in routes if each.table not in (254, 255)} == wanted_routes(of)


@pytest.mark.parametrize("name", CASES)
def test_netplan_generates_it(name: str) -> None:
    require_manager(GENERATE)
    of = CASES[name]
    with machine(BASES[Manager.NETPLAN]) as host:
        host.perform(kept(owned(of, Manager.NETPLAN)).actions, path=needed(Manager.NETPLAN))
        host.namespace.run([GENERATE])
        interface = "eth1" if of is SECONDARY else "eth1.100"
        made = host.read(f"/run/systemd/network/10-netplan-{interface}.network")
        sections = made.split("\n\n")
        for source, dst, table, priority in ((s, d, t, p) for p, s, d, t in wanted_rules(of)):
            lines = [
                f"From={(source or '').removesuffix('/32')}",
                f"To={dst}",
                f"Table={table}",
                f"Priority={priority}",
            ]
            expected = {line for line in lines if line != "To=None"} | {"[RoutingPolicyRule]"}
            assert any(set(section.split()) == expected for section in sections)
        for prefix, table, way, gateway in wanted_routes(of):
            expected = {"[Route]", f"Destination={prefix}", f"Table={table}"}
            on_link = "Type=throw" if way == "throw" else "Scope=link"
            expected |= {on_link} if gateway is None else {f"Gateway={gateway}"}
            assert any(set(section.split()) == expected for section in sections)


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        (
            "network:\n  version: 2\n  bridges:\n    eth1: {}\n",
            "/90-vnicheck-eth1-1003.yaml:5:5: Error",
        ),
        ("network:\n  version: 2\n  ethernets:\n    eth0: [\n", "/etc/netplan/50-cloud-init.yaml:5:1: Invalid YAML"),
    ],
)
def test_what_netplan_does_not_accept_is_not_written(base: str, reason: str) -> None:
    """A file that does not fit would cost the server its network at the next boot."""
    require_manager(GENERATE)
    (action,) = kept(owned(SECONDARY, Manager.NETPLAN)).actions
    with machine({"/etc/netplan/50-cloud-init.yaml": base}) as host:
        before = host.tree()
        said = host.refusal(action, path=needed(Manager.NETPLAN))
        assert said.startswith("netplan does not accept it: ")
        assert reason in said
        assert said.count("\n") == 1
        assert host.tree() == before
        assert "/tmp" not in said


def test_networkd_takes_the_drop_in() -> None:
    require_manager(NETWORKD)
    with machine(BASES[Manager.NETWORKD]) as host:
        host.sh(LINKS)
        host.perform(kept(owned(SECONDARY, Manager.NETWORKD)).actions)
        boot_networkd(host.namespace, lambda: "1003" in host.sh("ip route show table all; ip rule").stdout)
        host.sh("for i in 1 2 3 4 5 6 7 8 9; do ip route show table 1003 | grep -q default && break; sleep 0.2; done")
        assert_set(host, SECONDARY)


def test_ifupdown_takes_the_stanza() -> None:
    require_manager(IFQUERY)
    with machine(BASES[Manager.IFUPDOWN]) as host:
        host.sh(LINKS)
        (action, source) = kept(owned(SECONDARY, Manager.IFUPDOWN)).actions
        host.perform([action, source])
        shown = host.namespace.run([IFQUERY, "eth1"]).stdout
        assert action.file is not None
        for line in action.file.text.splitlines()[2:]:
            word, _, command = line.strip().partition(" ")
            assert f"{word}: {command}\n" in shown
        boot_ifupdown(host.namespace)
        assert_set(host, SECONDARY)


@pytest.mark.parametrize("first", [True, False])
def test_ifup_does_it_in_either_order_and_again_and_ifdown_undoes_it(first: bool) -> None:
    require_manager(IFQUERY)
    (action, _) = kept(owned(SECONDARY, Manager.IFUPDOWN)).actions
    source = "source /etc/network/interfaces.d/*\n"
    base = BASES[Manager.IFUPDOWN]["/etc/network/interfaces"]
    with machine({"/etc/network/interfaces": source + base if first else base + source}) as host:
        host.sh(LINKS)
        host.perform([action])
        boot_ifupdown(host.namespace)
        assert_set(host, SECONDARY)
        host.namespace.run([IFQUERY.with_name("ifup"), "--force", "eth1"])
        assert_set(host, SECONDARY)
        host.sh("for n in if-down if-post-down; do mkdir -p /etc/network/$n.d; done")
        host.namespace.run([IFQUERY.with_name("ifdown"), "eth1"])
        assert "1003" not in host.sh("ip rule; ip route show table all").stdout


@pytest.mark.parametrize("name", CASES)
def test_nmcli_changes_the_profile_and_back(name: str) -> None:
    """`nmcli --offline`, which writes the keyfile that it is given, stands for the daemon's."""
    require_manager(NMCLI)
    of = owned(CASES[name], Manager.NETWORK_MANAGER)
    (action,) = kept(of).actions
    assert action.command is not None
    assert action.undo is not None
    made = ["connection", "add", "type", "ethernet", "ifname", "eth1", "con-name", "it's", "ipv4.method", "auto"]
    before = subprocess.run([NMCLI, "--offline", *made], capture_output=True, text=True, check=True).stdout
    shim = f'[ "$1 $2 $3" = \'connection modify uuid\' ] && shift 4 && {NMCLI} --offline connection modify "$@"'

    def run(command: str, keyfile: str) -> str:
        script = f"nmcli() {{ {shim}; }}\n{command}"
        return subprocess.run(["dash", "-c", script], input=keyfile, capture_output=True, text=True, check=True).stdout

    after = run(action.command, before)
    assert of.guest is not None
    (share,) = shares(of.guest, effects_for(CASES[name]))
    assert isinstance(share, Share)
    assert sorted(set(after.splitlines()) - set(before.splitlines())) == sorted(keyfile_lines(share))
    assert run(action.command, after) == after
    assert run(action.undo, after) == before
    assert run(action.undo, before) == before
