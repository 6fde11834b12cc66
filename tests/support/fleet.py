"""A fleet to lint: servers that are broken, well, single-homed, stopped, or out of reach, in two regions."""

from typing import Any

import msgspec

from tests.support.servers import COLLECTED, POLICY_ROUTING, POLICY_RULES, fabric, guest, server, two_vnis, vni
from vnicheck.collect.scope import Scope, snapshot_region
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.guest import Guest
from vnicheck.model.region import RegionInScope
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot

CRN = "crn:v1:bluemix:public:is:us-south-1:a/1::instance:"
BROKEN = guest(rp_filter={"eth1": 1})
WELL = guest(routes=POLICY_ROUTING, rules=POLICY_RULES, rp_filter={"eth0": 1, "eth1": 1})
TIMEOUT = Problem(code="ssh_timeout", message="10.0.0.11 did not answer within 10 seconds")
NOW = "2026-11-24T00:00:00Z"


def member(name: str, inside: Guest | None = None, **more: Any) -> Server:
    """A server of the fleet; its id and CRN come of its name. It has two VNIs, which allow no spoofing."""
    vnis = more.pop("vnis", None) or two_vnis(spoofing=False)
    fields = {"id": f"id-{name}", "crn": f"{CRN}id-{name}", "region": "us-south"} | more
    return server(*vnis, name=name, guest=inside, **fields)


def fleet() -> list[Server]:
    """Not in the order of their names."""
    return [
        member("web-2", BROKEN),
        member("web-1", BROKEN, region="eu-de"),
        member("well", WELL),
        member("unreached", problems=(TIMEOUT,)),
        member("asleep", status="stopped"),
        member("single", guest(), vnis=(vni(0, "10.0.0.11"),)),
    ]


def snapshot(*servers: Server, around: Fabric | None = None) -> Snapshot:
    """A snapshot of these, or of the fleet."""
    return Snapshot(
        schema=SCHEMA,
        tool_version="0",
        created_at=COLLECTED,
        servers=servers or tuple(fleet()),
        fabric=around if around is not None else fabric(),
    )


def fixed(broken: Server) -> Server:
    """The server with policy routing."""
    return msgspec.structs.replace(broken, guest=WELL)


def regions(
    *servers: Server, config: Config | None = None, around: Fabric | None = None, **scope: Any
) -> list[RegionInScope]:
    """The regions of a snapshot of these servers, to be linted."""
    filters = Scope(expect=(config or Config()).expect, **scope)
    return list(snapshot_region(snapshot(*servers, around=around), filters))


def unread(name: str) -> RegionInScope:
    """A region that could not be read."""
    return RegionInScope(name=name, problems=(Problem(code="api_unreachable", message="no connection"),))
