"""The kernel model against the running kernel: a fixed set of random configurations, and the mistakes that are rare."""

import errno
import socket
import struct
from collections.abc import Sequence

import pytest
from msgspec import structs

from tests.lab.differential import sandbox
from tests.lab.differential.check import ask_one
from tests.lab.differential.compare import Disagreement, Tally, compare_all
from tests.lab.differential.every_world import compare_worlds
from tests.lab.differential.rtnetlink import KernelAnswer, Question, RouteSocket
from tests.lab.differential.run import in_child, minimal, run
from tests.lab.require import require_lab
from vnicheck.kernel.host import HiddenState, Host
from vnicheck.kernel.kernel import Kernel
from vnicheck.model.address import parse_address

SEED, CONFIGURATIONS = 1, 300
SAMPLE = 6
"""Without --long, one in so many."""

AGENTS, AGENTS_SAMPLE = 120, 12
"""Configurations of servers with agents, and the share of them without --long."""

pytestmark = pytest.mark.root

LINKS = (
    "ip link set lo up",
    "ip link add v0 type veth peer name p0",
    "ip link add v1 type veth peer name p1",
    *(f"ip link set {name} up" for name in ("v0", "p0", "v1", "p1")),
    "ip addr add 10.0.0.11/24 dev v0",
    "ip addr add 10.0.1.12/24 dev v1",
)
BY_V0 = ("ip route add default via 10.0.0.1 dev v0",)
TABLE_100 = ("ip route add default via 10.0.1.1 dev v1 table 100",)
STRICT = ("sysctl -w net/ipv4/conf/v1/rp_filter=1",)
TCP, UDP = 6, 17
REMOTE = "203.0.113.9"


@pytest.fixture(autouse=True)
def lab() -> None:
    require_lab()


@pytest.mark.timeout(400)
def test_random_configurations_agree(request: pytest.FixtureRequest) -> None:
    part = 1 if request.config.getoption("--long") else SAMPLE
    tally = run(str(SEED), CONFIGURATIONS // part)
    assert not tally.disagreements, "\n".join(map(str, tally.disagreements[:5]))
    assert tally.configurations == CONFIGURATIONS // part
    assert tally.compared >= 20_000 / part
    assert tally.over_worlds >= 6_000 / part
    assert tally.packets >= 500 / part
    assert tally.undetermined.total() <= 0.02 * tally.compared, tally.undetermined
    asked_over_worlds = tally.over_worlds + tally.undetermined_over_worlds.total()
    assert tally.undetermined_over_worlds.total() <= 0.15 * asked_over_worlds, tally.undetermined_over_worlds
    for outcome in ("in delivered", "in rp_filter", "in martian_source", "in not_local", "in forwarded", "out sent"):
        assert tally.outcomes[outcome] >= 50 / part, tally.outcomes


@pytest.mark.timeout(400)
def test_servers_with_agents_agree_in_every_world(request: pytest.FixtureRequest) -> None:
    """With the mark, TOS and user of each packet that a flow leaves open, also where the answer depends on them."""
    part = 1 if request.config.getoption("--long") else AGENTS_SAMPLE
    tally = run(f"agents-{SEED}", AGENTS // part)
    assert not tally.disagreements, "\n".join(map(str, tally.disagreements[:5]))
    assert tally.configurations == AGENTS // part
    assert tally.in_every_world >= 200 * tally.configurations
    told = tally.in_every_world - tally.not_told.total()
    assert tally.of_several_worlds >= 0.2 * told
    assert told - tally.of_several_worlds >= 0.2 * told
    assert tally.not_told.total() <= 0.05 * tally.in_every_world, tally.not_told
    assert tally.undetermined.total() <= 0.02 * tally.compared, tally.undetermined


AGENT_COMMANDS = (
    "ip link set lo up",
    "ip link add v0 type veth peer name p0",
    "ip link add v1 type veth peer name p1",
    *(f"ip link set {name} up" for name in ("v0", "p0", "v1", "p1")),
    "ip addr add 10.0.0.11/24 dev v0",
    "ip route add default via 10.0.0.1 dev v0",
    "ip route add default dev v1 table 52",
    "ip rule add pref 10 fwmark 0x1/0x1 lookup 52",
)

TWICE = ("ip rule add pref 10 fwmark 0x1/0x1 lookup 254", "ip rule add pref 11 fwmark 0x1/0x1 lookup 52")


@pytest.mark.parametrize(
    "told", [{"fwmark": 0}, {"fwmark": None}, {"invert": True}, {"table": 254}, {"table": 100}], ids=str
)
def test_a_model_that_reads_marks_wrongly_is_found_out(told: dict[str, object]) -> None:
    """Also where it has both worlds still, each with the mark of the other."""
    found = in_child(_in_every_world, AGENT_COMMANDS, outgoing(source="10.0.0.11"), told)
    assert {each.what for each in found} == {"in one world", "output"}


def test_a_world_that_no_packet_meets_is_found_out() -> None:
    found = in_child(_in_every_world, (*AGENT_COMMANDS[:-1], *TWICE), outgoing(source="10.0.0.11"), {})
    assert found == []
    found = in_child(_in_every_world, (*AGENT_COMMANDS[:-1], *TWICE), outgoing(source="10.0.0.11"), {"table": 52})
    assert {each.what for each in found} == {"a world that is none", "output"}


def _in_every_world(commands: tuple[str, ...], question: Question, told: dict[str, object]) -> list[Disagreement]:
    """With the first of the guest's own rules told wrongly."""
    sandbox.enter_new_namespace()
    applied = sandbox.apply(commands)
    guest = sandbox.collect(plain=False)
    rules = tuple(structs.replace(rule, **told) if rule.priority == 10 else rule for rule in guest.rules)
    wrong = structs.replace(guest, rules=rules)
    tally = Tally()
    with RouteSocket() as route_socket:
        compare_worlds(wrong, Host(wrong, applied.state), [question], route_socket, tally)
    assert tally.in_every_world > 0
    return tally.disagreements


def test_shrinking_leaves_only_what_is_needed() -> None:
    tried: list[int] = []

    def fails(candidate: Sequence[str]) -> bool:
        tried.append(len(candidate))
        return {"3", "17"} <= set(candidate)

    assert minimal([str(number) for number in range(40)], fails) == ["3", "17"]
    assert len(tried) < 120


def test_a_wrong_model_is_found_out() -> None:
    """Told that no rule was ever touched, the model takes a source that the kernel refuses."""
    touched = (*LINKS, *BY_V0, "ip rule add pref 9 lookup 7", "ip rule del pref 9")
    disagreements = in_child(_disagreements_in_a_false_state, touched, incoming(source="10.0.1.255"))
    assert [disagreement.what for disagreement in disagreements] == ["input"]
    assert str(disagreements[0]).splitlines()[1:2] == ["  kernel: EINVAL"]


def _disagreements_in_a_false_state(commands: tuple[str, ...], question: Question) -> list[Disagreement]:
    sandbox.enter_new_namespace()
    sandbox.apply(commands)
    guest = sandbox.collect(plain=False)
    host = Host(guest, HiddenState(custom_rules=False, custom_local_routes=False))
    tally = Tally()
    with RouteSocket() as route_socket:
        compare_all(guest, host, Kernel(guest), [question], route_socket, tally)
    return tally.disagreements


def incoming(source: str = REMOTE, destination: str = "10.0.1.12", interface: str = "v1", **fields: int) -> Question:
    """A packet that comes in."""
    return _question(interface, source, destination, **fields)


def outgoing(source: str = "10.0.1.12", destination: str = REMOTE, **fields: int) -> Question:
    """A packet that the guest sends."""
    return _question(None, source, destination, **fields)


def _question(interface: str | None, source: str, destination: str, **fields: int) -> Question:
    fields = {"proto": TCP, "sport": 5000, "dport": 22, **fields}
    return Question(interface=interface, source=parse_address(source), destination=parse_address(destination), **fields)


REFUSED = KernelAnswer(errno=errno.EINVAL)
DELIVERED = "local"

DIRECTED = [
    ("tos-masked", (*BY_V0, *TABLE_100, "ip rule add tos 0x10 lookup 100"), outgoing(tos=0xB0), "v1"),
    ("tos-other", (*BY_V0, *TABLE_100, "ip rule add tos 0x10 lookup 100"), outgoing(tos=0x28), "v0"),
    (
        "tos-over-metric",
        (
            "ip route add 203.0.113.0/24 via 10.0.0.1 dev v0",
            "ip route add 203.0.113.0/24 via 10.0.1.1 dev v1 tos 0x10 metric 900",
        ),
        outgoing(tos=0x10),
        "v1",
    ),
    ("mark-with-mask", (*BY_V0, *TABLE_100, "ip rule add fwmark 0x5/0xf lookup 100"), outgoing(mark=0x15), "v1"),
    ("mark-zero", (*BY_V0, *TABLE_100, "ip rule add fwmark 0/0xff lookup 100"), outgoing(mark=0x101), "v0"),
    (
        "mark-back-ignored",
        (*BY_V0, *TABLE_100, *STRICT, "ip rule add fwmark 5 lookup 100"),
        incoming(mark=5),
        REFUSED,
    ),
    (
        "mark-back-src-valid",
        (
            *BY_V0,
            *TABLE_100,
            *STRICT,
            "ip rule add fwmark 5 lookup 100",
            "sysctl -w net/ipv4/conf/all/src_valid_mark=1",
        ),
        incoming(mark=5),
        DELIVERED,
    ),
    (
        "ports-swapped",
        (*BY_V0, *TABLE_100, *STRICT, "ip rule add ipproto tcp sport 22 lookup 100"),
        incoming(),
        DELIVERED,
    ),
    (
        "ports-unread-for-iif-lo",
        (*BY_V0, *TABLE_100, *STRICT, "ip rule add iif lo ipproto tcp lookup 100"),
        incoming(),
        REFUSED,
    ),
    (
        "ports-read-for-iif-lo",
        (
            *BY_V0,
            *TABLE_100,
            *STRICT,
            "ip rule add iif lo ipproto tcp lookup 100",
            "ip rule add pref 32767 ipproto udp lookup 7",
        ),
        incoming(),
        DELIVERED,
    ),
    (
        "broadcast-destination-unseen-on-the-way-back",
        (*BY_V0, *TABLE_100, *STRICT, "ip rule add from 10.0.1.255 lookup 100"),
        incoming(destination="10.0.1.255", proto=UDP),
        REFUSED,
    ),
    (
        "forwarding-asks-as-egress",
        (
            *BY_V0,
            *TABLE_100,
            *STRICT,
            "sysctl -w net/ipv4/ip_forward=1",
            "ip rule add iif v0 to 203.0.113.0/24 lookup 100",
        ),
        incoming(destination="192.0.2.1"),
        "v0",
    ),
    (
        "forwarding-asks-not-as-lo",
        (
            *BY_V0,
            *TABLE_100,
            *STRICT,
            "sysctl -w net/ipv4/ip_forward=1",
            "ip rule add iif lo to 203.0.113.0/24 lookup 100",
        ),
        incoming(destination="192.0.2.1"),
        REFUSED,
    ),
    (
        "loose-without-route",
        ("sysctl -w net/ipv4/conf/v1/rp_filter=2",),
        incoming(),
        REFUSED,
    ),
    ("off-without-route", (), incoming(), DELIVERED),
    ("off-own-source", BY_V0, incoming(source="10.0.0.11"), REFUSED),
    (
        "off-own-source-accepted",
        (*BY_V0, "sysctl -w net/ipv4/conf/all/accept_local=1"),
        incoming(source="10.0.0.11"),
        DELIVERED,
    ),
    ("off-broadcast-source", BY_V0, incoming(source="10.0.1.255"), DELIVERED),
    (
        "off-broadcast-source-rules-touched",
        (*BY_V0, "ip rule add pref 9 lookup 7", "ip rule del pref 9"),
        incoming(source="10.0.1.255"),
        REFUSED,
    ),
    (
        "off-broadcast-source-local-route-touched",
        (*BY_V0, "ip route add local 10.5.0.0/16 dev lo", "ip route del local 10.5.0.0/16 dev lo"),
        incoming(source="10.0.1.255"),
        REFUSED,
    ),
    (
        "no-address-loose",
        (*BY_V0, "ip addr del 10.0.1.12/24 dev v1", "sysctl -w net/ipv4/conf/v1/rp_filter=2"),
        incoming(destination="10.0.0.11"),
        REFUSED,
    ),
    (
        "multipath-any-member",
        (*STRICT, "ip route add default nexthop via 10.0.0.1 dev v0 nexthop via 10.0.1.1 dev v1"),
        incoming(),
        DELIVERED,
    ),
    (
        "backup-metric-does-not-help",
        (*BY_V0, *STRICT, "ip route add default via 10.0.1.1 dev v1 metric 9"),
        incoming(),
        REFUSED,
    ),
    ("not-oif-always", (*BY_V0, *TABLE_100, "ip rule add not oif v1 lookup 100"), outgoing(), "v1"),
    ("suppressed", (*BY_V0, *TABLE_100, "ip rule add lookup 100 suppress_prefixlength 0"), outgoing(), "v0"),
    (
        "main-inside-local-before-rules",
        (*BY_V0, "ip route add local 198.51.100.0/24 dev lo", "ip route add 198.51.100.7 via 10.0.1.1 dev v1"),
        outgoing(destination="198.51.100.7"),
        "v1",
    ),
    (
        "main-inside-local-after-rules",
        (
            *BY_V0,
            "ip route add local 198.51.100.0/24 dev lo",
            "ip route add 198.51.100.7 via 10.0.1.1 dev v1",
            "ip rule add pref 9 lookup 7",
        ),
        outgoing(destination="198.51.100.7"),
        "lo",
    ),
    (
        "source-of-a-local-range",
        (*BY_V0, "ip route add local 10.5.0.0/16 dev lo"),
        outgoing(source="10.5.0.9"),
        "v0",
    ),
    ("foreign-source", BY_V0, outgoing(source="10.5.0.9"), KernelAnswer(errno=errno.ENETUNREACH)),
    (
        "throw-then-main",
        (*BY_V0, *TABLE_100, "ip rule add lookup 100", "ip route add throw 203.0.113.0/24 table 100"),
        outgoing(),
        "v0",
    ),
    (
        "linkdown-ignored",
        (
            *BY_V0,
            "sysctl -w net/ipv4/conf/v1/ignore_routes_with_linkdown=1",
            "ip route add 203.0.113.0/24 via 10.0.1.1 dev v1",
            "ip link set p1 down",
        ),
        outgoing(),
        "v0",
    ),
    (
        "linkdown-used",
        (*BY_V0, "ip route add 203.0.113.0/24 via 10.0.1.1 dev v1", "ip link set p1 down"),
        outgoing(),
        "v1",
    ),
    (
        "nexthop-object-used",
        (*BY_V0, "ip nexthop add id 1 via 10.0.1.1 dev v1", "ip route add 203.0.113.0/24 nhid 1"),
        outgoing(),
        "v1",
    ),
    (
        "nexthop-object-blackhole",
        (*BY_V0, "ip nexthop add id 1 blackhole", "ip route add 203.0.113.0/24 nhid 1"),
        outgoing(),
        REFUSED,
    ),
    ("address-of-a-down-interface", (*BY_V0, "ip link set v1 down"), incoming(interface="v0"), DELIVERED),
    (
        "uid-of-input-is-root",
        (*BY_V0, *TABLE_100, *STRICT, "ip rule add uidrange 0-0 lookup 100"),
        incoming(),
        DELIVERED,
    ),
    ("uid-of-output", (*BY_V0, *TABLE_100, "ip rule add uidrange 7-9 lookup 100"), outgoing(uid=9), "v1"),
]


@pytest.mark.parametrize(
    ("commands", "question", "expected"), [case[1:] for case in DIRECTED], ids=[case[0] for case in DIRECTED]
)
def test_directed(commands: tuple[str, ...], question: Question, expected: str | KernelAnswer) -> None:
    answer, disagreements = in_child(ask_one, (*LINKS, *commands), question)
    assert not disagreements, "\n".join(map(str, disagreements))
    if isinstance(expected, KernelAnswer):
        assert answer == expected
    elif expected == DELIVERED:
        assert answer.type == DELIVERED
    else:
        assert answer.interface == expected


@pytest.mark.parametrize(("port", "refused"), [(2048, True), (2049, False)])
def test_echo_request_is_looked_up_with_its_type_as_a_port(port: int, refused: bool) -> None:
    """Type 8, code 0 stand where a lookup keeps the destination port: 0x0800."""
    commands = (*LINKS, *BY_V0, f"ip rule add dport {port} prohibit")
    assert in_child(_ping_is_refused, commands) is refused


def _ping_is_refused(commands: tuple[str, ...]) -> bool:
    sandbox.enter_new_namespace()
    sandbox.apply(commands)
    message = struct.pack("!BBHHH", 8, 0, 0xF7FF - 1, 1, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        try:
            sender.sendto(message, (REMOTE, 0))
        except PermissionError:
            return True
        return False
