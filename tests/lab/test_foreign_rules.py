"""A plan changes the way of no packet that somebody else's rules or routes lead on purpose: on the running kernel."""

from random import Random

import pytest

from tests.lab.differential.run import in_child
from tests.lab.foreign_rules import Found, configuration, in_front, planned, try_plan
from tests.support.sshd import require

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]
LONG = pytest.mark.long(sampled=False)


def found(seed: int, *, ahead: bool = False) -> Found:
    return in_child(try_plan, configuration(Random(seed)), in_front if ahead else planned)


@pytest.mark.parametrize("start", [0, *(pytest.param(start, marks=LONG) for start in range(20, 400, 20))])
def test_no_plan_changes_the_way_of_what_others_lead(start: int) -> None:
    require("ip")
    results = {seed: found(seed) for seed in range(start, start + 20)}
    assert {seed: each.moved for seed, each in results.items() if each.moved} == {}
    assert sum(each.promised > 0 for each in results.values()) >= 5, "plans are made at all"
    assert all(each.asked > 50 for each in results.values())


def test_rules_in_front_are_noticed() -> None:
    """The same plans ahead of all others' rules, and without what they throw back, do harm."""
    require("ip")
    assert sum(bool(found(seed, ahead=True).moved) for seed in range(5)) >= 3
