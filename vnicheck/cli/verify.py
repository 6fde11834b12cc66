"""`vnicheck verify`: predictions held against what can be seen of a server."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from vnicheck.analysis.observations import informed
from vnicheck.cli.captures import CaptureFile, read_captures, sightings_of
from vnicheck.cli.change import ssh_runner
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import address_choice, gather
from vnicheck.cli.given import VerifyOptions
from vnicheck.cli.kernel import ask_kernel, document_of
from vnicheck.cli.output import Destination, write_bytes, write_page
from vnicheck.cli.probing import Asking, Source, probe, sources_of, wanted_of
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.observation import facts_of
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.verification import (
    How,
    SeenAssumption,
    SeenFlow,
    Verification,
    encode_verification,
)
from vnicheck.report.verification import write_verification
from vnicheck.verify.conclude import conclusions
from vnicheck.verify.evidence import Evidence
from vnicheck.verify.probes import Wanted
from vnicheck.verify.sightings import Sightings

FORMATS = ("text", "json")


def verify(given: VerifyOptions) -> int:
    """The work of `VerifyOptions`: the exit code."""
    wanted = _wanted(given)
    files = read_captures(given.captures or ())
    if files and len(given.instances) > 1:
        raise UserError("--capture is of one server: name that one alone")
    if given.snapshot is not None and not files:
        raise UserError("--snapshot has no kernel to ask: give --capture FILE, or leave it out")
    if given.snapshot is not None and given.hosts:
        raise UserError("--from sends packets to the server as it is: leave --snapshot out")
    what = wanted_of(given)
    config = load_config(given.config_file)
    asking = Asking(
        hosts=tuple(given.hosts or ()),
        selection=given.selection,
        ssh=given.ssh,
        sudo=given.sudo,
        yes=given.yes,
        no_color=given.no_color,
    )
    with ssh_runner(given.ssh) as runner, sources_of(asking, runner) as sources:
        work = _Work(
            given=given, asking=asking, config=config, runner=runner, files=files, sources=sources, wanted=what
        )
        found = _verify_all(work)
        if given.snapshot is None and any(each.count("contradicted") for each in found):
            # what changed meanwhile is no error of ours: collected again, and asked again
            found = _verify_all(work)
    document = document_of(tuple(found))
    for name, place in wanted:
        if name == "json":
            write_bytes(encode_verification(document), place)
        else:
            write_page(partial(write_verification, document, quiet=given.quiet), place, no_color=given.no_color)
    return _status(document.verifications)


def _wanted(given: VerifyOptions) -> list[tuple[str, Path | None]]:
    """Formats with their places; `-o` alone keeps the document in a file, and shows the text all the same."""
    if given.output is not None and not given.formats:
        return [("text", None), ("json", given.output)]
    destination = Destination(given.formats, given.output)
    for name, _ in destination.wanted:
        if name not in FORMATS:
            raise UserError(f"--format {name!r}: a verification is written as {' or '.join(FORMATS)}")
    return destination.wanted


class _Work(Struct, frozen=True, kw_only=True):
    given: VerifyOptions
    asking: Asking
    config: Config
    runner: SshRunner
    files: Sequence[CaptureFile]
    sources: dict[str, Source]
    wanted: Wanted
    agreed: set[str] = field(default_factory=set)
    """The servers (ids) of which somebody agreed to what is sent."""


def _verify_all(work: _Work) -> list[Verification]:
    given = work.given
    observed = gather(
        given.instances,
        given.selection,
        given.ssh,
        snapshot=given.snapshot,
        no_color=given.no_color,
        quiet=given.quiet,
    )
    return [_verified(server, observed.fabric, work) for server in observed.servers]


def _verified(server: Server, fabric: Fabric, work: _Work) -> Verification:
    known = Verification(id=server.id, name=server.name, facts=facts_of(server))
    of_file = server.guest is not None and server.guest.via == "file" and bool(work.files)
    if work.given.snapshot is None and not of_file:  # what a file says is held against captures alone
        named = [source.address for source in work.sources.values()] + [file.client for file in work.files]
        prefer = [address for address in named if address is not None]
        known = ask_kernel(server, fabric, work.config, work.runner, work.given.ssh, prefer=prefer)
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        problem = Problem(code="guest_not_collected", message="the guest was not collected")
        return replace(known, problems=known.problems or (problem,))
    view = ServerView(server, fabric, work.config)
    config = work.config
    if known.count("contradicted"):  # packets are held against what follows from the kernel's own answers
        config = informed(config, [document_of((known,))])
        view = ServerView(server, fabric, config)
    evidence, notes, problems = _seen(view, work)
    flows: list[SeenFlow] = []
    assumptions: dict[str, SeenAssumption] = {}
    for how, seen in evidence.items():
        of_flows, of_assumptions = conclusions(server, fabric, config, Evidence(seen), how)
        flows += of_flows
        assumptions |= {each.id: each for each in of_assumptions}  # what packets say now outweighs a capture
    return replace(
        known,
        flows=tuple(flows),
        assumptions=tuple(assumptions.values()),
        problems=(*known.problems, *problems),
        notes=notes,
    )


def _seen(view: ServerView, work: _Work) -> tuple[dict[How, Sightings], tuple[str, ...], tuple[Problem, ...]]:
    """What captures show, and what packets came to; what is to be told of them, and what failed. Raises UserError."""
    found: dict[How, Sightings] = {}
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    if work.files:
        found["capture"], notes = sightings_of(view, work.files)
    target = ssh_target(view.server, address_choice(work.given.ssh))
    if work.sources and target is not None:
        agreed = view.server.id in work.agreed
        probed = probe(view, target, work.sources, work.wanted, work.asking, agreed=agreed)
        notes, problems = notes + probed.notes, probed.problems
        if probed.seen is not None:
            found["probe"] = probed.seen
            work.agreed.add(view.server.id)
    return found, notes, problems


def _status(verifications: Sequence[Verification]) -> Exit:
    """1 where something is contradicted, 3 where something could not be tested."""
    if any(each.count("contradicted") for each in verifications):
        return Exit.FINDINGS
    whole = all(
        (each.kernel or each.flows) and not each.problems and not each.count("not_tested") for each in verifications
    )
    return Exit.OK if whole else Exit.INCOMPLETE
