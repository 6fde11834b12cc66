"""The README's sample of output is what the program prints."""

import io
import re
from pathlib import Path

from rich.console import Console

from vnicheck.analysis.server import report_on
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.report.text import write_text

README = Path(__file__).parents[1] / "README.md"


def test_the_sample_is_real() -> None:
    report = report_on(load_check(CHECKS[0]), generated_at="2026-01-01T00:00:00Z", config=AS_RECORDED)
    page = io.StringIO()
    write_text(report, Console(file=page, width=80, color_system=None))
    sample = re.search(r"```\n(ERROR VNC101.*?)```", README.read_text(), re.DOTALL)
    assert sample is not None
    assert sample.group(1) in page.getvalue()
