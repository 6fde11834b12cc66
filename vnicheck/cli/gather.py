"""From the command line's selection to a snapshot: live, or from files. Progress goes to a terminal's stderr."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError
from vnicheck.cli.output import console
from vnicheck.files import FileTooLargeError, read_file

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
    files = _guest_files(selection.guest or ())

    from vnicheck.cloud.connect import connect
    from vnicheck.cloud.errors import CloudError
    from vnicheck.guest.errors import CollectionError
    from vnicheck.observe import make_snapshot, observe_cloud, observe_guests

    try:
        with _progress("reading the VPC", no_color):
            client = connect(region=selection.region, environ=os.environ, auth=selection.auth)
            region = observe_cloud(client, instances, vpc=selection.vpc, resource_group=selection.resource_group)
        given = _guests_from(files, region.servers, region.scope)
        with _progress("collecting guests", no_color) as status:
            done: list[str] = []

            def on_done(target: Any, _: "Result") -> None:
                done.append(target.name)
                if status is not None:
                    status.update(f"collecting guests: {len(done)} of {len(region.servers)}")

            servers = observe_guests(
                region.servers,
                given,
                ssh_options(ssh),
                address=ssh.ssh_address,  # type: ignore[arg-type]
                jobs=ssh.jobs,
                on_done=on_done,
                ask_passphrase=ask_passphrase if sys.stdin.isatty() else None,
            )
    except (CloudError, CollectionError) as error:
        raise UserError(error.message) from error
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


def ssh_options(ssh: Ssh) -> Any:
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
        return read_file(path, limit)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except FileTooLargeError as error:
        raise UserError(str(error)) from error


def ask_passphrase(key: Path) -> str | None:
    import getpass

    return getpass.getpass(f"Passphrase of {key}: ") or None


@contextmanager
def _progress(what: str, no_color: bool) -> Iterator[Any]:
    """A spinner on a terminal's stderr; nothing elsewhere."""
    screen = console(stderr=True, no_color=no_color)
    if not screen.is_terminal:
        yield None
        return
    with screen.status(what) as status:
        yield status
