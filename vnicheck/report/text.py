"""The report for people, in a terminal or a pipe: what is broken and what to do, then the facts, then the rest."""

import re
from collections.abc import Sequence

from msgspec import UnsetType
from rich.console import Console
from rich.text import Text

from vnicheck.findings.messages import by_remotes
from vnicheck.findings.terms import DROPS, RP_FILTER
from vnicheck.model.flow import SEVERITIES, Direction, Evidence, Finding, Fix, Flow, Outcome, Verdict
from vnicheck.model.report import InstanceReport, InterfaceSummary, Report, VniSummary
from vnicheck.model.words import counted, listed, one_line
from vnicheck.report.assumed import Assumed
from vnicheck.report.drawing import ASCII, UNICODE, Glyphs, drawn_together
from vnicheck.report.reach import protocols, reached, remotes

WIDEST = 100
EVIDENCE = 3
"""How many facts stand under a finding where not all are asked for."""
SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_LABEL = 8
_LONGEST = 2000
"""Characters of a word that are shown."""


def write_text(report: Report, console: Console, *, explain: bool = False) -> None:
    """Writes the report to a console, no wider than it (and no wider than people read). `explain`: all evidence."""
    page = Page(console, explain=explain)
    assumed = Assumed()
    for position, instance in enumerate(report.instances):
        if position:
            page.line()
        write_instance(page, instance)
        assumed.add(instance)
    for line in assumed.lines():
        page.prose(line, lead=("assumed: ", "dim"))
    _closing(page, report)


class Page:
    """Lines with indents and labels. All text is remote until shown: it is stripped here, and never markup."""

    def __init__(self, console: Console, *, explain: bool = False) -> None:
        self._console = console
        self.explain = explain
        self.width = min(console.width, WIDEST)
        encoding = console.encoding.lower()
        self.glyphs: Glyphs = UNICODE if encoding.startswith("utf") else ASCII

    def line(self, *parts: tuple[str, str] | str, indent: int = 0) -> None:
        """One line that is never wrapped (a command, a drawing that fits)."""
        self._console.print(self._text(parts, indent), soft_wrap=True)

    def prose(self, *parts: tuple[str, str] | str, indent: int = 0, lead: tuple[str, str] | str = "") -> None:
        """Words, wrapped at the page's width beside `lead`, which stands on the first line only."""
        head = self._text([lead], indent)
        text = self._text(parts, 0)
        width = max(self.width - len(head), 20)
        for line in [text] if text.cell_len <= width and text.plain.isprintable() else text.wrap(self._console, width):
            line.rstrip()
            self._console.print(head + line, soft_wrap=True)
            head = Text(" " * len(head))

    def labelled(self, label: str, *parts: tuple[str, str] | str) -> None:
        """`  from    its subnet and the VPC`: a word, then wrapped text beside it."""
        self.prose(*parts, indent=2, lead=(f"{label:<{_LABEL}}", "dim"))

    def _text(self, parts: Sequence[tuple[str, str] | str], indent: int) -> Text:
        text = Text(" " * indent)
        for part in parts:
            words, style = part if isinstance(part, tuple) else (part, "")
            text.append(_shown(words), style)
        return text


def _shown(words: str) -> str:
    """The words without what could steer a terminal, their own spaces kept."""
    if words.isprintable() and len(words) <= _LONGEST:
        return words
    return re.sub(r"[^ ]+", lambda match: one_line(match.group(), _LONGEST), words)


def write_instance(page: Page, instance: InstanceReport) -> None:
    """One server's part of the report."""
    kind = "" if instance.kind == "instance" else ", bare metal"
    where = ", ".join(part for part in (f"VPC {instance.vpc.name}", instance.zone) if part)
    page.prose((instance.name, "bold"), f"  {where}{kind}  ", _headline(instance))
    page.line((page.glyphs.rule * page.width, "dim"))
    for problem in instance.problems:
        page.prose(f"{problem.code}: {problem.message}", lead=(f"{page.glyphs.question} ", "bold yellow"))
    if any(problem.code.startswith("ssh_") for problem in instance.problems):
        page.prose(
            "Without SSH: run what 'vnicheck collect-script' prints on the server's console, save its output, and add "
            f"--guest {instance.name}=FILE.",
            indent=2,
        )
    if instance.problems:
        page.line()
    shown: dict[Fix, str] = {}
    for finding in instance.findings:
        if finding.counts:
            _finding(page, instance, finding, shown)
    _muted(page, instance)
    if instance.interfaces:
        page.line(("Interfaces", "bold"))
        collected = any(interface.in_guest for interface in instance.interfaces)
        for interface in instance.interfaces:
            _interface(page, interface, collected)
        page.line()
    _other_flows(page, instance)


def _headline(instance: InstanceReport) -> tuple[str, str]:
    if instance.status != "analyzed" and not instance.findings:
        return instance.status, "bold yellow"
    counts = {severity: sum(f.severity == severity and f.counts for f in instance.findings) for severity in SEVERITIES}
    said = [counted(count, severity) for severity, count in counts.items() if count]
    muted = sum(finding.is_muted for finding in instance.findings)
    if not said and muted:
        return f"{muted} muted, nothing else", "bold yellow"
    if not said:
        unknown = any(flow.verdict is Verdict.UNKNOWN for flow in instance.flows)
        return ("some flows are unknown", "bold yellow") if unknown else ("no broken path", "bold green")
    worst = next(severity for severity, count in counts.items() if count)
    suffix = "" if instance.status == "analyzed" else f" ({instance.status})"
    if muted:
        said.append(f"{muted} muted")
    return listed(said) + suffix, SEVERITY_STYLES[worst]


def _muted(page: Page, instance: InstanceReport) -> None:
    """The muted findings, a line or two each."""
    muted = [(finding, finding.muted) for finding in instance.findings if not isinstance(finding.muted, UnsetType)]
    if not muted:
        return
    page.line(("Muted", "bold"))
    for finding, by in muted:
        page.prose(f"{finding.message} Until {by.expires}: {by.reason}", indent=2, lead=(f"- {finding.rule} ", "dim"))
    page.line()


def _finding(page: Page, instance: InstanceReport, finding: Finding, shown: dict[Fix, str]) -> None:
    """One finding. `shown` holds the fixes whose commands stand above already, with the rule that they stand under."""
    flows = [instance.flows[index] for index in finding.flows]
    page.line(
        (finding.severity.upper(), SEVERITY_STYLES[finding.severity]), f" {finding.rule} ", (finding.name, "bold")
    )
    page.prose(finding.message, indent=2)
    if flows:
        _path(page, instance, flows)
    _evidence(page, finding.evidence)
    for number, fix in enumerate(finding.fixes):
        label = "fix" if number == 0 else ""
        if fix in shown:
            page.labelled(label, f"{fix.title}, as for {shown[fix]} above")
            continue
        page.labelled(label, fix.title)
        for command in fix.commands:  # on lines of their own, to be copied
            page.line((command, "bold"), indent=2 + _LABEL)
        if fix.commands:
            own = list(dict.fromkeys(each.local for each in finding.affected))
            shown[fix] = f"{finding.rule} of {listed(own)}" if own else finding.rule
    page.line()


def _path(page: Page, instance: InstanceReport, flows: list[Flow]) -> None:
    """The drawing of the flows that take the first one's path, and who is concerned; none of what is not known."""
    drawn = drawn_together(flows)
    if drawn is None:
        return
    first = flows[0]
    style = "red" if first.drops else "yellow"
    request, reply = drawn.halves(page.glyphs)
    page.line()
    if len(request) + len(reply) + 5 <= page.width:
        page.line((f"{request} {reply}", style), indent=4)
    else:
        page.line((request, style), indent=4)
        page.line((reply, style), indent=6)
    page.line()
    label = "to" if first.direction is Direction.OUTBOUND else "from"
    groups = by_remotes(drawn.flows)
    for locals_ in groups.values():
        whose = [flow for flow in drawn.flows if flow.local in locals_]
        page.labelled(label, remotes(whose, instance.flows) + (f" ({listed(locals_)})" if len(groups) > 1 else ""))


def _evidence(page: Page, evidence: Sequence[Evidence]) -> None:
    """What the finding rests on: a few facts on a line each, or all of them with their times."""
    shown = evidence if page.explain else evidence[:EVIDENCE]
    for number, fact in enumerate(shown):
        api = fact.source.startswith("GET ")  # the path is long, and says less than the field
        line = f"{fact.text} ({fact.source})" if api else f"{fact.source}: {fact.text}"
        if page.explain:
            times = f" (collected {fact.collected_at})" if fact.collected_at else ""
            page.prose((line + times, "dim"), indent=2, lead=(f"{'facts' if number == 0 else '':<{_LABEL}}", "dim"))
        else:
            room = max(page.width - 2 - _LABEL, 20)
            short = one_line(line, room) if page.glyphs is UNICODE else _clipped(line, room)
            page.line((f"{'facts' if number == 0 else '':<{_LABEL}}", "dim"), (short, "dim"), indent=2)
    if len(evidence) > len(shown):
        page.labelled("", (f"and {len(evidence) - len(shown)} more with --explain", "dim"))


def _clipped(line: str, room: int) -> str:
    """One line of ASCII."""
    shown = one_line(line, 2000).encode("ascii", "replace").decode()
    return shown if len(shown) <= room else f"{shown[: room - 3]}..."


def _interface(page: Page, interface: InterfaceSummary, collected: bool) -> None:
    name = interface.name if interface.in_guest else "-"
    addresses = ", ".join(interface.addresses) or "no IPv4 address"
    if not interface.in_guest and interface.vni is not None:
        addresses = ", ".join(interface.vni.addresses) + (" (no such interface in the guest)" if collected else "")
    page.prose(f"{interface.mac or 'no MAC known'}  {addresses}", indent=2, lead=(f"{name:<{_LABEL - 1}} ", "bold"))
    rp_filter = interface.rp_filter
    if rp_filter.effective is not None:
        mode = RP_FILTER.get(rp_filter.effective, "loose")
        page.labelled("", f"rp_filter {mode} (all={rp_filter.all}, {interface.name}={rp_filter.interface})")
    elif interface.in_guest:
        page.labelled("", "rp_filter not collected")
    vni = interface.vni
    if vni is None:
        page.labelled("", "no VNI behind it")
        return
    state = vni.protocol_state_filtering or "unknown"
    spoofing = {True: "allowed", False: "not allowed", None: "unknown"}[vni.allow_ip_spoofing]
    missing = [
        address for address in vni.addresses if not any(a.startswith(f"{address}/") for a in interface.addresses)
    ]
    lacks = f"; not in the guest: {', '.join(missing)}" if missing and interface.in_guest else ""
    floating = f"; floating IP {', '.join(vni.floating_ips)}" if vni.floating_ips else ""
    what = f"legacy interface {vni.name}" if vni.legacy else f"VNI {vni.name}"
    mode = "as auto, cannot be changed" if vni.legacy else f"mode {vni.protocol_state_filtering_mode or 'unknown'}"
    page.labelled("", f"{what}: state filtering {state} ({mode}), IP spoofing {spoofing}{floating}{lacks}")
    foreign = _foreign_addresses(interface, vni)
    if foreign:
        fate = {
            True: "nothing is delivered to it unless a VPC route leads here",
            False: "nothing is delivered to it, and the IP spoofing check drops what it sends",
            None: "nothing is delivered to it",
        }[vni.allow_ip_spoofing]
        page.labelled("", f"not known to the VPC: {', '.join(foreign)}; {fate}")


def _foreign_addresses(interface: InterfaceSummary, vni: VniSummary) -> list[str]:
    """The addresses of the guest's interface that are none of its VNI's; link-local ones are nobody's concern."""
    addresses = [prefix.partition("/")[0] for prefix in interface.addresses]
    return [each for each in addresses if each not in vni.addresses and not each.startswith("169.254.")]


def _other_flows(page: Page, instance: InstanceReport) -> None:
    """What works, what is closed by policy, and what is not known: a line each."""
    delivered = [flow for flow in instance.flows if flow.verdict is Verdict.DELIVERED]
    for label, glyph, style, flows in (
        ("Works", page.glyphs.tick, "green", [flow for flow in delivered if flow.symmetric]),
        ("Works, asymmetrically", page.glyphs.tick, "yellow", [flow for flow in delivered if not flow.symmetric]),
    ):
        if flows:
            page.line((label, "bold"))
            for sentence in _summed_up(flows, instance.flows):
                page.prose(sentence, indent=2, lead=(f"{glyph} ", style))
    _grouped(page, "Closed", instance, Verdict.DROPPED)
    _grouped(page, "Unknown", instance, Verdict.UNKNOWN)


def _summed_up(flows: Sequence[Flow], everything: Sequence[Flow]) -> list[str]:
    """One sentence for all that an address does alike: `10.0.0.11 (eth0): both ways, tcp and udp: its subnet`."""
    places: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        way = flow.ingress if flow.ingress == flow.egress else f"in {flow.ingress}, out {flow.egress}"
        places.setdefault((flow.local, str(way)), []).append(flow)
    sentences = []
    for (local, way), here in places.items():
        reach: dict[tuple[Direction, str], list[Flow]] = {}
        for flow in here:
            reach.setdefault((flow.direction, flow.protocol.value), []).append(flow)
        alike: dict[str, list[tuple[Direction, str]]] = {}
        for key, there in reach.items():
            alike.setdefault(reached(there, everything), []).append(key)
        for whom, keys in alike.items():
            by_direction: dict[str, list[str]] = {}
            for direction, protocol in keys:
                by_direction.setdefault(direction.value, []).append(protocol)
            sets = list(by_direction.values())
            if len(sets) == 2 and sets[0] == sets[1]:
                what = f"both ways, {listed(sets[0])}"
            else:
                what = "; ".join(f"{direction} {listed(names)}" for direction, names in by_direction.items())
            sentences.append(f"{local} ({way}): {what}: {whom}")
    return sentences


def _grouped(page: Page, label: str, instance: InstanceReport, verdict: Verdict) -> None:
    groups: dict[str, list[Flow]] = {}
    for flow in instance.flows:
        if flow.verdict is not verdict or (flow.findings and verdict is Verdict.DROPPED):
            continue
        cause = _cause(flow)
        if cause is not None:
            groups.setdefault(cause, []).append(flow)
    if not groups:
        return
    page.line((label, "bold"))
    for cause, flows in groups.items():
        locals_ = listed(list(dict.fromkeys(flow.local for flow in flows)))
        ways = {flow.direction for flow in flows}
        way = "both ways" if len(ways) == 2 else ways.pop().value
        page.prose(
            f"{locals_}, {way}, {listed(protocols(flows))}, {remotes(flows, instance.flows)}: {cause}",
            indent=2,
            lead=f"{page.glyphs.question} " if verdict is Verdict.UNKNOWN else "- ",
        )


def _cause(flow: Flow) -> str | None:
    """Why a flow without a finding does not work; None where nobody can be at its remote."""
    if flow.verdict is Verdict.UNKNOWN:
        return next(hop.reason for hop in flow.hops if hop.outcome is Outcome.UNKNOWN)
    if flow.dropped_by is None or not isinstance(flow.to_no_host, UnsetType):
        return None
    return DROPS[flow.dropped_by].label


def _closing(page: Page, report: Report) -> None:
    summary = report.summary
    if summary.instances == 1 and report.complete:
        return
    page.line()
    servers = counted(summary.instances, "server")
    counts = f"{servers}: {summary.analyzed} analyzed, {summary.incomplete} incomplete, {summary.skipped} skipped"
    page.prose((counts, "bold"), "" if report.complete else "; the state of what could not be checked is unknown")
