"""Reports to show in a browser: a server that is broken, one with many interfaces, one out of reach, a fleet, names that
are as long as they may be.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, member, regions
from tests.support.servers import COLLECTED, fabric, guest, link, report, server, transit_fabric, vni
from vnicheck.analysis.lint import lint
from vnicheck.analysis.server import analyze_server, assemble_report
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.config import Config
from vnicheck.model.report import InstanceReport, Report
from vnicheck.report.html import HtmlWriter

LONG = "a-name-that-is-as-long-as-a-name-may-be-which-are-63-letters-xx"
FLEET = 60


def written(report: Report) -> bytes:
    writer = HtmlWriter()
    for instance in report.instances:
        writer.add(instance)
    return b"".join(writer.finish(report))
