"""The collect script reads many files by one command. Here its lines go to the sections that they are facts of.

    texts      /proc/net/snmp:Ip: Forwarding DefaultTTL ...       whole files, as `grep -H` prints them
    matches    /proc/421/comm:NetworkManager                      lines of files
    owners     @nmcli                                             what follows is nmcli's

Older scripts have a section for each; such sections stay as they are.
"""

import re
from collections.abc import Iterator

from vnicheck.guest.frames import Section

_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_COUNTERS = ("/proc/net/snmp", "/proc/net/netstat")
_VIRTUAL_SERVERS = "/proc/net/ip_vs"
_ROUTE_CACHE = "/proc/net/stat/rt_cache"
_FIREWALL_MANAGER = "firewalld"
_COMM = re.compile(r"/proc/\d+/comm", re.ASCII)
_MOST_UDP, _MOST_TCP = 500, 200


def spread(sections: dict[str, Section]) -> dict[str, Section]:
    """The sections, and those that the script's common ones hold the lines of."""
    found = dict(sections)
    texts, matches = found.pop("texts", None), found.pop("matches", None)
    if texts is not None:
        found |= _of_texts(texts)
    if matches is not None:
        found |= _of_matches(matches, sections)
    return found


def _part(whole: Section, name: str, lines: list[str], *, status: int | None = 0) -> Section:
    """A section of its own. What befell the whole befell the part."""
    return Section(
        name=name,
        command=whole.command,
        output="\n".join(lines),
        errors=whole.errors,
        status=None if whole.damage is not None else status,
        damage=whole.damage,
    )


def _by_path(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, line, and both as they came."""
    for line in text.split("\n"):
        path, colon, rest = line.partition(":")
        if colon:
            yield path, rest, line


def _of_texts(texts: Section) -> dict[str, Section]:
    files: dict[str, list[str]] = {}
    names: list[str] = []
    sysctls: list[str] = []
    for path, rest, line in _by_path(texts.output):
        if "/iproute2/" in path:
            names.append(line)
        elif path.startswith("/"):
            files.setdefault(path, []).append(rest)
        else:
            sysctls.append(line)
    return {
        "os_release": _part(texts, "os_release", next((files[path] for path in _OS_RELEASE if path in files), [])),
        "names": _part(texts, "names", names),
        "counters": _part(texts, "counters", [line for path in _COUNTERS for line in files.get(path, [])]),
        "route_cache": _part(texts, "route_cache", files.get(_ROUTE_CACHE, [])),
        "sysctls": _part(texts, "sysctls", sysctls, status=texts.status),
    }


def _of_matches(matches: Section, sections: dict[str, Section]) -> dict[str, Section]:
    managers = _lines(sections, "managers")
    owners = _with_nmcli(_lines(sections, "owners"))
    rules = _lines(sections, "firewall")
    hooks = ["nft listed"] if rules[-1:] == ["@end 0"] and "@unlisted" not in rules else []
    udp: list[str] = []
    tcp: list[str] = []
    for path, rest, line in _by_path(matches.output):
        if _COMM.fullmatch(path):
            (hooks if rest == _FIREWALL_MANAGER else managers).append(f"process {rest}")
        elif path == "/proc/modules":
            hooks.append(f"module {rest}")
        elif path == _VIRTUAL_SERVERS:
            hooks.append(f"ip_vs {rest}")
        elif path == "/proc/net/tcp":
            tcp.append(f"tcp {rest}")
        elif path.startswith("/proc/net/udp"):
            udp.append(f"udp {rest}")
        else:
            owners.append(line)
    read = {line for line in matches.output.split("\n") if line.startswith("@read ")}
    if any(line.startswith("module ip_vs ") for line in hooks) and f"@read {_VIRTUAL_SERVERS}" not in read:
        hooks.append("ip_vs unread")
    return {
        "managers": _part(matches, "managers", managers),
        "owners": _part(matches, "owners", owners),
        "hooks": _part(matches, "hooks", hooks),
        "sockets": _part(
            matches, "sockets", udp[:_MOST_UDP] + tcp[:_MOST_TCP], status=0 if "@read /proc/net/udp" in read else 1
        ),
    }


def _lines(sections: dict[str, Section], name: str) -> list[str]:
    section = sections.get(name)
    return [] if section is None or not section.output else section.output.split("\n")


def _with_nmcli(lines: list[str]) -> list[str]:
    """Lines behind `@nmcli` say that they are nmcli's."""
    if "@nmcli" not in lines:
        return lines
    place = lines.index("@nmcli")
    return lines[:place] + [f"nmcli:{line}" for line in lines[place + 1 :]]
