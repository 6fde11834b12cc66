"""Servers' guests: saved output where there is some, else over SSH."""

from collections.abc import Callable, Mapping, Sequence

from vnicheck.collect.request import AddressChoice, Asker, Request
from vnicheck.guest.fleet import Calls, Result, collect_many
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.model.cloud import UNSET_ADDRESS
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem, Server, with_guest
from vnicheck.model.words import one_line

_USERS = (
    ("ubuntu", "ubuntu, vpcuser or root"),
    ("coreos", "core"),
    ("debian", "vpcuser, root or debian"),
    ("fedora", "vpcuser, root or fedora"),
    ("windows", "Administrator, and vnicheck collects Linux alone"),
    ("vyos", "vyos"),
)
"""By a word of the image's name. IBM's stock images: vpcuser, and root on older ones; Ubuntu's: ubuntu."""


def collect_guests(
    servers: Sequence[Server],
    given: Mapping[str, Result],
    request: Request,
    asker: Asker,
    on_result: Callable[[str, Result], None] = lambda _id, _result: None,
) -> tuple[Server, ...]:
    """The servers with their guests, or with the problem that kept one from being read.

    `given` are guests by server id that need no SSH. A server that does not run is not connected to. `on_result` is
    told each that came over SSH, by id. Raises CollectionError where the SSH configuration itself cannot be read.
    """
    results: dict[str, Result] = dict(given)
    targets = []
    for server in servers:
        if server.id in results or not server.may_run:
            continue
        target = ssh_target(server, request.address)
        if target is None:
            message = f"it has no {'floating IP' if request.address == 'floating' else 'address'} to connect to"
            results[server.id] = Problem(code="no_address", message=message)
        else:
            targets.append(target)
    notes: list[str] = []
    if targets:
        results |= _over_ssh(targets, request, asker, on_result, notes)
    collected = tuple(with_guest(server, results.get(server.id)) for server in servers)
    for note in (*notes, *_clock_notes(collected)):
        asker.note(note)
    return collected


def ssh_target(server: Server, choice: AddressChoice) -> SshTarget | None:
    """Where to connect: the first floating IP if there is one (`auto`), else the primary address; None without it."""
    vnis = sorted(server.vnis, key=lambda vni: not vni.primary)
    floating = next((floating_ip.address for vni in vnis for floating_ip in vni.floating_ips), None)
    private = next((vni.primary_address for vni in vnis if vni.primary_address != UNSET_ADDRESS), None)
    address = {"auto": floating or private, "private": private, "floating": floating}[choice]
    return (
        None
        if address is None
        else SshTarget(id=server.id, name=server.name, address=address, login_hint=_usual_users(server))
    )


def _usual_users(server: Server) -> str:
    """For a refused login: the users that the server's image usually has. None of them is tried by itself."""
    image = (server.image or "").lower()
    users = next((users for word, users in _USERS if word in image), None)
    users = users or ("vpcuser or root" if image else "vpcuser, root or ubuntu")
    of = f"image {one_line(server.image, 80)}" if server.image else "IBM's images"
    return f"usual users of {of}: {users}"


def _over_ssh(
    targets: Sequence[SshTarget],
    request: Request,
    asker: Asker,
    on_result: Callable[[str, Result], None],
    notes: list[str],
) -> dict[str, Result]:
    with asker.watch("collecting guests") as watch:

        def on_done(target: SshTarget, result: Result) -> None:
            on_result(target.id, result)
            watch.done(target.key, ok=isinstance(result, Guest))

        watch.expect(len(targets))
        return collect_many(
            targets,
            request.ssh,
            Calls(
                on_start=lambda target: watch.start(target.key, target.name),
                on_done=on_done,
                on_note=notes.append,
                ask_passphrase=asker.ask_passphrase,
                ask_password=asker.ask_password,
            ),
            jobs=request.jobs,
        )


def _clock_notes(servers: Sequence[Server]) -> list[str]:
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
