"""Maps of the address space, and what is compiled of groups and ACLs: addresses of one value fare alike."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from tests.support.drawn_rules import LOCAL, MEMBERS, acl_rules, group_rules, remotes
from tests.support.servers import fabric, subnet, vni
from vnicheck.fabric import network_acl, security_group
from vnicheck.fabric.memory import KEPT, memory_of, remembered
from vnicheck.fabric.transport import KINDS
from vnicheck.model.address import LAST, parse_address
from vnicheck.model.address_map import membership
from vnicheck.model.cloud import AclRule, NetworkAcl, SecurityGroup, SecurityGroupRule

addresses = st.integers(0, 300) | st.integers(LAST - 5, LAST)
ranges = st.tuples(addresses, addresses).map(lambda pair: (min(pair), max(pair)))
HERE = parse_address(LOCAL)


@given(st.lists(st.lists(ranges, max_size=4), max_size=5), addresses)
def test_membership(sets: list[list[tuple[int, int]]], address: int) -> None:
    held = membership(sets)
    assert held.starts[0] == 0
    assert list(held.starts) == sorted(set(held.starts))
    expected = {number for number, each in enumerate(sets) if any(first <= address <= last for first, last in each)}
    assert {number for number in range(len(sets)) if held.at(address) >> number & 1} == expected


@given(st.lists(ranges, max_size=6), addresses)
def test_a_mapped_map_says_the_same_in_fewer_stretches(extents: list[tuple[int, int]], address: int) -> None:
    held = membership([[extent] for extent in extents])
    anywhere = held.mapped(bool)
    assert anywhere.at(address) is bool(held.at(address))
    assert all(one is not other for one, other in zip(anywhere.values, anywhere.values[1:], strict=False))


@settings(max_examples=drawn(200), deadline=None)
@given(st.lists(st.lists(group_rules(), max_size=5), max_size=3), remotes, remotes)
def test_remotes_that_groups_hold_alike(rules: list[list[SecurityGroupRule]], one: str, other: str) -> None:
    made = [SecurityGroup(id=f"g{i}", name=f"g{i}", rules=tuple(each)) for i, each in enumerate(rules)]
    of = vni(0, LOCAL, security_groups=tuple(group.id for group in made))
    compiled = security_group.group_rules(fabric(groups=[*made, MEMBERS]), of)
    assert compiled is not None
    first, second = parse_address(one), parse_address(other)
    alike = compiled.alike([HERE])
    said = [[compiled.admissions(kind, remote, HERE) for kind in KINDS] for remote in (first, second)]
    outcomes = [[[(each.first, each.admitted) for each in by_port] for by_port in answers] for answers in said]
    joined = [[_joined(by_port) for by_port in answers] for answers in outcomes]
    assert (alike.at(first)[0] == alike.at(second)[0]) is (joined[0] == joined[1])
    if alike.at(first)[1] == alike.at(second)[1]:
        assert said[0] == said[1]


@settings(max_examples=drawn(200), deadline=None)
@given(st.lists(acl_rules(), max_size=6), remotes, remotes, st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_remotes_that_an_acl_holds_alike(rules: list[AclRule], one: str, other: str, ports: tuple[int, int]) -> None:
    around = fabric(acls=[NetworkAcl(id="acl", name="acl", rules=tuple(rules))])
    compiled = network_acl.acl_rules(around, subnet("a", "10.0.0.0/24"))
    assert compiled is not None
    source, destination = (((port, port),) for port in ports)
    for kind, alike in ((kind, compiled.alike([HERE])[kind.direction == "outbound"]) for kind in KINDS):
        first, second = parse_address(one), parse_address(other)
        here, there = (compiled.answers(kind, (remote,), HERE, source, destination) for remote in (first, second))
        if alike.at(first)[0] == alike.at(second)[0]:
            assert here.passed == there.passed
        if alike.at(first)[1] == alike.at(second)[1]:
            assert here == there


def test_what_is_compiled_belongs_to_one_fabric() -> None:
    some, others = fabric(), [fabric() for _ in range(KEPT)]
    assert remembered(some, "key", lambda: 1) == remembered(some, "key", lambda: 2) == 1
    assert [remembered(other, "key", lambda: 3) for other in others] == [3] * KEPT
    assert remembered(some, "key", lambda: 4) == 4, "the oldest has been forgotten"
    assert memory_of(some) is memory_of(some)


def _joined(outcomes: list[tuple[int, bool | None]]) -> list[tuple[int, bool | None]]:
    return [each for place, each in enumerate(outcomes) if place == 0 or outcomes[place - 1][1] is not each[1]]
