"""The kernel over all that is not known: an answer only where every possible world gives it."""

import pytest

from tests.support.kernel_guests import ICMP, TCP, UDP, make_guest, packet, replaced
from tests.support.one_packet import sent_by, taken
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.packet import NO_PORTS, Transport
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.send import NotSent, Sent
from vnicheck.kernel.undetermined import Undetermined, Unknown
from vnicheck.model.address import parse_address
from vnicheck.model.guest import Guest, Interface, InterfaceAddress, NextHop, Route, RouteType, Unmodelled

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    10.0.0.0/24 dev eth1 proto kernel scope link src 10.0.0.12 metric 100
    default via 10.0.0.1 dev eth1 table 100
"""
Ports = tuple[int, int]
REMOTE = "203.0.113.9"
CLIENT = (1024, 65535)
SSH = (22, 22)


def egress(
    guest: Guest,
    proto: int = TCP,
    remote: str = REMOTE,
    sports: tuple[int, int] = SSH,
    dports: tuple[int, int] = CLIENT,
) -> str:
    """By which interface 10.0.0.12 answers."""
    ports = (NO_PORTS, NO_PORTS) if proto == ICMP else (sports, dports)
    sent = sent_by(Kernel(guest), packet("10.0.0.12", remote, proto), *ports)
    return sent.interface if isinstance(sent, Sent) else str(sent.failure)


def reception(guest: Guest, source: str = REMOTE, proto: int = TCP, interface: str = "eth1") -> str:
    """What becomes of a packet to 10.0.0.12."""
    ports = (NO_PORTS, NO_PORTS) if proto == ICMP else (CLIENT, SSH)
    return taken(Kernel(guest), interface, packet(source, "10.0.0.12", proto), *ports).reception.value


def guest(rules: str = "", routes: str = "", **sysctls: int) -> Guest:
    """`eth1_rp_filter=1` for eth1.rp_filter."""
    keys = {key.replace("_", ".", 1): value for key, value in sysctls.items()}
    return make_guest(routes=ROUTES + routes, rules=rules, sysctls=keys)


class TestOpenFields:
    """Mark, TOS, user and ports that the flow leaves open."""

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            ("from all fwmark 0x5 lookup 100", "the packet's mark"),
            ("from all fwmark 0/0xff lookup 100", "the packet's mark"),
            ("from all tos 0x10 lookup 100", "the packet's TOS"),
            ("from all dscp 46 lookup 100", "the packet's TOS"),
            ("from all uidrange 1000-2000 lookup 100", "the user of the program"),
            ("from all dport 2000-3000 lookup 100", "a port"),
        ],
    )
    def test_makes_a_difference(self, rule: str, words: str) -> None:
        with pytest.raises(Undetermined, match=words):
            egress(guest(f"100: {rule}"))

    @pytest.mark.parametrize(
        "rule",
        [
            "from 10.0.0.11 fwmark 0x5 lookup 100",
            "from all fwmark 0x5 lookup main",
            "from 10.0.0.11 tos 0x10 lookup 100",
            "from all to 192.0.2.0/24 uidrange 1000-2000 lookup 100",
            "from all dport 100-200 lookup 100",
            "from all sport 23-30 lookup 100",
        ],
    )
    def test_makes_none(self, rule: str) -> None:
        assert egress(guest(f"100: {rule}")) == "eth0"

    def test_local_to_the_guest_is_not_unreachable(self) -> None:
        """Neither leaves the guest, but one is answered by it."""
        rules = "100: from all fwmark 0x2 lookup main\n200: from all unreachable"
        known = guest(rules)
        local = Route(prefix="198.51.100.0/24", type=RouteType.LOCAL, nexthops=(NextHop(interface="lo"),), text="l")
        with pytest.raises(Undetermined, match="mark"):
            egress(replaced(known, routes=(*known.routes, local)), remote="198.51.100.7")

    def test_two_masks_can_match_one_mark(self) -> None:
        """No single rule's own value would show it: only mark 3 reaches table 100."""
        rules = "100: not from all fwmark 0x1/0x1 goto 300\n200: from all fwmark 0x2/0x2 lookup 100\n300: from all nop"
        with pytest.raises(Undetermined, match="mark"):
            egress(guest(rules))

    def test_many_marks_are_not_told_apart(self) -> None:
        rules = "\n".join(f"{100 + bit}: from all fwmark 0x{1 << bit:x}/0x{1 << bit:x} lookup 100" for bit in range(12))
        with pytest.raises(Undetermined, match="too many packet marks"):
            egress(guest(rules))

    def test_mark_matters_on_the_way_back_only_with_src_valid_mark(self) -> None:
        rules = "100: from all iif lo fwmark 0x5 lookup 100"
        assert reception(guest(rules, eth1_rp_filter=1)) == "rp_filter"
        with pytest.raises(Undetermined, match="mark"):
            reception(guest(rules, eth1_rp_filter=1, all_src_valid_mark=1))

    def test_only_what_differs_at_the_flows_port_is_named(self) -> None:
        """Below and above, ports and marks decide together; between them every packet has the port, and some a mark."""
        rules = "100: from all fwmark 0x1 sport 100-200 lookup 100\n200: from all sport 150-300 lookup main"
        for sports in ((100, 100), (150, 150), (200, 200)):
            with pytest.raises(Undetermined, match=r"^it depends on the packet's mark, which the flow leaves open;"):
                egress(guest(rules), sports=sports)
        sent = Kernel(guest(rules)).sent(parse_address("10.0.0.12"), Transport(TCP, (1, 65535), CLIENT, of_source=True))
        ways = sent.at(parse_address(REMOTE))
        found = {port: ways.at(port) for port in (99, 100, 149, 150, 200, 201, 300, 301)}
        reasons = {port: way.reason for port, way in found.items() if isinstance(way, Unknown)}
        assert list(reasons) == [100, 149, 150, 200]
        assert all(each.startswith("it depends on the packet's mark, which ") for each in reasons.values())
        assert all(isinstance(found[port], Sent) for port in (99, 201, 300, 301))

    def test_known_port_decides(self) -> None:
        rules = "100: from all ipproto tcp sport 22 lookup 100"
        assert egress(guest(rules)) == "eth1"
        assert egress(guest(rules), sports=(443, 443)) == "eth0"
        assert egress(guest(rules), proto=UDP) == "eth0"

    def test_echo_request_is_looked_up_with_its_type_as_a_port(self) -> None:
        """A ping of the guest asks with destination port 0x0800, an echo reply with 0: the flow may be either."""
        with pytest.raises(Undetermined, match="a port"):
            egress(guest("100: from all dport 2000-3000 lookup 100"), proto=ICMP)
        assert egress(guest("100: from all ipproto tcp dport 2000-3000 lookup 100"), proto=ICMP) == "eth0"


class TestHiddenState:
    """Whether rules or local routes were ever touched."""

    def test_makes_no_difference_to_ordinary_sources(self) -> None:
        assert reception(guest()) == "delivered"
        assert egress(guest()) == "eth0"

    def test_broadcast_source(self) -> None:
        with pytest.raises(Undetermined, match="no dump shows"):
            reception(guest(), "10.0.0.255")
        assert reception(guest("100: from all lookup 7"), "10.0.0.255") == "martian_source"
        assert reception(guest(eth1_rp_filter=1), "10.0.0.255") == "martian_source"

    def test_local_route_of_a_user_leaves_no_doubt(self) -> None:
        local = Route(prefix="10.5.0.0/16", table=77, type=RouteType.LOCAL, nexthops=(NextHop(interface="lo"),))
        known = guest()
        assert reception(replaced(known, routes=(*known.routes, local)), "10.0.0.255") == "martian_source"

    def test_route_of_main_inside_one_of_local(self) -> None:
        """In one trie the longer prefix of main wins; in two tables local is asked first."""
        local = Route(prefix="198.51.100.0/24", table=255, type=RouteType.LOCAL, nexthops=(NextHop(interface="lo"),))
        known = guest(routes="198.51.100.7 via 10.0.0.1 dev eth0")
        both = replaced(known, routes=(*known.routes, local))
        with pytest.raises(Undetermined, match="no dump shows"):
            egress(both, remote="198.51.100.7")
        assert egress(both, remote="198.51.100.8") == "unreachable"
        touched = replaced(both, rules=guest("100: from all lookup 7").rules)
        assert egress(touched, remote="198.51.100.7") == "unreachable"


class TestMissingFacts:
    """What was not collected, or not understood, leaves open what it touches, and only that."""

    @pytest.mark.parametrize("fact", ["interfaces", "routes", "routes_local", "rules"])
    def test_core_fact(self, fact: str) -> None:
        with pytest.raises(Undetermined, match="ip: not found"):
            reception(replaced(guest(), missing={fact: "ip: not found"}))
        with pytest.raises(Undetermined, match="ip: not found"):
            egress(replaced(guest(), missing={fact: "ip: not found"}))

    def test_line_that_belongs_to_nothing(self) -> None:
        with pytest.raises(Undetermined, match="frobnicate"):
            egress(replaced(guest(), unmodelled=(Unmodelled(section="rules", text="7: frobnicate"),)))
        assert egress(replaced(guest(), unmodelled=(Unmodelled(section="counters", text="x"),))) == "eth0"

    @pytest.mark.parametrize("key", ["all/rp_filter", "eth1/rp_filter", "lo/rp_filter", "eth0/rp_filter"])
    def test_sysctl(self, key: str) -> None:
        known = guest()
        sysctls = {path: value for path, value in known.sysctls.items() if not path.endswith(key)}
        lacking = replaced(known, sysctls=sysctls, missing={"sysctls": "permission denied"})
        assert egress(lacking) == "eth0"
        if key in {"all/rp_filter", "eth1/rp_filter"}:
            with pytest.raises(Undetermined, match="rp_filter: permission denied"):
                reception(lacking)
        else:
            assert reception(lacking) == "delivered"

    def test_route_not_understood(self) -> None:
        known = guest()
        odd = Route(prefix="192.0.2.0/24", unmodelled=("encap",), text="192.0.2.0/24 encap mpls")
        unread = replaced(known, routes=(*known.routes, odd))
        with pytest.raises(Undetermined, match="encap mpls"):
            egress(unread, remote="192.0.2.9")
        assert egress(unread) == "eth0"

    def test_rule_not_understood(self) -> None:
        known = guest("100: from 10.0.0.12 to 192.0.2.0/24 lookup 100")
        (odd,) = (rule for rule in known.rules if rule.priority == 100)
        rules = [replaced(rule, unmodelled=("tun_id 9",)) if rule is odd else rule for rule in known.rules]
        unread = replaced(known, rules=tuple(rules))
        with pytest.raises(Undetermined, match="tun_id 9"):
            egress(unread, remote="192.0.2.9")
        assert egress(unread) == "eth0"

    def test_rule_for_all_but_vrfs(self) -> None:
        assert egress(guest("100: from all lookup [l3mdev-table]")) == "eth0"
        with pytest.raises(Undetermined, match="all but VRFs"):
            egress(guest("100: not from all lookup [l3mdev-table]"))

    def test_enslaved_interface(self) -> None:
        known = guest()
        slave = [replaced(each, master="bond0") if each.name == "eth1" else each for each in known.interfaces]
        enslaved = replaced(known, interfaces=tuple(slave))
        with pytest.raises(Undetermined, match="eth1 belongs to bond0"):
            reception(enslaved)
        assert reception(enslaved, interface="eth0") == "delivered"
        assert egress(enslaved) == "eth0"

    def test_address_of_a_vrf(self) -> None:
        known = guest()
        vrf = Interface(name="blue", index=9, up=True, carrier=True, kind="vrf", vrf_table=10)
        slave = [replaced(each, master="blue") if each.name == "eth1" else each for each in known.interfaces]
        enslaved = replaced(known, interfaces=(*slave, vrf))
        with pytest.raises(Undetermined, match="VRF blue"):
            egress(enslaved)
        assert reception(enslaved, interface="eth0") == "delivered"

    def test_interface_with_a_program_on_it(self) -> None:
        known = guest()
        links = [replaced(each, unmodelled=("xdp",)) if each.name == "eth1" else each for each in known.interfaces]
        programmed = replaced(known, interfaces=tuple(links))
        with pytest.raises(Undetermined, match="xdp"):
            reception(programmed)
        assert reception(programmed, interface="eth0") == "delivered"

    def test_interface_that_is_not_there(self) -> None:
        with pytest.raises(Undetermined, match="eth9 was not collected"):
            reception(guest(), interface="eth9")


class TestOutsideTheModel:
    """Packets that are neither delivered nor dropped."""

    def test_forwarded(self) -> None:
        with pytest.raises(Undetermined, match="forwards it by eth0"):
            taken(Kernel(guest(eth1_forwarding=1)), "eth1", packet(REMOTE, "192.0.2.1"), CLIENT, SSH)

    def test_broadcast(self) -> None:
        with pytest.raises(Undetermined, match="broadcast"):
            taken(Kernel(guest()), "eth1", packet(REMOTE, "10.0.0.255"), CLIENT, SSH)

    def test_forwarded_packet_that_is_refused_is_dropped(self) -> None:
        received = taken(
            Kernel(guest(eth1_forwarding=1, eth1_rp_filter=1)), "eth1", packet(REMOTE, "192.0.2.1"), CLIENT, SSH
        )
        assert received.reception is Reception.RP_FILTER


def test_interface_state() -> None:
    guest = make_guest(links={"eth0": "BROADCAST,LOWER_UP", "eth1": "NO-CARRIER,BROADCAST,UP"})
    kernel = Kernel(guest)
    down, idle = kernel.interface_state("eth0"), kernel.interface_state("eth1")
    assert down is not None
    assert down.reason == "eth0 is down"
    assert idle is not None
    assert idle.reason == "eth1 has no carrier"
    assert kernel.interface_state("lo") is None


def test_answers_are_remembered_with_their_doubts() -> None:
    kernel = Kernel(guest("100: from all fwmark 0x5 lookup 100"))
    for _ in range(2):
        with pytest.raises(Undetermined, match="mark"):
            sent_by(kernel, packet("10.0.0.12", REMOTE), SSH, CLIENT)
    assert isinstance(sent_by(kernel, packet("10.9.9.9", REMOTE), SSH, CLIENT), NotSent)


def test_cuts_hold_the_edges_of_everything_that_is_read() -> None:
    kernel = Kernel(guest("100: from 10.0.0.12 to 192.0.2.0/24 dport 80-90 lookup 100"))
    edges = {0xC0000200, 0xC0000300, 0x0A000000, 0x0A000100, 0x0A00000B, 0x0A00000C, 0x0A00000D, 0}
    assert edges <= set(kernel.ends.starts)
    assert kernel.port_cuts() == {80, 91}


def test_echo_is_ignored_where_the_guest_says_so() -> None:
    assert not Kernel(guest()).ignores_echo()
    quiet = replaced(guest(), sysctls={"net/ipv4/icmp_echo_ignore_all": 1})
    assert Kernel(quiet).ignores_echo()


def test_address_without_a_local_route_is_cut_too() -> None:
    known = guest()
    lonely = InterfaceAddress(prefix="10.0.9.9/24")
    links = [replaced(each, addresses=(lonely,)) if each.name == "eth1" else each for each in known.interfaces]
    assert {0x0A000909, 0x0A00090A} <= set(Kernel(replaced(known, interfaces=tuple(links))).ends.starts)
