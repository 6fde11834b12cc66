"""Groups of options that several commands take: a command has one field for a group.

Typer reads a function's signature, so `command_of` gives it one in which each group is replaced by its options.
"""

from collections.abc import Callable, Iterator
from copy import copy
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from typer import Option
from typer.models import OptionInfo

from vnicheck.cli import options
from vnicheck.cli.failure import UserError


class Options:
    """Values by the names that a subclass annotates; what it gives a value is the default.

    No dataclass: to make fourteen of them takes longer than Python's own start.
    """

    title = "Options"
    """What help calls the group."""

    def __init__(self, **given: Any) -> None:
        vars(self).update(given)


class Credentials(Options):
    """What opens the VPC API, where it is not to be what the environment has."""

    title = "Credentials"

    auth: Annotated[
        str | None,
        Option(metavar="instance", help="'instance': use the trusted profile of the instance that this runs on."),
    ] = None
    api_key_file: Annotated[
        Path | None, Option(metavar="FILE", help="A file with the API key, as the console downloads it.")
    ] = None
    api_key_command: Annotated[
        str | None,
        Option(
            metavar="COMMAND", help="A command that prints the API key, as in 'pass show ibmcloud'; no shell reads it."
        ),
    ] = None


class Scope(Credentials):
    """Which part of the cloud, and how to get in."""

    title = "Cloud"

    region: Annotated[
        list[str] | None, Option(metavar="REGION", help="The region; default IBMCLOUD_REGION. Repeatable.")
    ] = None
    vpc: Annotated[str | None, Option(metavar="VPC", help="Only servers of this VPC (name or id).")] = None
    resource_group: Annotated[
        str | None, Option(metavar="GROUP", help="Only servers of this resource group (name or id).")
    ] = None
    api_timeout: Annotated[
        float, Option(min=1, max=options.MOST_SECONDS, help="Seconds for reading a region from the API in all.")
    ] = 180

    @property
    def one_region(self) -> str | None:
        """The region of a command that works in one at a time. Raises UserError where several are named."""
        if len(set(self.region or ())) > 1:
            raise UserError("this works in one region at a time: give one --region")
        return self.region[0] if self.region else None


class Selection(Scope):
    """Which servers, and whence their facts."""

    title = "Cloud and saved guests"

    guest: Annotated[
        list[str] | None,
        Option(
            metavar="INSTANCE=FILE",
            help="The saved output of 'vnicheck collect-script' on that server, instead of SSH. Repeatable.",
        ),
    ] = None
    guest_dir: Annotated[
        Path | None,
        Option(metavar="DIR", help="Saved outputs for all servers instead of SSH: NAME.txt or ID.txt each."),
    ] = None


class Fleet(Options):
    """Which of many servers, beside what Selection says."""

    title = "Which servers"

    all_regions: options.AllRegions = False
    name: options.Names = None
    multi_homed_only: Annotated[
        bool,
        Option(
            "--multi-homed-only/--include-single-homed",
            help="Leave out servers with one interface, or check them, too.",
        ),
    ] = True
    cloud_only: options.CloudOnly = False


class Ssh(Options):
    """How to reach the guests."""

    title = "SSH"

    ssh_client: Annotated[
        str,
        Option(
            "--ssh",
            metavar="paramiko|openssh",
            help="Who connects: vnicheck itself, or the system's own ssh with all of its configuration.",
        ),
    ] = "paramiko"
    ssh_user: Annotated[str | None, Option(metavar="USER", help="Login name; default as ssh would.")] = None
    ssh_port: Annotated[int | None, Option(metavar="PORT", min=1, max=65535, help="Port; default as ssh would.")] = None
    identity: Annotated[
        list[Path] | None, Option("-i", metavar="FILE", help="Private key file. Repeatable; default as ssh would.")
    ] = None
    ask_pass: Annotated[bool, Option(help="Ask once for a password, for servers that take no key. Never stored.")] = (
        False
    )
    ssh_config: Annotated[
        Path | None, Option("-F", metavar="FILE", help="SSH configuration file; default the user's own.")
    ] = None
    known_hosts: Annotated[
        list[Path] | None, Option(metavar="FILE", help="Known hosts file. Repeatable; default as ssh would.")
    ] = None
    accept_new_host_keys: Annotated[
        bool, Option(help="Add unknown host keys to known_hosts; never accept changed ones.")
    ] = False
    ssh_address: Annotated[str, Option(metavar="auto|private|floating", help="Which address to connect to.")] = "auto"
    jump: Annotated[str | None, Option("-J", metavar="HOST", help="Jump host, as [user@]host[:port].")] = None
    jobs: Annotated[int, Option(min=1, max=512, help="Servers to collect at once.")] = 32
    connect_timeout: Annotated[
        float, Option(min=0.1, max=options.MOST_SECONDS, help="Seconds to connect and negotiate.")
    ] = 10
    timeout: Annotated[float, Option(min=0.1, max=options.MOST_SECONDS, help="Seconds for one server in all.")] = 60


class Display(Options):
    """How results are shown, and when they fail the command."""

    title = "Output"

    formats: Annotated[
        list[str] | None,
        Option(
            "--format",
            "-f",
            metavar="FORMAT[=FILE]",
            help="text, json, jsonl, markdown, html, sarif, junit or github. Repeatable, all but one with =FILE; "
            "default text.",
        ),
    ] = None
    output: options.Output = None
    no_color: options.NoColor = False
    fail_on: Annotated[
        str | None, Option(metavar="error|warning|note", help="Exit 1 if there is a finding this bad or worse.")
    ] = None
    allow_incomplete: options.AllowIncomplete = False


T = TypeVar("T", bound=Options)


def command_of(kind: type[T], work: Callable[[], Callable[[T], object]]) -> Callable[..., object]:
    """The function that Typer makes a command of: it takes the options that `kind` declares, those of groups among
    them, and gives them to what `work` gives. That is asked for only then: help needs the options alone.
    """
    parameters = [parameter for _, parameter in parameters_of(kind)]

    def command(**given: Any) -> object:
        return work()(_filled(kind, given))

    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(command)["__signature__"] = Signature(parameters)
    return command


def parameters_of(kind: type[Options]) -> Iterator[tuple[str, Parameter]]:
    """The options that `kind` declares, those of groups among them, as a function would take them; each with the title
    of its group.
    """
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if _is_group(hint):
            yield from parameters_of(hint)
        elif name != "title":
            default = getattr(kind, name, Parameter.empty)
            yield kind.title, Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=_named(name, hint))


def _named(field: str, hint: Any) -> Any:
    """The annotation with all names of the option in `param_decls`; where it is declared without a long one, its
    field's. An argument's is as it was.
    """
    (declared,) = hint.__metadata__
    if not isinstance(declared, OptionInfo):
        return hint
    # within Annotated, what stands first is no default, but the first name
    names = [name for name in (declared.default, *(declared.param_decls or ())) if isinstance(name, str)]
    if not any(name.startswith("--") for name in names):
        names.insert(0, f"--{field.replace('_', '-')}")
    option = copy(declared)
    option.default, option.param_decls = ..., names
    return Annotated[hint.__origin__, option]


def _filled(kind: type[T], given: dict[str, Any]) -> T:
    hints = get_type_hints(kind)
    return kind(**{name: _filled(hint, given) if _is_group(hint) else given[name] for name, hint in hints.items()})


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options)
