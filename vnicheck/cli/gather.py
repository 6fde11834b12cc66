"""From the command line's selection to a snapshot: live, or from files. Progress goes to a terminal's stderr."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError
from vnicheck.cli.progress import Progress

if TYPE_CHECKING:
    from vnicheck.guest.fleet import Result
    from vnicheck.model.snapshot import Server, Snapshot

ADDRESS_CHOICES = ("auto", "private", "floating")
MAX_SNAPSHOT = 1 << 30
MAX_GUEST_FILE = 64 << 20


def gather(instances: Sequence[str], selection: Selection, ssh: Ssh, *, no_color: bool) -> "Snapshot":
    """Reads the cloud, then the guests. Raises UserError; a guest that cannot be read is a problem of its server."""
    if ssh.ssh_address not in ADDRESS_CHOICES:
        raise UserError(f"--ssh-address {ssh.ssh_address!r}: write {', '.join(ADDRESS_CHOICES)}")
    if not all(instances):
        raise UserError("an empty INSTANCE names no server")
    if ssh.ask_pass and not sys.stdin.isatty():
        raise UserError("--ask-pass asks on a terminal, and this is none; use a key, or an agent")
    files = _guest_files(selection.guest or ())

    from vnicheck.cloud.connect import connect
    from vnicheck.cloud.errors import CloudError
    from vnicheck.guest.errors import CollectionError
    from vnicheck.model.guest import Guest
    from vnicheck.model.words import one_line
    from vnicheck.observe import make_snapshot, observe_cloud, observe_guests

    notes: list[str] = []
    try:
        with Progress("reading the VPC", no_color=no_color):
            client = connect(region=selection.region, environ=os.environ, auth=selection.auth)
            region = observe_cloud(client, instances, vpc=selection.vpc, resource_group=selection.resource_group)
        given = _guests_from(files, region.servers, region.scope)
        with Progress("collecting guests", no_color=no_color) as progress:
            servers = observe_guests(
                region.servers,
                given,
                _ssh_options(ssh),
                address=ssh.ssh_address,  # type: ignore[arg-type]
                jobs=ssh.jobs,
                on_total=progress.expect,
                on_start=lambda target: progress.start(target.key, target.name),
                on_done=lambda target, result: progress.done(target.key, ok=isinstance(result, Guest)),
                on_note=notes.append,
                ask_passphrase=_asker(progress, "Passphrase of {}: ") if sys.stdin.isatty() else None,
                ask_password=_asker(progress, "SSH password: ") if ssh.ask_pass else None,
            )
    except (CloudError, CollectionError) as error:
        raise UserError(error.message) from error
    for note in (*notes, *_clock_notes(servers)):
        print(f"vnicheck: note: {one_line(note, 300)}", file=sys.stderr)
    return make_snapshot(region, servers, created_at=now(), everything=not instances)


def load_snapshot(path: Path, instances: Sequence[str], selection: Selection) -> "Snapshot":
    """A snapshot file, cut down to the servers named. Raises UserError."""
    import msgspec

    from vnicheck.cloud.errors import CloudError
    from vnicheck.cloud.select import select_servers
    from vnicheck.model.snapshot import SnapshotError, decode_snapshot

    refused = {
        "--region": selection.region,
        "--resource-group": selection.resource_group,
        "--auth": selection.auth,
        "--guest": selection.guest,
    }
    for option, value in refused.items():
        if value is not None:
            raise UserError(f"{option} has no meaning with --snapshot, which holds what was collected")
    try:
        snapshot = decode_snapshot(_read(path, MAX_SNAPSHOT))
        servers = [
            server
            for server in snapshot.servers
            if selection.vpc is None or selection.vpc in (server.vpc.id, server.vpc.name)
        ]
        chosen = select_servers(servers, instances, scope=str(path))
    except (SnapshotError, CloudError) as error:
        raise UserError(f"{path}: {error}") from error
    return msgspec.structs.replace(snapshot, servers=chosen)


def _ssh_options(ssh: Ssh) -> Any:
    from vnicheck.guest.ssh_options import SshOptions

    return SshOptions(
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


def _guest_files(specs: Sequence[str]) -> dict[str, Path]:
    files = {}
    for spec in specs:
        name, equals, file = spec.rpartition("=")
        if not equals or not name or not file:
            raise UserError(f"--guest {spec!r}: write INSTANCE=FILE")
        files[name] = Path(file)
    return files


def _guests_from(files: dict[str, Path], servers: "Sequence[Server]", scope: str) -> "dict[str, Result]":
    """The guests by server id, from saved output; a file that cannot be read as such is its server's problem."""
    from vnicheck.cloud.select import select_servers
    from vnicheck.guest.assemble import read_guest
    from vnicheck.guest.errors import CollectionError

    given: dict[str, Result] = {}
    for name, path in files.items():
        server = select_servers(servers, [name], scope=f"the servers named, {scope}")[0]
        try:
            given[server.id] = read_guest(_read(path, MAX_GUEST_FILE), via="file")
        except CollectionError as error:
            given[server.id] = error.problem()
    return given


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise UserError(f"{path} is larger than {limit >> 20} MiB")
    return data


def _asker(progress: Progress, question: str) -> Callable[..., str | None]:
    """Asks on the terminal, the progress out of the way meanwhile; the question may name a key file."""

    def ask(*about: Path) -> str | None:
        import getpass

        with progress.paused():
            return getpass.getpass(question.format(*about)) or None

    return ask


def _clock_notes(servers: "Sequence[Server]") -> list[str]:
    """What to say of guests whose clocks are far from this machine's."""
    return [
        f"{server.name}: its clock is {_duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} "
        "this machine's; the times of its facts are by its clock"
        for server in servers
        if server.guest is not None and (offset := server.guest.clock_offset) is not None
    ]


def _duration(seconds: int) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
