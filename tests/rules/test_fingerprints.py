"""Fingerprints name a problem, not a run: the same through new times, another order, other addresses and names."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import pytest

from tests.support import drop_cases, latent_cases
from tests.support.servers import COLLECTED, fabric, report
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server

T = TypeVar("T")
LATER = {COLLECTED: "2027-03-04T05:06:07Z"}
READDRESSED = {f"10.0.{net}.1{last}": f"10.0.{net}.7{last}" for net in (0, 1) for last in (1, 2, 3)}
RENAMED = {"eth0": "ens3", "eth1": "enp0s4"}
WISHES = msgspec.convert(
    {
        "expect": [
            {"server": "*", "from": "vpc", "to": "vni-2", "verdict": "delivered"},
            {"server": "*", "from": "internet", "port": 22, "verdict": "delivered"},
            {"server": "*", "direction": "outbound", "to": "subnet", "protocol": "icmp", "verdict": "dropped"},
        ]
    },
    Config,
)
CASES: dict[str, tuple[Server, Fabric]] = {
    **{rule: (case[0], case[1] or fabric()) for rule, case in drop_cases.FIRES.items()},
    **{rule: (case[0], fabric()) for rule, case in latent_cases.FIRES.items()},
}


def rewritten(thing: T, words: Mapping[str, str]) -> T:
    """The same with other words, in every field and in every line that was collected."""
    text = msgspec.json.encode(thing).decode()
    for old, new in words.items():
        text = text.replace(old, new)
    return msgspec.json.decode(text, type=type(thing))


def reordered(of: Server) -> Server:
    """VNIs and interfaces the other way round, as an API and a guest may list them."""
    inside = of.guest
    if inside is not None:
        inside = msgspec.structs.replace(inside, interfaces=inside.interfaces[::-1])
    return msgspec.structs.replace(of, vnis=of.vnis[::-1], guest=inside)


def fingerprints(of: Server, around: Fabric, config: Config = WISHES) -> list[tuple[str, str]]:
    return sorted((each.rule, each.fingerprint) for each in report(of, around, config).findings)


@pytest.mark.parametrize(
    "words", [LATER, READDRESSED, RENAMED, LATER | READDRESSED | RENAMED], ids=["time", "addresses", "names", "all"]
)
@pytest.mark.parametrize("case", CASES)
def test_fingerprints_stay(case: str, words: dict[str, str]) -> None:
    of, around = CASES[case]
    before = fingerprints(of, around)
    assert {"VNC501", case} <= {rule for rule, _ in before}
    assert len(set(before)) == len(before)
    assert fingerprints(rewritten(of, words), rewritten(around, words)) == before


@pytest.mark.parametrize("case", CASES)
def test_fingerprints_do_not_hang_on_the_order_in_which_things_are_listed(case: str) -> None:
    of, around = CASES[case]
    other_way: Any = msgspec.structs.replace(WISHES, expect=WISHES.expect[::-1])
    assert fingerprints(reordered(of), around, other_way) == fingerprints(of, around)


@pytest.mark.parametrize("case", CASES)
def test_another_server_has_fingerprints_of_its_own(case: str) -> None:
    of, around = CASES[case]
    other = msgspec.structs.replace(of, crn="crn:v1:other")
    assert set(fingerprints(of, around)).isdisjoint(fingerprints(other, around))
