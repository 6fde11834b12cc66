"""Options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

from typer import Option

MOST_SECONDS = 86_400
"""Of any limit of time."""

SnapshotFile = Annotated[
    Path | None, Option(metavar="PATH", help="Read this snapshot, a file or a folder, instead of cloud and servers.")
]
Local = Annotated[bool, Option(help="This very instance: its guest, and the metadata service instead of the API.")]
ConfigFile = Annotated[
    Path | None,
    Option("--config", metavar="FILE", help="Configuration; default vnicheck.toml, here or in a folder above."),
]
Observations = Annotated[
    list[Path] | None, Option(metavar="FILE", help="What 'vnicheck verify -o FILE' has seen of servers. Repeatable.")
]
AllRegions = Annotated[bool, Option(help="Every region that the API lists.")]
Names = Annotated[
    list[str] | None, Option(metavar="GLOB", help="Only servers with such a name, as in 'web-*'. Repeatable.")
]
Workers = Annotated[int | None, Option(min=1, max=256, help="Processes that work; default one for each core.")]
Dask = Annotated[
    str | None,
    Option(
        metavar="ADDRESS",
        help="Work on the Dask cluster of this scheduler, tcp://HOST:8786, or 'local' (vnicheck[dask]).",
    ),
]
CloudOnly = Annotated[bool, Option(help="Connect to no server; what its guest decides is then unknown.")]
Output = Annotated[Path | None, Option("-o", metavar="FILE", help="Write the result here instead of stdout.")]
TextOrJson = Annotated[list[str] | None, Option("--format", "-f", metavar="FORMAT[=FILE]", help="text or json.")]
ListFormat = Annotated[str, Option("--format", "-f", metavar="text|json", help="How to write the list.")]
Flows = Annotated[bool, Option(help="JSON with every flow and its hops: some MB a server.")]
NoColor = Annotated[bool, Option(help="No colours, as with NO_COLOR.")]
MaxAge = Annotated[
    int | None,
    Option(
        metavar="DAYS",
        min=0,
        max=36_500,
        help="A guest that is older than the VPC's side by more is not checked; default 365.",
    ),
]
AllowIncomplete = Annotated[bool, Option(help="Exit 0 although something could not be checked.")]
Explain = Annotated[bool, Option(help="Show everything: facts, interfaces, what works, what is closed.")]
Quiet = Annotated[bool, Option("-q", help="Print the answer alone, and no progress.")]
