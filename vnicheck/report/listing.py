"""A listing, for people: a line for each VNI; in a pipe each line has all that it needs to be found by."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from vnicheck.model.listing import ListedInterface, ListedServer, Listing
from vnicheck.model.words import counted, one_line

_COLUMNS = ("VNI", "subnet", "addresses", "floating IP", "state filter", "spoofing")


def write_listing(listing: Listing, console: Console, *, quiet: bool = False) -> None:
    """Writes the listing: a server with its VNIs below where somebody looks, else a line with all for each VNI.
    `quiet`: the servers' names alone.
    """
    if quiet:
        for server in listing.servers:
            console.print(Text(one_line(server.name, 64)), soft_wrap=True)
        return
    if not console.is_terminal:
        rows = [
            (*_server(server), *row) for server in listing.servers for row in _vnis(server) or [("-",) * len(_COLUMNS)]
        ]
        for line in _aligned(rows):
            console.print(Text(line), soft_wrap=True)
        return
    heading, *lines = _aligned([_COLUMNS, *(row for server in listing.servers for row in _vnis(server))])
    console.print(Text(f"  {heading}", "dim"), soft_wrap=True)
    remaining = iter(lines)
    for server in listing.servers:
        name, *facts = _server(server)
        console.print(Text(name, "bold") + Text(f"  {'  '.join(facts)}"), soft_wrap=True)
        for _ in server.interfaces:
            console.print(Text(f"  {next(remaining)}"), soft_wrap=True)
    vnis = sum(len(server.interfaces) for server in listing.servers)
    console.print(Text(f"{counted(len(listing.servers), 'server')}, {counted(vnis, 'VNI')}", "dim"), soft_wrap=True)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _server(server: ListedServer) -> tuple[str, ...]:
    return (_word(server.name), _word(server.status), _word(server.zone), _word(server.vpc.name))


def _vnis(server: ListedServer) -> list[tuple[str, ...]]:
    return [_of(interface) for interface in server.interfaces]


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
