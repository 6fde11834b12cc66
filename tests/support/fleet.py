"""A fleet to lint: servers that are broken, well, single-homed, stopped, or out of reach, in two regions."""

from pathlib import Path
from typing import Any

import msgspec

from tests.support.servers import COLLECTED, POLICY_ROUTING, POLICY_RULES, fabric, guest, server, two_vnis, vni
from vnicheck.collect.scope import ServerFilter, snapshot_region
from vnicheck.collect.snapshot_folder import SnapshotFolder
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


def write_folder(path: Path, count: int) -> Path:
    """A snapshot folder of one region of `count` servers of each kind in a fleet, with names of their own."""
    kinds = [each for each in fleet() if each.region == "us-south"]
    members = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        name = f"{kind.name}-{number}"
        members.append(msgspec.structs.replace(kind, name=name, id=f"id-{name}", crn=f"{CRN}id-{name}"))
    folder = SnapshotFolder(path)
    bare = [msgspec.structs.replace(each, guest=None, problems=()) for each in members]
    folder.write_cloud("us-south", snapshot(*bare))
    for each in members:
        inside = each.guest or next(iter(each.problems), None)
        if inside is not None:
            folder.write_guest("us-south", each.id, inside)
    return path


def fixed(broken: Server) -> Server:
    """The server with policy routing."""
    return msgspec.structs.replace(broken, guest=WELL)


def regions(
    *servers: Server, config: Config | None = None, around: Fabric | None = None, **scope: Any
) -> list[RegionInScope]:
    """The regions of a snapshot of these servers, to be linted."""
    filters = ServerFilter(expect=(config or Config()).expect, **scope)
    return list(snapshot_region(snapshot(*servers, around=around), filters))


def unread(name: str) -> RegionInScope:
    """A region that could not be read."""
    return RegionInScope(name=name, problems=(Problem(code="api_unreachable", message="no connection"),))
