"""What judges packets and cannot be read rule by rule: filters of tc, BPF programs, IPsec's policies."""

import re
from collections.abc import Iterator
from typing import Any

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.parsers.parsed import JsonObject, capped, read_json, text_lines, word
from vnicheck.model.guest import Hook, HookKind

_PLACE = re.compile(
    r"qdisc (clsact|ingress|htb|hfsc|prio|ets|drr|cbq|qfq|multiq|dsmark) (\S+) .*?\bdev (\S+)( root\b)?", re.ASCII
)
_ROOT = re.compile(r"qdisc \S+ \S+ dev (\S+) root\b", re.ASCII)
"""Another discipline, which earlier scripts did not ask for filters."""
_ACTING = re.compile(r"\b(?:action|police|bpf)\b", re.ASCII)
"""What a filter that chooses a class does to packets besides."""
_LOSSY = re.compile(
    r"qdisc (?=(?:blackhole|plug|etf|taprio) |netem .* (?:loss|corrupt) |\S+ .*\b(?:flow_)?limit 0(?:p|b)?(?: |$))"
    r".*?\bdev (\S+)",
    re.ASCII,
)
"""What drops or holds packets for itself, all of them, by chance, or those that ask for no time."""
_CLASSLESS = {"drr", "qfq", "hfsc"}
"""Disciplines that drop what no filter puts into a class (net/sched/sch_drr.c, sch_qfq.c, sch_hfsc.c)."""
_EVERY = re.compile(r"protocol all .*\b(?:matchall|flow) .*(?:\bflowid|\bbaseclass) ", re.ASCII)
"""A filter that puts every packet into a class, ARP too."""
_DEFAULT = re.compile(r" default (?:0x)?([0-9a-f]+)(?: |$)", re.ASCII)
_POLICY = re.compile(r"src (\S+) dst (\S+)", re.ASCII)
_MARK = re.compile(r"\bmark (0x[0-9a-f]{1,8})/(0x[0-9a-f]{1,8})\b", re.ASCII)
_OF_DEVICE = re.compile(r"\bif_id 0x0*[1-9a-f]", re.ASCII)
_PLACES = {"clsact": ("ingress", "egress"), "ingress": ("ingress",)}
_KINDS = {"ingress": HookKind.INGRESS_PROGRAM, "egress": HookKind.EGRESS_PROGRAM}
_DIRECTIONS = {
    "clsact/ingress": "ingress", "clsact/egress": "egress", "tcx/ingress": "ingress", "tcx/egress": "egress",
    "netkit/primary": "egress", "netkit/peer": "ingress",
}  # fmt: skip
_NOT_OF_PACKETS = re.compile(r"device|sysctl|sockopt|getpeername|getsockname|lsm", re.ASCII)
_SANDBOX = re.compile(r"/systemd-[a-z]+\.service sd_fw_(?:in|e)gress$", re.ASCII)
"""What systemd attaches to daemons of its own that use no network (IPAddressDeny=): they touch no flow."""
_MOST = 200


def traffic_hooks(text: str) -> tuple[Hook, ...]:
    """Of `tc qdisc show`, and of `tc filter show` for each place of filters: the filters.

        qdisc clsact ffff: dev eth0 parent ffff:fff1
        @eth0 ingress
        filter protocol all pref 49152 bpf chain 0 handle 0x1 cil_from_netdev direct-action not_in_hw id 5 tag 0a
        @end

    Those of a discipline with classes (`@eth0 root`, `@eth0 11:`) count where they do more than choose a class, or
    where what none of them puts into a class is dropped. A place whose filters were not listed (no `@end`) is taken for
    a filter.
    """
    places: dict[tuple[str, str], str] = {}
    roots: dict[str, str] = {}
    filters: dict[tuple[str, str], list[str]] = {}
    hooks: list[Hook] = []
    current: tuple[str, str] | None = None
    listed = set()
    for line in text_lines(text, "tc"):
        words = line.split()
        if (match := _PLACE.match(line)) is not None:
            for direction in _PLACES.get(match[1], ("root" if match[4] else match[2],)):
                places[match[3], direction] = line
        elif (match := _ROOT.match(line)) is not None:
            roots[match[1]] = line
        if (match := _LOSSY.match(line)) is not None:
            hooks.append(Hook(kind=HookKind.EGRESS_PROGRAM, interface=match[1], text=capped(f"tc: {line}")))
        elif line == "@end" and current is not None:
            listed.add(current)
            current = None
        elif line.startswith("@") and len(words) == 2:
            current = words[0][1:], words[1]
            if words[1] == "root" and current[0] in roots:
                places.setdefault(current, roots[current[0]])
        elif current is not None:
            filters.setdefault(current, []).append(line)
    for (interface, direction), line in places.items():
        told = _why_not_passing(line, direction, filters.get((interface, direction), []))
        if (interface, direction) not in listed:
            told = told or f"{line} (not listed)"
        if told is not None:
            kind = _KINDS.get(direction, HookKind.EGRESS_PROGRAM)
            hooks.append(Hook(kind=kind, interface=interface, text=capped(f"tc: {direction}: {told.strip()}")))
    return tuple(hooks)


def _why_not_passing(discipline: str, direction: str, lines: list[str]) -> str | None:
    """The line for which packets may not pass a place of filters; None: all of them do."""
    acting = [line for line in lines if direction in _KINDS or _ACTING.search(line) is not None]
    if acting:
        return next((line for line in acting if " handle " in line), acting[0])
    _, kind, handle, *_ = discipline.split()
    if kind not in _CLASSLESS or any(_EVERY.search(line) for line in lines):
        return None
    default = _DEFAULT.search(discipline)
    if default is not None and any(line.startswith(f"class {kind} {handle}{default[1]} ") for line in lines):
        return None
    return f"{discipline} (drops what no filter puts into a class)"


def ipsec_hooks(text: str) -> tuple[Hook, ...]:
    """Of `ip -o xfrm policy`, without those of single sockets, and `ip xfrm policy getdefault`."""
    hooks: list[Hook] = []
    for line in text_lines(text, "ip xfrm policy"):
        key, _, value = line.strip().partition(":")
        if key in {"in", "fwd", "out"} and value.strip() == "block":
            hooks.append(Hook(kind=HookKind.IPSEC, text=f"ip xfrm policy getdefault: {key} block"))
        elif line.startswith("src ") and "socket" not in line.split():
            hooks += ipsec_policy(line)
    return tuple(hooks)


def ipsec_policy(text: str) -> list[Hook]:
    """The hook of one policy. None of one for IPv6, or for an xfrm interface (`if_id`): nothing that crosses another
    device meets that. One that is not understood may touch every packet.
    """
    match = _POLICY.match(text)
    if match is not None and (":" in match[1] or _OF_DEVICE.search(text) is not None):
        return []
    if match is not None:
        mark = _MARK.search(text)
        value, mask = (int(mark[1], 16), int(mark[2], 16)) if mark is not None else (None, 0xFFFFFFFF)
        told = capped(f"ip xfrm policy: {match[0]}{f' {mark[0]}' if mark is not None else ''}")
        try:
            return [
                Hook(kind=HookKind.IPSEC, text=told, src=match[1], dst=match[2], fwmark=value, fwmask=mask),
            ]
        except ValueError:
            pass
    return [Hook(kind=HookKind.IPSEC, text=capped(f"ip xfrm policy: {text}"))]


def bpf_hooks(text: str) -> tuple[Hook, ...]:
    """Of `bpftool -j net show` and, after `@cgroups`, `bpftool -j cgroup tree`.

    Raises CollectionError `guest_unreadable` where one of them is not whole.
    """
    net, mark, rest = text.partition("@cgroups\n")
    groups, end, _ = rest.partition("\n@end")
    if not mark or not end:
        raise CollectionError("guest_unreadable", "bpftool lists more programs than are read")
    hooks = [*_of_interfaces(_objects(net)), *_of_groups(_objects(groups))]
    if len(hooks) > _MOST:
        raise CollectionError("guest_unreadable", f"more than {_MOST} BPF programs")
    return tuple(hooks)


def _objects(text: str) -> list[dict[str, Any]]:
    return [entry.first() for entry in read_json(text, "bpftool")[0]]


def _listed(value: Any) -> Iterator[dict[str, Any]]:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, JsonObject):
            yield entry.first()


def _of_interfaces(objects: list[dict[str, Any]]) -> Iterator[Hook]:
    for entry in objects:
        for program in _listed(entry.get("xdp")):
            yield _program("ingress", "xdp", program)
        for program in _listed(entry.get("tc")):
            kind = word(program.get("kind"))
            direction = _DIRECTIONS.get(kind)
            for each in (direction,) if direction is not None else _KINDS:
                yield _program(each, kind, program)
        for program in _listed(entry.get("netfilter")):
            yield Hook(kind=HookKind.BPF_PROGRAM, text=capped(f"bpftool: netfilter {word(program.get('hook'))}"))


def _program(direction: str, kind: str, program: dict[str, Any]) -> Hook:
    name = word(program.get("name")) or f"id {word(program.get('id', program.get('prog_id')))}"
    return Hook(
        kind=_KINDS[direction], interface=word(program.get("devname")), text=capped(f"bpftool: {kind} {name}".rstrip())
    )


def _of_groups(objects: list[dict[str, Any]]) -> Iterator[Hook]:
    for entry in objects:
        for program in _listed(entry.get("programs")):
            kind = word(program.get("attach_type"))
            if _NOT_OF_PACKETS.search(kind) is None:
                where, name = word(entry.get("cgroup")), word(program.get("name"))
                if _SANDBOX.search(f"{where} {name}") is not None:
                    continue
                yield Hook(kind=HookKind.BPF_PROGRAM, text=capped(f"bpftool: {where} {kind} {name}".rstrip()))
