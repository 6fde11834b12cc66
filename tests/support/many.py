"""Servers of several kinds, and their reports from wherever they are worked out."""

from tests.support.servers import COLLECTED, fabric, guest, link, server, two_vnis
from vnicheck.analysis.many import Shared, analyze_many
from vnicheck.analysis.processes import Spread, in_process
from vnicheck.model.config import Config
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day
from vnicheck.model.region import Job
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import Server

MUTES = (Mute(rule="VNC101", server="web-1*", reason="known", expires=Day("2026-12-31")),)
SHARED = Shared(
    fabric=fabric(), config=Config(mute=MUTES), read_at=COLLECTED, generated_at="2026-11-24T00:00:00Z", flows=True
)


def fleet(count: int) -> list[Server]:
    """Servers of several kinds: strict, loose, unreachable, with one VNI missing."""
    guests = [
        guest(rp_filter={"eth1": 1}),
        guest(),
        None,
        guest(link("eth0", 0, "10.0.0.11/24")),
    ]
    return [
        server(*two_vnis(), guest=guests[n % 4], id=f"id-{n}", name=f"web-{n}", crn=f"crn:{n}") for n in range(count)
    ]


def analyzed(jobs: list[Job], shared: Shared = SHARED, spread: Spread = in_process) -> list[InstanceReport]:
    return list(analyze_many(jobs, shared, spread))
