"""`vnicheck doctor`: what works on this account and machine, and what to do about the rest."""

from rich.text import Text

from vnicheck.cli.bundles import Fleet, Selection
from vnicheck.cli.config import find_config, load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import requested
from vnicheck.cli.given import DoctorOptions
from vnicheck.cli.terminal import Terminal, console
from vnicheck.collect.doctor import Check, Outcome, examine
from vnicheck.model.words import one_line

_MARKS: dict[Outcome, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "note": ("note", "yellow"),
    "failed": ("FAILED", "bold red"),
    "unusable": ("FAILED", "bold red"),
    "skipped": ("-", "dim"),
}


def doctor(given: DoctorOptions) -> Exit:
    """The work of `DoctorOptions`: the exit code. 2 where nothing can be read, 3 where something cannot."""
    instances = [given.instance] if given.instance is not None else []
    given.scope.one_region  # noqa: B018 - refuses several
    fleet = Fleet(cloud_only=given.cloud_only)
    request = requested(instances, Selection(**vars(given.scope)), given.ssh, fleet=fleet)
    screen = console(no_color=given.no_color)
    found: set[Outcome] = set()

    def show(check: Check) -> None:
        found.add(check.outcome)
        mark, style = _MARKS[check.outcome]
        parts = (
            Text(f"{mark:<7} ", style)
            + Text(f"{one_line(check.name, 60)}: ", "bold")
            + Text(one_line(check.said, 1000))
        )
        screen.print(parts, soft_wrap=True)

    show(_configuration(given))
    for check in examine(request, Terminal(ask_pass=given.ssh.ask_pass, no_color=given.no_color)):
        show(check)
    if "unusable" in found:
        return Exit.USAGE
    return Exit.INCOMPLETE if "failed" in found else Exit.OK


def _configuration(given: DoctorOptions) -> Check:
    try:
        path = find_config(given.config_file)
        load_config(given.config_file)
    except UserError as error:
        return Check("configuration", "unusable", one_line(error, 600))
    return Check("configuration", "ok", one_line(path, 300) if path is not None else "none; 'vnicheck init' writes one")
