"""A server with several interfaces whose guest nobody looked at: by its defaults it would drop connections.

## What it finds

Interfaces beside the primary one, of running servers whose guest was not to be collected (`--cloud-only`, or a snapshot
without it). Nothing is said where collecting was tried and failed: the server's problem tells that.

## Why packets drop

A guest that nobody configured otherwise has one default route, by its primary interface. What it answers from another
interface's address leaves there, too, and the VPC checks it: a source that is none of the VNI's addresses is dropped
unless the VNI allows IP spoofing, and a TCP connection of which it has seen no SYN is dropped while it filters protocol
states. Whether the guest routes by source address, cannot be seen from outside.

## How to fix

Collect the guest, to know: over SSH, or with `--guest` or `--guest-dir`. Where it has no policy routing, add it.

## How sure we are

Assumed: that the guest has the default routes of an image, and no policy routing.

## Sources

IBM Cloud Docs, VPC: vsi_is_instance_vnics, vni-about, ip-spoofing-about.
"""

from collections.abc import Iterator

from vnicheck.fabric.spoofing_check import spoofing_check
from vnicheck.fabric.state_filter import state_filter
from vnicheck.findings.evidence import vni_field
from vnicheck.findings.facts import Facts
from vnicheck.findings.rule import Rule, observation
from vnicheck.model.cause import CauseKind
from vnicheck.model.cloud import Vni
from vnicheck.model.finding import Finding, Fix
from vnicheck.model.flow import Outcome, Protocol, Scope


def find(rule: Rule, facts: Facts) -> Iterator[Finding]:
    """One finding for each interface beside the primary one."""
    server = facts.view.server
    if server.guest is not None or server.problems or not server.may_run:
        return
    primary = next((vni for vni in server.vnis if vni.primary), None)
    if primary is None:
        return
    for vni in server.vnis:
        drops = _drops(facts, primary, vni) if vni is not primary else []
        if not drops:
            continue
        yield observation(
            rule,
            facts,
            subject=(vni.id,),
            what="the guest was not looked at",
            why=f": unless it routes by source address, what it answers from "
            f"{vni.primary_address} ({vni.name}) leaves by {primary.name}, where {' and '.join(drops)}.",
            confidence="assumed",
            evidence=[
                *vni_field(facts, primary, "allow_ip_spoofing"),
                *vni_field(facts, primary, "protocol_state_filtering_mode"),
            ],
            fixes=(Fix("collect the guest, to know; where it has no policy routing, add it"),),
        )


def _drops(facts: Facts, primary: Vni, vni: Vni) -> list[str]:
    """What the primary VNI would do to answers from another one's address."""
    assume = facts.view.config.assumptions
    spoofing = spoofing_check(primary, assume, vni.primary_address, Scope.PRIVATE)
    filtering = state_filter(primary, assume, Protocol.TCP, auto_filters=facts.view.auto_filters, saw_opening=False)
    drops = ["the IP spoofing check drops it"] if spoofing.outcome is Outcome.DROP else []
    return drops + (["the state filter drops tcp"] if filtering.outcome is Outcome.DROP else [])


RULE = Rule(
    "VNC403", "second-interface-unseen", __doc__, find, severity="warning", about="server", cause=CauseKind.NOT_SEEN
)
