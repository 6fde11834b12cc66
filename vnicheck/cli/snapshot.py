"""`vnicheck snapshot`: only collect."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.bundles import Selection, Ssh, with_bundles
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import gather
from vnicheck.cli.output import write_bytes


@with_bundles
def snapshot(
    selection: Selection,
    ssh: Ssh,
    output: Annotated[Path, typer.Option("--output", "-o", help="The snapshot file to write.")],
    instances: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTANCE...]", help="Name, id, CRN, or one of its addresses.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every server in scope.")] = False,
    no_color: options.NoColor = False,
    allow_incomplete: options.AllowIncomplete = False,
) -> int:
    """Collect servers into a file that feeds every other command through --snapshot, offline."""
    if bool(instances) is every:
        raise UserError("name the servers, or give --all")
    observed = gather(instances or [], selection, ssh, no_color=no_color)

    from vnicheck.model.cloud import ADVISORY
    from vnicheck.model.snapshot import encode_snapshot
    from vnicheck.model.words import one_line

    write_bytes(encode_snapshot(observed), output)
    problems = [(server.name, problem.message) for server in observed.servers for problem in server.problems]
    problems += [item for item in observed.fabric.missing.items() if item[0] not in ADVISORY]
    for what, message in problems:
        print(f"vnicheck: {one_line(what, 80)}: {one_line(message, 600)}", file=sys.stderr)
    return Exit.INCOMPLETE if problems and not allow_incomplete else Exit.OK
