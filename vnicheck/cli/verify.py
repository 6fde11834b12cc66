"""`vnicheck verify`: predictions held against what can be seen of a server."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from vnicheck import __version__
from vnicheck.cli.captures import CaptureFile, read_captures, sightings_of
from vnicheck.cli.change import ssh_runner
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import address_choice, gather
from vnicheck.cli.given import VerifyOptions
from vnicheck.cli.output import Destination, write_bytes, write_page
from vnicheck.cli.probing import Source, probe, sources_of, wanted_of
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import COMMAND, SshRunner
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.observation import facts_of
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.verification import (
    VERIFICATION_SCHEMA,
    How,
    KernelAnswer,
    SeenAssumption,
    SeenFlow,
    Verification,
    VerificationDocument,
    encode_verification,
)
from vnicheck.report.verification import write_verification
from vnicheck.system.clock import now
from vnicheck.verify.conclude import conclusions
from vnicheck.verify.evidence import Evidence
from vnicheck.verify.kernel import conclude, read_answers, script
from vnicheck.verify.probes import Wanted
from vnicheck.verify.questions import questions
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
    with ssh_runner(given.ssh) as runner, sources_of(given, runner) as sources:
        work = _Work(given=given, config=config, runner=runner, files=files, sources=sources, wanted=what)
        found = _verify_all(work)
        if given.snapshot is None and any(each.count("contradicted") for each in found):
            # what changed meanwhile is no error of ours: collected again, and asked again
            found = _verify_all(work)
    document = VerificationDocument(
        schema=VERIFICATION_SCHEMA,
        tool=Tool(name="vnicheck", version=__version__),
        verified_at=now(),
        verifications=tuple(found),
    )
    for name, place in wanted:
        if name == "json":
            write_bytes(encode_verification(document), place)
        else:
            write_page(partial(write_verification, document), place, no_color=given.no_color)
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
    config: Config
    runner: SshRunner
    files: Sequence[CaptureFile]
    sources: dict[str, Source]
    wanted: Wanted
    agreed: set[str] = field(default_factory=set)
    """The servers (ids) of which somebody agreed to what is sent."""


def _verify_all(work: _Work) -> list[Verification]:
    given = work.given
    observed = gather(given.instances, given.selection, given.ssh, snapshot=given.snapshot, no_color=given.no_color)
    return [_verified(server, observed.fabric, work) for server in observed.servers]


def _verified(server: Server, fabric: Fabric, work: _Work) -> Verification:
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        problems = server.problems or (Problem(code="guest_not_collected", message="the guest was not collected"),)
        return Verification(id=server.id, name=server.name, problems=problems)
    view = ServerView(server, fabric, work.config)
    answers: tuple[KernelAnswer, ...] = ()
    problem: tuple[Problem, ...] = ()
    if work.given.snapshot is None:
        try:
            answers = _ask(view, work.runner, work.given)
        except CollectionError as error:
            problem = (error.problem(),)
    evidence, notes, problems = _seen(view, work)
    flows: list[SeenFlow] = []
    assumptions: dict[str, SeenAssumption] = {}
    for how, seen in evidence.items():
        of_flows, of_assumptions = conclusions(server, fabric, work.config, Evidence(seen), how)
        flows += of_flows
        # of a capture and of packets, what refutes or settles outweighs what confirms
        new = [each for each in of_assumptions if each.id not in assumptions or each.conclusion != "confirmed"]
        assumptions |= {each.id: each for each in new}
    return Verification(
        id=server.id,
        name=server.name,
        kernel=answers,
        flows=tuple(flows),
        assumptions=tuple(assumptions.values()),
        problems=(*problem, *problems),
        notes=notes,
        facts=facts_of(server),
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
        probed = probe(view, target, work.sources, work.wanted, work.given, agreed=agreed)
        notes, problems = notes + probed.notes, probed.problems
        if probed.seen is not None:
            found["probe"] = probed.seen
            work.agreed.add(view.server.id)
    return found, notes, problems


def _ask(view: ServerView, runner: SshRunner, given: VerifyOptions) -> tuple[KernelAnswer, ...]:
    """What the server's kernel answers. Raises CollectionError."""
    target = ssh_target(view.server, address_choice(given.ssh))
    if target is None:
        return ()
    asked = questions(view, predict_flows(view))
    runner.forget_failures()
    output = runner.run(target, COMMAND, script(asked).encode(), timeout=given.ssh.timeout)
    said = read_answers(output.stdout.decode(errors="replace"), len(asked))
    return tuple(map(conclude, asked, said))


def _status(verifications: Sequence[Verification]) -> Exit:
    """1 where something is contradicted, 3 where something could not be tested."""
    if any(each.count("contradicted") for each in verifications):
        return Exit.FINDINGS
    whole = all(
        (each.kernel or each.flows) and not each.problems and not each.count("not_tested") for each in verifications
    )
    return Exit.OK if whole else Exit.INCOMPLETE
