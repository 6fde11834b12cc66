"""A listing, for people: a line for each VNI; in a pipe each line has all that it needs to be found by."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vnicheck.model.listing import ListedInterface, ListedServer, Listing
from vnicheck.model.words import counted, one_line

_COLUMNS = ("server", "status", "zone", "vpc", "VNI", "subnet", "addresses", "floating IP", "state filter", "spoofing")
_OF_SERVER = 4
"""So many columns are the server's, and are told once on a terminal."""


def write_listing(listing: Listing, console: Console) -> None:
    """Writes the listing as a table where somebody looks, else as plain columns."""
    if not console.is_terminal:
        for line in _plain(listing):
            console.print(Text(line), soft_wrap=True)
        return
    table = Table(*_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for server in listing.servers:
        for number, row in enumerate(_rows(server)):
            shown = row if number == 0 else ("",) * _OF_SERVER + row[_OF_SERVER:]
            table.add_row(*map(Text, shown))
    console.print(table)
    vnis = sum(len(server.interfaces) for server in listing.servers)
    console.print(Text(f"{counted(len(listing.servers), 'server')}, {counted(vnis, 'VNI')}", "dim"), soft_wrap=True)


def _plain(listing: Listing) -> Iterator[str]:
    rows = [row for server in listing.servers for row in _rows(server)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rows(server: ListedServer) -> Iterator[tuple[str, ...]]:
    own = (_word(server.name), _word(server.status), _word(server.zone), _word(server.vpc.name))
    for interface in server.interfaces:
        yield (*own, *_of(interface))
    if not server.interfaces:
        yield (*own, *("-",) * (len(_COLUMNS) - _OF_SERVER))


def _of(interface: ListedInterface) -> tuple[str, ...]:
    spoofing = interface.allow_ip_spoofing
    mode = interface.protocol_state_filtering_mode
    return (
        _word(interface.name),
        _word(interface.subnet.name or interface.subnet.id),
        ",".join(interface.addresses),
        ",".join(interface.floating_ips) or "-",
        _word(mode) if mode is not None else "legacy" if interface.legacy else "unknown",
        "unknown" if spoofing is None else "allowed" if spoofing else "checked",
    )


def _word(text: str) -> str:
    """A name as one word of a column."""
    return one_line(text, 64).replace(" ", "_") or "-"
