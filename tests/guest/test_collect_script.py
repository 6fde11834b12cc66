"""The collect script in real shells, with real links, rules and routes."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.support.guest_namespace import collect_in_namespace, run_in_namespace
from tests.support.guest_parts import with_default_tables
from tests.support.sshd import require, require_root
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.frames import read_frames
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.guest import LOCAL_TABLE, Examined, Guest, RouteType, RuleAction
from vnicheck.model.interface import Interface, Neighbour

VARIANTS = {
    "dash": "dash -s",
    "bash": "bash -s",
    "ash": "busybox ash -s",
    "plain": "VNICHECK_PLAIN=1 dash -s",
}

_NOT_FOUND = re.compile(rb"\b(?:dash: \d+|\w+: line \d+): (\w+): (?:command )?not found")
"""Each shell has its words for a program that a machine lacks (bpftool)."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    require("dash", "bash", "busybox")
    return collect_in_namespace(tmp_path_factory.mktemp("shells"), VARIANTS)


def guest_of(data: bytes) -> Guest:
    """Without the counters: the kernel sends IGMP reports meanwhile."""
    guest = read_guest(data, via="file", collected_at="2026-11-23T00:00:00Z")
    assert guest.counters["TcpExtIPReversePathFilter"] == 0
    return msgspec.structs.replace(guest, counters={})


def test_every_shell_gives_the_same(outputs: dict[str, bytes]) -> None:
    dash, bash = (_NOT_FOUND.sub(rb"\1: not found", outputs[shell]) for shell in ("dash", "bash"))
    assert guest_of(dash) == guest_of(bash)


def test_json_and_plain_give_equal_guests(outputs: dict[str, bytes]) -> None:
    assert b"-j" in outputs["dash"]
    assert b" -j " not in outputs["plain"]
    json, plain = guest_of(outputs["dash"]), guest_of(outputs["plain"])
    assert json.rules == plain.rules
    assert json.routes == plain.routes
    assert json.interfaces == plain.interfaces
    assert json == plain
    assert json.missing == {}
    assert json.unmodelled == ()


def test_rules_are_read_whole(outputs: dict[str, bytes]) -> None:
    rules = {rule.priority: rule for rule in guest_of(outputs["dash"]).rules}
    full = rules[100]
    assert (full.invert, full.src, full.dst, full.iif, full.oif) == (True, "10.0.0.0/24", "10.1.0.0/16", "eth0", "gone")
    assert (full.iif_detached, full.oif_detached) == (False, True)
    assert (full.fwmark, full.fwmask, full.table, full.suppress_prefixlength) == (1, 0xFF, 254, 0)
    ports = rules[102]
    assert (ports.ipproto, ports.sport, ports.dport, ports.uid_range) == (6, (22, 22), (80, 90), (5, 10))
    assert (ports.tos, ports.fwmark, ports.fwmask, ports.table) == (0x10, 7, 0xFFFFFFFF, 7000)
    assert (rules[103].action, rules[103].goto) == (RuleAction.GOTO, 200)
    assert rules[104].action is RuleAction.NOP
    assert [rules[n].action.value for n in (105, 106, 107)] == ["blackhole", "prohibit", "unreachable"]
    assert (rules[108].suppress_ifgroup, rules[108].realms) == (5, True)
    assert (rules[109].l3mdev, rules[109].table) == (True, None)
    assert (rules[110].src, rules[110].ipproto) == ("0.0.0.0/32", 253)
    assert (rules[111].fwmark, rules[111].fwmask, rules[111].table) == (0, 0xFF, 255)
    assert rules[112].unmodelled == ("tun_id 9",)
    assert rules[113].uid_range == (0, 0)
    assert [rule.unmodelled for rule in rules.values() if rule.priority != 112] == [()] * (len(rules) - 1)


def test_routes_are_read_whole(outputs: dict[str, bytes]) -> None:
    routes = {(route.table, route.prefix, route.metric): route for route in guest_of(outputs["dash"]).routes}
    multipath = routes[254, "10.9.0.0/16", 0]
    assert [(hop.interface, hop.gateway, hop.weight, hop.flags) for hop in multipath.nexthops] == [
        ("eth0", "10.0.0.1", 3, ()),
        ("eth1", "10.0.0.2", 1, ("onlink",)),
    ]
    assert routes[254, "10.12.1.1/32", 0].type is RouteType.PROHIBIT
    assert routes[254, "10.11.0.0/16", 5].type is RouteType.UNREACHABLE
    assert routes[100, "10.13.0.0/16", 0].type is RouteType.THROW
    marked = routes[254, "10.14.0.0/16", 0]
    assert (marked.tos, marked.realms, marked.protocol, marked.scope) == (0x10, True, "openr", "link")
    assert marked.unmodelled == ()
    assert routes[254, "10.16.0.0/16", 0].unmodelled == ("via inet6 fe80::1",)
    assert routes[254, "10.17.0.0/16", 0].scope == "66"
    assert [hop.weight for hop in routes[254, "10.21.0.0/16", 0].nexthops] == [2, 1]
    blackhole = routes[254, "10.22.0.0/16", 0]
    assert (blackhole.type, blackhole.nexthop_id) == (RouteType.BLACKHOLE, 4)
    dhcp = routes[254, "0.0.0.0/0", 100]
    assert dhcp.text == "default via 10.0.0.1 dev eth0 proto dhcp src 10.0.0.11 metric 100"
    assert routes[255, "10.0.0.255/32", 0].type is RouteType.BROADCAST


def test_interfaces_are_read_whole(outputs: dict[str, bytes]) -> None:
    links = {link.name: link for link in guest_of(outputs["dash"]).interfaces}
    assert (links["eth0"].kind, links["eth0"].parent, links["eth0"].up, links["eth0"].carrier) == (
        "veth", None, True, True,
    )  # fmt: skip
    assert (links["macvlan.1"].kind, links["macvlan.1"].parent, links["macvlan.1"].up) == ("macvlan", "eth0", False)
    assert links["p0"].master == "br0"
    assert links["eth1"].group == 5
    addresses = {item.prefix: item for item in (*links["eth0"].addresses, *links["eth1"].addresses)}
    assert addresses["10.0.0.13/24"].secondary
    assert addresses["192.168.1.1/32"].peer == "192.168.1.2/32"
    assert "net/ipv4/conf/macvlan.1/rp_filter" in guest_of(outputs["dash"]).sysctls


def _as_busybox_shows(link: Interface) -> Interface:
    return msgspec.structs.replace(link, kind=None, kind_shown=False, parent=None, peer=None, group=0)


def test_busybox_says_what_it_may_hide(outputs: dict[str, bytes]) -> None:
    whole, seen = guest_of(outputs["dash"]), guest_of(outputs["ash"])
    assert seen.ip_version.startswith("BusyBox")
    assert seen.missing == {}
    assert [rule.priority for rule in seen.rules if not rule.unmodelled] == [0, 32766, 32767]
    assert [rule.priority for rule in seen.rules] == [rule.priority for rule in whole.rules]
    assert [_as_busybox_shows(link) for link in seen.interfaces] == [
        _as_busybox_shows(link) for link in whole.interfaces
    ]
    assert not any(link.kind_shown for link in seen.interfaces)
    assert [(route.table, route.prefix) for route in seen.routes] == [
        (route.table, route.prefix) for route in whole.routes
    ]
    listed = next(route for route in seen.routes if route.prefix == "10.9.0.0/16")
    assert listed.unmodelled == ("no nexthop is shown",)


def test_default_tables_are_those_of_the_kernel(outputs: dict[str, bytes]) -> None:
    guest = guest_of(outputs["dash"])
    bare = msgspec.structs.replace(guest, routes=(), rules=(), missing={"rules": "", "routes_local": ""})
    made = with_default_tables(bare)
    assert made.routes == tuple(route for route in guest.routes if route.table == LOCAL_TABLE)
    assert [(rule.priority, rule.table) for rule in made.rules] == [(0, 255), (32766, 254), (32767, 253)]
    assert made.missing == {}


def test_no_ip_command(tmp_path: Path) -> None:
    require("busybox")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sed", "grep", "cat", "uname", "date"):
        (tools / name).symlink_to("/bin/busybox" if Path("/bin/busybox").exists() else "/usr/bin/busybox")
    script = collect_script_text().replace(":/sbin:/usr/sbin", "")
    done = subprocess.run(
        [str(shutil.which("dash")), "-s"],
        input=script.encode(),
        capture_output=True,
        check=True,
        env={"PATH": str(tools)},
    )
    sections = read_frames(done.stdout)
    assert sections["rules"].status == 127
    assert "not found" in sections["rules"].errors
    with pytest.raises(Exception, match="iproute2") as caught:
        guest_of(done.stdout)
    assert caught.value.code == "guest_no_ip"  # type: ignore[attr-defined]


def test_as_nobody_in_particular(tmp_path: Path) -> None:
    """Nothing of it needs root: in a user namespace without privileges all of it is read."""
    script = tmp_path / "collect.sh"
    script.write_text(collect_script_text())
    tmp_path.chmod(0o755)
    require("setpriv")
    require_root()
    data = run_in_namespace(f"ip link set lo up; exec setpriv --reuid 65534 --regid 65534 --clear-groups sh < {script}")
    assert guest_of(data).missing == {}


PROGRAMS = {
    "date": 1, "ip": 9, "sed": 3, "head": 2, "tc": 1, "nft": 1, "iptables-save": 1, "iptables-legacy-save": 1,
    "bpftool": 2, "timeout": 2, "systemctl": 1, "nmcli": 1, "grep": 14, "ls": 1,
}  # fmt: skip
"""How often the script may start each: sed a third time for the scripts that units start, grep for two lists of files,
for sysctls of the next boot, for those scripts, and for ten kinds of configuration, of which no server has more than
six; ls for the modes of scripts."""


@pytest.mark.parametrize("shell", ["dash -s", "bash -s", "busybox ash -s"])
def test_few_processes(tmp_path: Path, shell: str) -> None:
    """A program or a fork more for everyone is a decision: the figures stand in docs/collection.md."""
    require("strace", *shell.split()[:1])
    (tmp_path / "collect.sh").write_text(collect_script_text())
    links = "\n".join(f"ip link add v{n} type veth peer name w{n}" for n in range(15))
    trace = f"strace -f -qq -o {tmp_path / 'trace'} -e trace=execve,clone,clone3,fork,vfork -e status=successful"
    run_in_namespace(f"{links}\n{trace} {shell} < {tmp_path / 'collect.sh'}")
    lines = (tmp_path / "trace").read_text().splitlines()
    started = Counter(match[1] for line in lines if (match := re.search(r'execve\("[^"]*", \["([^"]*)"', line)))
    started.pop(shell.split()[0])
    assert started.keys() <= PROGRAMS.keys()
    assert {name: count for name, count in started.items() if count > PROGRAMS[name]} == {}
    forks = sum(re.search(r"(clone3?|v?fork)[( ].*= \d+$", line) is not None for line in lines)
    assert 10 < forks <= started.total() + 20


OWN_NETWORKS = """
ip link set lo up
ip link add v0 type veth peer name w0
unshare -n sleep 30 & other=$!
sleep 0.5
ip link add x0 type veth peer name y0 netns $other
ip tuntap add tun0 mode tun
ip link add br0 type bridge
ip link set dev v0 arp off
ip link set dev v0 up
ip addr add 10.0.0.11/24 dev v0
ip neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev v0
ip neigh add fe80::1 lladdr 02:00:00:00:00:01 dev v0
"""


@pytest.fixture(scope="module")
def own_networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guest]:
    require("dash", "busybox")
    outputs = collect_in_namespace(tmp_path_factory.mktemp("own"), VARIANTS, OWN_NETWORKS, after="kill $other")
    return {name: guest_of(data) for name, data in outputs.items()}


@pytest.mark.parametrize("variant", ["dash", "bash", "plain"])
def test_links_are_told_by_what_they_are(own_networks: dict[str, Guest], variant: str) -> None:
    links = {link.name: link for link in own_networks[variant].interfaces}
    assert all(link.kind_shown for link in links.values())
    assert {name: (link.kind, link.link_type) for name, link in links.items()} == {
        "lo": (None, "loopback"),
        "v0": ("veth", "ether"),
        "w0": ("veth", "ether"),
        "x0": ("veth", "ether"),
        "tun0": ("tun", "none"),
        "br0": ("bridge", "ether"),
    }
    assert (links["v0"].peer, links["w0"].peer, links["x0"].peer) == ("w0", "v0", None)
    assert [(link.elsewhere, link.peer_index is not None) for link in (links["v0"], links["x0"])] == [
        (False, False),
        (True, True),
    ]
    assert {name for name, link in links.items() if not link.asks_neighbours} == {"v0", "tun0"}
    assert {link.bus for link in links.values()} == {None}


@pytest.mark.parametrize("variant", ["dash", "plain", "ash"])
def test_permanent_neighbours(own_networks: dict[str, Guest], variant: str) -> None:
    neighbour = Neighbour(address="10.0.0.1", interface="v0", mac="02:00:00:00:00:01")
    assert own_networks[variant].neighbours == (neighbour,)


def test_what_was_not_looked_at_is_told_from_what_was_empty(tmp_path: Path) -> None:
    require_root()
    require("nft", "tc", "setpriv")
    (tmp_path / "collect.sh").write_text(collect_script_text())
    tmp_path.chmod(0o755)
    root = guest_of(run_in_namespace(f"sh < {tmp_path / 'collect.sh'}"))
    user = guest_of(run_in_namespace(f"exec setpriv --reuid 65534 --clear-groups sh < {tmp_path / 'collect.sh'}"))
    assert {Examined.TRAFFIC, Examined.FIREWALL, Examined.IPSEC} <= set(root.examined)
    assert root.firewall is not None
    assert root.firewall.chains == ()
    assert (root.neighbours, user.neighbours) == ((), ())
    assert user.firewall is None
    assert user.examined == (Examined.TRAFFIC,)
    assert set(user.unexamined) == {"firewall", "ipsec", "bpf"}
    assert "only root is told" in user.unexamined["firewall"]


def test_tc_that_is_missing_is_not_no_filter(tmp_path: Path) -> None:
    require("busybox")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sed", "grep", "cat", "date", "ip", "head"):
        (tools / name).symlink_to(str(shutil.which(name)))
    script = collect_script_text().replace(":/sbin:/usr/sbin", "")
    (tmp_path / "collect.sh").write_text(script)
    guest = guest_of(run_in_namespace(f"PATH={tools} exec {shutil.which('dash')} -s < {tmp_path / 'collect.sh'}"))
    assert Examined.TRAFFIC not in guest.examined
    assert "not found" in guest.unexamined["traffic"]
    assert guest.missing == {}
