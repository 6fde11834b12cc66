"""Groups of options that several commands take: a command has one field for a group.

Typer reads a function's signature, so `command_of` gives it one in which each group is replaced by its options.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_type_hints

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

    auth: options.Auth = None
    api_key_file: options.ApiKeyFile = None
    api_key_command: options.ApiKeyCommand = None


class Scope(Credentials):
    """Which part of the cloud, and how to get in."""

    title = "Cloud"

    region: options.Region = None
    vpc: options.VpcFilter = None
    resource_group: options.ResourceGroup = None
    api_timeout: options.ApiTimeout = 180

    @property
    def one_region(self) -> str | None:
        """The region of a command that works in one at a time. Raises UserError where several are named."""
        if len(set(self.region or ())) > 1:
            raise UserError("this works in one region at a time: give one --region")
        return self.region[0] if self.region else None


class Selection(Scope):
    """Which servers, and whence their facts."""

    title = "Cloud and saved guests"

    guest: options.GuestFiles = None
    guest_dir: options.GuestFolder = None


class Fleet(Options):
    """Which of many servers, beside what Selection says."""

    title = "Which servers"

    all_regions: options.AllRegions = False
    name: options.Names = None
    multi_homed_only: options.MultiHomedOnly = True
    cloud_only: options.CloudOnly = False


class Ssh(Options):
    """How to reach the guests."""

    title = "SSH"

    ssh_client: options.SshClient = "paramiko"
    ssh_user: options.SshUser = None
    ssh_port: options.SshPort = None
    identity: options.Identity = None
    ask_pass: options.AskPass = False
    ssh_config: options.SshConfigFile = None
    known_hosts: options.KnownHosts = None
    accept_new_host_keys: options.AcceptNewHostKeys = False
    ssh_address: options.SshAddress = "auto"
    jump: options.Jump = None
    jobs: options.Jobs = 32
    connect_timeout: options.ConnectTimeout = 10
    timeout: options.Timeout = 60


class Display(Options):
    """How results are shown, and when they fail the command."""

    title = "Output"

    formats: options.Formats = None
    output: options.Output = None
    no_color: options.NoColor = False
    fail_on: options.FailOn = None
    allow_incomplete: options.AllowIncomplete = False


T = TypeVar("T", bound=Options)


def command_of(kind: type[T], work: Callable[[], Callable[[T], object]]) -> Callable[..., object]:
    """The function that Typer makes a command of: it takes the options that `kind` declares, those of groups among
    them, and gives them to what `work` gives. That is asked for only then: help needs the options alone.
    """
    parameters = [parameter for _, parameter in parameters_of(kind)]

    def command(**given: Any) -> object:
        return work()(_filled(kind, given))

    command.__doc__ = kind.__doc__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(command)["__signature__"] = inspect.Signature(parameters)
    return command


def parameters_of(kind: type[Options]) -> Iterator[tuple[str, inspect.Parameter]]:
    """The options that `kind` declares, those of groups among them, as a function would take them; each with the title
    of its group.
    """
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if _is_group(hint):
            yield from parameters_of(hint)
        elif name != "title":
            default = getattr(kind, name, inspect.Parameter.empty)
            yield kind.title, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _filled(kind: type[T], given: dict[str, Any]) -> T:
    hints = get_type_hints(kind)
    return kind(**{name: _filled(hint, given) if _is_group(hint) else given[name] for name, hint in hints.items()})


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options)
