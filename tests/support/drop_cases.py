"""For each rule of drops a server on which it fires."""

from typing import Any

import msgspec

from tests.support.servers import (
    ONE_ARM,
    acl_rule,
    fabric,
    guest,
    link,
    router,
    server,
    subnet,
    transit_fabric,
    two_vnis,
    vni,
)
from vnicheck.model.cloud import NetworkAcl
from vnicheck.model.snapshot import Server

OPEN_DISABLED = two_vnis(protocol_state_filtering_mode="disabled")
FLOATING = (
    vni(0, "10.0.0.11", allow_ip_spoofing=True),
    vni(1, "10.0.0.12", floating_ip="203.0.113.7", protocol_state_filtering_mode="disabled"),
)
INBOUND_ONLY = [NetworkAcl(id="acl", name="acl", rules=(acl_rule("allow", "inbound"),))]


FIRES: dict[str, tuple[Server, Any, set[tuple[str, str, str]]]] = {
    "VNC101": (
        server(*OPEN_DISABLED, guest=guest(rp_filter={"eth1": 1})),
        None,
        {("VNC101", "error", "computed"), ("VNC101", "warning", "computed")},
    ),
    "VNC102": (server(guest=guest()), None, {("VNC102", "error", "computed"), ("VNC102", "warning", "computed")}),
    "VNC103": (
        server(*two_vnis(spoofing=False, protocol_state_filtering_mode="disabled"), guest=guest()),
        fabric(subnets=[subnet("a", "10.0.0.0/24", public_gateway="gateway")]),
        {("VNC103", "warning", "computed")},
    ),
    "VNC104": (
        server(*OPEN_DISABLED, guest=guest(routes="10.0.0.0/24 dev eth0 scope link\n")),
        None,
        {("VNC104", "error", "computed"), ("VNC104", "warning", "computed")},
    ),
    "VNC105": (
        server(
            msgspec.structs.replace(
                FLOATING[0], secondary_addresses=("10.0.0.12",), protocol_state_filtering_mode="disabled"
            ),
            FLOATING[1],
            guest=guest(),
        ),
        None,
        {("VNC105", "error", "computed")},
    ),
    "VNC106": (
        server(*OPEN_DISABLED, guest=guest()),
        fabric(acls=INBOUND_ONLY),
        {("VNC106", "error", "computed")},
    ),
    "VNC107": (
        server(
            vni(0, "10.0.0.11", "10.0.0.13"), guest=guest(link("eth0", 0, "10.0.0.11/24"), routes="default dev eth0")
        ),
        None,
        {("VNC107", "warning", "computed")},
    ),
    "VNC108": (router(ONE_ARM), transit_fabric(), {("VNC108", "error", "computed")}),
}
