"""Where rules of ours go among those of others, and which addresses and prefixes they are made for."""

import pytest

from tests.support.servers import TWO_DEFAULTS, fabric, guest, link, rules_of, server
from vnicheck.fixes.actions import thrown
from vnicheck.fixes.effects import AddRoutes, AddRule, PatchVni
from vnicheck.fixes.planner import Proof, plan_server
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest

STRICT = {"eth0": 1, "eth1": 1}
LINKS = (link("eth0", 0, "10.0.0.11/24"), link("eth1", 1, "10.0.0.12/24"))
TUNNEL = link("tun7", 3, "100.79.197.20/32", mac="02:42:00:00:00:07")


def planned(collected: Guest) -> Proof:
    proof = plan_server(server(guest=collected), fabric(), Config())
    assert proof is not None
    return proof


def rules(proof: Proof) -> list[AddRule]:
    return [effect for effect in proof.effects if isinstance(effect, AddRule)]


def told(proof: Proof) -> str:
    """Why policy routing was not chosen, or nothing was."""
    plans = (proof.document.plan, *proof.document.alternatives)
    return " ".join(plan.why_not or "" for plan in plans if plan.strategy in ("none", "policy-routing"))


@pytest.mark.parametrize(
    "foreign",
    [
        ("5270: from all lookup 52",),
        ("20: from all to 100.64.0.0/10 lookup 52",),
        ("1500: from all iif tun7 lookup 52", "31000: from all to 100.71.0.0/16 lookup 52"),
    ],
)
def test_rules_come_behind_those_that_lead_to_a_tunnel(foreign: tuple[str, ...]) -> None:
    routes = TWO_DEFAULTS + "100.71.166.52 dev tun7 table 52 scope link\n"
    proof = planned(guest(*LINKS, TUNNEL, routes=routes, rules=rules_of(*foreign), rp_filter=STRICT))
    last = int(foreign[-1].split(":")[0])
    assert rules(proof)
    assert all(last < effect.rule.priority < 32766 for effect in rules(proof))


def test_no_rule_goes_ahead_of_marked_ones_that_lead_to_a_tunnel() -> None:
    routes = TWO_DEFAULTS + "100.71.166.52 dev tun7 table 52 scope link\n"
    foreign = ("5210: from all fwmark 0x80000/0xff0000 lookup main", "5270: from all lookup 52")
    proof = planned(guest(*LINKS, TUNNEL, routes=routes, rules=rules_of(*foreign), rp_filter=STRICT))
    assert proof.document.plan.strategy == "policy-routing"
    assert all(5270 < effect.rule.priority < 32766 for effect in rules(proof))


def test_auto_loosens_nothing_where_policy_routing_would_take_too_many_rules() -> None:
    kept = "".join(f"10.{8 + n // 100}.{2 * (n % 100)}.0/24 dev tun7 scope link\n" for n in range(140))
    proof = planned(guest(*LINKS, TUNNEL, routes=TWO_DEFAULTS + kept, rp_filter=STRICT))
    assert not any(isinstance(effect, PatchVni) for effect in proof.effects)
    assert "140 routes that leave packets of eth1 to the rules of others, and we make 128 at most" in told(proof)


@pytest.mark.parametrize(
    "foreign",
    [
        ("32765: from 10.9.9.9 lookup 77",),
        ("32764: from 10.9.9.9 lookup 77", "32765: from all to 10.9.0.0/16 lookup 77"),
        ("32765: from 10.9.9.9 lookup 77", "32765: from 10.9.9.8 lookup 78"),
    ],
)
def test_a_rule_right_before_the_main_tables_leaves_room(foreign: tuple[str, ...]) -> None:
    proof = planned(guest(*LINKS, rules=rules_of(*foreign), rp_filter=STRICT))
    assert rules(proof)
    assert {effect.rule.priority for effect in rules(proof)} == {32765}
    after = proof.trial.facts_after(proof.effects).view.server.guest
    assert after is not None
    assert [rule.priority for rule in after.rules if rule.src and rule.src.startswith("10.0.0.")] == [32765] * len(
        rules(proof)
    )


@pytest.mark.parametrize(
    "kept",
    [
        ["blackhole 10.233.90.0/24", *(f"10.233.90.{n} dev tun7 scope link" for n in range(1, 61))],
        [f"10.42.{n}.0/24 via 100.79.197.21 dev tun7 onlink" for n in range(64)],
        [f"10.8.0.{n} dev tun7 scope link" for n in range(128)],
    ],
)
def test_many_prefixes_are_counted_as_the_few_that_cover_them(kept: list[str]) -> None:
    routes = TWO_DEFAULTS + "\n".join(kept) + "\n"
    proof = planned(guest(*LINKS, TUNNEL, routes=routes, rp_filter=STRICT))
    assert proof.document.plan.strategy == "policy-routing"
    (prefixes,) = {tuple(thrown([effect])) for effect in proof.effects if isinstance(effect, AddRoutes)}
    assert len(prefixes) == 1


@pytest.mark.parametrize(
    "local",
    [
        "local 10.0.0.12 dev eth1 table local proto 66 scope host",
        "local 10.0.0.12 dev lo table local scope host",
        "local 10.0.0.12/31 dev lo table local scope host",
    ],
)
def test_an_address_that_table_local_alone_holds_gets_a_rule(local: str) -> None:
    links = (LINKS[0], link("eth1", 1))
    proof = planned(guest(*links, routes=TWO_DEFAULTS + local + "\n", rp_filter=STRICT))
    assert proof.document.plan.strategy == "policy-routing"
    assert "10.0.0.12/32" in {effect.rule.src for effect in rules(proof)}
