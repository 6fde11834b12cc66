"""Mutes: findings that the configuration accepts until a day. Pure: the day is passed in."""

from collections.abc import Sequence

import msgspec

from vnicheck.model.config import Config
from vnicheck.model.finding import Finding, Muted
from vnicheck.model.mute import Mute
from vnicheck.model.naming import Day, names_server
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import one_line


def apply_mutes(instance: InstanceReport, mutes: Sequence[Mute], today: Day) -> InstanceReport:
    """The server's report with its findings muted, by the mute that holds longest; where only expired ones match, the
    message says so. `today`: the day in UTC.
    """
    findings = tuple(_mute(finding, instance, mutes, today) for finding in instance.findings)
    return msgspec.structs.replace(instance, findings=findings) if findings != instance.findings else instance


def unnamed(config: Config, instances: Sequence[InstanceReport]) -> bool:
    """Whether some expectation is about none of the servers."""
    return any(not any(names_server(each.server, instance) for instance in instances) for each in config.expect)


def notes(
    config: Config,
    instances: Sequence[InstanceReport],
    *,
    today: Day,
    soon: Day,
    whole: bool,
    expectations_too: bool = False,
) -> list[str]:
    """One line for each mute that mutes nothing any more, has expired or does by `soon`, and for each expectation or
    mute that means no server, where `instances` are the `whole` of what the configuration is for; `expectations_too`:
    they are at least all that expectations may be about. So is said, too, which servers with expectations have no flows
    to hold against them.

    A mute is not called unused because of servers that could not be fully checked.
    """
    lines = []
    for number, expectation in enumerate(config.expect, start=1):
        meant = [instance for instance in instances if names_server(expectation.server, instance)]
        if not meant and (whole or expectations_too):
            lines.append(f"[[expect]] {number}: no server is named {one_line(expectation.server, 80)!r}")
        lines += [
            f"[[expect]] {number}: {one_line(instance.name, 80)} was not checked: {_why(instance)}"
            for instance in meant
            if instance.status != "analyzed" and not instance.flows
        ]
    for number, mute in enumerate(config.mute, start=1):
        line = _note(mute, instances, today=today, soon=soon, whole=whole)
        if line is not None:
            lines.append(f"[[mute]] {number} ({mute.rule} on {one_line(mute.server, 80)}): {line}")
    return lines


def _note(mute: Mute, instances: Sequence[InstanceReport], *, today: Day, soon: Day, whole: bool) -> str | None:
    meant = [instance for instance in instances if names_server(mute.server, instance)]
    used = any(_matches(mute, finding) for instance in meant for finding in instance.findings)
    expired = mute.expires < today
    if not used:
        if not meant:
            return "no server is so named; remove it" if whole else None
        if all(instance.status == "analyzed" for instance in meant):
            return f"it mutes nothing{f' and expired on {mute.expires}' if expired else ''}; remove it"
        return None
    if expired:
        again = any(_matches(mute, each) and not each.is_muted for one in meant for each in one.findings)
        return (
            f"it expired on {mute.expires}: what it muted counts again; fix that, or renew the mute" if again else None
        )
    if mute.expires <= soon:
        return f"it expires on {mute.expires}; fix what it mutes, or renew it"
    return None


def _mute(finding: Finding, instance: InstanceReport, mutes: Sequence[Mute], today: Day) -> Finding:
    matching = [mute for mute in mutes if names_server(mute.server, instance) and _matches(mute, finding)]
    if not matching:
        return finding
    last = max(matching, key=lambda mute: mute.expires)
    if last.expires >= today:
        return msgspec.structs.replace(finding, muted=Muted(reason=last.reason, expires=str(last.expires)))
    said = f" It was muted until {last.expires}: {one_line(last.reason)}."
    headline = f"{finding.headline} (muted until {last.expires})"
    return msgspec.structs.replace(finding, headline=headline, message=finding.message + said)


def _matches(mute: Mute, finding: Finding) -> bool:
    return mute.rule in (finding.rule, finding.name)


def _why(instance: InstanceReport) -> str:
    return one_line(instance.problems[0].message) if instance.problems else instance.status
