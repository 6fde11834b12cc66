"""From the command line's selection to snapshots: live, or from a file or folder."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.clock import now
from vnicheck.cli.failure import UserError
from vnicheck.cli.load import load_regions, only
from vnicheck.cli.progress import Progress
from vnicheck.cli.regions import read_regions
from vnicheck.cli.saved_guests import SavedGuests

if TYPE_CHECKING:
    from vnicheck.collect.live import AddressChoice
    from vnicheck.guest.fleet import Result
    from vnicheck.guest.ssh.keys import AskPassphrase, AskPassword
    from vnicheck.guest.ssh.options import SshTarget
    from vnicheck.model.snapshot import Server, Snapshot

ADDRESS_CHOICES: "tuple[AddressChoice, ...]" = ("auto", "private", "floating")


def gather(instances: Sequence[str], selection: Selection, ssh: Ssh, *, no_color: bool) -> "Snapshot":
    """`gather_regions` of servers that are all in one region. Raises UserError."""
    return only(gather_regions(instances, selection, ssh, no_color=no_color))


def load_snapshot(path: Path, instances: Sequence[str], selection: Selection) -> "Snapshot":
    """`load_regions` of servers that are all in one region. Raises UserError."""
    return only(load_regions(path, instances, selection))


def gather_regions(
    instances: Sequence[str], selection: Selection, ssh: Ssh, *, no_color: bool
) -> "dict[str, Snapshot]":
    """Reads the cloud, then the guests, by region; only those regions that have one of the servers that are named.

    Raises UserError; a guest that cannot be read is a problem of its server.
    """
    check_ssh(ssh)
    saved = SavedGuests(selection)
    regions = read_regions(instances, selection, no_color=no_color)
    created_at = now()
    servers = [server for region in regions for server in region.servers]
    given = saved.results(servers, scope=", ".join(region.scope for region in regions), whole=not instances)
    done = {server.id: server for server in collect_guests(servers, given, ssh, no_color=no_color)}

    from vnicheck.collect.live import make_snapshot

    return {
        region.name: make_snapshot(
            region,
            [done[server.id] for server in region.servers],
            created_at=created_at,
            everything=not instances,
        )
        for region in regions
        if region.servers or not instances
    }


def address_choice(ssh: Ssh) -> "AddressChoice":
    """The addresses to connect to. Refuses a word that is none."""
    if ssh.ssh_address not in ADDRESS_CHOICES:
        raise UserError(f"--ssh-address {ssh.ssh_address!r}: write {', '.join(ADDRESS_CHOICES)}")
    return ssh.ssh_address


def check_ssh(ssh: Ssh) -> None:
    """Refuses a slip in the options before anything is read."""
    address_choice(ssh)
    if ssh.ask_pass and not sys.stdin.isatty():
        raise UserError("--ask-pass asks on a terminal, and this is none; use a key, or an agent")


def collect_guests(
    servers: "Sequence[Server]",
    given: "Mapping[str, Result]",
    ssh: Ssh,
    *,
    no_color: bool,
    on_result: "Callable[[str, Result], None]" = lambda _id, _result: None,
) -> "tuple[Server, ...]":
    """The servers with their guests, those in `given` without SSH. `on_result` is told each that came over SSH, by id.

    Raises UserError where the SSH configuration itself cannot be read.
    """
    from vnicheck.collect.live import observe_guests
    from vnicheck.guest.errors import CollectionError
    from vnicheck.model.guest import Guest
    from vnicheck.model.words import one_line

    notes: list[str] = []
    with Progress("collecting guests", no_color=no_color) as progress:
        ask_passphrase, ask_password = prompts(ssh, progress)

        def on_done(target: "SshTarget", result: "Result") -> None:
            on_result(target.id, result)
            progress.done(target.key, ok=isinstance(result, Guest))

        try:
            observed = observe_guests(
                servers,
                given,
                ssh_options(ssh),
                address=address_choice(ssh),
                jobs=ssh.jobs,
                on_total=progress.expect,
                on_start=lambda target: progress.start(target.key, target.name),
                on_done=on_done,
                on_note=notes.append,
                ask_passphrase=ask_passphrase,
                ask_password=ask_password,
            )
        except CollectionError as error:
            raise UserError(error.message) from error
    for note in (*notes, *_clock_notes(observed)):
        print(f"vnicheck: note: {one_line(note, 300)}", file=sys.stderr)
    return observed


def ssh_options(ssh: Ssh) -> Any:
    from vnicheck.guest.ssh.options import SshOptions

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


def prompts(ssh: Ssh, progress: "Progress | None" = None) -> "tuple[AskPassphrase | None, AskPassword | None]":
    """Who asks for a key's passphrase, and for the login's password: on a terminal, the progress out of the way."""
    passphrase = _asker("Passphrase of {}: ", progress) if sys.stdin.isatty() else None
    return passphrase, _asker("SSH password: ", progress) if ssh.ask_pass else None


def _asker(question: str, progress: "Progress | None") -> Callable[..., str | None]:
    """Asks; the question may name a key file."""

    def ask(*about: Path) -> str | None:
        import getpass

        with progress.paused() if progress is not None else nullcontext():
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
