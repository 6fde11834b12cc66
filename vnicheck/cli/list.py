"""`vnicheck list`: which servers there are, with their VNIs."""

from functools import partial

from vnicheck.cli.bundles import Fleet, Selection, Ssh
from vnicheck.cli.failure import Exit, ended_by
from vnicheck.cli.gather import requested
from vnicheck.cli.given import ListOptions
from vnicheck.cli.output import Destination, write_document
from vnicheck.cli.recent import remember
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.collect.errors import CollectError
from vnicheck.collect.listing import list_servers
from vnicheck.model.listing import LISTING_SCHEMA, Listing, encode_listing
from vnicheck.model.report import TOOL
from vnicheck.model.words import one_line
from vnicheck.report.listing import write_listing
from vnicheck.system.clock import now

FORMATS = ("text", "json")


def list(given: ListOptions) -> Exit:  # noqa: A001 - functions here go by their commands' names
    """The work of `ListOptions`: the exit code."""
    destination = Destination(given.formats, given.output)
    destination.require(FORMATS, "a listing")
    fleet = Fleet(all_regions=given.all_regions)
    request = requested((), Selection(**vars(given.scope)), Ssh(), fleet=fleet, snapshot=given.snapshot)
    with ended_by(CollectError):
        terminal = Terminal(ask_pass=False, no_color=given.no_color, quiet=given.quiet)
        listed = list_servers(request, given.name or (), terminal)
    listing = Listing(
        schema=LISTING_SCHEMA,
        tool=TOOL,
        listed_at=now(),
        complete=not listed.problems and not any(server.problems for server in listed.servers),
        servers=listed.servers,
        problems=listed.problems,
    )
    if given.snapshot is None:
        every = given.all_regions and listing.complete and not given.name
        every = every and given.scope.vpc is None and given.scope.resource_group is None
        remember((server.name for server in listing.servers), whole=every)
    encoders = {"json": partial(encode_listing, listing)}
    write_document(
        destination.wanted, partial(write_listing, listing, quiet=given.quiet), encoders, no_color=given.no_color
    )
    for problem in listing.problems:
        tell(f"{one_line(problem.region or 'the region', 60)}: {problem.message}")
    for server in listing.servers:
        for each in server.problems:
            tell(f"{one_line(server.name, 80)}: {each.message}")
    return Exit.OK if listing.complete or given.allow_incomplete else Exit.INCOMPLETE
