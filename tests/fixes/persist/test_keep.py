"""What is kept of a plan, by whose files, and what is said of the rest."""

from typing import Any

import msgspec
import pytest

from tests.support.boot_sandbox import MANAGERS, SECONDARY, UUID, VLAN, effects_for, kept, owned, owner
from tests.support.plans import BROKEN
from vnicheck.fixes.effects import AddRoutes, Effect, SetRpFilter
from vnicheck.fixes.persist.keep import persist
from vnicheck.fixes.planner import Strategy
from vnicheck.model.guest import BootConfig, BootRoute, BootValue, Guest, Manager, Owner
from vnicheck.model.snapshot import Server

STRICT = BROKEN["strict, no spoofing"][0]
LOOSE = BROKEN["strict"][0]
AGAIN = BootConfig(carried_out=True)
"""A boot configures all interfaces as they are."""


def with_guest(of: Server, **changes: object) -> Server:
    assert isinstance(of.guest, Guest)
    return msgspec.structs.replace(of, guest=msgspec.structs.replace(of.guest, **changes))


def files(of: Server, strategy: Strategy = "policy-routing") -> dict[str, str]:
    actions = kept(of, strategy).actions
    return {action.file.path: action.file.text for action in actions if action.file is not None}


def test_netplan_adds_to_the_id_of_the_interface() -> None:
    one = owned(SECONDARY, Manager.NETPLAN, owners={"eth1": Owner(manager=Manager.NETPLAN, handle="second")})
    assert files(one) == {
        "/etc/netplan/90-vnicheck-eth1-1003.yaml": """\
# Written by vnicheck.
network:
  version: 2
  ethernets:
    second:
      routes:
      - to: 10.0.0.0/24
        scope: link
        table: 1003
      - to: 0.0.0.0/0
        via: 10.0.0.1
        table: 1003
      - to: 172.17.0.0/16
        type: throw
        table: 1003
      routing-policy:
      - from: 10.0.0.12
        table: 1003
        priority: 1003
      - from: 10.0.0.14
        table: 1003
        priority: 1004
"""
    }
    (action,) = kept(one).actions
    assert action.file is not None
    assert action.file.mode == 0o600


def test_a_vlan_belongs_to_netplans_vlans_and_has_no_dot_in_names_of_ifupdown() -> None:
    (text,) = files(owned(VLAN, Manager.NETPLAN)).values()
    assert "  vlans:\n    eth1.100:\n" in text
    (path,) = files(owned(VLAN, Manager.IFUPDOWN))
    assert path == "/etc/network/interfaces.d/vnicheck-eth1_100-1003"
    assert files(owned(VLAN, Manager.IFUPDOWN), "rp-filter") == {
        "/etc/sysctl.d/zz-vnicheck-eth1_100.conf": "# Written by vnicheck.\nnet/ipv4/conf/eth1.100/rp_filter = 2\n"
    }


def test_networkd_gets_a_drop_in_beside_the_file_that_counts() -> None:
    ours = {"eth1": Owner(manager=Manager.NETWORKD, handle="/usr/lib/systemd/network/80-eth1.network")}
    (path,) = files(owned(STRICT, Manager.NETWORKD, owners=ours))
    assert path == "/etc/systemd/network/80-eth1.network.d/50-vnicheck-eth1-1003.conf"


def test_networkmanager_is_asked_to_change_the_connection() -> None:
    (action,) = kept(owned(STRICT, Manager.NETWORK_MANAGER)).actions
    assert action.lines == (
        "[ipv4]",
        "route1=10.0.0.0/24",
        "route1_options=table=1003",
        "route2=0.0.0.0/0,10.0.0.1",
        "route2_options=table=1003",
        "routing-rule1=priority 1003 from 10.0.0.12 table 1003",
    )
    assert action.command == (
        f"nmcli connection modify uuid {UUID} +ipv4.routes '10.0.0.0/24 table=1003' +ipv4.routes "
        "'0.0.0.0/0 10.0.0.1 table=1003' +ipv4.routing-rules 'priority 1003 from 10.0.0.12 table 1003'"
    )


@pytest.mark.parametrize("manager", MANAGERS)
def test_every_manager_keeps_policy_routing(manager: Manager) -> None:
    found = kept(owned(SECONDARY, manager))
    assert found.actions
    assert all((action.where, action.kind) == ("guest", "persist") for action in found.actions)
    (said,) = found.next_boot
    assert said == f"a boot sets the rules of 10.0.0.12 and 10.0.0.14 again: {manager.value} configures eth1"


def lost(of: Server, why: str) -> None:
    found = kept(of)
    assert found.actions == ()
    assert found.next_boot == (f"the next boot takes the rules of 10.0.0.12 back ({why})",)


@pytest.mark.parametrize(
    "managers", [(), ("NetworkManager",), ("netplan", "systemd-networkd"), ("wicked", "networking")]
)
def test_without_owners_nothing_is_guessed(managers: tuple[str, ...]) -> None:
    lost(with_guest(STRICT, network_managers=managers), "which program configures eth1 was not collected")


def test_interfaces_that_nobody_is_known_to_configure_are_told_together() -> None:
    three, _ = BROKEN["three VNIs, two subnets, a secondary address"]
    unclaimed = with_guest(three, owners={"eth2": owner(Manager.NETPLAN, "eth2")}, boot=AGAIN)
    lost_, kept_ = persist(unclaimed.guest, effects_for(unclaimed)).next_boot[::-1]
    assert lost_ == (
        "the next boot takes the rules of 10.0.0.11, 10.0.0.12 and 10.0.0.14 back (which program configures eth0 and "
        "eth1 cannot be told)"
    )
    assert kept_ == "a boot sets the rules of 10.0.1.13 again: netplan configures eth2"


@pytest.mark.parametrize(
    ("running", "manager"),
    [(("networking", "dhclient", "cloud-init"), Manager.IFUPDOWN), (("wicked",), Manager.WICKED)],
)
def test_the_only_manager_that_runs_owns_its_interfaces(running: tuple[str, ...], manager: Manager) -> None:
    found = kept(with_guest(STRICT, network_managers=running))
    assert manager.value in found.next_boot[0]
    assert found.actions == kept(owned(STRICT, manager)).actions


def test_an_interface_that_nobody_claims_is_not_guessed_either() -> None:
    one = owned(STRICT, Manager.IFUPDOWN, owners={"eth0": owner(Manager.IFUPDOWN, "eth0")})
    lost(with_guest(one, network_managers=("networking",)), "which program configures eth1 cannot be told")


def test_a_file_for_several_interfaces_is_not_added_to() -> None:
    shared = Owner(manager=Manager.NETWORKD, handle="/usr/lib/systemd/network/zz-default.network")
    lost(
        owned(STRICT, Manager.NETWORKD, owners={"eth0": shared, "eth1": shared}),
        "what configures eth1 (systemd-networkd: /usr/lib/systemd/network/zz-default.network) configures eth0 too",
    )


HOSTILE = ("a b", "a'b", "$(reboot)", "a\nb", "a;b", "-x", "../x", "a/b", "x" * 101, "", "a\x1b[31m", 'a"b', "\u202ea")


@pytest.mark.parametrize("handle", HOSTILE)
@pytest.mark.parametrize("manager", MANAGERS)
def test_a_handle_that_is_not_plain_is_refused(manager: Manager, handle: str) -> None:
    spelled = f"/etc/systemd/network/{handle}.network" if manager is Manager.NETWORKD else handle
    found = kept(owned(STRICT, manager, owners={"eth1": Owner(manager=manager, handle=spelled)}))
    if manager is Manager.NETWORKD and "/" in handle:
        assert all(
            "/x.network.d/" in (action.command or "") or "/b.network.d/" in (action.command or "")
            for action in found.actions
        )
        return
    assert found.actions == ()
    (said,) = found.next_boot
    assert said.isprintable()
    assert said.startswith("the next boot takes the rules of 10.0.0.12 back (")


@pytest.mark.parametrize("name", ["eth 1", "$(reboot)", "a;b", "e'1", "a\nb", "a\x1b[31m", "--help", "a/b", 'a"b'])
@pytest.mark.parametrize("manager", MANAGERS)
def test_an_interface_whose_name_is_not_plain_is_in_no_file(manager: Manager, name: str) -> None:
    """No plan names one; were it to, nothing would be written."""
    assert SECONDARY.guest is not None

    def renamed(effect: Effect) -> Effect:
        if not isinstance(effect, AddRoutes):
            return effect
        hops = [
            tuple(msgspec.structs.replace(hop, interface=name) for hop in route.nexthops) for route in effect.routes
        ]
        routes = [
            msgspec.structs.replace(route, nexthops=each) for route, each in zip(effect.routes, hops, strict=True)
        ]
        return msgspec.structs.replace(effect, routes=tuple(routes))

    links = [
        msgspec.structs.replace(link, name=name) if link.name == "eth1" else link for link in SECONDARY.guest.interfaces
    ]
    inside = owned(SECONDARY, manager, interfaces=tuple(links), owners={name: owner(manager, "eth1")}).guest
    effects = [renamed(effect) for effect in effects_for(SECONDARY)]
    found = persist(inside, [*effects, SetRpFilter(interface=name, old=1, new=2)])
    assert found.actions == ()
    assert len(found.next_boot) == 2
    assert all(said.isprintable() and said.startswith("the next boot takes ") for said in found.next_boot)


@pytest.mark.parametrize("kind", ["macvlan"])
def test_netplan_has_no_section_for_it(kind: str) -> None:
    assert VLAN.guest is not None
    links = tuple(msgspec.structs.replace(each, kind=kind if each.kind else None) for each in VLAN.guest.interfaces)
    lost(
        owned(VLAN, Manager.NETPLAN, interfaces=links),
        f"which section of netplan's an interface of kind {kind} is in is not known",
    )


REUSED = BROKEN["a table without its rule"][0]


def test_a_table_that_was_there_is_written_where_no_file_sets_it() -> None:
    (text,) = files(owned(REUSED, Manager.NETPLAN)).values()
    assert "to: 10.0.0.0/24" in text
    assert "via: 10.0.0.1" in text
    assert text.count("table: 102") == 3


def test_a_table_that_a_file_sets_is_not_written_twice() -> None:
    boot = BootConfig(
        carried_out=True,
        routes=(BootRoute(source="x", table=102, prefix="0.0.0.0/0"), BootRoute(source="x", table=102)),
    )
    (text,) = files(owned(REUSED, Manager.NETPLAN, boot=boot)).values()
    assert "routes:" not in text
    assert text.count("table: 102") == 1


def test_a_table_of_which_nothing_is_known_is_told() -> None:
    boot = BootConfig(unknown={"routing": "/etc/netplan/a.yaml could not be read"})
    found = kept(owned(REUSED, Manager.NETPLAN, boot=boot))
    (action,) = found.actions
    assert action.file is not None
    assert "routes:" not in action.file.text
    assert found.next_boot[1] == (
        "whether a boot sets the routes of table 102 is not known (/etc/netplan/a.yaml could not be read)"
    )


def test_cloud_init_may_write_anew() -> None:
    for manager, told in ((Manager.NETWORK_MANAGER, True), (Manager.NETPLAN, False)):
        found = kept(owned(STRICT, manager, network_managers=("cloud-init",)))
        assert any(word.startswith("cloud-init wrote this") for word in found.next_boot) is told


def boot_of(source: str, value: int | None = 1, *, inherited: bool = False, **more: Any) -> BootConfig:
    setting = BootValue(value=value, source=source, inherited=inherited)
    return BootConfig(sysctls={"net/ipv4/conf/eth1/rp_filter": setting}, **more)


@pytest.mark.parametrize(
    ("boot", "name", "said"),
    [
        (BootConfig(), "zz-vnicheck-eth1.conf", ""),
        (boot_of("/usr/lib/sysctl.d/50-default.conf:7"), "zz-vnicheck-eth1.conf", ""),
        (boot_of("/etc/sysctl.d/zzz-mine.conf:7"), "zzz-vnicheck-eth1.conf", ""),
        (boot_of("/etc/sysctl.d/zzzz.conf:7"), "zzzzz-vnicheck-eth1.conf", ""),
        (boot_of("/etc/sysctl.d/zz-vnicheck-eth1.conf:7", 2), "zz-vnicheck-eth1.conf", ""),
        (None, "zz-vnicheck-eth1.conf", "what else sets it at boot was not collected"),
        (
            boot_of("both /etc/sysctl.d/9.conf:1 and /etc/ufw/sysctl.conf:3 set it", None),
            "zz-vnicheck-eth1.conf",
            "ufw sets it at about the same time (/etc/ufw/sysctl.conf)",
        ),
        (
            BootConfig(unknown={"sysctls": "/etc/tuned/a/tuned.conf:3 sets it too"}),
            "zz-vnicheck-eth1.conf",
            "/etc/tuned/a/tuned.conf:3 sets it too",
        ),
    ],
)
def test_rp_filter_has_the_last_word(boot: BootConfig | None, name: str, said: str) -> None:
    found = kept(owned(LOOSE, Manager.IFUPDOWN, boot=boot), "rp-filter")
    (action,) = found.actions
    assert action.file is not None
    assert action.file.path == f"/etc/sysctl.d/{name}"
    (word,) = found.next_boot
    assert word == "a boot keeps rp_filter of eth1 at 2" + (f", as far as can be told: {said}" if said else "")


def test_no_name_sorts_behind_every_other() -> None:
    found = kept(owned(LOOSE, Manager.IFUPDOWN, boot=boot_of("/etc/sysctl.d/~last.conf:7")), "rp-filter")
    assert found.actions == ()
    assert found.next_boot == (
        "the next boot takes rp_filter of eth1 back (~last.conf sorts behind every name that we write)",
    )


def test_what_the_vpc_changes_stays() -> None:
    found = kept(BROKEN["loose"][0], "state-filtering")
    assert found.actions == ()
    assert found.next_boot == tuple(f"what is changed of vni-{number} stays: the VPC keeps it" for number in (1, 2))


def test_netplan_may_leave_rules_out_for_network_manager() -> None:
    """As its generator does (tests/guest/parsers/boot/test_netplan_itself.py); with networkd it writes them."""
    found = kept(owned(REUSED, Manager.NETPLAN, network_managers=("NetworkManager", "netplan")))
    assert (found.actions, found.at_boot) == ((), "lost")
    assert "hand no rules" in found.next_boot[0]
    both = kept(owned(REUSED, Manager.NETPLAN, network_managers=("netplan", "systemd-networkd")))
    assert both.actions
