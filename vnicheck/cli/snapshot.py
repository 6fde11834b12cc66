"""`vnicheck snapshot`: only collect, into a file or a folder."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from vnicheck.cli.bundles import Selection
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import gather_regions, requested
from vnicheck.cli.given import SnapshotOptions
from vnicheck.cli.output import STDOUT, tell_written, write_bytes
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.into_folder import collect_into
from vnicheck.collect.snapshot_folder import SnapshotFolder
from vnicheck.collect.snapshots import only
from vnicheck.model.cloud import ADVISORY
from vnicheck.model.snapshot import Snapshot, SnapshotError, encode_snapshot
from vnicheck.model.words import one_line
from vnicheck.redaction.redactor import Redactor


def snapshot(given: SnapshotOptions) -> int:
    """The work of `SnapshotOptions`: the exit code."""
    if sum((bool(given.instances), given.every, given.local)) != 1:
        raise UserError("name the servers, or give --all, or --local on the instance itself")
    place = _Place(given.output, given.selection)
    if given.refresh and (given.redact or given.snapshot is not None or not place.folder):
        raise UserError("--refresh is for a folder that servers are collected into; all else is always written anew")
    if place.folder and not given.redact and not given.local and given.snapshot is None:
        request = requested(given.instances or [], given.selection, given.ssh)
        with ended_by(CollectError):
            terminal = Terminal(ask_pass=given.ssh.ask_pass, no_color=given.no_color)
            observed = collect_into(place.path, request, terminal, refresh=given.refresh)
        tell_written(place.path)
        return _tell_problems(observed, allow_incomplete=given.allow_incomplete)
    place.require_empty()
    observed = gather_regions(
        given.instances or [],
        given.selection,
        given.ssh,
        snapshot=given.snapshot,
        local=given.local,
        no_color=given.no_color,
    )
    place.write(_redacted(observed) if given.redact else observed)
    return _tell_problems(observed, allow_incomplete=given.allow_incomplete)


class _Place:
    """Where a snapshot goes: a file, or a folder."""

    def __init__(self, output: str, selection: Selection) -> None:
        self.path = Path(output)
        several = len(set(selection.region or ())) > 1
        self.folder = output.endswith("/") or self.path.is_dir() or several
        if self.folder and self.path.exists() and not self.path.is_dir():
            wanted = "several regions need" if several else "a path that ends in / means"
            raise UserError(f"{self.path} is a file; {wanted} a folder")

    def require_empty(self) -> None:
        """Refuses a folder that holds a snapshot, which is written in one go and would be mixed with it."""
        with ended_by(SnapshotError):
            there = SnapshotFolder(self.path).regions() if self.folder else []
        if there:
            raise UserError(f"{self.path} holds a snapshot already: name a new folder")

    def write(self, regions: Mapping[str, Snapshot]) -> None:
        """Writes all of it. Raises UserError."""
        with ended_by(CollectError, SnapshotError):
            if self.folder:
                SnapshotFolder(self.path).write(regions)
                tell_written(self.path)
            else:
                place = None if self.path == STDOUT else self.path
                write_bytes(encode_snapshot(only(regions)), place, private=True)


def _redacted(regions: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
    """The snapshots under the pseudonyms of a key that is made for them and forgotten."""
    redactor = Redactor(secrets.token_bytes(32), regions.values())
    return {name: redactor.snapshot(snapshot) for name, snapshot in regions.items()}


def _tell_problems(observed: Mapping[str, Snapshot], *, allow_incomplete: bool) -> int:
    """A line on stderr for whatever was not collected, and the exit code."""
    problems: list[tuple[str, str]] = []
    for region, snapshot in observed.items():
        where = f"{region}: " if len(observed) > 1 else ""
        problems += [
            (f"{where}{server.name}", problem.message) for server in snapshot.servers for problem in server.problems
        ]
        missing = snapshot.fabric.missing.items()
        problems += [(f"{where}{what}", reason) for what, reason in missing if what not in ADVISORY]
    for what, message in problems:
        tell(f"{one_line(what, 80)}: {message}")
    return Exit.INCOMPLETE if problems and not allow_incomplete else Exit.OK
