"""Plans fix what they say, break nothing, hold nothing that is not needed, and touch nothing of others."""

import msgspec
import pytest

from tests.support import cases
from tests.support.plans import (
    BROKEN,
    DOCKER,
    FITTING,
    STRICT,
    THREE,
    commands,
    kinds,
    plan,
    planned,
    without,
)
from tests.support.servers import (
    DROPPED,
    TWO_DEFAULTS,
    acl_rule,
    fabric,
    guest,
    link,
    rules_of,
    server,
    subnet,
    two_vnis,
    vni,
)
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.broken_paths import broken_flows
from vnicheck.fixes.actions import thrown
from vnicheck.fixes.effects import (
    AddRoutes,
    AddRule,
    PatchVni,
    SetRpFilter,
    altered,
    carry_out,
    standing,
    with_own_rules,
)
from vnicheck.fixes.planner import STRATEGIES, NothingKnownError, Strategy, plan_server
from vnicheck.fixes.strategies import SINGLE, Combination, effects_of
from vnicheck.fixes.trial import Trial
from vnicheck.model.cloud import NetworkAcl
from vnicheck.model.config import Config
from vnicheck.model.flow import Direction, Flow, Verdict
from vnicheck.model.guest import MAIN_TABLE, RouteType
from vnicheck.model.plan import NO_STRATEGY


def verdicts(flows: tuple[Flow, ...], local: str, remote: str) -> dict[tuple[str, str], str]:
    """By direction and protocol, of the class that holds the remote."""
    import ipaddress

    address = ipaddress.ip_address(remote)
    return {
        (flow.direction.value, flow.protocol.value): flow.verdict.value
        for flow in flows
        if flow.local == local and any(address in ipaddress.ip_network(prefix) for prefix in flow.remote)
    }


def test_a_strategy_that_fixes_nothing_says_what_becomes_of_the_flows_with_it() -> None:
    snapshot = cases.snapshot_of("vpc-default-route-delivers")
    document = plan(snapshot.servers[0], snapshot.fabric).document
    why = {each.strategy: each.why_not or "" for each in document.alternatives}
    assert why["policy-routing"].startswith("fixes nothing: some flows would be unknown (a VPC route leads where")
    assert why["state-filtering"].startswith("fixes nothing: some flows would be unknown (10.0.0.11 is not an address")
    assert why["rp-filter"].startswith("fixes nothing: tcp is dropped by the state filter")


def test_a_rule_with_a_selector_that_is_not_understood_is_none_of_a_plan() -> None:
    proof = planned("loose")
    after = carry_out(BROKEN["loose"][0], proof.effects).guest
    ours = next(each for each in proof.effects if isinstance(each, AddRule))
    assert after is not None
    other = msgspec.structs.replace(ours.rule, unmodelled=("tun_id 5",))
    guest = msgspec.structs.replace(
        after, rules=tuple(other if rule == ours.rule else rule for rule in after.rules), ip_version="6.1.0"
    )
    assert with_own_rules(guest, proof.effects).rules == guest.rules
    assert ours not in standing(guest, proof.effects)
    assert altered(guest, ours)
    busybox = msgspec.structs.replace(guest, ip_version="BusyBox v1.35.0")
    assert with_own_rules(busybox, proof.effects).rules == after.rules


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_plan_is_what_the_engine_says_of_the_server_after_it(name: str, strategy: Strategy) -> None:
    of, around = BROKEN[name]
    proof = planned(name, strategy)
    document = proof.document.plan
    after = predict_flows(ServerView(carry_out(of, proof.effects), around, Config()))
    assert document.after == after
    assert document.broken == 0
    assert document.fixed + document.remaining == len(proof.trial.targets)
    assert (document.strategy == NO_STRATEGY) is (document.fixed == 0 and not document.fixed_if)
    assert (document.strategy == NO_STRATEGY) is (document.actions == ())
    assert (document.why_not is None) is bool(document.actions)
    assert all(alternative.why_not for alternative in proof.document.alternatives)
    fates = dict.fromkeys(Verdict, 0)
    for piece in proof.trial.outcome(proof.effects).pieces:
        if piece.before in proof.promised:
            fates[after[piece.after].verdict] += 1
    assert fates[Verdict.DELIVERED] >= document.fixed
    assert fates[Verdict.DROPPED] == fates[Verdict.UNKNOWN] == 0


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("names", SINGLE)
def test_no_effect_can_be_left_out(name: str, names: Combination) -> None:
    trial = planned(name).trial
    effects = effects_of(trial, names)
    whole = trial.outcome(effects)
    for position in range(len(effects)):
        fewer = trial.outcome(without(effects, position))
        assert whole.gained - fewer.gained or fewer.worse, effects[position]


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "in transit"])
def test_auto_fixes_all_by_policy_routing(name: str) -> None:
    document = planned(name).document.plan
    assert (document.strategy, document.remaining, document.broken) == ("policy-routing", 0, 0)
    assert document.iam_actions == ()


@pytest.mark.parametrize("name", cases.names())
def test_plans_for_every_case(name: str) -> None:
    """Nothing is broken by any plan, and what is promised is delivered to the last address."""
    snapshot, config = cases.snapshot_of(name), cases.config_of(name)
    for each in snapshot.servers:
        if each.guest is None or any(one.subnet not in snapshot.fabric.subnets for one in each.vnis):
            continue
        try:
            proof = plan_server(each, snapshot.fabric, config)
        except NothingKnownError:
            continue
        if proof is None:
            continue
        outcome = proof.trial.outcome(proof.effects)
        after = proof.trial.facts_after(proof.effects).flows
        assert not outcome.worse
        for piece in outcome.pieces:
            if piece.before in proof.promised:
                assert after[piece.after].verdict is Verdict.DELIVERED


def test_a_healthy_server_has_no_plan() -> None:
    assert (
        plan_server(server(vni(0, "10.0.0.11"), guest=guest(link("eth0", 0, "10.0.0.11/24"))), fabric(), Config())
        is None
    )


def test_the_articles_plans() -> None:
    found = {}
    for check in CHECKS:
        snapshot = load_check(check)
        (of,) = snapshot.servers
        found[check.number] = {
            strategy: [*kinds(plan(of, snapshot.fabric, strategy, AS_RECORDED).effects)] for strategy in STRATEGIES
        }
    routing = ["AddRoutes", "AddRule"]
    assert found[1] == {"auto": routing, "policy-routing": routing, "rp-filter": ["SetRpFilter"], "state-filtering": []}
    assert found[2]["state-filtering"] == ["PatchVni", "PatchVni"]
    assert found[3]["state-filtering"] == ["PatchVni"], "inbound flows work; outbound ones see another VNI"


def test_each_direction_has_its_own_vni() -> None:
    """Inbound connections are half seen by the VNI that replies leave by, outbound ones by the owner's."""
    of = server(guest=guest(rp_filter={"all": 2}))
    trial = Trial(of, fabric(), Config())
    by_name = {
        effect.name: effect for effect in effects_of(trial, ("state-filtering",)) if isinstance(effect, PatchVni)
    }
    assert set(by_name) == {"vni-1", "vni-2"}
    only_first = trial.facts_after((by_name["vni-1"],)).flows
    only_second = trial.facts_after((by_name["vni-2"],)).flows
    assert verdicts(only_first, "10.0.0.12", "10.8.0.4")["inbound", "tcp"] == "delivered"
    assert verdicts(only_first, "10.0.0.12", "10.8.0.4")["outbound", "tcp"] == "dropped"
    assert verdicts(only_second, "10.0.0.12", "10.8.0.4")["inbound", "tcp"] == "dropped"
    assert verdicts(only_second, "10.0.0.12", "10.8.0.4")["outbound", "tcp"] == "delivered"


def test_spoofing_is_named_as_the_security_cost_that_it_is() -> None:
    of = server(*two_vnis(spoofing=False, protocol_state_filtering_mode="disabled"), guest=guest(rp_filter={"all": 2}))
    document = plan(of, strategy="state-filtering", config=DROPPED).document.plan
    assert [action.patch for action in document.actions] == [{"allow_ip_spoofing": True}]
    assert [action.undo_patch for action in document.actions] == [{"allow_ip_spoofing": False}]
    assert [text for text in document.side_effects if text.startswith("SECURITY: ")]
    assert document.iam_actions[-1].endswith(".manage-ip-spoofing")


def test_auto_allows_spoofing_only_to_mend_everything() -> None:
    """Policy routing is refused for 10.0.1.12, which its subnet's ACL does not let out, so spoofing would fix more.
    With 10.0.1.22, which the guest lacks, nothing fixes everything.
    """
    rules = (
        acl_rule("deny", "outbound", source="10.0.1.12/32"),
        acl_rule("allow", "outbound"),
        acl_rule("allow", "inbound"),
    )
    closed = NetworkAcl(id="closed", name="closed", rules=rules)
    around = fabric(subnets=[subnet("b", "10.0.1.0/24", network_acl="closed")], acls=[closed])
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.1.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link src 10.0.0.11\n"
        "10.0.1.0/24 dev eth1 scope link src 10.0.1.12\n",
    )
    chosen = {}
    for addresses in (("10.0.1.12",), ("10.0.1.12", "10.0.1.22")):
        vnis = (vni(0, "10.0.0.11"), vni(1, *addresses, subnet="b"))
        proof = plan(server(*vnis, guest=inside, kind="bare_metal_server"), around, config=DROPPED)
        chosen[len(addresses)] = (proof.document.plan.strategy, proof.document.plan.remaining > 0)
    assert chosen == {1: ("state-filtering", False), 2: ("policy-routing", True)}


@pytest.mark.parametrize("name", BROKEN)
def test_the_rp_filter_is_only_loosened_from_strict_and_where_it_drops(name: str) -> None:
    of, _ = BROKEN[name]
    assert of.guest is not None
    for effect in planned(name, "rp-filter").effects:
        assert isinstance(effect, SetRpFilter)
        everywhere = of.guest.sysctls["net/ipv4/conf/all/rp_filter"]
        assert (max(everywhere, effect.old), effect.new) == (1, 2)
        assert of.guest.sysctls[effect.path] == effect.old
        assert effect.interface != "all"


def test_a_strict_all_is_overruled_on_the_interface_alone() -> None:
    effects = plan(server(guest=guest(rp_filter={"all": 1})), strategy="rp-filter").effects
    assert effects == (SetRpFilter(interface="eth1", old=0, new=2),)


def test_a_legacy_interface_is_never_patched() -> None:
    for strategy in STRATEGIES:
        assert "PatchVni" not in kinds(planned("legacy", strategy).effects)


def test_only_routing_helps_a_floating_ip() -> None:
    proof = planned("floating IP")
    fixed = {alternative.strategy: alternative.remaining for alternative in proof.document.alternatives}
    assert proof.document.plan.remaining == 0
    assert fixed["rp-filter"]
    assert fixed["state-filtering"]
    assert verdicts(proof.document.plan.after, "10.0.0.12", "198.51.100.1")["inbound", "tcp"] == "delivered"


def test_one_table_for_the_addresses_of_a_vni_and_one_for_each_vni() -> None:
    proof = planned("three VNIs, two subnets, a secondary address")
    assert commands(proof) == [
        "ip route add 10.0.0.0/24 dev eth0 table 1002",
        "ip route add default via 10.0.0.1 dev eth0 table 1002",
        "ip rule add from 10.0.0.11 table 1002 priority 1002",
        "ip route add 10.0.0.0/24 dev eth1 table 1003",
        "ip route add default via 10.0.0.1 dev eth1 table 1003",
        "ip rule add from 10.0.0.12 table 1003 priority 1003",
        "ip rule add from 10.0.0.14 table 1003 priority 1004",
        "ip route add 10.0.1.0/24 dev eth2 table 1004",
        "ip route add default via 10.0.1.1 dev eth2 table 1004",
        "ip rule add from 10.0.1.13 table 1004 priority 1005",
    ]


def test_the_main_table_and_its_default_route_stay() -> None:
    for name, (of, _) in BROKEN.items():
        assert of.guest is not None
        for strategy in STRATEGIES:
            after = carry_out(of, planned(name, strategy).effects).guest
            assert after is not None
            assert [route for route in after.routes if route.table == MAIN_TABLE] == [
                route for route in of.guest.routes if route.table == MAIN_TABLE
            ]
            assert [rule for rule in of.guest.rules if rule not in after.rules] == []
            assert [route for route in of.guest.routes if route not in after.routes] == []


def test_a_table_that_fits_is_used() -> None:
    assert commands(planned("a table without its rule")) == ["ip rule add from 10.0.0.12 table 102 priority 1003"]


@pytest.mark.parametrize(
    "routes",
    [
        "default via 10.0.0.1 dev eth1 table 102\n",  # its subnet by the gateway
        "10.0.0.0/24 dev eth1 table 102 scope link\ndefault via 10.0.0.9 dev eth1 table 102\n",
        FITTING + "10.9.0.0/16 via 10.0.0.1 dev eth0 table 102\n",
    ],
)
def test_a_table_that_leads_elsewhere_is_left_alone(routes: str) -> None:
    of = server(guest=guest(routes=TWO_DEFAULTS + routes, rp_filter=STRICT))
    proof = plan(of)
    assert [effect.table for effect in proof.effects if isinstance(effect, AddRoutes)] == [1003]


def test_numbers_in_use_are_not_taken() -> None:
    """Neither running ones nor configured ones."""
    inside = guest(
        routes=TWO_DEFAULTS + "10.77.0.0/16 dev eth0 table 1003\n",
        rules=rules_of("1003: from 10.0.0.99 lookup 1003", "2000: from 10.0.0.98 lookup 1004"),
        rp_filter=STRICT,
    )
    assert commands(plan(server(guest=inside)))[-1] == "ip rule add from 10.0.0.12 table 1005 priority 2002"


def test_rules_of_others_come_first() -> None:
    """A tunnel's rule, as its software adds it, still takes what it took."""
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("eth1", 1, "10.0.0.12/24"),
        link("tun0", 3, "100.64.0.1/32", mac="02:42:00:00:00:01"),
        routes=TWO_DEFAULTS + "100.64.0.0/10 dev tun0 table 52\n",
        rules=rules_of("5270: from all lookup 52"),
        rp_filter=STRICT,
    )
    proof = plan(server(guest=inside))
    (rule,) = [effect.rule for effect in proof.effects if isinstance(effect, AddRule)]
    assert rule.priority == 5272
    assert proof.document.plan.remaining == 0


def test_a_rule_that_misleads_is_overruled_and_kept() -> None:
    proof = planned("a rule of somebody's that takes the packets first")
    (rule,) = [effect.rule for effect in proof.effects if isinstance(effect, AddRule)]
    assert rule.priority == 499
    assert proof.document.plan.remaining == 0


def test_no_rule_comes_before_that_of_the_local_table() -> None:
    """Container networks move it behind rules of their own."""
    inside = guest(
        routes=TWO_DEFAULTS + "default via 10.0.0.1 dev eth0 table 500\n",
        rules="9: from all fwmark 0x200/0xf00 lookup 2004\n100: from all lookup local\n"
        "101: from 10.0.0.12 lookup 500\n32766: from all lookup main\n32767: from all lookup default\n",
        rp_filter=STRICT,
    )
    proof = plan(server(guest=inside))
    assert not [effect for effect in proof.effects if isinstance(effect, AddRule) and effect.rule.priority <= 100]


def without_throws(effect: AddRoutes) -> AddRoutes:
    routes = tuple(route for route in effect.routes if route.type is not RouteType.THROW)
    return msgspec.structs.replace(effect, routes=routes)


def test_the_guests_own_networks_are_still_reached() -> None:
    """Without the route that throws 172.17.0.0/16 back, answers from 10.0.0.12 to containers would leave by eth1."""
    proof = planned("containers")
    assert commands(proof)[-2:] == [
        "ip route add throw 172.17.0.0/16 table 1003",
        "ip rule add from 10.0.0.12 table 1003 priority 1003",
    ]
    ours = [without_throws(effect) if isinstance(effect, AddRoutes) else effect for effect in proof.effects]
    assert proof.trial.outcome(ours).worse


def test_a_refusal_is_not_led_around() -> None:
    of = server(guest=guest(routes=TWO_DEFAULTS + "blackhole 10.9.0.0/16\n", rp_filter=STRICT))
    proof = plan(of)
    assert thrown(proof.effects) == ["10.9.0.0/16"]
    assert verdicts(proof.document.plan.after, "10.0.0.12", "10.9.0.1")["inbound", "tcp"] == "dropped"
    assert not proof.document.plan.remaining, "what refuses is meant, so that nothing of it stays broken"
    assert not proof.document.unfixed


def test_a_route_by_an_appliance_is_told() -> None:
    of = server(guest=guest(routes=TWO_DEFAULTS + "10.8.0.0/16 via 10.0.0.5 dev eth0\n", rp_filter=STRICT))
    assert [text for text in plan(of).document.plan.side_effects if "10.8.0.0/16 via 10.0.0.5" in text]


def test_connections_that_change_their_way_are_told() -> None:
    (text,) = [text for text in planned("loose").document.plan.side_effects if "no longer by eth0" in text]
    assert text.startswith("udp and icmp flows to and opened from 10.0.0.12")


@pytest.mark.parametrize(
    "name", ["eth1;reboot", "$(reboot)", "a && reboot #", "`id`", "-x", "eth1\x1b[31m", "e'1", "a b"]
)
def test_an_interface_that_a_shell_would_read_is_in_no_plan(name: str) -> None:
    hostile = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link(name, 1, "10.0.0.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n",
        rp_filter={name: 1},
    )
    for strategy in STRATEGIES:
        proof = plan(server(guest=hostile), strategy=strategy)
        assert not [action for action in proof.document.plan.actions if name in f"{action.command}{action.undo}"]


def test_what_is_not_known_is_not_fixed() -> None:
    """A guest whose rules were not read: no plan promises anything, and it is not said to be well either."""
    inside = guest(rp_filter=STRICT)
    unread = msgspec.structs.replace(inside, missing={"rules": "ip: not found"}, rules=())
    with pytest.raises(NothingKnownError):
        plan_server(server(guest=unread), fabric(), Config())
    doubtful = msgspec.structs.replace(THREE, missing={"sysctls": "not collected"}, sysctls={})
    proof = plan_server(server(guest=doubtful), fabric(), Config())
    assert proof is None or proof.document.plan.fixed == 0


def test_docker_is_not_what_is_mended() -> None:
    trial = Trial(server(guest=DOCKER), fabric(), Config())
    assert all(flow.egress != "docker0" for flow in broken_flows(trial.facts).values())


def test_a_plan_for_flows_in_transit() -> None:
    proof = planned("in transit")
    promised = [proof.trial.before[index] for index in proof.promised]
    assert [flow for flow in promised if flow.direction is Direction.TRANSIT]
    assert (proof.document.plan.strategy, proof.document.plan.remaining) == ("state-filtering", 0)
