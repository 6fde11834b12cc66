"""Reports to show in a browser: a server that is broken, one with many interfaces, one out of reach, a fleet, and
names that are as long as they may be.
"""

from vnicheck.model.report import Report
from vnicheck.report.html import HtmlWriter

LONG = "a-name-that-is-as-long-as-a-name-may-be-which-are-63-letters-xx"
FLEET = 60


def written(report: Report) -> bytes:
    writer = HtmlWriter()
    for instance in report.instances:
        writer.add(instance)
    return b"".join(writer.finish(report))
