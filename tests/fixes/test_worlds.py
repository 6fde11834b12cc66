"""Plans where an assumption is open: what holds in every world, what only in some, and what is never done at once."""

from typing import Any

import pytest

from tests.support.plans import kinds, plan
from tests.support.servers import DROPPED, guest, server, two_vnis, vni
from vnicheck.engine.open_assumptions import assumed_worlds, rests_on_open, verdict_in
from vnicheck.fixes.comparison import is_worse
from vnicheck.fixes.planner import STRATEGIES
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.flow import Verdict
from vnicheck.model.plan import FixedIf, Plan
from vnicheck.model.plan_document import encode_plans
from vnicheck.model.snapshot import Server

PASSED = Config(assumptions=Assumptions(spoofing_sibling="passed"))


def closed(mode: str = "auto", rp_filter: int = 2, **more: Any) -> Server:
    """The article's server with the default: no IP spoofing."""
    vnis = two_vnis(spoofing=False, protocol_state_filtering_mode=mode, **more)
    return server(*vnis, guest=guest(rp_filter={"all": rp_filter}))


def only_if(found: Plan) -> list[tuple[str, str, int]]:
    return [(each.assumption, each.value, each.count) for each in found.fixed_if]


def test_policy_routing_fixes_what_is_at_risk_in_every_world() -> None:
    document = plan(closed("disabled")).document.plan
    assert (document.strategy, document.fixed, document.remaining, document.fixed_if) == ("policy-routing", 21, 0, ())


def test_disabling_filters_fixes_tcp_only_if_siblings_pass() -> None:
    document = plan(closed(), strategy="state-filtering").document.plan
    assert (document.fixed, document.remaining, document.broken) == (0, 21, 0)
    tcp = [flow for flow in document.before if flow.dropped_by == "protocol_state_filtering" and len(flow.drops) == 1]
    assert only_if(document) == [("spoofing-sibling", "passed", len(tcp))]
    assert {tuple(action.patch or ()) for action in document.actions} == {("protocol_state_filtering_mode",)}
    (condition,) = document.fixed_if
    assert 'set spoofing-sibling = "dropped"' in condition.then
    assert "allowing IP spoofing on vni-1 is the second step" in condition.then


def test_the_second_step_comes_once_the_question_is_answered() -> None:
    both = plan(closed(), strategy="state-filtering", config=DROPPED).document.plan
    assert {field for action in both.actions for field in action.patch or ()} == {
        "protocol_state_filtering_mode",
        "allow_ip_spoofing",
    }
    assert (both.fixed, both.fixed_if) == (21, ())
    first = plan(closed(), strategy="state-filtering", config=PASSED).document.plan
    assert {field for action in first.actions for field in action.patch or ()} == {"protocol_state_filtering_mode"}
    second = plan(closed("disabled"), strategy="state-filtering", config=DROPPED).document.plan
    assert [action.patch for action in second.actions] == [{"allow_ip_spoofing": True}]


@pytest.mark.parametrize("legacy", [True, False])
def test_where_spoofing_cannot_be_allowed_there_is_no_second_step(legacy: bool) -> None:
    more: dict[str, Any] = {"legacy": True} if legacy else {"enable_infrastructure_nat": False}
    vnis = (vni(0, "10.0.0.11", protocol_state_filtering_mode="disabled", **more), vni(1, "10.0.0.12", **more))
    of = server(*vnis, guest=guest(rp_filter={"all": 1}), kind="instance" if legacy else "bare_metal_server")
    conditions = plan(of, strategy="rp-filter").document.plan.fixed_if
    assert all("only policy routing helps" in each.then for each in conditions)
    assert conditions


def test_loosening_rp_filter_fixes_only_if_siblings_pass() -> None:
    document = plan(closed("disabled", rp_filter=1), strategy="rp-filter").document.plan
    assert only_if(document) == [("spoofing-sibling", "passed", 21)]
    assert document.strategy == "rp-filter"


@pytest.mark.parametrize("mode", ["auto", "disabled"])
@pytest.mark.parametrize("rp_filter", [1, 2])
def test_auto_never_takes_what_only_fixes_if(mode: str, rp_filter: int) -> None:
    """Also where policy routing is not at hand: the guest shows no rules."""
    of = closed(mode, rp_filter)
    assert of.guest is not None
    for each in (of, server(*of.vnis, guest=guest(rp_filter={"all": rp_filter}, missing={"rules": "timed out"}))):
        proof = plan(each) if each is of else None
        if proof is not None:
            assert proof.document.plan.fixed_if == ()
            assert set(kinds(proof.effects)) <= {"AddRoutes", "AddRule"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_plan_is_worse_in_any_world(strategy: Any) -> None:
    proof = plan(closed(), strategy=strategy)
    after = proof.trial.facts_after(proof.effects).flows
    worlds = assumed_worlds([*proof.trial.before, *after])
    assert {len(world) for world in worlds} == {1}
    for piece in proof.trial.outcome(proof.effects).pieces:
        for world in worlds:
            assert not is_worse(proof.trial.before[piece.before], after[piece.after], lambda _: False, world)


def test_worlds_are_what_the_configuration_would_say() -> None:
    """A flow's verdict in a world is that of the engine where the configuration answers so."""
    of = closed()
    before = plan(of).trial.before
    for config, value in ((PASSED, "passed"), (DROPPED, "dropped")):
        told = {_key(flow): flow.verdict for flow in plan(of, config=config).trial.before}
        world = (("spoofing-sibling", value),)
        assert {_key(flow): verdict_in(flow, world) for flow in before} == told  # type: ignore[arg-type]
    assert {rests_on_open(flow) for flow in before} == {True, False}


def test_a_class_that_may_lose_in_one_world_fares_worse() -> None:
    unknown = next(flow for flow in plan(closed()).trial.before if rests_on_open(flow))
    dropped = next(flow for flow in plan(closed(), config=DROPPED).trial.before if flow.drops)
    assert is_worse(unknown, dropped, lambda _: False, (("spoofing-sibling", "passed"),))
    assert not is_worse(unknown, dropped, lambda _: False, (("spoofing-sibling", "dropped"),))
    assert verdict_in(unknown, ()) is Verdict.UNKNOWN


def test_json_has_what_is_fixed_only_if() -> None:
    import json

    proof = plan(closed(), strategy="state-filtering")
    document = json.loads(encode_plans([proof.document], flows=False))
    (told,) = document["instances"][0]["plan"]["fixed_if"]
    assert told.keys() == {"assumption", "value", "count", "then"}
    assert told == {name: getattr(proof.document.plan.fixed_if[0], name) for name in FixedIf.__struct_fields__}


def _key(flow: Any) -> tuple[Any, ...]:
    return flow.direction, flow.protocol, flow.local, flow.remote, flow.ports
