"""The matrix as text: a table of at most the page's width."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from vnicheck.model.report import InstanceReport
from vnicheck.model.words import listed, one_line
from vnicheck.report.matrix import COLUMNS, WAYS, AddressRows, Cell, Mark, Part, alike, legend, matrix_of
from vnicheck.report.page import Page


def write_matrix(page: Page, instance: InstanceReport) -> None:
    """What becomes of each address's flows; nothing where there are none."""
    matrix = matrix_of(instance)
    groups = alike(matrix)
    if not groups:
        return
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("")
    for scope in COLUMNS:
        table.add_column(scope)
    for first, *others in groups:
        name = page.text(f"{first.address} {first.place}".rstrip())
        for number, row in enumerate(first.rows):
            more = Text(f"  and {len(others)} more" if number == 1 and others else "", "dim")
            lead = name if number == 0 else more
            table.add_row(lead, WAYS[row.direction], *(_cell(page, cell) for cell in row.cells))
    page.table(table)
    for first, *others in groups:
        if others:
            names = ", ".join(f"{each.address} {each.place}".rstrip() for each in others)
            page.prose((f"like {first.address}: {one_line(names, 1000)}", "dim"))
    for line in _mixed_lines(page, [group[0] for group in groups]):
        page.prose((line, "dim"))
    words = legend(matrix, instance)
    if words:
        page.prose((words, "dim"))
    page.line()


def _cell(page: Page, cell: Cell) -> Text:
    if cell.mixed:
        worst = next(mark for mark in (Mark.DROPPED, Mark.UNKNOWN, Mark.WORKS) if mark in cell.marks)
        return Text(f"{page.mark(worst)} mixed", page.mark_style(worst))
    text = Text()
    for number, part in enumerate(cell.parts):
        if number:
            text.append("\n")
        text.append(part_words(page, part), page.mark_style(part.mark))
    return text if cell.parts else Text(page.mark(Mark.CLOSED), "dim")


def part_words(page: Page, part: Part) -> str:
    """`✗ tcp state`."""
    return " ".join(word for word in (page.mark(part.mark), part.what, part.why) if word)


def _mixed_lines(page: Page, matrix: Sequence[AddressRows]) -> Iterator[str]:
    """Who fares how in the cells that depend on the remote; in and out together where they are alike."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for rows in matrix:
        for row in rows.rows:
            for scope, cell in zip(COLUMNS, row.cells, strict=True):
                if cell.mixed:
                    fates = "; ".join(f"{part_words(page, part)} {who}" for part, who in cell.mixed)
                    said.setdefault((rows.address, scope, fates), []).append(WAYS[row.direction])
    for (address, scope, fates), ways in said.items():
        yield f"mixed, {address} {listed(ways)}, {scope}: {fates}"
