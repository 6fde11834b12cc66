"""rp_filter as it runs is not what the next boot sets: `sysctl -w` lasts until then.

## What it finds

Interfaces of VNIs whose effective rp_filter (the larger of `all` and the interface's own) differs from the one that the
server's files give at the next boot. A warning where flows that are delivered now would be dropped then; a note where
flows that are dropped now would get through, or where nothing depends on it.

## Why packets drop

`sysctl -w` and writes below /proc/sys change the running kernel alone. At boot systemd-sysctl applies the files of
sysctl.d, where distributions often ask for strict or loose filtering; what was switched off by hand is on again.

## How to fix

Write the values that run now to a file of /etc/sysctl.d whose name sorts last, or, better, cure the asymmetric path, so
that nothing depends on rp_filter.

## How sure we are

Computed where files set the values: folders, masks, globs, exclusions and order as in sysctl.d(5). Assumed where the
boot value is the kernel's own default (0), for no file sets it and a program that we do not know of might. Nothing is
said where a file could not be read, systemd does not run, or a boot script touches rp_filter.

## Sources

systemd: sysctl.d(5), 99-systemd.rules. Linux: Documentation/networking/ip-sysctl.rst (rp_filter); net/ipv4/devinet.c.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from vnicheck.findings import evidence
from vnicheck.findings.facts import Facts
from vnicheck.findings.reboot import (
    RebootChange,
    breaking,
    facts_with_guest,
    fixing,
    flows_said,
    rp_filter_at_boot,
    with_boot_rp_filter,
)
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.finding import Confidence, Evidence, Finding, Fix
from vnicheck.model.flow import DropCode, Verdict
from vnicheck.model.grouped import grouped
from vnicheck.model.guest import BootConfig, Guest
from vnicheck.model.words import listed

_MODES = ("off", "strict", "loose")
_BY_DEFAULT = "no file sets it, so it starts at the kernel's own 0"


class _Shift(Struct, frozen=True):
    """One interface, its effective rp_filter now and after the boot, and the sysctls that the boot changes."""

    interface: str
    now: int
    then: int
    keys: tuple[str, ...]


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """At most one finding for what breaks, one for what fixes, and one for interfaces on which nothing hangs."""
    guest = facts.guest_with("sysctls", "interfaces")
    if guest is None or guest.boot is None or "sysctls" in guest.boot.unknown:
        return
    shifts = tuple(_shifts(facts, guest, guest.boot))
    if not shifts:
        return
    then = facts_with_guest(facts, with_boot_rp_filter(guest))
    broken, fixed = breaking(facts, then), fixing(facts, then)
    breaks = [shift for shift in shifts if any(_filtered_at(other, shift) for other in broken)]
    fixes = [shift for shift in shifts if shift not in breaks and any(_dropped_at(facts, m, shift) for m in fixed)]
    rest = [shift for shift in shifts if shift not in breaks and shift not in fixes]
    if breaks:
        said = f": {flows_said(facts, broken)}, delivered now, would be dropped then"
        yield _finding(rule, facts, guest.boot, breaks, said, broken)
    if fixes:
        said = f": {flows_said(facts, fixed)}, dropped now, would be delivered then"
        yield _finding(rule, facts, guest.boot, fixes, said, fixed, fixes=True)
    if rest:
        unknown = any(flow.verdict is Verdict.UNKNOWN for flow in (*facts.flows, *then.flows))
        said = (
            "; whether a flow depends on it is not known"
            if unknown
            else "; no flow that is delivered now depends on it"
        )
        yield _finding(rule, facts, guest.boot, rest, said, [])


def _shifts(facts: Facts, guest: Guest, boot: BootConfig) -> Iterator[_Shift]:
    """The interfaces of VNIs whose boot value is known and comes to something else than what runs."""
    for vni in facts.view.server.vnis:
        name = facts.view.interface_of.get(vni.id)
        keys = ("net/ipv4/conf/all/rp_filter", f"net/ipv4/conf/{name}/rp_filter")
        if name is None or not all(key in guest.sysctls for key in keys):
            continue
        then = [rp_filter_at_boot(boot, key) for key in keys]
        known = [value for value in then if value is not None]
        if len(known) < len(keys):
            continue
        now = [guest.sysctls[key] for key in keys]
        before, after = (min(max(0, *values), 2) for values in (now, known))
        if before != after:
            changed = [key for key, old, new in zip(keys, now, known, strict=True) if old != new]
            yield _Shift(name, before, after, tuple(changed))


def _filtered_at(change: RebootChange, shift: _Shift) -> bool:
    drop = change[1].drops[0]
    return drop.by is DropCode.RP_FILTER and drop.at == shift.interface


def _dropped_at(facts: Facts, change: RebootChange, shift: _Shift) -> bool:
    return any(drop.by is DropCode.RP_FILTER and drop.at == shift.interface for drop in facts.flows[change[0]].drops)


def _finding(
    rule: Rule,
    facts: Facts,
    boot: BootConfig,
    shifts: Sequence[_Shift],
    said: str,
    changes: Sequence[RebootChange],
    *,
    fixes: bool = False,
) -> Finding:
    keys = tuple(dict.fromkeys(key for shift in shifts for key in shift.keys))
    alike = grouped(((shift.now, shift.then), shift.interface) for shift in shifts)
    turns = listed(
        [
            f"{_MODES[now]} on {listed(names)} now and {_MODES[then]} after a boot"
            for (now, then), names in alike.items()
        ]
    )
    confidence: Confidence = "computed" if all(key in boot.sysctls for key in keys) else "assumed"
    vnis = [vni.id for vni in map(facts.vni_named, (shift.interface for shift in shifts)) if vni is not None]
    return observation(
        rule,
        facts,
        subject=("mends" if fixes else "breaks" if changes else "rest", *sorted(vnis)),
        what=f"rp_filter is {turns}{said}",
        why=f" ({'; '.join(_source(boot, key) for key in keys)}).",
        severity="warning" if changes and not fixes else "note",
        confidence=confidence,
        flows=sorted({index for index, _ in changes}),
        evidence=[*evidence.sysctls(facts, *keys), *_of_files(facts, boot, keys)],
        fixes=_fixes(facts, keys) if changes and not fixes else (),
    )


def _source(boot: BootConfig, key: str) -> str:
    setting = boot.sysctls.get(key)
    if setting is None:
        return f"{_dotted(key)}: {_BY_DEFAULT}"
    how = " by way of net.ipv4.conf.default" if setting.inherited else ""
    return f"{_dotted(key)}: {setting.source} sets {setting.value}{how}"


def _of_files(facts: Facts, boot: BootConfig, keys: Sequence[str]) -> list[Evidence]:
    return [
        evidence.guest_line(facts, setting.source, f"{_dotted(key)} = {setting.value}")
        for key in keys
        if (setting := boot.sysctls.get(key)) is not None
    ]


def _fixes(facts: Facts, keys: Sequence[str]) -> tuple[Fix, ...]:
    guest = facts.view.server.guest
    values = guest.sysctls if guest is not None else {}
    lines = ", ".join(f"{_dotted(key)} = {values[key]}" for key in keys)
    return (Fix(f"to keep what runs now, set {lines} in a file of /etc/sysctl.d whose name sorts last"),)


def _dotted(key: str) -> str:
    """`net.ipv4.conf.eth0/100.rp_filter`, as files of sysctl.d have it."""
    return key.translate(str.maketrans("./", "/."))


RULE = Rule("VNC251", "runtime-only-rp-filter", __doc__, find, about="server", cause=CauseKind.LOST_AT_BOOT)
