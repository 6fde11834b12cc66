"""VNC302: spoofing that a router, a moving address or transit needs."""

import pytest

from tests.support.latent_cases import STRICT
from tests.support.servers import (
    POLICY_ROUTING,
    POLICY_RULES,
    findings_of,
    guest,
    link,
    router,
    server,
    transit_fabric,
    vni,
)
from vnicheck.model.guest import Guest


@pytest.mark.parametrize(
    "inside",
    [
        guest(routes=POLICY_ROUTING, rules=POLICY_RULES, rp_filter=STRICT, sysctls={"conf/eth0/forwarding": 1}),
        guest(
            link("eth0", 0, "10.0.0.11/24", "10.0.0.99/32"),
            link("eth1", 1, "10.0.0.12/24"),
            routes=POLICY_ROUTING,
            rules=POLICY_RULES,
            rp_filter=STRICT,
        ),
    ],
)
def test_spoofing_that_a_router_or_a_moving_address_needs(inside: Guest) -> None:
    vnis = (vni(0, "10.0.0.11", allow_ip_spoofing=True), vni(1, "10.0.0.12"))
    assert findings_of(server(*vnis, guest=inside), "VNC302") == []


def test_settings_that_transit_needs() -> None:
    of = router(protocol_state_filtering_mode="disabled")
    assert findings_of(of, "VNC302", transit_fabric()) == []
    assert findings_of(router(protocol_state_filtering_mode="disabled"), "VNC301", transit_fabric("10.0.0.11")) == []
