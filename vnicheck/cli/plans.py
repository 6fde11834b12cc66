"""Where plans go: the forms that they are written in, to stdout, to files, or all of them into a folder."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vnicheck.cli.failure import UserError
from vnicheck.cli.output import write_bytes
from vnicheck.cli.terminal import console
from vnicheck.model.words import one_line
from vnicheck.system.files import make_private_folder

if TYPE_CHECKING:
    from vnicheck.model.plan import InstancePlan

FORMATS = ("text", "json", "sh", "ansible", "terraform", "ibmcloud")


class PlanDestination:
    """Formats with the file that each goes to (None: stdout), and the folder for all forms, from `-f` and `-o`."""

    def __init__(self, formats: Sequence[str] | None, output: Path | None) -> None:
        self.folder: Path | None = None
        self.wanted: list[tuple[str, Path | None]] = []
        if output is not None and (output.is_dir() or not formats):
            if output.exists() and not output.is_dir():
                raise UserError(f"{output} is a file: -o alone takes a folder for all forms; or give -f as well")
            self.folder, output = output, None
        for spec in formats or ["text"]:
            name, equals, file = spec.partition("=")
            if name not in FORMATS or (equals and not file):
                raise UserError(f"--format {spec!r}: write {', '.join(FORMATS)}, or FORMAT=FILE")
            self.wanted.append((name, Path(file) if equals else output))
        places = [place for _, place in self.wanted]
        if len(set(places)) != len(places):
            raise UserError("two formats go to one place: give all but one a file, as in -f json=plan.json")

    @property
    def wants_documents(self) -> bool:
        """Whether more than the text on the screen is asked for."""
        return self.folder is not None or any(wanted != ("text", None) for wanted in self.wanted)


def write_plans(
    plans: "Sequence[InstancePlan]",
    destination: PlanDestination,
    *,
    servers: int,
    no_color: bool,
    stderr: bool = False,
) -> None:
    """Writes the plans in every form that was asked for. `servers`: how many were looked at. `stderr`: where text is
    shown that is to be decided on, and stdout is for results.
    """
    for name, place in destination.wanted:
        if name == "text":
            _write_text(plans, place, servers=servers, no_color=no_color, stderr=stderr)
        else:
            write_bytes(_render(name, plans), place, private=True)
    if destination.folder is not None:
        _write_folder(plans, destination.folder)


def _render(name: str, plans: "Sequence[InstancePlan]") -> bytes:
    if name == "json":
        from vnicheck.model.plan import PLAN_SCHEMA, PlanDocument, encode_plans

        return encode_plans(PlanDocument(schema=PLAN_SCHEMA, instances=tuple(plans)))
    from vnicheck.report.plans.ansible import render_ansible
    from vnicheck.report.plans.ibmcloud import render_ibmcloud
    from vnicheck.report.plans.sh import render_sh
    from vnicheck.report.plans.terraform import render_terraform

    render = {"sh": render_sh, "ansible": render_ansible, "terraform": render_terraform, "ibmcloud": render_ibmcloud}
    return render[name](plans).encode()


def _write_folder(plans: "Sequence[InstancePlan]", folder: Path) -> None:
    from vnicheck.report.plans.files import files_of

    files = files_of(plans)
    for path, data in files.items():
        place = folder / path
        try:
            make_private_folder(place.parent)
        except OSError as error:
            raise UserError(f"cannot make {place.parent}: {error.strerror}") from error
        write_bytes(data, place, private=True)
    count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    print(f"vnicheck: note: wrote {count} into {one_line(str(folder), 300)}", file=sys.stderr)


def _write_text(
    plans: "Sequence[InstancePlan]", place: Path | None, *, servers: int, no_color: bool, stderr: bool
) -> None:
    from vnicheck.report.plans.text import write_plans as write

    if place is None:
        write(plans, console(stderr=stderr, no_color=no_color), servers=servers)
        return
    from rich.console import Console

    page = io.StringIO()
    write(plans, Console(file=page, width=100, color_system=None, highlight=False, markup=False), servers=servers)
    write_bytes(page.getvalue().encode(), place, private=True)
