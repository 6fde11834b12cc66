"""wg-quick and keepalived: rules and routes of their own, where boot starts them.

wg-quick(8): `Table = off` sets no routes, a number all of them in that table; else a peer that takes everything makes
it set rules, and a table that is free just then. keepalived.conf(5): virtual routes and rules are there on the master.
"""

from collections.abc import Iterator, Sequence

from vnicheck.guest.parsers.boot.fate import BootSetting, Fate, Outcome
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, commands_of, prefix_of, table_of
from vnicheck.guest.parsers.boot.scripts import is_unit_run
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import MAIN_TABLE, BootRoute

WIREGUARD = "/etc/wireguard/"
KEEPALIVED = "/etc/keepalived/keepalived.conf"
_UNIT = "wg-quick@"


def apply(files: BootFiles, names: Names, outcome: Outcome) -> None:
    """What boot sets by them."""
    read = {
        path.removeprefix(WIREGUARD).removesuffix(".conf"): path for path in files.paths if path.startswith(WIREGUARD)
    }
    for name, path in read.items():
        fate = is_unit_run(f"{_UNIT}{name}.service", files)
        if fate is not False and _takes_everything(files.lines[path]):
            outcome.doubt(f"{capped(path)}: wg-quick sets rules of its own, and a table that is free then")
        outcome.take(path, fate, _of_tunnel(files.lines[path], names))
    for unit in sorted({wanted.rpartition("/")[2] for wanted in files.wanted}):
        name = unit.removeprefix(_UNIT).removesuffix(".service")
        if unit.startswith(_UNIT) and name not in read and is_unit_run(unit, files) is not False:
            outcome.doubt(f"what {capped(unit)[:60]} sets could not be read")
    fate = is_unit_run("keepalived.service", files)
    words = [line for line in files.lines.get(KEEPALIVED, ()) if line.text != "rp_filter"]
    if fate is not False and words:
        outcome.doubt(_of_keepalived(words[0]))
    if fate is not False and KEEPALIVED in files.unreadable:
        outcome.doubt(f"{KEEPALIVED} could not be read")


def _of_keepalived(line: Line) -> str:
    if line.text.startswith("virtual"):
        return f"{line.source}: keepalived sets its {line.text} while it is master"
    return f"{line.source}: what keepalived sets by {line.text} is not read"


def _takes_everything(lines: Sequence[Line]) -> bool:
    values = _values(lines)
    everything = any("/0" in value for key, value in values if key == "allowedips")
    return everything and _table(values) in {"", "auto"}


def _of_tunnel(lines: Sequence[Line], names: Names) -> Iterator[BootSetting | None]:
    values = _values(lines)
    table = _table(values)
    number = MAIN_TABLE if table in {"", "auto", "off"} else table_of(table, names)
    if number != MAIN_TABLE:
        for key, value in values:
            for prefix in value.split(",") if key == "allowedips" else ():
                if ":" not in prefix and prefix.strip():
                    yield BootRoute(
                        source=lines[0].source, table=number, prefix=prefix_of(prefix.strip()) or "0.0.0.0/0"
                    )
    for line in lines:
        if line.text == "?":
            raise NotUnderstood
        if line.text.lstrip().startswith(("ip ", "ip\t", "/")):
            yield from commands_of(line.text, line.source, names)


def _values(lines: Sequence[Line]) -> list[tuple[str, str]]:
    pairs = (line.text.partition("=")[::2] for line in lines if line.text != "?")
    return [(key.strip().lower(), value.strip()) for key, value in pairs]


def _table(values: Sequence[tuple[str, str]]) -> str:
    return next((value.lower() for key, value in values if key == "table"), "")


def counts(path: str, files: BootFiles) -> bool:
    """Whether boot may read a file that we could not."""
    wanted: Fate = any(f"/{_UNIT}" in link for link in files.wanted)
    return wanted is True if path.startswith(WIREGUARD.rstrip("/")) else path != KEEPALIVED
