"""`verify --from HOST`: hosts found, a plan of what will be sent shown, and carried out once somebody agrees."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import TypeVar

import msgspec
from msgspec import Struct

from vnicheck.cli.bundles import Selection, Ssh
from vnicheck.cli.change import ask_sudo, confirm, ssh_runner
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import address_choice, requested, ssh_options
from vnicheck.cli.given import VerifyOptions
from vnicheck.cli.terminal import Terminal, tell
from vnicheck.cloud.errors import CloudError
from vnicheck.collect.guests import ssh_target
from vnicheck.collect.observed import read_regions
from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import Root, RootError, Session, become_root, look
from vnicheck.model.address import is_address, parse_address
from vnicheck.model.flow import Direction, Protocol, Verdict
from vnicheck.model.snapshot import Problem
from vnicheck.model.words import counted, listed, one_line
from vnicheck.verify.agents import AgentError, Place, ask, run
from vnicheck.verify.beside import told_beside
from vnicheck.verify.evidence import Evidence
from vnicheck.verify.probed import sightings_of
from vnicheck.verify.probes import SERVER, Host, Probe, ProbeError, Wanted, asked_addresses, plan
from vnicheck.verify.sightings import FlowKey, Sightings

HERE = "here"
T = TypeVar("T", Protocol, Direction)
_SSH_HOST = re.compile(r"(?:(?P<user>[^@\s]{1,100})@)?(?P<host>[^@\s:]{1,255})(?::(?P<port>[0-9]{1,5}))?")


class Asking(Struct, frozen=True, kw_only=True):
    """What the options say of hosts that packets are sent from."""

    hosts: tuple[str, ...]
    selection: Selection
    ssh: Ssh
    sudo: bool
    yes: bool
    no_color: bool


class Source(Struct, frozen=True, kw_only=True):
    """A host as it is reached. `server_by`: how the server is; `known`: addresses of which others than the host say
    that they are its own, `address`: the one of them that was named; `public`: what stands for it on the internet,
    where that is known.
    """

    place: Place
    server_by: SshRunner
    known: frozenset[str] = frozenset()
    address: str | None = None
    public: str | None = None


def wanted_of(given: VerifyOptions) -> Wanted:
    """What is to be sent. Raises UserError."""
    for option, value in (("--ports", given.ports), ("--protocol", given.protocols), ("--direction", given.directions)):
        if value and not given.hosts:
            raise UserError(f"{option} is of probes: give --from HOST, too")
    return Wanted(
        protocols=tuple(_choice("--protocol", Protocol, word) for word in given.protocols or Protocol),
        directions=tuple(
            _choice("--direction", Direction, word) for word in given.directions or ("inbound", "outbound")
        ),
        ports=_ports(given.ports),
    )


def _choice(option: str, kind: type[T], word: str) -> T:
    known = [each for each in kind if each.value != "transit"]
    found = next((each for each in known if each.value == word), None)
    if found is None:
        raise UserError(f"{option} {one_line(word, 40)!r}: write {', '.join(known)}")
    return found


def _ports(text: str | None) -> tuple[int, ...]:
    numbers = [word.strip() for word in text.split(",")] if text is not None else []
    for number in numbers:
        if not (number.isascii() and number.isdigit() and 0 < int(number[:9]) <= 65535):
            raise UserError(f"--ports {one_line(text, 60)!r}: write numbers from 1 to 65535, as in 443,8080")
    return tuple(dict.fromkeys(map(int, numbers)))


@contextmanager
def sources_of(given: Asking, runner: SshRunner) -> Iterator[dict[str, Source]]:
    """The hosts by the names that were given. Raises UserError."""
    with ExitStack() as stack:
        yield {spec: _source(spec, given, runner, stack) for spec in dict.fromkeys(given.hosts)}


def _source(spec: str, given: Asking, runner: SshRunner, stack: ExitStack) -> Source:
    name, equals, address = spec.partition("=")
    source = _named(name, given, runner, stack)
    if not equals:
        return source
    try:
        parse_address(address)
    except ValueError as error:
        raise UserError(f"--from {one_line(spec, 80)!r}: write HOST=ADDRESS, an IPv4 address of that host") from error
    return msgspec.structs.replace(source, address=address, known=source.known | {address})


def _named(name: str, given: Asking, runner: SshRunner, stack: ExitStack) -> Source:
    if name == HERE:
        return Source(place=Place(name=HERE), server_by=runner)
    match = _SSH_HOST.fullmatch(name)
    if match is None:
        raise UserError(f"--from {one_line(name, 80)!r}: write a server's name, [user@]host[:port], or here")
    if match["user"] is None and match["port"] is None:
        request = requested([name], given.selection, given.ssh)
        try:
            regions = read_regions(request, Terminal(ask_pass=given.ssh.ask_pass, no_color=given.no_color))
            server = next(server for region in regions for server in region.servers)
            target = ssh_target(server, address_choice(given.ssh))
            if target is None:
                raise UserError(f"--from {one_line(name, 80)}: it has no address to connect to")
            fips = [fip.address for vni in server.vnis for fip in vni.floating_ips]
            place = Place(name=name, runner=runner, target=target, root=_root(runner, target, given))
            known = frozenset(address for vni in server.vnis for address in vni.carried)
            return Source(place=place, server_by=runner, known=known, public=fips[0] if fips else None)
        except CloudError as error:
            if error.code != "no_such_instance":
                raise UserError(str(error)) from error
        except StopIteration:
            pass  # a host of the SSH configuration, then
    options = ssh_options(given.ssh)
    changes = {"user": match["user"] or options.user, "port": int(match["port"]) if match["port"] else options.port}
    own = runner
    if changes != {"user": options.user, "port": options.port}:
        own = stack.enter_context(ssh_runner(given.ssh, msgspec.structs.replace(options, **changes)))
    target = SshTarget(name=match["host"], address=match["host"])
    place = Place(name=name, runner=own, target=target, root=_root(own, target, given))
    return Source(place=place, server_by=runner, known=frozenset({match["host"]}))


def _root(runner: SshRunner, target: SshTarget, given: Asking) -> Root:
    """The way to root, where there is one; else what can be seen without is seen. Raises UserError."""
    try:
        if given.sudo and look(runner, target).uid != 0:
            return become_root(runner, target, ask_sudo())
    except (CollectionError, RootError) as error:
        raise UserError(error.message) from error
    return Root("sh -s")


class Probed(Struct, frozen=True, kw_only=True):
    """What packets came to, what is to be told of how they were seen, and what could not be done."""

    seen: Sightings | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def probe(
    view: ServerView, target: SshTarget, sources: dict[str, Source], what: Wanted, given: Asking, *, agreed: bool
) -> Probed:
    """Packets from the hosts to the server and back. Nothing is seen where nobody agrees. Raises UserError."""
    planned = _planned(view, target, sources, what)
    if isinstance(planned, Probed):
        return planned
    probes, problems = planned
    _show(view, probes)
    if not agreed and not confirm("Send these packets?", yes=given.yes):
        return Probed(problems=(Problem(code="not_sent", message="nobody agreed to send packets"),))
    return _sent(view, target, sources, probes, problems, given)


def promised(
    before: ServerView, after: ServerView, target: SshTarget, sources: dict[str, Source], given: Asking
) -> str | None:
    """Why flows that were not delivered before, and now are predicted to be, are not seen to be; None where they are.
    Raises UserError.
    """
    planned = _planned(after, target, sources, Wanted())
    if isinstance(planned, Probed):
        return planned.problems[0].message
    probes = [each for each in planned[0] if _verdict(before, each.key) is not Verdict.DELIVERED]
    probes = [each for each in probes if _verdict(after, each.key) is Verdict.DELIVERED]
    hosts = listed([one_line(name, 80) for name in sources])
    if not probes:
        return f"none of the promised flows is one of {hosts}: nothing could be tried"
    _show(after, probes)
    probed = _sent(after, target, sources, probes, (), given)
    if probed.seen is None:
        return "no packet could be sent"
    evidence = Evidence(probed.seen)
    lost = [each for each in probes if each.key not in probed.seen.flows or not evidence.came_back(each.key)]
    if not lost:
        return None
    count = f"{len(lost)} of {counted(len(probes), 'promised flow')}"
    said = f"{count} of {hosts} did not get through, as {_words(lost[0].key)}"
    return "; ".join([said, *(problem.message for problem in probed.problems)])


def _verdict(view: ServerView, key: FlowKey) -> Verdict:
    local = next(each for each in local_addresses(view) if each.address == key.local)
    return predict_flow(view, key.direction, key.protocol, local, parse_address(key.remote), max(key.port, 1)).verdict


def _words(key: FlowKey) -> str:
    ends = (key.remote, key.local) if key.direction is Direction.INBOUND else (key.local, key.remote)
    return f"{key.protocol}{f' {key.port}' if key.port else ''} from {ends[0]} to {ends[1]}"


def _planned(
    view: ServerView, target: SshTarget, sources: dict[str, Source], what: Wanted
) -> tuple[tuple[Probe, ...], tuple[Problem, ...]] | Probed:
    """What is to be sent, and of which hosts nothing can be; Probed where that is all of them."""
    problems: list[Problem] = []
    hosts = []
    try:
        session = look(next(iter(sources.values())).server_by, target)
        for name, source in sources.items():
            try:
                hosts.append(_host(name, source, view, session))
            except CollectionError as error:
                problems.append(error.problem())
            except AgentError as error:
                problems.append(error.problem)
        if not hosts:
            return Probed(problems=tuple(problems))
        return plan(view, hosts, what), tuple(problems)
    except CollectionError as error:
        return Probed(problems=(error.problem(),))
    except ProbeError as error:
        return Probed(problems=(*problems, Problem(code="nothing_to_send", message=str(error))))


def _sent(
    view: ServerView,
    target: SshTarget,
    sources: dict[str, Source],
    probes: Sequence[Probe],
    before: tuple[Problem, ...],
    given: Asking,
) -> Probed:
    """Raises UserError."""
    problems = list(before)
    runner = next(iter(sources.values())).server_by
    server = Place(name=view.server.name, runner=runner, target=target, root=_root(runner, target, given))
    used = {name: sources[name].place for name in dict.fromkeys(each.host for each in probes)}
    heard = run({SERVER: server, **used}, probes)
    notes: list[str] = []
    for name, each in heard.items():
        called = one_line(view.server.name if name == SERVER else name, 80)
        if each.problem is not None:
            problems.append(Problem(code="probe_incomplete", message=each.problem))
        elif each.ready is not None and not each.ready.ready:
            notes.append(f"{called}: packets are not watched there ({each.ready.why}): that takes root, or --sudo")
        if name == SERVER and each.watched is not None:
            notes += [f"{called}: {note}" for note in told_beside(each.watched)]
    return Probed(seen=sightings_of(view, probes, heard), notes=tuple(notes), problems=tuple(problems))


def _host(name: str, source: Source, view: ServerView, session: Session) -> Host:
    asked = ask(source.place, asked_addresses(view))
    if source.address is not None:
        return Host(name=name, sources=dict.fromkeys(asked.sources, source.address), known=source.known, bound=True)
    for each in asked.sources.values():
        if each is not None and not is_address(each):
            raise AgentError("agent_unreadable", f"{one_line(name, 80)}: {one_line(each, 40)!r} is no address of it")
    public, known = source.public, source.known
    if source.place.runner is None and session.client is not None:
        known |= {session.client}
    if source.place.runner is None and session.client is not None and ip_address(session.client).is_global:
        public = session.client
    return Host(name=name, sources=asked.sources, known=known, public=public)


def _show(view: ServerView, probes: Sequence[Probe]) -> None:
    """What will be sent, to whom, and how often, on stderr."""
    rows: dict[tuple[str, str], set[str]] = {}
    for each in probes:
        port = f" {each.key.port}" if each.key.port else ""
        opener = each.host if each.opener != SERVER else view.server.name
        ends = (f"{opener} ({each.source or each.key.remote})", each.to)
        rows.setdefault(ends, set()).add(f"{each.key.protocol}{port}")
    for (start, end), flows in rows.items():
        tell(f"from {start} to {end}: {listed(sorted(flows))}")
    tell(
        f"{counted(len(probes), 'flow')}, each opened at most twice, with at most three packets; programs there watch "
        "and answer, end with this one, and leave nothing"
    )
