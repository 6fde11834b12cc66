"""Every subnet has an ACL and a routing table: where the API names none, it is not known, and nothing is delivered."""

import msgspec
import pytest

from tests.support.servers import fabric, flows, guest, link, server, vni
from vnicheck.model.flow import Outcome, Verdict


@pytest.mark.parametrize(("field", "stage"), [("network_acl", "network_acl"), ("routing_table", "vpc_route")])
def test_what_the_api_does_not_name_is_unknown(field: str, stage: str) -> None:
    inside = guest(link("eth0", 0, "10.0.0.11/24"), routes="default via 10.0.0.1 dev eth0")
    of, around = server(vni(0, "10.0.0.11"), guest=inside), fabric()
    private = [flow for flow in flows(of, around) if flow.remote_scope == "private"]
    assert private
    assert {flow.verdict for flow in private} == {Verdict.DELIVERED}
    around.subnets["a"] = msgspec.structs.replace(around.subnets["a"], **{field: None})
    for flow in flows(of, around):
        if flow.remote_scope == "private":
            assert flow.verdict is Verdict.UNKNOWN
            assert {hop.stage for hop in flow.hops if hop.outcome is Outcome.UNKNOWN} == {stage}
