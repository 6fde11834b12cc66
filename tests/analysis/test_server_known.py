"""A server of which no flow has a known fate is not called checked."""

import msgspec

from tests.support.fleet import WELL, member, snapshot
from vnicheck.analysis.server import analyze_server
from vnicheck.engine.classify import predict_flows
from vnicheck.model.config import Config
from vnicheck.model.flow import Verdict
from vnicheck.model.guest import Hook, HookKind
from vnicheck.model.report import InstanceReport

EVERYWHERE = tuple(
    Hook(kind=kind, text=f"a program on {interface}", interface=interface)
    for kind in (HookKind.INGRESS_PROGRAM, HookKind.EGRESS_PROGRAM)
    for interface in ("eth0", "eth1")
)

INGRESS = tuple(hook for hook in EVERYWHERE if hook.kind is HookKind.INGRESS_PROGRAM)


def report(hooks: tuple[Hook, ...], groups: dict[str, object] | None = None) -> InstanceReport:
    observed = snapshot(member("web-1", msgspec.structs.replace(WELL, hooks=hooks)))
    fabric = observed.fabric
    if groups is not None:
        closed = {key: msgspec.structs.replace(group, **groups) for key, group in fabric.security_groups.items()}
        fabric = msgspec.structs.replace(fabric, security_groups=closed)
    return analyze_server(observed.servers[0], fabric, Config(), predict=predict_flows)


def test_what_is_known_is_checked() -> None:
    assert report(()).status == "analyzed"


def test_a_server_of_which_nothing_is_known_is_not() -> None:
    seen = report(EVERYWHERE)
    assert {flow.verdict for flow in seen.flows if not flow.drops} == {Verdict.UNKNOWN}
    assert (seen.status, [problem.code for problem in seen.problems]) == ("incomplete", ["nothing_known"])


def test_a_server_that_the_vpc_closes_altogether_is_checked() -> None:
    seen = report(INGRESS, {"rules": ()})
    assert {flow.verdict for flow in seen.flows} == {Verdict.DROPPED}
    assert seen.status == "analyzed"
