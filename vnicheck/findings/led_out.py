"""Flows to the server's own networks that its rules and routes lead out by a VNI."""

from vnicheck.findings.facts import Facts
from vnicheck.model.address import prefix_range
from vnicheck.model.flow import Flow, Hop, Outcome, Stage

_ROUTES = {Stage.REPLY_ROUTE, Stage.REQUEST_ROUTE}


def led_out(facts: Facts, flow: Flow) -> Hop | None:
    """The hop at which the packets leave by a VNI; None where the remotes are none of the server's own networks, or
    packets for them do not. A class of flows is wholly of one, or of none.
    """
    first, _ = prefix_range(flow.remote[0])
    if flow.egress is None or facts.vni_named(flow.egress) is None:
        return None
    if not any(low <= first <= high for low, high in facts.view.own_networks):
        return None
    return next((hop for hop in flow.hops if hop.stage in _ROUTES and hop.outcome is Outcome.UNKNOWN), None)
