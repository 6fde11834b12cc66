"""Servers on which others own policy rules, made at random in a network namespace: what a plan changes there for the
packets that it must leave alone, asked of the running kernel.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from msgspec import Struct

from tests.lab.differential import sandbox
from tests.lab.differential.agents import OWN_DEVICES, TAILNET_RULES
from tests.lab.differential.rtnetlink import KernelAnswer, Question, RouteSocket
from tests.support.servers import MACS, fabric, server, vni
from vnicheck.fixes.planner import NothingKnownError, Proof, plan_server
from vnicheck.model.address import LAST, format_address, parse_address, prefix_range
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

TCP = 6
ADDRESSES = ("10.0.0.11", "10.0.1.12", "10.0.1.13")
_REFUSED = {22, 113, 13}
"""EINVAL of a blackhole, EHOSTUNREACH and EACCES (kernel.md: `unreachable`, `prohibit`)."""
Plan = Callable[[Server], Sequence[str]]


class Found(Struct, frozen=True):
    """`moved`: packets that go another way and must not. `promised`: how many classes of flows the plan fixes."""

    moved: tuple[str, ...]
    promised: int
    asked: int


def configuration(random: Random) -> list[str]:
    """The commands that make a server with two VNIs, devices of its own, and the rules of some agent or other."""
    return [*_base(), *_own_networks(random), *random.choice(_AGENTS)(random), *_some_rules(random)]


def planned(of: Server) -> Sequence[str]:
    """The plan's commands for the running server."""
    proof = _proof(of)
    return () if proof is None else [step.command for action in proof.document.plan.immediate for step in action.steps]


def in_front(of: Server) -> Sequence[str]:
    """The same with every rule ahead of all others, and nothing thrown back."""
    commands = [command for command in planned(of) if " throw " not in command]
    return [f"{command.rpartition(' ')[0]} 1" if " rule " in command else command for command in commands]


def try_plan(commands: Sequence[str], plan: Plan) -> Found:
    """Makes the server in a namespace of this process's own, plans, carries it out there, and asks before and after."""
    sandbox.enter_new_namespace()
    applied = sandbox.apply(commands).taken
    assert {line for line in commands if line.startswith("ip link add")} <= {*applied}, (
        "a device that no kernel here has"
    )
    guest = sandbox.collect(plain=False)
    of = server(vni(0, ADDRESSES[0]), vni(1, *ADDRESSES[1:], subnet="b"), guest=guest)
    proof = _proof(of)
    steps = plan(of)
    questions = list(_questions(guest))
    before = _answers(questions)
    taken = sandbox.apply(steps).taken
    assert list(taken) == list(steps), set(steps) - set(taken)
    after = _answers(questions)
    moved = [
        _said(each, before[each], after[each])
        for each in questions
        if _must_stay(each, before) and before[each] != after[each]
    ]
    return Found(tuple(moved), 0 if proof is None else proof.document.plan.fixed, len(questions))


def _proof(of: Server) -> Proof | None:
    try:
        return plan_server(of, fabric(), Config())
    except NothingKnownError:
        return None


def _answers(questions: Sequence[Question]) -> dict[Question, KernelAnswer]:
    with RouteSocket() as kernel:
        return {each: kernel.ask(each) for each in questions}


def _must_stay(question: Question, before: dict[Question, KernelAnswer]) -> bool:
    """Whether packets are to go on as they do: into the server's own networks, nowhere, or where a rule leads them that
    reads their mark, TOS or user. Packets that come in from an own network are to be taken as they were.
    """
    old = before[question]
    if question.interface is not None or old.interface in OWN_DEVICES or old.errno in _REFUSED:
        return True
    if question.mark == question.tos == question.uid == 0:
        return False
    plain = Question(interface=None, source=question.source, destination=question.destination, proto=TCP)
    return old != before[plain]


def _said(question: Question, old: KernelAnswer, new: KernelAnswer) -> str:
    way = f"{format_address(question.source)} -> {format_address(question.destination)}"
    return f"{way} mark {question.mark:#x} tos {question.tos} uid {question.uid} iif {question.interface}: {old} {new}"


def _questions(guest: Guest) -> Iterator[Question]:
    """Of every address of a VNI, to the edges of every prefix that a route or rule names, with the marks, TOS and users
    that rules name, one at a time; and packets that come in from own networks.
    """
    prefixes = {route.prefix for route in guest.routes} | {rule.dst for rule in guest.rules if rule.dst is not None}
    edges = {edge for first, last in map(prefix_range, prefixes) for edge in (first - 1, first, last, last + 1)}
    remotes = sorted({edge for edge in edges if 1 << 24 <= edge <= 223 << 24 and edge >> 24 != 127 and edge <= LAST})
    marks = sorted({rule.fwmark for rule in guest.rules if rule.fwmark is not None} - {0})
    classes = sorted({rule.tos for rule in guest.rules} - {0})
    users = sorted({rule.uid_range[0] for rule in guest.rules if rule.uid_range is not None} - {0})
    special = [{"mark": mark} for mark in marks] + [{"tos": tos} for tos in classes] + [{"uid": uid} for uid in users]
    for source in map(parse_address, ADDRESSES):
        for remote in remotes:
            for more in ({}, *special):
                yield Question(interface=None, source=source, destination=remote, proto=TCP, **more)
            for route in guest.routes:
                first, last = prefix_range(route.prefix)
                if first <= remote <= last and len(route.nexthops) == 1 and route.nexthops[0].interface in OWN_DEVICES:
                    device = route.nexthops[0].interface
                    yield Question(interface=device, source=remote, destination=source, proto=TCP)


def _base() -> Iterator[str]:
    yield "ip link set lo up"
    for number in (0, 1):
        yield f"ip link add eth{number} address {MACS[number]} type veth peer name p{number}"
        yield f"ip link set eth{number} up"
        yield f"ip link set p{number} up"
    yield f"ip addr add {ADDRESSES[0]}/24 dev eth0"
    for address in ADDRESSES[1:]:
        yield f"ip addr add {address}/24 dev eth1"
    yield "ip route add default via 10.0.0.1 dev eth0"
    for name in ("all", "eth0", "eth1"):
        yield f"sysctl -w net/ipv4/conf/{name}/rp_filter=2"


def _own_networks(random: Random) -> Iterator[str]:
    yield "ip link add br0 type bridge"
    yield "ip link add pod0 type veth peer name pod1"
    yield "ip link add tun7 type veth peer name far7"
    for name in ("br0", "pod0", "pod1", "tun7", "far7"):
        yield f"ip link set {name} up"
    yield "ip addr add 10.88.0.1/24 dev br0"
    yield "ip addr add 100.79.1.1/32 dev tun7"
    for host in random.sample(range(2, 250), random.randrange(6)):
        yield f"ip route add 192.168.7.{host}/32 dev pod0"
    if random.random() < 0.5:
        yield f"ip route add {random.choice(('blackhole', 'unreachable', 'prohibit'))} 192.168.7.0/24"
    if random.random() < 0.5:
        yield f"ip route add 10.42.{random.randrange(8)}.0/{random.choice((24, 26, 28))} dev tun7"


def _tailnet(random: Random) -> Iterator[str]:
    yield from TAILNET_RULES
    for _ in range(random.randrange(1, 6)):
        peer = ".".join(str(part) for part in (random.randrange(64, 128), *random.choices(range(256), k=2)))
        yield f"ip route add 100.{peer} dev tun7 table 52"
    if random.random() < 0.4:
        yield f"ip route add 10.{random.randrange(60, 70)}.0.0/16 dev tun7 table 52"


def _pods_of_the_subnet(random: Random) -> Iterator[str]:
    yield "ip rule add pref 1024 fwmark 0x80/0x80 lookup main"
    for host in random.sample(range(20, 250), random.randrange(1, 6)):
        yield f"ip route add 10.0.0.{host}/32 dev pod0"
        if random.random() < 0.8:
            yield f"ip rule add pref 512 to 10.0.0.{host} lookup main"
        if random.random() < 0.4:
            yield f"ip rule add pref 1536 from 10.0.0.{host} lookup 2"


def _local_rule_moved(random: Random) -> Iterator[str]:
    yield "ip rule add pref 100 lookup local"
    yield "ip rule del pref 0"
    yield "ip rule add pref 9 fwmark 0x200/0xf00 lookup 2004"
    yield "ip route add local default dev lo table 2004"
    if random.random() < 0.6:
        yield "ip rule add pref 10 fwmark 0xa00/0xf00 lookup 2005"
        yield "ip route add default dev br0 table 2005"


def _rules_by_source(random: Random) -> Iterator[str]:
    """As nm-cloud-setup, cloud-init and netplan make them: some right, some half done."""
    priority = random.choice((10, 101, 30400, 32765))
    for address in random.sample(ADDRESSES, random.randrange(1, 4)):
        table = random.choice((101, 102, 30400))
        yield f"ip rule add pref {priority} from {address} lookup {table}"
        if random.random() < 0.7:
            yield f"ip route add default via 10.0.{random.randrange(2)}.1 dev eth{random.randrange(2)} table {table}"
        if random.random() < 0.4:
            yield f"ip route add 10.77.0.0/24 dev {random.choice(OWN_DEVICES)} table {table}"


def _default_by_tunnel(random: Random) -> Iterator[str]:
    yield "ip rule add pref 32764 lookup main suppress_prefixlength 0"
    yield "ip rule add pref 32765 not fwmark 0xca6c lookup 51820"
    yield f"ip route add {random.choice(('default', '10.9.0.0/16'))} dev tun7 table 51820"


def _nobody(_: Random) -> Iterator[str]:
    return iter(())


_AGENTS = (
    _tailnet,
    _pods_of_the_subnet,
    _local_rule_moved,
    _rules_by_source,
    _default_by_tunnel,
    _nobody,
)


def _some_rules(random: Random) -> Iterator[str]:
    for _ in range(random.randrange(4)):
        selectors = []
        if random.random() < 0.5:
            selectors.append(f"from {random.choice((*ADDRESSES, '10.0.0.0/16', '10.9.9.9'))}")
        if random.random() < 0.5:
            selectors.append(f"to {random.choice(('10.88.0.0/16', '192.168.0.0/16', '10.9.0.0/16', '203.0.113.0/24'))}")
        if random.random() < 0.4:
            selectors.append(random.choice(("fwmark 0x1", "fwmark 0x4000/0x4000", "tos 0x10", "uidrange 1000-2000")))
        if not selectors:
            continue
        if random.random() < 0.1:
            selectors.insert(0, "not")
        priority = random.choice((random.randrange(1, 32766), 32765, 1003))
        action = random.choice(("lookup main", "lookup 77", "lookup 78", "lookup 77", "unreachable"))
        yield f"ip rule add pref {priority} {' '.join(selectors)} {action}"
    for table in (77, 78):
        device = random.choice(("eth0", "eth1", *OWN_DEVICES))
        prefix = random.choice(("default", "10.9.0.0/16", "192.168.7.0/25", "203.0.113.0/24"))
        yield f"ip route add {prefix} dev {device} table {table}"
