"""Where plans go: the forms that they are written in, to stdout, to files, or all of them into a folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vnicheck.cli.failure import UserError
from vnicheck.cli.output import Destination, emit_to, require_place, tell_written, write_bytes, write_page
from vnicheck.cli.terminal import console, tell
from vnicheck.model.plan import InstancePlan
from vnicheck.model.plan_document import encode_plans
from vnicheck.model.words import counted, one_line
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


class PlanDestination(Destination):
    """Also the folder for all forms, where `-o` names one."""

    known = FORMATS
    choices = ", ".join(FORMATS)
    example = "plan.json"

    def __init__(self, formats: Sequence[str] | None, output: Path | None) -> None:
        self.folder: Path | None = None
        if output is not None and (output.is_dir() or not formats):
            if output.exists() and not output.is_dir():
                raise UserError(f"{output} is a file: -o alone takes a folder for all forms; or give -f as well")
            self.folder, output = output, None
        super().__init__(formats, output)

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
                text = partial(write_plans, self.plans, scope=self.scope(servers))
                write_page(text, place, no_color=self._no_color, private=True)
            elif name == "markdown":
                write_bytes(render_markdown(self.plans, self.scope(servers)), place, private=True)
            else:
                write_bytes(self._rendered(name), place, private=True)
        if self._destination.folder is not None:
            self._write_folder(self._destination.folder)

    def scope(self, servers: int) -> Scope:
        """Of so many servers, what could not be looked at."""
        return Scope(servers=servers, unchecked=tuple(self.unchecked), stopped=tuple(self.stopped))

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
        tell(f"note: wrote {counted(len(files), 'file')} into {one_line(folder, 300)}")


def _make_folder(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror}") from error


def show_plan(plan: InstancePlan, *, no_color: bool) -> None:
    """A plan that is to be decided on, on stderr: stdout is for results."""
    write_plan(Page(console(stderr=True, no_color=no_color)), plan)
