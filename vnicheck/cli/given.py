"""What each command is given: its options, declared without loading what does its work."""

from pathlib import Path
from typing import Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.bundles import Credentials, Display, Fleet, Options, Scope, Selection, Ssh
from vnicheck.cli.given_verify import VerifyOptions as VerifyOptions

LEAST_SECONDS = 5
"""Of the timer that undoes a fix."""


class AnalyzeOptions(Options):
    """Read the VPC, collect the guest over SSH, predict every flow, and report what is broken and why."""

    instances: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INSTANCE", help="Name, id, CRN, or one of its addresses; all of a --snapshot without one."
        ),
    ] = None
    selection: Selection
    ssh: Ssh
    display: Display
    local: options.Local = False
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    max_age: options.MaxAge = None
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Ask the server's own kernel too, and follow it; as 'vnicheck verify' does."),
    ] = False
    explain: options.Explain = False
    quiet: options.Quiet = False


class TraceOptions(Options):
    """Follow one flow hop by hop, request and reply."""

    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")]
    selection: Selection
    ssh: Ssh
    display: Display
    start: Annotated[str, typer.Option("--from", metavar="ADDR", help="Who opens the flow: an address or a server.")]
    end: Annotated[str, typer.Option("--to", metavar="ADDR", help="Who answers: an address or a server.")]
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="tcp|udp|icmp", help="The protocol, by name or number.")
    ] = "tcp"
    port: Annotated[
        str, typer.Option("--port", metavar="PORT", help="The destination port: a number, or a name of /etc/services.")
    ] = "443"
    expect: Annotated[
        str | None,
        typer.Option("--expect", metavar="delivered|dropped", help="Exit 1 where it is not so, 3 where it is unknown."),
    ] = None
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None


class FixOptions(Options):
    """Plan a fix that is proved to work and to break nothing; without --dry-run, apply it with automatic rollback."""

    selection: Selection
    ssh: Ssh
    instances: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTANCE...]", help="Name, id, CRN or address; all affected servers without one."),
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False
    strategy: Annotated[
        str,
        typer.Option("--strategy", metavar="auto|policy-routing|rp-filter|state-filtering", help="How to fix it."),
    ] = "auto"
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False
    sudo: Annotated[bool, typer.Option("--sudo", help="Become root by sudo where the login is not.")] = False
    rollback_after: Annotated[
        int,
        typer.Option(
            "--rollback-after", min=LEAST_SECONDS, help="Seconds after which the server undoes what is not verified."
        ),
    ] = 120
    verify_from: Annotated[
        list[str] | None,
        typer.Option(
            "--verify-from",
            metavar="HOST",
            help="Before the timer is stopped, promised flows of this host must get through: a server, [user@]host, or "
            "'here'. Repeatable.",
        ),
    ] = None
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help="text, json, jsonl, markdown, sh, ansible, terraform or ibmcloud.",
        ),
    ] = None
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for the one format; a folder for all forms.")
    ] = None
    flows: options.Flows = False
    workers: options.Workers = None
    dask: options.Dask = None
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class RollbackOptions(Options):
    """Undo a change that 'vnicheck fix' applied."""

    change: Annotated[str, typer.Argument(metavar="ID", help="The change, as 'vnicheck ledger' lists it.")]
    ssh: Ssh
    credentials: Credentials
    region: options.OneRegion = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Undo without asking.")] = False
    sudo: Annotated[bool, typer.Option("--sudo", help="Become root by sudo where the login is not.")] = False


class LedgerOptions(Options):
    """List what was applied where, or show one change."""

    change: Annotated[str | None, typer.Argument(metavar="[ID]", help="One change, with its commands.")] = None


class LintOptions(Options):
    """Check every server in scope that has several interfaces, for CI; fails on errors."""

    selection: Selection
    fleet: Fleet
    ssh: Ssh
    display: Display
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    baseline: options.BaselineFile = None
    write_baseline: options.WriteBaseline = None
    min_coverage: options.MinCoverage = None
    max_age: options.MaxAge = None
    terraform: options.Terraform = None
    explain: options.Explain = False
    verbose: options.Verbose = False
    quiet: options.Quiet = False
    plans: options.Plans = False
    flows: options.Flows = False
    workers: options.Workers = None
    dask: options.Dask = None


class ListOptions(Options):
    """List servers with their VNIs: modes, addresses, security groups; nothing is judged, and no SSH."""

    scope: Scope
    all_regions: options.AllRegions = False
    name: options.Names = None
    snapshot: options.SnapshotFile = None
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", metavar="FORMAT[=FILE]", help="text or json.")
    ] = None
    output: options.Output = None
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class DoctorOptions(Options):
    """Try what is needed, credentials, region, each list of the API, SSH, one server, and say what to do."""

    instance: Annotated[
        str | None, typer.Argument(metavar="[INSTANCE]", help="The server to connect to; default one that runs.")
    ] = None
    scope: Scope
    ssh: Ssh
    cloud_only: options.CloudOnly = False
    config_file: options.ConfigFile = None
    no_color: options.NoColor = False


class InitOptions(Options):
    """Write a commented vnicheck.toml from what the account has."""

    scope: Scope
    snapshot: options.SnapshotFile = None
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; default vnicheck.toml, here.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False


class SnapshotOptions(Options):
    """Collect servers into a file or folder that feeds every other command through --snapshot, offline."""

    selection: Selection
    ssh: Ssh
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The file to write; a folder where PATH is one, ends in /, or several regions are read.",
        ),
    ]
    instances: Annotated[
        list[str] | None, typer.Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")
    ] = None
    every: Annotated[bool, typer.Option("--all", help="Every server in scope.")] = False
    local: options.Local = False
    snapshot: options.SnapshotFile = None
    refresh: Annotated[bool, typer.Option("--refresh", help="Collect also the guests that the folder has already.")] = (
        False
    )
    redact: Annotated[
        bool,
        typer.Option("--redact", help="Write pseudonyms for names, addresses and ids; the findings stay the same."),
    ] = False
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class DiffOptions(Options):
    """Compare two snapshots: findings that are new or gone, and flows that fare differently."""

    old: Annotated[Path, typer.Argument(metavar="OLD", help="The earlier snapshot: a file, or a folder.")]
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later one.")]
    config_file: options.ConfigFile = None
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help="text, json or markdown. Repeatable, all but one with =FILE; default text.",
        ),
    ] = None
    output: options.Output = None
    no_color: options.NoColor = False
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="error|warning|note", help="Exit 1 if a finding this bad or worse is new."),
    ] = None
    allow_incomplete: options.AllowIncomplete = False


class RehearseOptions(Options):
    """Rebuild a server on this machine's kernel from its snapshot, send real packets, and try a fix or any change."""

    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")]
    selection: Selection
    ssh: Ssh
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    fix: Annotated[
        bool, typer.Option("--fix", help="Carry out the proved plan there, send the packets again, undo it, and again.")
    ] = False
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FILE", help="A script of changes (POSIX sh), run as root of the rebuilt server."
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.FIELD=VALUE",
            help="Another setting of the VPC: protocol_state_filtering_mode or allow_ip_spoofing of a VNI, network_acl "
            "or routing_table of a subnet. Repeatable.",
        ),
    ] = None
    shell: Annotated[bool, typer.Option("--shell", help="Open a shell in the rebuilt server.")] = False
    start: Annotated[
        str | None, typer.Option("--from", metavar="ADDR", help="Only one flow: the address that opens it.")
    ] = None
    end: Annotated[str | None, typer.Option("--to", metavar="ADDR", help="And the address that answers.")] = None
    protocol: Annotated[str, typer.Option("--protocol", metavar="tcp|udp|icmp", help="Its protocol.")] = "tcp"
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Its destination port.")] = 443
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", metavar="FORMAT[=FILE]", help="text or json.")
    ] = None
    output: options.Output = None
    no_color: options.NoColor = False


class DemoOptions(Options):
    """Replay the recorded case: observed beside predicted."""

    display: Display
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Play it with real packets, too, on this machine's kernel.")
    ] = False
    explain: options.Explain = False


class CollectScriptOptions(Options):
    """Print the POSIX sh script that collects a guest; feed its saved output back with --guest INSTANCE=FILE."""


class RulesOptions(Options):
    """List the rules, with their severity where it does not depend on what is found."""

    format_: Annotated[str, typer.Option("--format", "-f", metavar="text|json", help="How to write the list.")] = "text"


class ExplainOptions(Options):
    """Show the page of one rule, or of one assumption."""

    rule: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A rule's id or name ('vnicheck rules'), or an assumption's id ('vnicheck assumptions')."
        ),
    ]


class AssumptionsOptions(Options):
    """List what is assumed of the VPC, on what evidence, and how to override it."""

    config_file: options.ConfigFile = None
    observations: options.Observations = None
    format_: Annotated[str, typer.Option("--format", "-f", metavar="text|json", help="How to write the list.")] = "text"


class CompletionOptions(Options):
    """Print a script with which a shell completes commands, options, choices, and names of servers."""

    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell that will read it.")]


class SchemaOptions(Options):
    """Print a document's JSON Schema (draft 2020-12)."""

    document: Annotated[str, typer.Argument(metavar="report|snapshot|plan|diff|baseline|rehearsal|verification|list")]
