"""What `vnicheck verify` is given: as in `given`."""

from pathlib import Path
from typing import Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.bundles import Options, Selection, Ssh


class VerifyOptions(Options):
    """Hold predictions against what can be seen: the server's own kernel, asked, captures, and packets."""

    instances: Annotated[
        list[str], typer.Argument(metavar="INSTANCE...", help="Name, id, CRN, or one of its addresses.")
    ]
    selection: Selection
    ssh: Ssh
    captures: Annotated[
        list[str] | None,
        typer.Option(
            "--capture",
            metavar="FILE",
            help="The text of 'tcpdump -nn -i any' on the server; '-' for stdin; eth1=FILE of one interface; "
            "client:ADDRESS=FILE of that client. Repeatable.",
        ),
    ] = None
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="HOST",
            help="Send a few packets from there to the server and back: another server, [user@]host[:port] by SSH, or "
            "'here'; HOST=ADDRESS from that address of it. Repeatable.",
        ),
    ] = None
    protocols: Annotated[
        list[str] | None, typer.Option("--protocol", metavar="tcp|udp|icmp", help="Only such packets. Repeatable.")
    ] = None
    directions: Annotated[
        list[str] | None,
        typer.Option("--direction", metavar="inbound|outbound", help="Only flows that are opened so. Repeatable."),
    ] = None
    ports: Annotated[
        str | None,
        typer.Option("--ports", metavar="PORT,...", help="Destination ports; default one that the VPC lets in."),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False
    sudo: Annotated[bool, typer.Option("--sudo", help="Become root by sudo, to watch packets.")] = False
    snapshot: options.SnapshotFile = None
    config_file: options.ConfigFile = None
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", metavar="FORMAT[=FILE]", help="text or json.")
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Keep what was seen in this file, for --observations of all commands.",
        ),
    ] = None
    no_color: options.NoColor = False
