"""The recorded case as a page: the report's HTML, with what was observed at its head."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from vnicheck.demo.checks import CHECKS
from vnicheck.demo.story import BEGINNING, NEXT, TITLE, compared, conclusion
from vnicheck.model.report import InstanceReport

_HEADING = "</h1>"


def framed(page: Iterable[bytes], instances: Sequence[InstanceReport]) -> Iterator[bytes]:
    """The page of the report in pieces, with the story behind its first heading."""
    waits = True
    for chunk in page:
        before, heading, after = chunk.partition(_HEADING.encode()) if waits else (chunk, b"", b"")
        yield before
        if heading:
            waits = False
            yield heading + _story(instances).encode() + after


def _story(instances: Sequence[InstanceReport]) -> str:
    parts = ["<section>", f"<h2>{escape(TITLE)}</h2>", *(f"<p>{escape(line)}</p>" for line in BEGINNING)]
    parts.append("<table><tr><th>check</th><th>tried</th><th>observed</th><th>predicted</th></tr>")
    for check, instance in zip(CHECKS, instances, strict=True):
        for each in compared(check, instance):
            mark = "✓" if each.agrees else "✗"
            cells = (f"{check.number}: {check.setup}", each.observation.what, each.observed, f"{each.predicted} {mark}")
            parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    parts += ["</table>", f"<p>{escape(conclusion(instances))}</p>", "<ul>"]
    parts += [f"<li><code>{escape(command)}</code> {escape(what)}</li>" for command, what in NEXT]
    return "\n".join([*parts, "</ul>", "</section>"])
