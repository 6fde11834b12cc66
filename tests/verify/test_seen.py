"""Where a server's kernel contradicts the model, flows follow the kernel: for what it was asked about, no further."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from vnicheck.analysis.observations import informed
from vnicheck.analysis.plans import Planning, prove
from vnicheck.analysis.server import analyze_server
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.parsers.iptables import parse_iptables
from vnicheck.model.config import Assumptions, Config
from vnicheck.model.firewall import Firewall
from vnicheck.model.flow import Flow, Observed, Verdict
from vnicheck.model.guest import Hook, HookKind, NextHop, PolicyRule, Route, RouteType
from vnicheck.model.interface import Neighbour
from vnicheck.model.observation import facts_of
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.model.verification import VERIFICATION_SCHEMA, KernelAnswer, Verification, VerificationDocument
from vnicheck.verify.kernel import Answered, conclude, follow, is_way_out
from vnicheck.verify.questions import Asked, questions

AT = "2026-11-27T00:00:00Z"
SECOND = "10.0.0.12"
Kernel = Callable[[Asked], str | None]
"""`ip`'s line, an error where it begins with `RTNETLINK`; None: as predicted."""


def check(number: int) -> tuple[Snapshot, Server]:
    snapshot = load_check(CHECKS[number - 1])
    return snapshot, snapshot.servers[0]


def asked(server: Server, snapshot: Snapshot, kernel: Kernel, route: str | None = None) -> list[KernelAnswer]:
    """What verify makes of the kernel's answers; `route`: what it says of routes."""
    view = ServerView(server, snapshot.fabric, Config())
    found = []
    for each in questions(view, predict_flows(view)):
        line = kernel(each)
        if line is None:
            continue
        answer = conclude(each, Answered(line, refused=line.startswith("RTNETLINK")))
        if is_way_out(answer):
            answer = follow(answer, None if route is None else Answered(route, refused=False))
        found.append(answer)
    return found


def told(server: Server, *answers: KernelAnswer) -> Config:
    each = Verification(id=server.id, name=server.name, kernel=answers, facts=facts_of(server))
    tool = Tool(name="vnicheck", version="1")
    document = VerificationDocument(schema=VERIFICATION_SCHEMA, tool=tool, verified_at=AT, verifications=(each,))
    written = msgspec.json.decode(msgspec.json.encode(document), type=VerificationDocument)
    return informed(Config(), [written])


def flows_of(server: Server, snapshot: Snapshot, config: Config) -> tuple[Flow, ...]:
    return analyze_server(server, snapshot.fabric, config).flows


def by(device: str, gateway: str = "via 10.0.0.1 ") -> Kernel:
    """Whatever leaves from the second address to a gateway, leaves by the device."""

    def kernel(each: Asked) -> str | None:
        question = each.question
        if question.source != SECOND or ("eth0", "10.0.0.1") not in each.expected.ways:
            return None
        return f"{question.destination} from {SECOND} {gateway}dev {device} uid 0 \\    cache"

    return kernel


ROUTE = "default via 10.0.0.1 dev eth1 \\"


def is_private(flow: Flow) -> bool:
    return flow.remote_scope == "private"


def followed(
    snapshot: Snapshot, server: Server, kernel: Kernel, route: str | None = ROUTE
) -> tuple[list[Flow], list[Flow]]:
    """The private flows that rest on contradictions: of the remotes that were asked about, and of others."""
    answers = asked(server, snapshot, kernel, route)
    wrong = [answer for answer in answers if answer.conclusion == "contradicted"]
    assert wrong
    remotes = {f"{hop.remote}/32" for answer in wrong for hop in answer.hops}
    doubted = [
        flow
        for flow in flows_of(server, snapshot, told(server, *answers))
        if is_private(flow) and any("the server's kernel, asked" in hop.reason for hop in flow.hops)
    ]
    return [each for each in doubted if set(each.remote) <= remotes], [
        each for each in doubted if not set(each.remote) <= remotes
    ]


def test_the_vpc_is_asked_about_the_interface_that_the_kernel_names() -> None:
    """Check 2: replies of the second address leave by the first interface, whose VNI drops them."""
    kernel_says, others = followed(*check(2), by("eth1"))
    assert {flow.verdict for flow in others} == {Verdict.UNKNOWN}
    inbound = [flow for flow in kernel_says if flow.direction == "inbound"]
    assert inbound
    assert {(flow.egress, flow.symmetric) for flow in kernel_says} == {("eth1", True)}
    assert {flow.verdict for flow in inbound} == {Verdict.DELIVERED}
    for flow in kernel_says:
        seen = [hop for hop in flow.hops if hop.observed != msgspec.UNSET]
        assert [hop.observed for hop in seen] == [Observed("kernel", AT)]
        assert "predicted: leaves by eth0 via 10.0.0.1; the server's kernel, asked" in seen[0].reason
        assert "leaves by eth1 via 10.0.0.1" in seen[0].reason


@pytest.mark.parametrize(
    ("device", "gateway", "route"),
    [
        ("eth1", "via inet6 fe80::1 ", ROUTE),
        ("eth1", "encap ip id 7 dst 10.0.0.5 via 10.0.0.1 ", ROUTE),
        ("eth1", "via 10.0.0.77 ", ROUTE),
        ("eth1", "", ROUTE),
        ("lo", "", "10.0.0.0/8 dev lo scope link"),
        ("vrf7", "via 10.0.0.1 ", "default via 10.0.0.1 dev vrf7"),
        ("eth1", "via 10.0.0.1 ", "default \\ nexthop via 10.0.0.1 dev eth1 weight 1 \\ nexthop dev eth0 weight 1"),
        ("eth1", "via 10.0.0.1 ", "10.8.0.10 from 10.0.0.12 via 10.0.0.1 dev eth1"),
        ("eth1", "via 10.0.0.1 ", "default via 10.0.0.1 dev eth0"),
        ("eth1", "via 10.0.0.1 ", None),
    ],
    ids=[
        "IPv6 next hop", "encapsulated", "another gateway", "on-link elsewhere", "lo", "a VRF", "several next hops",
        "no fibmatch", "another route", "no answer about the route",
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_unknown(device: str, gateway: str, route: str | None) -> None:
    kernel_says, others = followed(*check(2), by(device, gateway), route)
    assert {flow.verdict for flow in (*kernel_says, *others)} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("error", "dropped_by"),
    [
        ("Network is unreachable", "no_route"),
        ("No route to host", "unreachable"),
        ("Permission denied", "prohibit"),
        ("Invalid argument", "blackhole"),
    ],
)
def test_what_the_kernel_refuses_to_send_is_dropped(error: str, dropped_by: str) -> None:
    def kernel(each: Asked) -> str | None:
        return f"RTNETLINK answers: {error}" if each.expected.ways and each.question.source == SECOND else None

    kernel_says, others = followed(*check(2), kernel)
    assert {flow.dropped_by for flow in kernel_says} == {dropped_by}
    assert others
    assert {flow.verdict for flow in others} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("error", "filters", "dropped_by"),
    [
        ("Invalid cross-device link", True, "rp_filter"),
        ("Invalid argument", True, "rp_filter"),
        ("Invalid argument", False, "martian_source"),
        ("No route to host", True, "not_local"),
    ],
)
def test_what_the_kernel_refuses_to_take_is_dropped(error: str, filters: bool, dropped_by: str) -> None:
    """An invalid source is a martian one where no reverse path filter is on; else newer kernels do not say which."""
    snapshot, server = check(3)
    assert server.guest is not None
    if not filters:
        off = {key: 0 if key.endswith("/rp_filter") else value for key, value in server.guest.sysctls.items()}
        names = [f"{name}/{key}" for name in ("all", "eth0", "eth1") for key in ("send_redirects", "accept_local")]
        off |= dict.fromkeys((f"net/ipv4/conf/{name}" for name in names), 0)
        server = with_guest(server, sysctls=off)

    def kernel(each: Asked) -> str | None:
        comes_in = each.question.interface == "eth1"
        return f"RTNETLINK answers: {error}" if comes_in and each.expected.outcome == "taken" else None

    kernel_says, _ = followed(snapshot, server, kernel)
    assert {flow.drops[0].by for flow in kernel_says if flow.direction == "inbound"} == {dropped_by}


def test_what_is_taken_goes_on_to_the_next_hop() -> None:
    """Check 1: the second interface refuses requests. A kernel that takes them sends replies by the first one, of
    whose VNI the model still speaks.
    """

    def kernel(each: Asked) -> str | None:
        if each.question.interface != "eth1" or each.expected.outcome != "drops":
            return None
        return f"local {each.question.destination} from {each.question.source} dev lo table local \\ cache <local>"

    kernel_says, others = followed(*check(1), kernel)
    inbound = [flow for flow in kernel_says if flow.direction == "inbound"]
    assert inbound
    assert "rp_filter" not in {drop.by for flow in inbound for drop in flow.drops}
    assert {flow.egress for flow in inbound} == {"eth0"}
    assert Verdict.DELIVERED not in {flow.verdict for flow in others}


def with_guest(server: Server, **changes: object) -> Server:
    assert server.guest is not None
    return msgspec.structs.replace(server, guest=msgspec.structs.replace(server.guest, **changes))


def test_nothing_unknown_becomes_delivered() -> None:
    """What rests on marks stays unknown, also where an answer of another time contradicts what was known then."""
    snapshot, server = check(2)
    answers = asked(server, snapshot, by("eth1"), ROUTE)
    assert server.guest is not None
    marks = PolicyRule(priority=50, fwmark=1, fwmask=1, table=99, text="50: from all fwmark 0x1/0x1 lookup 99")
    away = Route(prefix="0.0.0.0/0", type=RouteType.BLACKHOLE, table=99, text="blackhole default table 99")
    unmarked = dict.fromkeys((f"net/ipv4/conf/{name}/src_valid_mark" for name in ("all", "eth0", "eth1")), 0)
    changed = with_guest(
        server,
        rules=(server.guest.rules[0], marks, *server.guest.rules[1:]),
        routes=(*server.guest.routes, away),
        sysctls=server.guest.sysctls | unmarked,
    )
    unsure = Assumptions(packets_unmarked=False)
    found = [
        {
            flow.verdict
            for flow in flows_of(changed, snapshot, config)
            if flow.local == SECOND and flow.protocol == "icmp" and is_private(flow)
        }
        for config in (Config(assumptions=unsure), msgspec.structs.replace(told(changed, *answers), assumptions=unsure))
    ]
    assert found[0] == found[1] == {Verdict.UNKNOWN}


def refusing(each: Asked) -> str | None:
    gateways = any(gateway is not None for _, gateway in each.expected.ways)
    return "RTNETLINK answers: Network is unreachable" if gateways and each.question.source == SECOND else None


@pytest.mark.parametrize("kernel", [refusing, by("eth0", "via 10.0.0.77 "), by("eth1")], ids=["none", "other", "own"])
def test_no_plan_promises_what_rests_on_a_contradiction(kernel: Kernel) -> None:
    """Policy routing is what fixes check 2; of a kernel that does otherwise now, nobody knows what it would do."""
    snapshot, server = check(2)
    answers = asked(server, snapshot, kernel, ROUTE)
    plain = prove(server, Planning(fabric=snapshot.fabric, config=Config()))
    assert plain is not None
    assert plain.document.plan.strategy == "policy-routing"
    proof = prove(server, Planning(fabric=snapshot.fabric, config=told(server, *answers)))
    assert proof is not None
    assert not proof.effects
    assert "contradicts what was collected" in (proof.document.plan.why_not or "")


def test_the_last_answer_counts_whatever_it_is() -> None:
    snapshot, server = check(2)
    wrong = asked(server, snapshot, by("eth1"), ROUTE)
    right = asked(server, snapshot, by("eth0"))
    assert {answer.conclusion for answer in right} == {"confirmed"}
    flows = flows_of(server, snapshot, told(server, *wrong, *right))
    assert not any("asked" in hop.reason for flow in flows for hop in flow.hops)
    assert any(each.says is not None for each in wrong)
    assert [flow.verdict for flow in flows] == [flow.verdict for flow in flows_of(server, snapshot, Config())]


def test_where_a_rule_reads_ports_the_answer_is_about_one() -> None:
    """The rule of port 443 is predicted to lead replies out by the second interface; the kernel says not."""
    snapshot, server = check(2)
    assert server.guest is not None
    rule = PolicyRule(
        priority=50, src="10.0.0.12/32", ipproto=6, sport=(440, 450), table=99, text="50: from 10.0.0.12 sport 440-450"
    )
    hop = NextHop(interface="eth1", gateway="10.0.0.1")
    route = Route(prefix="0.0.0.0/0", nexthops=(hop,), table=99, text="default via 10.0.0.1 dev eth1 table 99")
    rules = (server.guest.rules[0], rule, *server.guest.rules[1:])
    server = with_guest(server, rules=rules, routes=(*server.guest.routes, route))

    def kernel(each: Asked) -> str | None:
        if ("eth1", "10.0.0.1") not in each.expected.ways:
            return None
        assert each.question.ports is not None
        return f"{each.question.destination} from {SECOND} via 10.0.0.1 dev eth0 uid 0"

    kernel_says, others = followed(snapshot, server, kernel, "default via 10.0.0.1 dev eth0")
    assert {flow.ports for flow in kernel_says if flow.egress == "eth0"} == {("440",)}
    assert {flow.verdict for flow in others} == {Verdict.UNKNOWN}
    at_port = [flow.ports for flow in others if len(flow.remote) == 1]
    assert not at_port or set(at_port) == {("441-450",)}
    answers = asked(server, snapshot, kernel, "default via 10.0.0.1 dev eth0")
    flows = flows_of(server, snapshot, told(server, *answers))
    untouched = [flow for flow in flows if flow.protocol == "tcp" and flow.ports == ("1-439", "451-65535")]
    assert not any("asked" in hop.reason for flow in untouched for hop in flow.hops)
    assert untouched


def test_of_a_changed_guest_no_answer_is_known() -> None:
    """Where it is the same but for its VNIs, all answers hold."""
    snapshot, server = check(2)
    config = told(server, *asked(server, snapshot, by("eth1"), ROUTE))
    view = ServerView(server, snapshot.fabric, config)
    before = {flow.verdict for flow in predict_flows(view) if "10.128.0.10/32" in flow.remote}
    assert before == {Verdict.DELIVERED}
    assert server.guest is not None
    again = with_guest(server, collected_at="2026-11-28T00:00:00Z")
    assert ServerView(again, snapshot.fabric, config, like=view).contradicted == view.contradicted
    changed = with_guest(server, sysctls=server.guest.sysctls | {"net/ipv4/conf/eth1/rp_filter": 2})
    after = ServerView(changed, snapshot.fabric, config, like=view)
    flows = [flow for flow in predict_flows(after) if flow.local == SECOND and is_private(flow)]
    assert {flow.verdict for flow in flows} == {Verdict.UNKNOWN}
    assert "once it is changed is not known" in "".join(hop.reason for flow in flows for hop in flow.hops)


WALL = "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -o eth1 -s 10.0.0.12 -j DROP\nCOMMIT\n"
PROGRAM = Hook(kind=HookKind.EGRESS_PROGRAM, interface="eth1", text="filter protocol ip pref 1 bpf")
NEIGHBOUR = Neighbour(interface="eth1", address="10.0.0.1", mac="02:00:00:00:00:99")


@pytest.mark.parametrize(
    "beside",
    [
        {"hooks": (PROGRAM,)},
        {"neighbours": (NEIGHBOUR,)},
        {"firewall": Firewall(chains=parse_iptables(WALL)[0])},
    ],
    ids=["tc on output", "a permanent neighbour", "netfilter"],
)
def test_what_ip_does_not_see_is_still_asked_at_the_interface_that_the_kernel_names(beside: dict[str, Any]) -> None:
    """All of them are at the second interface, by which nothing is predicted to leave."""
    snapshot, server = check(2)
    server = with_guest(server, **beside)
    answers = asked(server, snapshot, by("eth1"), ROUTE)
    assert any(answer.says is not None and answer.says.outcome == "leaves" for answer in answers)
    flows = flows_of(server, snapshot, told(server, *answers))
    assert {flow.verdict for flow in flows if flow.local == SECOND and is_private(flow)} == {Verdict.UNKNOWN}


def test_who_is_named_is_asked_about() -> None:
    snapshot, server = check(2)
    view = ServerView(server, snapshot.fabric, Config())
    named = questions(view, predict_flows(view), ["10.8.0.4", "10.0.0.11"])
    remotes = {hop.remote for each in named for hop in each.hops}
    plain = {hop.remote for each in questions(view, predict_flows(view)) for hop in each.hops}
    assert "10.8.0.4" in remotes - plain
    assert "10.128.0.10" in plain - remotes
    assert "10.0.0.11" not in remotes
