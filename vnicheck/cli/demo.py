"""`vnicheck demo`: the article's three checks, what was observed beside what is predicted."""

from vnicheck.analysis.server import assemble_report
from vnicheck.cli.given import DemoOptions
from vnicheck.cli.output import Destination, check_fail_on, exit_status, write_report
from vnicheck.cli.terminal import console
from vnicheck.demo.checks import CHECKS, CLIENT, ArticleCheck, predicted, replayed
from vnicheck.model.report import InstanceReport
from vnicheck.report.text import Page, write_instance
from vnicheck.system.clock import now


def demo(given: DemoOptions) -> int:
    """The work of `DemoOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    time = now()
    instances = replayed(time)
    report = assemble_report(instances, generated_at=time)
    if destination.wanted == [("text", None)]:
        for check, instance in zip(CHECKS, instances, strict=True):
            _show(check, instance, no_color=given.display.no_color, explain=given.explain)
    else:
        write_report(report, destination, no_color=given.display.no_color, explain=given.explain)
    return exit_status(report, fail_on, allow_incomplete=False)


def _show(check: ArticleCheck, instance: InstanceReport, *, no_color: bool, explain: bool) -> None:
    page = Page(console(no_color=no_color), explain=explain)
    page.prose(f"{check.setup}; client {CLIENT}", lead=(f"Check {check.number}  ", "bold"))
    page.line()
    for observation in check.observations:
        flow = predicted(instance, observation)
        agree = (flow.verdict == "delivered") is observation.answered
        said = "delivered" if not flow.drops else f"dropped by {flow.drops[0].by} at {flow.drops[0].at}"
        mark = page.glyphs.tick if agree else page.glyphs.cross
        seen = f"{'answered' if observation.answered else 'lost'}: {observation.seen}"
        page.line((observation.what, "bold"), indent=2)
        page.prose(seen, indent=4, lead="observed   ")
        page.prose((f"{said} {mark}", "green" if agree else "red"), indent=4, lead="predicted  ")
    page.line()
    write_instance(page, instance)
    page.line()
