"""`vnicheck init`: a first configuration, from what the account has."""

import os
from pathlib import Path

from vnicheck.cli.bundles import Fleet, Selection, Ssh
from vnicheck.cli.config import EXAMPLES, NAME
from vnicheck.cli.failure import UserError, ended_by
from vnicheck.cli.gather import requested
from vnicheck.cli.given import InitOptions
from vnicheck.cli.output import require_place, write_bytes
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.snapshots import collect_cloud
from vnicheck.model.words import one_line
from vnicheck.report.starter import starter_config
from vnicheck.system.clock import now


def init(given: InitOptions) -> None:
    """The work of `InitOptions`."""
    place = given.output or Path(NAME)
    _refuse_existing(place, force=given.force)
    request = requested((), Selection(**vars(given.scope)), Ssh(), fleet=Fleet(), snapshot=given.snapshot)
    with ended_by(CollectError):
        regions = collect_cloud(request, Terminal(ask_pass=False, no_color=True))
    text = starter_config(regions, EXAMPLES, day=now()[:10])
    _refuse_existing(place, force=given.force)
    write_bytes(text.encode(), place, told=False)
    tell(f"wrote {one_line(place, 300)}; read it, and say what is not so")


def _refuse_existing(place: Path, *, force: bool) -> None:
    if os.path.lexists(place) and not force:
        raise UserError(f"{place} is there already: write elsewhere with -o, or replace it with --force")
    require_place(place)
