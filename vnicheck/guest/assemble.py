"""From the collect script's output, or from separate text files, to `model.Guest`."""

import re
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from vnicheck.guest.doubt import doubt_busybox_links, doubt_busybox_routes, doubt_busybox_rules
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.frames import Section, read_frames
from vnicheck.guest.gathered import spread
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import boot_routing
from vnicheck.guest.parsers.boot.sysctl_conf import boot_sysctls
from vnicheck.guest.parsers.counters import parse_counters, parse_route_cache
from vnicheck.guest.parsers.firewall import parse_firewall
from vnicheck.guest.parsers.hooks import parse_hooks
from vnicheck.guest.parsers.links import parse_links, with_buses
from vnicheck.guest.parsers.names import Names, parse_names
from vnicheck.guest.parsers.neighbours import parse_neighbours
from vnicheck.guest.parsers.nexthops import parse_nexthops, resolve_nexthops
from vnicheck.guest.parsers.owners import parse_owners, parse_profiles
from vnicheck.guest.parsers.parsed import Parsed
from vnicheck.guest.parsers.programs import bpf_hooks, ipsec_hooks, traffic_hooks
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.guest.parsers.sockets import parse_sockets
from vnicheck.guest.parsers.sysctls import parse_sysctls
from vnicheck.guest.parsers.system import parse_ip_version, parse_managers, parse_os
from vnicheck.model.firewall import Firewall
from vnicheck.model.guest import (
    NO_PROC,
    BootConfig,
    BootRule,
    Examined,
    Guest,
    Hook,
    Interface,
    Owner,
    Route,
    Sockets,
    Unmodelled,
)
from vnicheck.model.interface import Neighbour
from vnicheck.model.words import one_line

T = TypeVar("T")
Via = Literal["ssh", "file", "local"]

NOT_COLLECTED = "not collected"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_NO_DEFAULT = "@no default is told"
_INTERRUPTED = "Dump was interrupted"


class _Facts:
    """The sections, and what becomes of those that failed."""

    def __init__(self, sections: dict[str, Section]) -> None:
        self.sections = sections
        self.missing: dict[str, str] = {}
        self.unmodelled: list[Unmodelled] = []

    def text(self, name: str) -> str:
        """What the command printed, whatever its status; empty without the section."""
        section = self.sections.get(name)
        return "" if section is None else section.output

    def read(self, name: str, parse: Callable[[str], Parsed[T]]) -> tuple[T, ...]:
        """What the section holds; a section that failed goes to `missing` with its reason."""
        reason = failure(self.sections.get(name))
        if reason is not None:
            self.missing[name] = reason
            return ()
        try:
            parsed = parse(self.text(name))
        except CollectionError as error:
            self.missing[name] = error.message
            return ()
        self.unmodelled += [Unmodelled(section=name, text=text) for text in parsed.unmodelled]
        return parsed.items


def failure(section: Section | None) -> str | None:
    """Why a section is of no use, on one line; None where it is."""
    if section is None:
        return NOT_COLLECTED
    if section.damage is not None:
        return section.damage
    first_error = one_line(section.errors.partition("\n")[0])
    if section.status == 127:
        return first_error or f"{one_line(section.command.partition(' ')[0])}: not found"
    if section.status != 0:
        return f"exit status {section.status}" + (f": {first_error}" if first_error else "")
    if _INTERRUPTED in section.errors:
        return "it changed while it was read; collect again"
    return None


def read_guest(data: bytes, *, via: Via, collected_at: str | None = None) -> Guest:
    """The guest that the collect script's output describes. `collected_at` defaults to the script's own clock (UTC).

    Raises CollectionError: `guest_not_linux`, `guest_no_ip` (no usable `ip` command), `guest_truncated`, and
    `guest_unreadable`. A single section that failed is no error: it stands in `missing` with its reason.
    """
    facts = _Facts(spread(read_frames(data)))
    uname = facts.text("uname")
    system = uname.partition("\n")[0].strip()
    if failure(facts.sections.get("uname")) is None and system != "Linux":
        raise CollectionError("guest_not_linux", f"its system is {one_line(system, 40) or 'without a name'}, not Linux")
    _require_ip(facts)
    if collected_at is None:
        collected_at = facts.text("date").strip()
        if _DATE.fullmatch(collected_at) is None:
            raise CollectionError("guest_unreadable", "the collection does not tell its date; collect again")
    names = parse_names(facts.text("names"))
    interfaces = facts.read("interfaces", lambda text: parse_links(text, names))
    if not interfaces and "interfaces" not in facts.missing:
        facts.missing["interfaces"] = "ip addr showed no interface"
    rules = facts.read("rules", lambda text: parse_rules(text, names))
    routes = _routes(facts, names)
    version = parse_ip_version(facts.text("ip_version") + _errors(facts, "ip_version"))
    if version.startswith("BusyBox"):
        interfaces = doubt_busybox_links(interfaces)
        rules, routes = doubt_busybox_rules(rules), doubt_busybox_routes(routes)
    interfaces = with_buses(interfaces, facts.text("devices"))
    sysctls = _sysctls(facts)
    owners = _owners(facts, interfaces)
    judges = _Judges(facts)
    try:
        return Guest(
            collected_at=collected_at,
            via=via,
            os=parse_os(facts.text("os_release"), uname),
            ip_version=version,
            interfaces=interfaces,
            routes=routes,
            rules=rules,
            sysctls=sysctls,
            counters=parse_counters(facts.text("counters")) | parse_route_cache(facts.text("route_cache")),
            network_managers=parse_managers(facts.text("managers")),
            owners=owners,
            hooks=(*_hooks(facts), *judges.hooks),
            examined=tuple(judges.examined),
            unexamined=judges.unexamined,
            firewall=judges.firewall,
            neighbours=_neighbours(facts),
            boot=_boot(facts, sysctls, names, interfaces, owners),
            sockets=_sockets(facts),
            missing=facts.missing,
            unmodelled=tuple(facts.unmodelled),
        )
    except (ValueError, msgspec.ValidationError) as error:
        raise CollectionError(
            "guest_unreadable", f"the collection contradicts itself: {one_line(str(error))}"
        ) from None


class _Judges:
    """What else judges packets: what was seen of it, what was looked at wholly, and what was not, with the reason."""

    def __init__(self, facts: _Facts) -> None:
        self.hooks: list[Hook] = []
        self.examined: list[Examined] = []
        self.unexamined: dict[str, str] = {}
        self.firewall: Firewall | None = None
        self._facts = facts
        self._read(Examined.TRAFFIC, traffic_hooks)
        self._read(Examined.FIREWALL, self._of_firewall)
        self._read(Examined.IPSEC, ipsec_hooks)
        self._read(Examined.BPF, bpf_hooks)

    def _read(self, what: Examined, parse: Callable[[str], tuple[Hook, ...]]) -> None:
        section = self._facts.sections.get(what.value)
        if section is None:
            return
        reason = failure(section)
        if what is Examined.IPSEC and reason is None and _NO_DEFAULT in section.output and self._has_ipsec_defaults():
            reason = "this ip does not tell the defaults"
        try:
            if reason is None or what in {Examined.TRAFFIC, Examined.IPSEC}:
                self.hooks += parse(section.output)
        except CollectionError as error:
            reason = reason or error.message
        if reason is None:
            self.examined.append(what)
        else:
            self.unexamined[what.value] = reason

    def _has_ipsec_defaults(self) -> bool:
        """Whether this kernel knows any (Linux 5.15, net/xfrm/xfrm_user.c)."""
        match = re.search(r"^(\d{1,3})\.(\d{1,3})\.", self._facts.text("uname"), re.ASCII | re.MULTILINE)
        return match is None or (int(match[1]), int(match[2])) >= (5, 15)

    def _of_firewall(self, text: str) -> tuple[Hook, ...]:
        """Its rules that look up the way back are no hooks: they are among the rules. Those that were read are kept
        where there may be more.
        """
        said = self._facts.sections[Examined.FIREWALL.value].errors
        self.firewall, partly = parse_firewall(text, said)
        if partly is not None:
            raise CollectionError("guest_unreadable", partly)
        return ()


def _neighbours(facts: _Facts) -> tuple[Neighbour, ...] | None:
    """None where they were not read wholly."""
    if failure(facts.sections.get("neighbours")) is not None:
        return None
    try:
        parsed = parse_neighbours(facts.text("neighbours"))
    except CollectionError:
        return None
    return parsed.items if not parsed.unmodelled else None


def _hooks(facts: _Facts) -> tuple[Hook, ...]:
    """What was printed before the section failed was seen all the same."""
    reason = failure(facts.sections.get("hooks"))
    if reason is not None:
        facts.missing["hooks"] = reason
    return parse_hooks(facts.text("hooks"))


def _sockets(facts: _Facts) -> Sockets | None:
    """No verdict turns on them: a section that failed, or is not there, is no fault of the collection."""
    return parse_sockets(facts.text("sockets")) if failure(facts.sections.get("sockets")) is None else None


def _owners(facts: _Facts, interfaces: tuple[Interface, ...]) -> dict[str, Owner] | None:
    """No verdict turns on them either."""
    if failure(facts.sections.get("owners")) is not None:
        return None
    return parse_owners(facts.text("owners"), interfaces, parse_managers(facts.text("managers")))


def _errors(facts: _Facts, name: str) -> str:
    section = facts.sections.get(name)
    return "" if section is None else section.errors


def _require_ip(facts: _Facts) -> None:
    reasons = [failure(facts.sections.get(name)) for name in ("interfaces", "rules", "routes")]
    statuses = [section.status for name in ("interfaces", "rules", "routes") if (section := facts.sections.get(name))]
    if statuses and all(reason is not None for reason in reasons) and all(status == 127 for status in statuses):
        raise CollectionError("guest_no_ip", "the server has no `ip` command; install iproute2 there and collect again")


def _routes(facts: _Facts, names: Names) -> tuple[Route, ...]:
    """The routes, those by nexthop object completed. A guest without such objects need not know of them."""
    routes = facts.read("routes", lambda text: parse_routes(text, names))
    if all(route.nexthop_id is None for route in routes):
        return routes
    objects = facts.read("nexthops", parse_nexthops)
    facts.missing.pop("nexthops", None)
    return resolve_nexthops(routes, objects)


def _sysctls(facts: _Facts) -> dict[str, int]:
    """The sysctls read; interfaces may vanish between listing and reading, so a failure keeps what was read."""
    reason = failure(facts.sections.get("sysctls"))
    try:
        values, unmodelled = parse_sysctls(facts.text("sysctls"))
    except CollectionError as error:
        values, unmodelled, reason = {}, (), error.message
    facts.unmodelled += [Unmodelled(section="sysctls", text=text) for text in unmodelled]
    if reason is not None:
        lost = not values and "sysctls" in facts.sections
        facts.missing["sysctls"] = NO_PROC if lost else reason
    return values


def _boot(
    facts: _Facts,
    sysctls: dict[str, int],
    names: Names,
    interfaces: tuple[Interface, ...],
    owners: dict[str, Owner] | None,
) -> BootConfig | None:
    """What the next boot sets; None where an older script collected, or where its sections failed."""
    if any(failure(facts.sections.get(name)) is not None for name in ("boot_sysctls", "boot_network")):
        return None
    values, unread = boot_sysctls(read_boot_files(facts.text("boot_sysctls")), sysctls)
    system = parse_os(facts.text("os_release"), facts.text("uname"))
    machine = Machine(
        interfaces=interfaces if "interfaces" not in facts.missing else None,
        managers=parse_managers(facts.text("managers")),
        systemd=re.search("^unit ", facts.text("managers"), re.MULTILINE) is not None,
        hostname=system.hostname,
        os=(system.id, system.version),
        owners=owners or {},
        profiles=parse_profiles(facts.text("owners")),
    )
    routing = boot_routing(read_boot_files(facts.text("boot_network")), names, machine)
    doubts = {"sysctls": unread if unread is not None else routing.rp_filter, "routing": routing.doubt}
    return BootConfig(
        sysctls=values,
        rules=routing.rules,
        routes=routing.routes,
        idle_tables=tuple(sorted({each.table for each in routing.idle})),
        idle_priorities=tuple(
            sorted({each.priority for each in routing.idle if isinstance(each, BootRule) and each.priority is not None})
        ),
        not_again=routing.not_again,
        carried_out=True,
        unknown={part: doubt for part, doubt in doubts.items() if doubt is not None},
    )
