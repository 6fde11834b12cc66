"""`python -m website.pictures` (`make pictures`): the picture of a report in a terminal, from the recorded case.

It is drawn by the program itself, so after a change of the report it is drawn anew, never by hand.
"""

import io
from pathlib import Path

import msgspec
from rich.console import Console

from vnicheck.analysis.server import assemble_report
from vnicheck.demo.checks import replayed
from vnicheck.report.text import write_text

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "report.svg"
TITLE = "vnicheck analyze web-1"
_COLUMNS = 80
_READ = "2024-06-20T02:12:00Z"
"""A minute after the recorded server was collected."""
# Rich's own form names a font to be fetched from elsewhere; the browser's own will do.
_FORM = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>What `vnicheck analyze` prints</title>
<!-- made by make pictures -->
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font: bold 18px system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def report_picture() -> str:
    """The SVG: what `vnicheck analyze` shows of the recorded case's first check, in 80 columns."""
    server = msgspec.structs.replace(replayed(_READ)[0], name="web-1")
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    write_text(assemble_report((server,), generated_at=_READ), console)
    return console.export_svg(title=TITLE, code_format=_FORM, unique_id="report")


if __name__ == "__main__":
    PICTURE.write_text(report_picture())
