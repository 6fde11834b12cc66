"""`ip -4 neigh show nud permanent`, as JSON or plain, from iproute2 or busybox.

10.0.0.1 dev eth0 lladdr 02:00:00:00:00:01 PERMANENT
10.0.0.2 dev eth0 lladdr 02:00:00:00:00:02 used 0/0/0 probes 0 PERMANENT
"""

from typing import Any

from vnicheck.guest.parsers.parsed import JsonObject, Parsed, evidence, is_json, read_json, text_lines, word
from vnicheck.model.interface import Neighbour


def parse_neighbours(text: str) -> Parsed[Neighbour]:
    """The permanent IPv4 entries, in dump order.

    Raises CollectionError `guest_unreadable` on broken JSON and on more lines than we read.
    """
    unmodelled: list[str] = []
    if is_json(text):
        objects, unmodelled = read_json(text, "ip neigh")
        entries: list[tuple[dict[str, Any], JsonObject | str]] = [(entry.first(), entry) for entry in objects]
    else:
        entries = [(_plain(line), line) for line in text_lines(text, "ip neigh")]
    found = []
    for values, source in entries:
        neighbour = _neighbour(values)
        if neighbour is not None:
            found.append(neighbour)
        elif ":" not in word(values.get("dst")):
            unmodelled.append(evidence(source))
    return Parsed(tuple(found), tuple(unmodelled))


def _plain(line: str) -> dict[str, Any]:
    words = line.split()
    values: dict[str, Any] = {"dst": words[0]}
    for key in ("dev", "lladdr"):
        if key in words[:-1]:
            values[key] = words[words.index(key) + 1]
    return values


def _neighbour(values: dict[str, Any]) -> Neighbour | None:
    mac = values.get("lladdr")
    interface = word(values.get("dev"))
    try:
        return (
            Neighbour(
                address=word(values.get("dst")), interface=interface, mac=word(mac).lower() if mac is not None else None
            )
            if interface
            else None
        )
    except ValueError:
        return None
