"""What is open of packets is split only where something reads it, and work is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.kernel_guests import TCP, make_guest, packet
from tests.support.one_packet import sent_by
from vnicheck.kernel.kernel import Kernel
from vnicheck.kernel.open_fields import DPORT, MARK, TOS, Box, Effort, Tree, Trees, Unlike, leaves
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Received
from vnicheck.kernel.send import Sent
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import parse_address

ROUTES = """
    default via 10.0.0.1 dev eth0
    10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.11
    default via 10.0.0.1 dev eth1 table 100
"""
EVERY = Box(1 << TCP, 0b1111, 0b1111, 0b1111, 0b1111, 0b1111)
decisions = st.lists(
    st.tuples(st.sampled_from([DPORT, MARK, TOS]), st.integers(0, 15), st.integers(0, 3), st.booleans()), max_size=7
)


def tree_of(made: list[tuple[int, int, int, bool]], trees: Trees) -> Tree:
    """Each decision asked before those that were made ahead of it; 9 where none says anything."""
    tree: Tree = 9
    for field, wanted, result, swapped in made:
        ends = (tree, result) if swapped else (result, tree)
        tree = trees.decide(field, wanted, *ends)
    return tree


@given(decisions, st.tuples(*[st.integers(0, 3)] * 3))
def test_parts_are_disjoint_complete_and_say_what_each_packet_meets(
    made: list[tuple[int, int, int, bool]], point: tuple[int, int, int]
) -> None:
    tree = tree_of(made, Trees())
    at = dict(zip((DPORT, MARK, TOS), point, strict=True))
    expected = 9
    for field, wanted, result, swapped in made:
        expected = result if bool(wanted >> at[field] & 1) is not swapped else expected
    found = [
        said for part, said in leaves(tree, EVERY, Effort()) if all(part[field] >> bit & 1 for field, bit in at.items())
    ]
    assert found == [expected]


@given(decisions, decisions, decisions)
def test_two_trees_differ_in_the_pairs_that_some_packet_comes_to(
    one: list[tuple[int, int, int, bool]],
    other: list[tuple[int, int, int, bool]],
    both: list[tuple[int, int, int, bool]],
) -> None:
    trees = Trees()
    here, there = tree_of([*both, *one], trees), tree_of([*both, *other], trees)
    met = {
        (mine, theirs)
        for part, mine in leaves(here, EVERY, Effort())
        for _, theirs in leaves(there, part, Effort())
        if mine != theirs
    }
    found = list(Unlike(Effort()).pairs(here, there, EVERY))
    assert len(found) == len(set(found))
    assert set(found) == met


@pytest.mark.parametrize("count", [500])
def test_many_rules_that_read_ports(count: int) -> None:
    rules = "\n".join(f"{100 + n}: from all ipproto tcp dport {1000 + 10 * n} lookup 100" for n in range(count))
    kernel = Kernel(make_guest(routes=ROUTES, rules=rules))
    ways = kernel.sent(parse_address("10.0.0.12"), Transport(TCP, (1024, 65535), (1, 65535)))
    by_port = ways.at(parse_address("203.0.113.9"))
    assert len(by_port.starts) == 2 * count + 1
    for port, interface in ((999, "eth0"), (1000, "eth1"), (1001, "eth0"), (1000 + 10 * (count - 1), "eth1")):
        way = by_port.at(port)
        assert isinstance(way, Sent)
        assert way.interface == interface


def test_many_users_and_ports_together() -> None:
    """A port that a rule for some users may take first leaves it open who asks; others do not."""
    users = [f"{100 + n}: from all uidrange {1000 * n}-{1000 * n + 10} dport 22-25 lookup 100" for n in range(1, 51)]
    ports = [f"{300 + n}: from all dport {5000 + n} lookup 100" for n in range(0, 56, 2)]
    kernel = Kernel(make_guest(routes=ROUTES, rules="\n".join([*users, *ports])))

    def way(port: int) -> str:
        sent = sent_by(kernel, packet("10.0.0.12", "203.0.113.9"), (1024, 4000), (port, port))
        return sent.interface if isinstance(sent, Sent) else ""

    assert [way(port) for port in (80, 5000, 5001, 5054)] == ["eth0", "eth1", "eth0", "eth1"]
    with pytest.raises(Undetermined, match="the user of the program"):
        way(22)


def test_many_rules_for_sources() -> None:
    rules = "\n".join(f"{100 + n}: from 11.0.{n >> 8}.{n & 255} lookup 100" for n in range(3000))
    kernel = Kernel(make_guest(routes=ROUTES, rules=rules, sysctls={"eth0.rp_filter": 1}))
    received = kernel.received("eth0", parse_address("10.0.0.11"), Transport(TCP, (1, 9), (1, 9)))
    outcome = received.at(parse_address("203.0.113.9")).at(5)
    assert isinstance(outcome, Received)
    assert outcome.reason.startswith("the way back leaves by eth0")


def test_work_without_end_is_unknown_and_says_why() -> None:
    effort = Effort(left=2)
    tree = Trees().decide(DPORT, 1, "a", Trees().decide(DPORT, 2, "b", Trees().decide(MARK, 1, "c", "d")))
    with pytest.raises(Undetermined, match="too many packets apart"):
        list(leaves(tree, EVERY, effort))


def test_what_is_changed_on_trial_takes_over_the_tables_that_stay() -> None:
    before = make_guest(routes=ROUTES)
    after = make_guest(routes=ROUTES, rules="100: from 10.0.0.12 lookup 100")
    after = type(after)(**{name: getattr(after, name) for name in after.__struct_fields__} | {"routes": before.routes})
    base = Kernel(before)
    assert sent_by(base, packet("10.0.0.12", "203.0.113.9"), (22, 22), (1024, 65535)) == sent_by(
        Kernel(before), packet("10.0.0.12", "203.0.113.9"), (22, 22), (1024, 65535)
    )
    sent = sent_by(Kernel(after, like=base), packet("10.0.0.12", "203.0.113.9"), (22, 22), (1024, 65535))
    assert sent == sent_by(Kernel(after), packet("10.0.0.12", "203.0.113.9"), (22, 22), (1024, 65535))
