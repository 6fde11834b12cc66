"""Groups of options that several commands take: a command declares one parameter for a group.

Typer reads a function's signature, so `with_bundles` gives it one in which each group is replaced by its options.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from vnicheck.cli import options
from vnicheck.cli.failure import UserError


@dataclass(frozen=True)
class Selection:
    """Which servers, and whence their facts."""

    region: options.Region = None
    vpc: options.VpcFilter = None
    resource_group: options.ResourceGroup = None
    auth: options.Auth = None
    guest: options.GuestFiles = None
    guest_dir: options.GuestFolder = None
    api_timeout: options.ApiTimeout = 180

    @property
    def one_region(self) -> str | None:
        """The region of a command that works in one at a time. Raises UserError where several are named."""
        if len(set(self.region or ())) > 1:
            raise UserError("this works in one region at a time: give one --region")
        return self.region[0] if self.region else None


@dataclass(frozen=True)
class Fleet:
    """Which of many servers, beside what Selection says."""

    all_regions: options.AllRegions = False
    name: options.Names = None
    multi_homed_only: options.MultiHomedOnly = True
    cloud_only: options.CloudOnly = False


@dataclass(frozen=True)
class Ssh:
    """How to reach the guests."""

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


@dataclass(frozen=True)
class Display:
    """How results are shown, and when they fail the command."""

    formats: options.Formats = None
    output: options.Output = None
    no_color: options.NoColor = False
    fail_on: options.FailOn = None
    allow_incomplete: options.AllowIncomplete = False


def with_bundles(command: Callable[..., int]) -> Callable[..., int]:
    """The command with every parameter whose type is one of the groups above spread out into that group's options."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    bundles: dict[str, tuple[type[Any], list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if not is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        assert isinstance(kind, type)  # noqa: S101 - is_dataclass also takes instances
        members = get_type_hints(kind, include_extras=True)
        bundles[name] = (kind, list(members))
        parameters.extend(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=members[field.name]
            )
            for field in fields(kind)
        )

    @functools.wraps(command)
    def spread(**given: Any) -> int:
        grouped = {name: kind(**{key: given.pop(key) for key in keys}) for name, (kind, keys) in bundles.items()}
        return command(**given, **grouped)

    vars(spread)["__signature__"] = inspect.Signature(parameters)
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(spread).pop("__wrapped__")  # or the original signature would be found
    return spread
