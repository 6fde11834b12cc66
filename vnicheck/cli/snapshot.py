"""`vnicheck snapshot`: only collect, into a file or a folder."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.bundles import Selection, Ssh, with_bundles
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import gather_regions
from vnicheck.cli.into_folder import collect_into
from vnicheck.cli.load import only
from vnicheck.cli.output import write_bytes

if TYPE_CHECKING:
    from vnicheck.model.snapshot import Snapshot


@with_bundles
def snapshot(
    selection: Selection,
    ssh: Ssh,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The file to write; a folder where PATH is one, ends in /, or several regions are read.",
        ),
    ],
    instances: Annotated[
        list[str] | None, typer.Argument(metavar="[INSTANCE...]", help="Name, id, CRN, or one of its addresses.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every server in scope.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Collect also the guests that the folder has already.")
    ] = False,
    no_color: options.NoColor = False,
    allow_incomplete: options.AllowIncomplete = False,
) -> int:
    """Collect servers into a file or folder that feeds every other command through --snapshot, offline."""
    if bool(instances) is every:
        raise UserError("name the servers, or give --all")
    path = Path(output)
    if _means_folder(output, selection):
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file; several regions need a folder")
        observed = collect_into(path, instances or [], selection, ssh, refresh=refresh, no_color=no_color)
    else:
        if refresh:
            raise UserError("--refresh is for a folder; a file is always written anew")
        observed = gather_regions(instances or [], selection, ssh, no_color=no_color)

        from vnicheck.model.snapshot import encode_snapshot

        write_bytes(encode_snapshot(only(observed)), path)
    return _tell_problems(observed.values(), allow_incomplete=allow_incomplete)


def _means_folder(output: str, selection: Selection) -> bool:
    return output.endswith("/") or Path(output).is_dir() or len(set(selection.region or ())) > 1


def _tell_problems(observed: "Iterable[Snapshot]", *, allow_incomplete: bool) -> int:
    """A line on stderr for whatever was not collected, and the exit code."""
    from vnicheck.model.cloud import ADVISORY
    from vnicheck.model.words import one_line

    problems = [
        problem
        for snapshot in observed
        for problem in (
            *((server.name, problem.message) for server in snapshot.servers for problem in server.problems),
            *(item for item in snapshot.fabric.missing.items() if item[0] not in ADVISORY),
        )
    ]
    for what, message in problems:
        print(f"vnicheck: {one_line(what, 80)}: {one_line(message, 600)}", file=sys.stderr)
    return Exit.INCOMPLETE if problems and not allow_incomplete else Exit.OK
