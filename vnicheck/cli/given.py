"""What each command is given: its options, declared without loading what does its work (`app.COMMANDS` says what)."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from vnicheck.cli import options
from vnicheck.cli.bundles import Credentials, Display, Fleet, Options, Scope, Selection, Ssh

LEAST_SECONDS = 5
"""Of the timer that undoes a fix."""


class AnalyzeOptions(Options):
    instances: Annotated[
        list[str] | None,
        Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses; all of a --snapshot without one."),
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
        bool, Option(help="Ask the server's own kernel too, and follow it; as 'vnicheck verify' does.")
    ] = False
    explain: options.Explain = False
    quiet: options.Quiet = False


class TraceOptions(Options):
    instance: Annotated[str, Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")]
    selection: Selection
    ssh: Ssh
    display: Display
    start: Annotated[str, Option("--from", metavar="ADDR", help="Who opens the flow: an address or a server.")]
    end: Annotated[str, Option("--to", metavar="ADDR", help="Who answers: an address or a server.")]
    protocol: Annotated[str, Option(metavar="tcp|udp|icmp", help="The protocol, by name or number.")] = "tcp"
    port: Annotated[str, Option(metavar="PORT", help="The destination port: a number, or a name of /etc/services.")] = (
        "443"
    )
    expect: Annotated[
        str | None, Option(metavar="delivered|dropped", help="Exit 1 where it is not so, 3 where it is unknown.")
    ] = None
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None


class FixOptions(Options):
    selection: Selection
    ssh: Ssh
    instances: Annotated[
        list[str] | None,
        Argument(metavar="[INSTANCE...]", help="Name, id, CRN or address; all affected servers without one."),
    ] = None
    dry_run: Annotated[bool, Option(help="Only show the plan.")] = False
    strategy: Annotated[str, Option(metavar="auto|policy-routing|rp-filter|state-filtering", help="How to fix it.")] = (
        "auto"
    )
    yes: Annotated[bool, Option("-y", help="Apply without asking.")] = False
    sudo: Annotated[bool, Option(help="Become root by sudo where the login is not.")] = False
    rollback_after: Annotated[
        int, Option(min=LEAST_SECONDS, help="Seconds after which the server undoes what is not verified.")
    ] = 120
    verify_from: Annotated[
        list[str] | None,
        Option(
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
        Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help="text, json, jsonl, markdown, sh, ansible, terraform or ibmcloud.",
        ),
    ] = None
    output: Annotated[Path | None, Option("-o", help="A file for the one format; a folder for all forms.")] = None
    flows: options.Flows = False
    workers: options.Workers = None
    dask: options.Dask = None
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class RollbackOptions(Options):
    change: Annotated[str, Argument(metavar="ID", help="The change, as 'vnicheck ledger' lists it.")]
    ssh: Ssh
    credentials: Credentials
    region: Annotated[str | None, Option(metavar="REGION", help="The region; default IBMCLOUD_REGION.")] = None
    yes: Annotated[bool, Option("-y", help="Undo without asking.")] = False
    sudo: Annotated[bool, Option(help="Become root by sudo where the login is not.")] = False


class LedgerOptions(Options):
    change: Annotated[str | None, Argument(metavar="[ID]", help="One change, with its commands.")] = None


class LintOptions(Options):
    selection: Selection
    fleet: Fleet
    ssh: Ssh
    display: Display
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    baseline: Annotated[Path | None, Option(metavar="FILE", help="Findings that are known: only others fail.")] = None
    write_baseline: Annotated[Path | None, Option(metavar="FILE", help="Write what was found, as a baseline.")] = None
    min_coverage: Annotated[
        float | None,
        Option(
            metavar="PERCENT",
            min=0,
            max=100,
            help="Exit 3 only if fewer of the servers could be fully checked; with --allow-incomplete, even then.",
        ),
    ] = None
    max_age: options.MaxAge = None
    terraform: Annotated[
        Path | None, Option(metavar="DIR", help="Show findings at the servers' blocks in this configuration.")
    ] = None
    explain: options.Explain = False
    verbose: Annotated[bool, Option(help="Show servers one by one, the worst first.")] = False
    quiet: options.Quiet = False
    plans: Annotated[bool, Option(help="Prove the fix of each cause, instead of naming it; slower.")] = False
    flows: options.Flows = False
    workers: options.Workers = None
    dask: options.Dask = None


class ListOptions(Options):
    scope: Scope
    all_regions: options.AllRegions = False
    name: options.Names = None
    quiet: Annotated[bool, Option("-q", help="Print the servers' names alone, and no progress.")] = False
    snapshot: options.SnapshotFile = None
    formats: options.TextOrJson = None
    output: options.Output = None
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class DoctorOptions(Options):
    instance: Annotated[
        str | None, Argument(metavar="[INSTANCE]", help="The server to connect to; default one that runs.")
    ] = None
    scope: Scope
    ssh: Ssh
    cloud_only: options.CloudOnly = False
    config_file: options.ConfigFile = None
    no_color: options.NoColor = False


class InitOptions(Options):
    scope: Scope
    snapshot: options.SnapshotFile = None
    output: Annotated[Path | None, Option("-o", metavar="FILE", help="Where to; default vnicheck.toml, here.")] = None
    force: Annotated[bool, Option(help="Replace a file that is there.")] = False


class SnapshotOptions(Options):
    selection: Selection
    ssh: Ssh
    output: Annotated[
        str,
        Option(
            "-o",
            metavar="PATH",
            help="The file to write; a folder where PATH is one, ends in /, or several regions are read.",
        ),
    ]
    instances: Annotated[
        list[str] | None, Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")
    ] = None
    every: Annotated[bool, Option("--all", help="Every server in scope.")] = False
    local: options.Local = False
    snapshot: options.SnapshotFile = None
    refresh: Annotated[bool, Option(help="Collect also the guests that the folder has already.")] = False
    redact: Annotated[
        bool, Option(help="Write pseudonyms for names, addresses and ids; the findings stay the same.")
    ] = False
    no_color: options.NoColor = False
    allow_incomplete: options.AllowIncomplete = False


class DiffOptions(Options):
    old: Annotated[Path, Argument(metavar="OLD", help="The earlier snapshot: a file, or a folder.")]
    new: Annotated[Path, Argument(metavar="NEW", help="The later one.")]
    config_file: options.ConfigFile = None
    formats: Annotated[
        list[str] | None,
        Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help="text, json or markdown. Repeatable, all but one with =FILE; default text.",
        ),
    ] = None
    output: options.Output = None
    no_color: options.NoColor = False
    fail_on: Annotated[
        str | None, Option(metavar="error|warning|note", help="Exit 1 if a finding this bad or worse is new.")
    ] = None
    allow_incomplete: options.AllowIncomplete = False


class VerifyOptions(Options):
    instances: Annotated[list[str], Argument(metavar="INSTANCE...", help="Name, id, CRN, or one of its addresses.")]
    selection: Selection
    ssh: Ssh
    captures: Annotated[
        list[str] | None,
        Option(
            "--capture",
            metavar="FILE",
            help="The text of 'tcpdump -nn -i any' on the server; '-' for stdin; eth1=FILE of one interface; "
            "client:ADDRESS=FILE of that client. Repeatable.",
        ),
    ] = None
    hosts: Annotated[
        list[str] | None,
        Option(
            "--from",
            metavar="HOST",
            help="Send a few packets from there to the server and back: another server, [user@]host[:port] by SSH, or "
            "'here'; HOST=ADDRESS from that address of it. Repeatable.",
        ),
    ] = None
    protocols: Annotated[
        list[str] | None, Option("--protocol", metavar="tcp|udp|icmp", help="Only such packets. Repeatable.")
    ] = None
    directions: Annotated[
        list[str] | None,
        Option("--direction", metavar="inbound|outbound", help="Only flows that are opened so. Repeatable."),
    ] = None
    ports: Annotated[
        str | None, Option(metavar="PORT,...", help="Destination ports; default one that the VPC lets in.")
    ] = None
    yes: Annotated[bool, Option("-y", help="Send without asking.")] = False
    sudo: Annotated[bool, Option(help="Become root by sudo, to watch packets.")] = False
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    formats: options.TextOrJson = None
    output: Annotated[
        Path | None,
        Option("-o", metavar="FILE", help="Keep what was seen in this file, for --observations of all commands."),
    ] = None
    quiet: options.Quiet = False
    no_color: options.NoColor = False


class RehearseOptions(Options):
    instance: Annotated[str, Argument(metavar="INSTANCE", help="Name, id, CRN, or one of its addresses.")]
    selection: Selection
    ssh: Ssh
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    fix: Annotated[
        bool, Option(help="Carry out the proved plan there, send the packets again, undo it, and again.")
    ] = False
    run: Annotated[
        Path | None, Option(metavar="FILE", help="A script of changes (POSIX sh), run as root of the rebuilt server.")
    ] = None
    settings: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="NAME.FIELD=VALUE",
            help="Another setting of the VPC: protocol_state_filtering_mode or allow_ip_spoofing of a VNI, network_acl "
            "or routing_table of a subnet. Repeatable.",
        ),
    ] = None
    shell: Annotated[bool, Option(help="Open a shell in the rebuilt server.")] = False
    start: Annotated[str | None, Option("--from", metavar="ADDR", help="Only one flow: the address that opens it.")] = (
        None
    )
    end: Annotated[str | None, Option("--to", metavar="ADDR", help="And the address that answers.")] = None
    protocol: Annotated[str, Option(metavar="tcp|udp|icmp", help="Its protocol.")] = "tcp"
    port: Annotated[int, Option(min=1, max=65535, help="Its destination port.")] = 443
    formats: options.TextOrJson = None
    output: options.Output = None
    no_color: options.NoColor = False


class DemoOptions(Options):
    display: Display
    rehearse: Annotated[bool, Option(help="Play it with real packets, too, on this machine's kernel.")] = False
    explain: options.Explain = False


class CollectScriptOptions(Options):
    """None."""


class RulesOptions(Options):
    format_: options.ListFormat = "text"


class ExplainOptions(Options):
    rule: Annotated[
        str,
        Argument(
            metavar="ID", help="A rule's id or name ('vnicheck rules'), or an assumption's id ('vnicheck assumptions')."
        ),
    ]


class AssumptionsOptions(Options):
    config_file: options.ConfigFile = None
    observations: options.Observations = None
    format_: options.ListFormat = "text"


class CompletionOptions(Options):
    shell: Annotated[str, Argument(metavar="bash|zsh|fish", help="The shell that will read it.")]


class SchemaOptions(Options):
    document: Annotated[str, Argument(metavar="report|snapshot|plan|diff|baseline|rehearsal|verification|list")]
