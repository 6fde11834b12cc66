"""The parsers on text of other versions, on the article's text, and on text of no kind at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from tests.support.guest_parts import guest_from_parts, with_default_tables
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.doubt import doubt_busybox_links, doubt_busybox_routes
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.parsers.counters import parse_counters, parse_route_cache
from vnicheck.guest.parsers.links import parse_links, with_buses
from vnicheck.guest.parsers.names import Names, parse_names
from vnicheck.guest.parsers.nexthops import parse_nexthops, resolve_nexthops
from vnicheck.guest.parsers.parsed import Parsed, is_json
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.guest.parsers.sysctls import parse_sysctls
from vnicheck.guest.parsers.system import parse_ip_version, parse_managers, parse_os
from vnicheck.model.guest import Interface, PolicyRule, Route, RouteType, RuleAction
from vnicheck.model.lines import format_route, format_rule

ADDRESSES = """1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 02:00:05:02:70:58 brd ff:ff:ff:ff:ff:ff
    altname enp0s3
    inet 10.0.0.11/24 metric 100 brd 10.0.0.255 scope global dynamic noprefixroute eth0
       valid_lft 304sec preferred_lft 304sec
    inet6 fe80::5ff:fe02:7058/64 scope link noprefixroute
       valid_lft forever preferred_lft forever
3: eth1.100@eth1: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue master br0 state DOWN group 7
    link/ether 02:00:25:02:70:58 brd ff:ff:ff:ff:ff:ff
    vlan protocol 802.1Q id 100 <REORDER_HDR>
    bridge_slave state forwarding priority 32 cost 2
    inet 10.0.0.12/24 brd 10.0.0.255 scope global secondary eth1:1
"""
ROUTES = """default via 10.0.0.1 dev eth0
10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11 metric 100
"""
SYSCTLS = """net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.eth1/100.rp_filter = 2
net.ipv4.ip_forward = 1
"""


def one_route(text: str, names: Names | None = None) -> Route:
    parsed = parse_routes(text, names)
    assert parsed.unmodelled == ()
    assert len(parsed.items) == 1
    return parsed.items[0]


def one_rule(text: str, names: Names | None = None) -> PolicyRule:
    parsed = parse_rules(text, names)
    assert parsed.unmodelled == ()
    assert len(parsed.items) == 1
    return parsed.items[0]


class TestLinks:
    def test_plain(self) -> None:
        links = parse_links(ADDRESSES).items
        assert [link.name for link in links] == ["lo", "eth0", "eth1.100"]
        eth0, vlan = links[1], links[2]
        assert eth0.addresses[0].dynamic
        assert eth0.addresses[0].noprefixroute
        assert eth0.addresses[0].broadcast == "10.0.0.255"
        assert (vlan.kind, vlan.parent, vlan.master, vlan.group) == ("vlan", "eth1", "br0", 7)
        assert (vlan.up, vlan.carrier) == (True, False)
        assert vlan.addresses[0].secondary
        assert [link.unmodelled for link in links] == [(), (), ()]

    def test_vrf(self) -> None:
        json_text = (
            '[{"ifindex":9,"ifname":"red","flags":["UP"],"linkinfo":{"info_kind":"vrf","info_data":{"table":10}}}]'
        )
        assert parse_links(json_text).items[0].vrf_table == 10
        plain = "9: red: <UP> mtu 1\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    vrf table 10 mtu 1\n"
        assert parse_links(plain).items[0].vrf_table == 10

    def test_xdp_and_unknown_keys_are_kept(self) -> None:
        text = '[{},{"ifindex":2,"ifname":"eth0","flags":["UP"],"mtu":9000,"xdp":{"mode":1},"novel":[1]}]'
        link = parse_links(text).items[0]
        assert [item.split()[0] for item in link.unmodelled] == ["xdp", "novel"]
        plain = (
            "2: eth0: <UP> mtu 9000 xdpgeneric/id:4 qdisc noop\n    link/ether 02:00:00:00:00:01\n    prog/xdp id 4\n"
        )
        assert parse_links(plain).items[0].unmodelled == ("xdpgeneric/id:4", "prog/xdp id 4")

    def test_group_names_of_the_guest(self) -> None:
        names = parse_names("/etc/iproute2/group:5\tuplinks\n/etc/iproute2/rt_tables:0x64 blue # why\n")
        assert names == Names({"blue": 100}, {"uplinks": 5})
        assert parse_links("2: a: <UP> mtu 1 group uplinks\n", names).items[0].group == 5
        assert parse_links("2: a: <UP> mtu 1 group strange\n", names).items[0].unmodelled == ("group strange",)

    def test_link_without_ethernet_address(self) -> None:
        text = "4: tun0: <UP> mtu 1480\n    link/ipip 10.0.0.1 peer 10.0.0.2\n    inet 10.9.0.1/24 scope global tun0\n"
        link = parse_links(text).items[0]
        assert link.mac is None
        assert link.addresses[0].prefix == "10.9.0.1/24"


class TestRoutes:
    def test_names_of_tables(self) -> None:
        assert one_route("10.1.0.0/16 dev a table blue", Names({"blue": 100})).table == 100
        assert parse_routes("10.1.0.0/16 dev a table blue").unmodelled == ("10.1.0.0/16 dev a table blue",)

    @pytest.mark.parametrize(
        ("plain", "values"),
        [
            ("default via 10.0.0.1 dev a", {"dst": "default", "gateway": "10.0.0.1", "dev": "a"}),
            ("blackhole 10.0.0.0/8", {"type": "6", "dst": "10.0.0.0/8"}),
            ("7 10.1.2.3", {"type": "unreachable", "dst": "10.1.2.3"}),
            (
                "1.0.0.0/8 dev a novel 5 dead linkdown",
                {"dst": "1.0.0.0/8", "dev": "a", "novel": 5, "flags": ["dead", "linkdown"]},
            ),
            (
                "1.0.0.0/8 dev a mtu lock 1400 rtt 10ms scope 253",
                {"dst": "1.0.0.0/8", "dev": "a", "metrics": [{"mtu": 1}], "scope": "link"},
            ),
            ("0.0.0.0 dev a proto 16", {"dst": "0.0.0.0", "dev": "a", "protocol": "dhcp"}),
        ],
    )
    def test_forms_are_equal(self, plain: str, values: dict[str, Any]) -> None:
        assert one_route(plain) == one_route(json.dumps([values]))

    def test_default_is_not_the_address_zero(self) -> None:
        assert one_route("default dev a").prefix == "0.0.0.0/0"
        assert one_route("0.0.0.0 dev a").prefix == "0.0.0.0/32"

    def test_unknown_words_stay_with_the_route(self) -> None:
        assert one_route("10.0.0.0/8 dev a novel 5").unmodelled == ("novel 5",)
        assert one_route("10.0.0.0/8 encap mpls 100 via 10.0.0.1 dev a").unmodelled == ("encap mpls 100",)
        assert one_route("10.0.0.0/8").unmodelled == ("no nexthop is shown",)

    @pytest.mark.parametrize(
        "line", ["nat 10.0.0.0/8 dev a", "10.0.0.1/8 dev a", "novel 10.0.0.0/8", "]", "\t via 1.2.3.4"]
    )
    def test_lines_without_a_prefix_are_kept_whole(self, line: str) -> None:
        parsed = parse_routes(line)
        assert parsed.items == ()
        assert parsed.unmodelled == (" ".join(line.split()),)

    def test_ipv6_is_not_of_interest(self) -> None:
        assert parse_routes("fe80::/64 dev eth0 proto kernel\nmulticast ff00::/8 dev eth0\n") == parse_routes("")

    def test_nexthop_objects_complete_a_route(self) -> None:
        objects = parse_nexthops(
            "id 1 via 10.0.0.1 dev a scope link\nid 2 dev b linkdown\nid 3 group 1,3/2\nid 4 blackhole\n"
        )
        assert objects.unmodelled == ()
        routes = parse_routes("10.1.0.0/16 nhid 3\n10.2.0.0/16 nhid 4\n10.3.0.0/16 nhid 9\n").items
        group, blackhole, lost = resolve_nexthops(routes, objects.items)
        assert [(hop.interface, hop.weight) for hop in group.nexthops] == [("a", 3), ("b", 1)]
        assert group.nexthops[1].flags == ("linkdown",)
        assert blackhole.type is RouteType.BLACKHOLE
        assert lost.unmodelled == ("nexthop object 9 is not shown",)

    def test_encapsulation_repeats_the_key_of_the_destination(self) -> None:
        text = '[{"dst":"10.25.0.0/16","encap":"ip","src":"0.0.0.0","dst":"1.2.3.4","dev":"a"}]'
        route = one_route(text)
        assert route.prefix == "10.25.0.0/16"
        assert route.source is None
        assert route.unmodelled == ("encap ip src 0.0.0.0 dst 1.2.3.4",)


class TestRules:
    @pytest.mark.parametrize(
        ("plain", "values"),
        [
            ("0:\tfrom all lookup local", {"priority": 0, "src": "all", "table": "255"}),
            ("5: from all dscp CS1 lookup 7", {"priority": 5, "src": "all", "dscp": "8", "table": "7"}),
            (
                "5: from all sport 22/0xff lookup 7",
                {"priority": 5, "src": "all", "sport": 22, "sport_mask": "0xff", "table": "7"},
            ),
            ("5: from all novel 3 lookup main", {"priority": 5, "src": "all", "novel": 3, "table": "254"}),
            (
                "5: from all lookup 7 realms 1/2",
                {"priority": 5, "src": "all", "table": "7", "flow_from": "1", "flow_to": "2"},
            ),
            (
                "5: from all ipproto udp prohibit proto static",
                {"priority": 5, "src": "all", "ipproto": "ipproto-17", "action": "8", "protocol": "4"},
            ),
        ],
    )
    def test_forms_are_equal(self, plain: str, values: dict[str, Any]) -> None:
        assert one_rule(plain) == one_rule(json.dumps([values]))

    def test_unknown_words_stay_with_the_rule(self) -> None:
        assert one_rule("5: from all novel lookup main").unmodelled == ("novel",)
        assert one_rule("5: from all sport 22/0xff lookup 7").unmodelled == ("sport 22/0xff",)
        assert one_rule("5: from all lookup blue").unmodelled == ("lookup blue no action is shown",)
        assert one_rule("5: from all lookup blue", Names({"blue": 100})).table == 100

    def test_zero_is_a_value(self) -> None:
        rule = one_rule("5: from all fwmark 0 uidrange 0-0 sport 0 lookup main suppress_ifgroup default")
        assert (rule.fwmark, rule.uid_range, rule.sport, rule.suppress_ifgroup) == (0, (0, 0), (0, 0), 0)
        assert rule.unmodelled == ()

    @pytest.mark.parametrize("line", ["from all lookup main", "x: from all lookup main", "5:", "Error: no"])
    def test_lines_that_are_no_rule(self, line: str) -> None:
        parsed = parse_rules(line)
        assert [rule.unmodelled for rule in parsed.items] == [("no action is shown",)] * len(parsed.items)
        assert parsed.items or parsed.unmodelled == (line,)

    @pytest.mark.parametrize(
        "text", ["9: from 10.0.1.12/24 lookup 9", '[{"priority":9,"src":"10.0.1.12","srclen":24,"table":"9"}]']
    )
    def test_host_bits_do_not_count(self, text: str) -> None:
        assert one_rule(text).src == "10.0.1.0/24"

    def test_goto_that_leads_nowhere(self) -> None:
        rule = one_rule("99: from all goto 200 [unresolved]")
        assert (rule.action, rule.goto) == (RuleAction.GOTO, 200)


def test_sysctls_of_both_forms() -> None:
    values, strange = parse_sysctls(SYSCTLS + "net/ipv4/conf/eth1.100/rp_filter:-1\nkernel.pid_max = 4\nodd\n")
    assert values == {
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/eth1.100/rp_filter": -1,
        "net/ipv4/ip_forward": 1,
    }
    assert strange == ("kernel.pid_max = 4", "odd")


def test_counters() -> None:
    text = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 3 12\nIp: Forwarding InAddrErrors\nIp: 2 0\nIpExt: A\n"
    assert parse_counters(text) == {"TcpExtIPReversePathFilter": 12, "IpForwarding": 2, "IpInAddrErrors": 0}
    rows = "entries in_martian_dst in_martian_src\n00000005 00000000 00000018\n00000005 00000001 0000000a\n"
    assert parse_route_cache(rows) == {"rt_cache_in_martian_dst": 1, "rt_cache_in_martian_src": 34}
    assert parse_route_cache("") == {}


def test_operating_system() -> None:
    system = parse_os(
        'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04 LTS"\n#x=y\nbad="\n', "Linux\n6.8.0\nweb-1\n"
    )
    assert (system.id, system.version, system.name) == ("ubuntu", "24.04", "Ubuntu 24.04 LTS")
    assert (system.kernel, system.hostname) == ("6.8.0", "web-1")
    assert parse_os("", "").kernel == ""
    assert parse_ip_version("ip utility, iproute2-ss190319") == "190319"
    assert parse_ip_version("nothing") == ""


@pytest.mark.parametrize(
    ("text", "managers"),
    [
        ("unit NetworkManager active\nunit systemd-networkd inactive\npath /run/NetworkManager\n", ("NetworkManager",)),
        ("process systemd-network\npath /etc/netplan/50-cloud-init.yaml\n", ("netplan", "systemd-networkd")),
        ("path /run/network/ifstate\npath /etc/network/interfaces\n", ("networking",)),
        ("unit networking inactive\npath /run/network/ifstate\npath /etc/network/interfaces\n", ()),
        ("unit networking active\npath /run/cloud-init\n", ("networking", "cloud-init")),
        ("unit wickedd active\nprocess wickedd\n", ("wicked",)),
        ("", ()),
    ],
)
def test_managers(text: str, managers: tuple[str, ...]) -> None:
    assert parse_managers(text) == managers


ARTICLE = Path(__file__).parents[2] / "fixtures" / "article"


class TestParts:
    @pytest.mark.parametrize(("check", "expected"), [("1", 0), ("s-2-and-3", 2)])
    def test_the_articles_server(self, check: str, expected: int) -> None:
        guest = guest_from_parts(
            collected_at="2024-06-20T02:11:00Z",
            addresses_text=(ARTICLE / "ip-a.txt").read_text(),
            routes_text=(ARTICLE / "ip-r.txt").read_text(),
            sysctl_text=(ARTICLE / f"rp_filter-check{'-1' if check == '1' else 's-2-and-3'}.txt").read_text(),
            main_only=True,
        )
        assert guest.unmodelled == ()
        assert set(guest.missing) == {"rules", "routes_local"}
        assert [(link.name, link.mac) for link in guest.interfaces[1:]] == [
            ("eth0", "02:00:05:02:70:58"),
            ("eth1", "02:00:25:02:70:58"),
        ]
        assert [route.text for route in guest.routes] == (ARTICLE / "ip-r.txt").read_text().splitlines()
        assert guest.sysctls["net/ipv4/conf/all/rp_filter"] == expected
        assert guest.sysctls["net/ipv4/conf/eth1/rp_filter"] == 1
        assert len(with_default_tables(guest).routes) == 4 + 4 + 3

    def test_what_is_not_given_is_missing(self) -> None:
        guest = guest_from_parts(collected_at="x", routes_text=ROUTES, main_only=True)
        assert set(guest.missing) == {"interfaces", "rules", "sysctls", "routes_local"}
        assert guest.missing["rules"] == "not collected"

    def test_default_tables(self) -> None:
        guest = guest_from_parts(
            collected_at="x", addresses_text=ADDRESSES, routes_text=ROUTES, sysctl_text=SYSCTLS, main_only=True
        )
        whole = with_default_tables(guest)
        assert whole.missing == {}
        local = {
            (route.prefix, route.type.value, route.nexthops[0].interface)
            for route in whole.routes
            if route.table == 255
        }
        assert local >= {
            ("10.0.0.11/32", "local", "eth0"),
            ("10.0.0.12/32", "local", "eth1.100"),
            ("10.0.0.255/32", "broadcast", "eth0"),
            ("127.0.0.0/8", "local", "lo"),
        }
        assert with_default_tables(whole) == whole

    def test_collected_rules_are_left_alone(self) -> None:
        guest = guest_from_parts(collected_at="x", rules_text="0: from all lookup local\n")
        assert with_default_tables(guest).rules == guest.rules


PARSERS: list[Callable[[str], object]] = [
    parse_links, parse_routes, parse_rules, parse_nexthops, parse_sysctls, parse_counters, parse_route_cache,
    parse_names, parse_managers, parse_ip_version,
    lambda text: parse_os(text, text),
    lambda text: read_guest(text.encode("utf-8", "surrogatepass"), via="file"),
    lambda text: guest_from_parts(
        collected_at="x", addresses_text=text, routes_text=text, rules_text=text, sysctl_text=text
    ),
]  # fmt: skip

WORDS = (  # noqa: SIM905
    "default via dev table proto scope src metric nexthop weight onlink nhid encap realms tos inet6 local unicast "
    "0: 5: from all to not iif oif fwmark lookup goto nop sport dport uidrange [detached] l3mdev id group blackhole "
    "1: eth0: eth0 <UP> inet peer brd link/ether master mtu 10.0.0.0/8 10.0.0.1 0 1 1,2/3 0x1/0xff 1-2 : = | ! \n \n\t"
).split(" ")
KEYS = (  # noqa: SIM905
    "ifindex ifname flags addr_info family local prefixlen address scope linkinfo info_kind info_data group priority "
    "src dst srclen table action goto iif fwmark fwmask sport dport_start uid_start flow_to type gateway dev via "
    "nexthops nh_info encap metrics protocol nhid id blackhole weight"
).split(" ")
SENTENCES = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=30).map(" ".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=12,
)
DUMPS = st.lists(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), VALUES, max_size=8), max_size=4)


class TestAnyText:
    @settings(max_examples=drawn(150), deadline=None)
    @given(text=st.text(max_size=200) | SENTENCES | DUMPS.map(json.dumps))
    def test_raises_nothing_but_collection_errors(self, text: str) -> None:
        messages: list[CollectionError] = []
        for parse in PARSERS:
            try:
                parse(text)
            except CollectionError as error:
                messages.append(error)
        assert [error.code for error in messages if "\n" in error.message or not error.code.startswith("guest_")] == []

    @settings(max_examples=drawn(150), deadline=None)
    @given(data=st.binary(max_size=200))
    def test_any_bytes(self, data: bytes) -> None:
        with pytest.raises(CollectionError):
            read_guest(b"vnicheck-guest/1 begin\n" + data, via="file")

    @settings(max_examples=drawn(150), deadline=None)
    @given(text=SENTENCES)
    def test_nothing_is_dropped(self, text: str) -> None:
        assume(not is_json(text))
        lines = [line for line in text.split("\n") if line.strip()]
        parsed = parse_rules(text)
        assert len(parsed.items) + len(parsed.unmodelled) == len(lines)

    @settings(max_examples=drawn(200), deadline=None)
    @given(text=SENTENCES)
    def test_evidence_reads_back(self, text: str) -> None:
        assume(not is_json(text))
        for route in parse_routes(text).items:
            if not route.unmodelled and not route.realms and len(route.nexthops) < 2:
                assert one_route(format_route(route)) == route
        for rule in parse_rules(text).items:
            if not rule.unmodelled and not rule.realms:
                assert one_rule(format_rule(rule)) == rule

    @pytest.mark.parametrize("parse", [parse_links, parse_routes, parse_rules, parse_nexthops])
    @pytest.mark.parametrize(
        "text", ["[" * 100_000, "[" + "1" * 5000 + "]", '[{"a":', "a\n" * 200_001, "[" + "1," * 200_001 + "1]"]
    )
    def test_too_much(self, parse: Callable[[str], object], text: str) -> None:
        with pytest.raises(CollectionError) as caught:
            parse(text)
        assert caught.value.code == "guest_unreadable"

    def test_two_interfaces_of_one_name(self) -> None:
        link = "2: a: <UP> mtu 1\n"
        assert [type(item) for item in parse_links(link * 2).items] == [Interface, Interface]


@pytest.mark.parametrize(
    "line",
    [
        "default via fe80::1 dev eth0 proto ra metric 100 expires 1500sec hoplimit 64 pref medium",
        "default dev eth0 proto ra metric 1024 pref medium",
        "unreachable default dev lo table unspec proto kernel metric 4294967295 error -101 pref medium",
        "default proto static metric 1024 pref medium\n\tnexthop via fe80::1 dev eth0 weight 1",
        "default proto static metric 1024\n\tnexthop via fe80::1 dev eth0 weight 1",
        '[{"dst":"default","gateway":"fe80::1","dev":"eth0","protocol":"ra","metric":100,"flags":[],"pref":"medium"}]',
        '[{"dst":"default","dev":"eth0","protocol":"ra","metric":100,"flags":[],"pref":"medium"}]',
        '[{"dst":"default","metric":9,"flags":[],"nexthops":[{"gateway":"fe80::1","dev":"eth0","weight":1}]}]',
    ],
)
def test_routes_of_ipv6_are_skipped(line: str) -> None:
    assert parse_routes(line) == Parsed(())


def test_an_ipv4_route_by_an_ipv6_gateway_is_none_of_ipv6() -> None:
    (plain,) = parse_routes("default via inet6 fe80::1 dev eth0").items
    (json,) = parse_routes('[{"dst":"default","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0"}]').items
    assert plain.unmodelled == json.unmodelled == ("via inet6 fe80::1",)


@pytest.mark.parametrize(("text", "value"), [("-1", -1), ("2", 2), ("-2147483648", -2147483648)])
def test_a_negative_rp_filter_is_itself(text: str, value: int) -> None:
    key = "net/ipv4/conf/eth0/rp_filter"
    assert parse_sysctls(f"{key}:{text}")[0] == parse_sysctls(f"net.ipv4.conf.eth0.rp_filter = {text}")[0]
    assert parse_sysctls(f"{key}:{text}")[0] == {key: value}


def test_busybox_hides_tos_where_two_routes_are_to_one_place() -> None:
    text = "default via 10.0.0.1 dev eth0 metric 100\ndefault via 10.1.0.1 dev eth1 metric 200\n"
    twice = "10.9.0.0/16 via 10.0.0.1 dev eth0\n10.9.0.0/16 via 10.1.0.1 dev eth1\n"
    routes = doubt_busybox_routes(parse_routes(text + twice).items)
    connected = "10.3.0.0/24 dev eth0 scope link src 10.3.0.1\n10.3.0.0/24 dev eth1 scope link src 10.3.0.2\n"
    assert not any(route.unmodelled for route in doubt_busybox_routes(parse_routes(connected).items))
    assert [route.unmodelled for route in routes] == [(), (), *[("busybox ip does not show tos",)] * 2]


def test_busybox_hides_what_a_master_is() -> None:
    text = (
        "2: eth0: <UP> mtu 1500 master red\n    inet 10.0.0.1/24 scope global eth0\n"
        "3: eth1: <UP> mtu 1500 master br0\n4: eth2: <UP> mtu 1500\n    inet 10.1.0.1/24 scope global eth2\n"
    )
    links = doubt_busybox_links(parse_links(text).items)
    assert [bool(link.unmodelled) for link in links] == [True, False, False]


def test_the_bus_is_told_of_the_interface_itself_only() -> None:
    links = parse_links("2: eth0: <UP> mtu 1500\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n").items
    assert with_buses(links, "eth0 2 02:00:00:00:00:01 virtio")[0].bus == "virtio"
    assert with_buses(links, "eth0 4 02:00:00:00:00:01 virtio")[0].bus is None
    assert with_buses(links, "eth0 2 02:00:00:00:00:02 virtio")[0].bus is None
