"""From options to a request, and from that to what was collected."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from vnicheck.cli.bundles import Credentials, Fleet, Selection, Ssh
from vnicheck.cli.failure import UserError, ended_by, refuse_given
from vnicheck.cli.terminal import Terminal
from vnicheck.cloud.credentials import Access
from vnicheck.collect.errors import CollectError
from vnicheck.collect.request import AddressChoice, Request
from vnicheck.collect.snapshots import collect, only
from vnicheck.guest.ssh.keys import MAX_KEY_BYTES
from vnicheck.guest.ssh.options import SshOptions
from vnicheck.model.snapshot import Snapshot
from vnicheck.system.files import UnreadableError, read_file

if TYPE_CHECKING:
    from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword

_CLIENTS = ("paramiko", "openssh")


def gather(
    instances: Sequence[str],
    selection: Selection,
    ssh: Ssh,
    *,
    snapshot: Path | None = None,
    no_color: bool,
    quiet: bool = False,
) -> Snapshot:
    """`gather_regions` of servers that are all in one region. Raises UserError."""
    regions = gather_regions(instances, selection, ssh, snapshot=snapshot, no_color=no_color, quiet=quiet)
    with ended_by(CollectError):
        return only(regions)


def gather_regions(
    instances: Sequence[str],
    selection: Selection,
    ssh: Ssh,
    *,
    snapshot: Path | None = None,
    local: bool = False,
    no_color: bool,
    quiet: bool = False,
) -> dict[str, Snapshot]:
    """The snapshots by region: live, of a file or folder, or of this instance. Raises UserError."""
    request = requested(instances, selection, ssh, snapshot=snapshot, local=local)
    with ended_by(CollectError):
        return collect(request, Terminal(ask_pass=ssh.ask_pass, no_color=no_color, quiet=quiet))


def requested(
    instances: Sequence[str],
    selection: Selection,
    ssh: Ssh,
    *,
    fleet: Fleet | None = None,
    snapshot: Path | None = None,
    local: bool = False,
) -> Request:
    """The request that the options make. Refuses those that have no meaning together, before anything is read."""
    of_fleet, fleet = fleet is not None, fleet or Fleet()
    if local:
        refused: dict[str, object] = {"--snapshot": snapshot, "--region": selection.region, "--vpc": selection.vpc}
        refuse_given(refused | _of_cloud(selection), "--local, which looks at this instance alone")
    elif snapshot is not None:
        refused = {
            "--region": None if of_fleet or snapshot.is_dir() else selection.region,
            "--all-regions": fleet.all_regions or None,
            **_of_cloud(selection),
            "--cloud-only": fleet.cloud_only or None,
        }
        refuse_given(refused, "--snapshot, which holds what was collected")
    else:
        _check_live(instances, selection, ssh, fleet)
    return Request(
        servers=tuple(instances),
        snapshot=snapshot,
        local=local,
        regions=tuple(dict.fromkeys(selection.region or ())),
        all_regions=fleet.all_regions,
        vpc=selection.vpc,
        resource_group=selection.resource_group,
        access=access_of(selection),
        api_timeout=selection.api_timeout,
        guests=dict(map(_saved, selection.guest or ())),
        guest_folder=selection.guest_dir,
        cloud_only=fleet.cloud_only,
        ssh=ssh_options(ssh),
        address="auto" if local or snapshot is not None else address_choice(ssh),
        jobs=ssh.jobs,
    )


def _of_cloud(selection: Selection) -> dict[str, object]:
    return {
        "--resource-group": selection.resource_group,
        "--auth": selection.auth,
        "--api-key-file": selection.api_key_file,
        "--api-key-command": selection.api_key_command,
        "--guest": selection.guest,
        "--guest-dir": selection.guest_dir,
    }


def access_of(given: Credentials) -> Access:
    """The credentials that are named. Raises UserError where two keys are."""
    if given.api_key_file is not None and given.api_key_command is not None:
        raise UserError("--api-key-file and --api-key-command exclude each other")
    return Access(given.auth, given.api_key_file, given.api_key_command)


def _check_live(instances: Sequence[str], selection: Selection, ssh: Ssh, fleet: Fleet) -> None:
    address_choice(ssh)
    if ssh.ask_pass and not sys.stdin.isatty():
        raise UserError("--ask-pass asks on a terminal, and this is none; use a key, or an agent")
    if fleet.all_regions and selection.region:
        raise UserError("--region and --all-regions exclude each other")
    if not all(instances):
        raise UserError("an empty INSTANCE names no server")


def _saved(spec: str) -> tuple[str, Path]:
    name, equals, file = spec.rpartition("=")
    if not equals or not name or not file:
        raise UserError(f"--guest {spec!r}: write INSTANCE=FILE")
    return name, Path(file)


def address_choice(ssh: Ssh) -> AddressChoice:
    """The addresses to connect to. Refuses a word that is none."""
    choices: tuple[AddressChoice, ...] = get_args(AddressChoice)
    chosen = next((choice for choice in choices if choice == ssh.ssh_address), None)
    if chosen is None:
        raise UserError(f"--ssh-address {ssh.ssh_address!r}: write {', '.join(choices)}")
    return chosen


def ssh_options(ssh: Ssh) -> SshOptions:
    """How to connect. Refuses a key file that cannot be opened: every server would say so."""
    for path in ssh.identity or ():
        _require_readable(path.expanduser())
    if ssh.ssh_client not in _CLIENTS:
        raise UserError(f"--ssh {ssh.ssh_client!r}: write {' or '.join(_CLIENTS)}")
    if ssh.ssh_client == "openssh" and ssh.ask_pass:
        raise UserError("--ask-pass is vnicheck's own: the system's ssh asks nobody here; leave out one of them")
    return SshOptions(
        openssh=ssh.ssh_client == "openssh",
        user=ssh.ssh_user,
        port=ssh.ssh_port,
        identities=tuple(ssh.identity or ()),
        config_file=ssh.ssh_config,
        known_hosts=tuple(ssh.known_hosts or ()),
        accept_new_host_keys=ssh.accept_new_host_keys,
        jump=ssh.jump,
        connect_timeout=ssh.connect_timeout,
        timeout=ssh.timeout,
    )


def _require_readable(path: Path) -> None:
    """Raises UserError."""
    try:
        read_file(path, MAX_KEY_BYTES)
    except OSError as error:
        raise UserError(f"cannot read the key {path}: {error.strerror}; name another with -i") from error
    except UnreadableError as error:
        raise UserError(f"{error}; name another key with -i") from error


def prompts(ssh: Ssh) -> "tuple[AskPassphrase | None, AskPassword | None]":
    """Who asks for a key's passphrase, and for the login's password, where nothing else is on the terminal."""
    terminal = Terminal(ask_pass=ssh.ask_pass, no_color=True)
    return terminal.ask_passphrase, terminal.ask_password
