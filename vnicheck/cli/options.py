"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

_CLOUD, _SSH, _OUT = "Selection", "SSH", "Output"
MOST_SECONDS = 86_400
"""Of any limit of time."""

Region = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="The region; default IBMCLOUD_REGION. Repeatable."),
]
OneRegion = Annotated[
    str | None, typer.Option("--region", metavar="REGION", help="The region; default IBMCLOUD_REGION.")
]
VpcFilter = Annotated[str | None, typer.Option("--vpc", metavar="VPC", help="Only servers of this VPC (name or id).")]
ResourceGroup = Annotated[
    str | None,
    typer.Option("--resource-group", metavar="GROUP", help="Only servers of this resource group (name or id)."),
]
Auth = Annotated[
    str | None,
    typer.Option(
        "--auth", metavar="instance", help="'instance': use the trusted profile of the instance that this runs on."
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option("--api-key-file", metavar="FILE", help="A file with the API key, as the console downloads it."),
]
ApiKeyCommand = Annotated[
    str | None,
    typer.Option(
        "--api-key-command",
        metavar="COMMAND",
        help="A command that prints the API key, as in 'pass show ibmcloud'; no shell reads it.",
    ),
]
ApiTimeout = Annotated[
    float,
    typer.Option("--api-timeout", min=1, max=MOST_SECONDS, help="Seconds for reading a region from the API in all."),
]
SnapshotFile = Annotated[
    Path | None,
    typer.Option(
        "--snapshot", metavar="PATH", help="Read this snapshot, a file or a folder, instead of cloud and servers."
    ),
]
Local = Annotated[
    bool,
    typer.Option("--local", help="This very instance: its guest, and the metadata service instead of the API."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration; default vnicheck.toml, here or in a folder above."),
]
Observations = Annotated[
    list[Path] | None,
    typer.Option(
        "--observations", metavar="FILE", help="What 'vnicheck verify -o FILE' has seen of servers. Repeatable."
    ),
]
AllRegions = Annotated[bool, typer.Option("--all-regions", help="Every region that the API lists.")]
Names = Annotated[
    list[str] | None,
    typer.Option("--name", metavar="GLOB", help="Only servers with such a name, as in 'web-*'. Repeatable."),
]
MultiHomedOnly = Annotated[
    bool,
    typer.Option(
        "--multi-homed-only/--include-single-homed", help="Leave out servers with one interface, or check them, too."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=256, help="Processes that work; default one for each core."),
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Work on the Dask cluster of this scheduler, tcp://HOST:8786, or 'local' (vnicheck[dask]).",
    ),
]
CloudOnly = Annotated[
    bool,
    typer.Option("--cloud-only", help="Connect to no server; what its guest decides is then unknown."),
]
GuestFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--guest",
        metavar="INSTANCE=FILE",
        help="The saved output of 'vnicheck collect-script' on that server, instead of SSH. Repeatable.",
    ),
]
GuestFolder = Annotated[
    Path | None,
    typer.Option(
        "--guest-dir", metavar="DIR", help="Saved outputs for all servers instead of SSH: NAME.txt or ID.txt each."
    ),
]

SshClient = Annotated[
    str,
    typer.Option(
        "--ssh",
        metavar="paramiko|openssh",
        help="Who connects: vnicheck itself, or the system's own ssh with all of its configuration.",
    ),
]
SshUser = Annotated[str | None, typer.Option("--ssh-user", metavar="USER", help="Login name; default as ssh would.")]
SshPort = Annotated[
    int | None, typer.Option("--ssh-port", metavar="PORT", min=1, max=65535, help="Port; default as ssh would.")
]
Identity = Annotated[
    list[Path] | None,
    typer.Option("--identity", "-i", metavar="FILE", help="Private key file. Repeatable; default as ssh would."),
]
AskPass = Annotated[
    bool, typer.Option("--ask-pass", help="Ask once for a password, for servers that take no key. Never stored.")
]
SshConfigFile = Annotated[
    Path | None,
    typer.Option("--ssh-config", "-F", metavar="FILE", help="SSH configuration file; default the user's own."),
]
KnownHosts = Annotated[
    list[Path] | None,
    typer.Option("--known-hosts", metavar="FILE", help="Known hosts file. Repeatable; default as ssh would."),
]
AcceptNewHostKeys = Annotated[
    bool,
    typer.Option("--accept-new-host-keys", help="Add unknown host keys to known_hosts; never accept changed ones."),
]
SshAddress = Annotated[
    str, typer.Option("--ssh-address", metavar="auto|private|floating", help="Which address to connect to.")
]
Jump = Annotated[str | None, typer.Option("--jump", "-J", metavar="HOST", help="Jump host, as [user@]host[:port].")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=512, help="Servers to collect at once.")]
ConnectTimeout = Annotated[
    float, typer.Option("--connect-timeout", min=0.1, max=MOST_SECONDS, help="Seconds to connect and negotiate.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, max=MOST_SECONDS, help="Seconds for one server in all.")]

Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT[=FILE]",
        help="text, json, jsonl, markdown, html, sarif, junit or github. Repeatable, all but one with =FILE; "
        "default text.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result here instead of stdout.")
]
Flows = Annotated[bool, typer.Option("--flows", help="JSON with every flow and its hops: some MB a server.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR.")]
FailOn = Annotated[
    str | None,
    typer.Option("--fail-on", metavar="error|warning|note", help="Exit 1 if there is a finding this bad or worse."),
]
MaxAge = Annotated[
    int | None,
    typer.Option(
        "--max-age",
        metavar="DAYS",
        min=0,
        max=36_500,
        help="A guest that is older than the VPC's side by more is not checked; default 365.",
    ),
]
AllowIncomplete = Annotated[
    bool, typer.Option("--allow-incomplete", help="Exit 0 although something could not be checked.")
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Show everything: facts, interfaces, what works, what is closed.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show servers one by one, the worst first.")]
Plans = Annotated[bool, typer.Option("--plans", help="Prove the fix of each cause, instead of naming it; slower.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone, and no progress.")]
MinCoverage = Annotated[
    float | None,
    typer.Option(
        "--min-coverage",
        metavar="PERCENT",
        min=0,
        max=100,
        help="Exit 3 only if fewer of the servers could be fully checked; with --allow-incomplete, even then.",
    ),
]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Findings that are known: only others fail.")
]
WriteBaseline = Annotated[
    Path | None, typer.Option("--write-baseline", metavar="FILE", help="Write what was found, as a baseline.")
]
Terraform = Annotated[
    Path | None,
    typer.Option("--terraform", metavar="DIR", help="Show findings at the servers' blocks in this configuration."),
]
