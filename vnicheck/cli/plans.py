"""Where plans go: the forms that they are written in, to stdout, to files, or all of them into a folder."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vnicheck.cli.failure import UserError
from vnicheck.cli.output import emit_to, require_place, tell_written, write_bytes
from vnicheck.cli.terminal import console
from vnicheck.model.plan import InstancePlan
from vnicheck.model.plan_document import encode_plans
from vnicheck.model.words import one_line
from vnicheck.report.lines import PlanLinesWriter
from vnicheck.report.page import Page
from vnicheck.report.plans.ansible import render_ansible
from vnicheck.report.plans.files import files_of
from vnicheck.report.plans.ibmcloud import render_ibmcloud
from vnicheck.report.plans.markdown import render_markdown
from vnicheck.report.plans.sh import render_sh
from vnicheck.report.plans.summary import Scope
from vnicheck.report.plans.terraform import render_terraform
from vnicheck.report.plans.text import write_plan, write_plans
from vnicheck.system.files import make_private_folder

FORMATS = ("text", "json", "jsonl", "markdown", "sh", "ansible", "terraform", "ibmcloud")


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


class PlanOutputs:
    """Takes plans one by one, and writes them in every form that was asked for: JSON Lines as they come, all else at
    the end. `flows`: whether JSON has them. `generated_at`: UTC, ISO 8601.
    """

    def __init__(self, destination: PlanDestination, *, flows: bool, no_color: bool, generated_at: str) -> None:

        self._destination = destination
        self._flows = flows
        self._no_color = no_color
        self.plans: list[InstancePlan] = []
        self.unchecked: list[str] = []
        """Names of servers that run and could not be looked at."""
        self.stopped: list[str] = []
        self._lines = [
            PlanLinesWriter(emit_to(place, private=True), generated_at, flows=flows)
            for name, place in destination.wanted
            if name == "jsonl"
        ]

    def require_places(self) -> None:
        """Finds out whether what is written at the end can be written, before anything is changed. Raises UserError."""
        if self._destination.folder is not None:
            _make_folder(self._destination.folder)
            require_place(self._destination.folder / "plan.json")
        for name, place in self._destination.wanted:
            if place is not None and name != "jsonl":
                require_place(place)

    def add(self, plan: InstancePlan) -> None:
        """Takes one server's plan."""
        self.plans.append(plan)
        for lines in self._lines:
            lines.add(plan)

    def finish(self, *, servers: int, complete: bool) -> None:
        """Writes the rest. `servers`: how many were looked at. `complete`: none that runs could not be."""
        for lines in self._lines:
            lines.close(self.plans, servers=servers, complete=complete)
        for name, place in self._destination.wanted:
            if name == "jsonl":
                tell_written(place)
            elif name == "text":
                self._write_text(place, self.scope(servers))
            elif name == "markdown":
                write_bytes(render_markdown(self.plans, self.scope(servers)), place, private=True)
            else:
                write_bytes(self._rendered(name), place, private=True)
        if self._destination.folder is not None:
            self._write_folder(self._destination.folder)

    def scope(self, servers: int) -> Scope:
        """Of so many servers, what could not be looked at."""
        return Scope(servers=servers, unchecked=tuple(self.unchecked), stopped=tuple(self.stopped))

    def _write_text(self, place: Path | None, scope: Scope) -> None:
        if place is None:
            write_plans(self.plans, console(no_color=self._no_color), scope)
            return
        page = io.StringIO()
        write_plans(self.plans, Console(file=page, width=100, color_system=None, highlight=False, markup=False), scope)
        write_bytes(page.getvalue().encode(), place, private=True)

    def _rendered(self, name: str) -> bytes:
        if name == "json":
            return encode_plans(self.plans, flows=self._flows)

        render = {
            "sh": render_sh,
            "ansible": render_ansible,
            "terraform": render_terraform,
            "ibmcloud": render_ibmcloud,
        }
        return render[name](self.plans).encode()

    def _write_folder(self, folder: Path) -> None:

        files = files_of(self.plans, flows=self._flows)
        for path, data in files.items():
            place = folder / path
            _make_folder(place.parent)
            write_bytes(data, place, private=True, told=False)
        count = f"{len(files)} file{'' if len(files) == 1 else 's'}"
        print(f"vnicheck: note: wrote {count} into {one_line(str(folder), 300)}", file=sys.stderr)


def _make_folder(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror}") from error


def show_plan(plan: InstancePlan, *, no_color: bool) -> None:
    """A plan that is to be decided on, on stderr: stdout is for results."""
    write_plan(Page(console(stderr=True, no_color=no_color)), plan)
