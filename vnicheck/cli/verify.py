"""`vnicheck verify`: predictions held against the server's own kernel."""

from collections.abc import Sequence
from functools import partial

from vnicheck import __version__
from vnicheck.cli.change import ssh_runner
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import address_choice, gather
from vnicheck.cli.given import VerifyOptions
from vnicheck.cli.output import Destination, write_bytes, write_page
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import COMMAND, SshRunner
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.report import Tool
from vnicheck.model.snapshot import Problem, Server, Snapshot
from vnicheck.model.verification import (
    VERIFICATION_SCHEMA,
    KernelAnswer,
    Verification,
    VerificationDocument,
    encode_verification,
)
from vnicheck.report.verification import write_verification
from vnicheck.system.clock import now
from vnicheck.verify.kernel import conclude, read_answers, script
from vnicheck.verify.questions import questions

FORMATS = ("text", "json")


def verify(given: VerifyOptions) -> int:
    """The work of `VerifyOptions`: the exit code."""
    destination = Destination(given.formats, given.output)
    for name, _ in destination.wanted:
        if name not in FORMATS:
            raise UserError(f"--format {name!r}: a verification is written as {' or '.join(FORMATS)}")
    config = load_config(given.config_file)
    observed = _observed(given)
    with ssh_runner(given.ssh) as runner:
        found = [_verified(server, observed.fabric, config, runner, given) for server in observed.servers]
        if any(each.count("contradicted") for each in found):
            # what changed meanwhile is no error of ours: collected again, and asked again
            observed = _observed(given)
            found = [_verified(server, observed.fabric, config, runner, given) for server in observed.servers]
    document = VerificationDocument(
        schema=VERIFICATION_SCHEMA,
        tool=Tool(name="vnicheck", version=__version__),
        verified_at=now(),
        verifications=tuple(found),
    )
    for name, place in destination.wanted:
        if name == "json":
            write_bytes(encode_verification(document), place)
        else:
            write_page(partial(write_verification, document), place, no_color=given.no_color)
    return _status(document.verifications)


def _observed(given: VerifyOptions) -> Snapshot:
    return gather(given.instances, given.selection, given.ssh, no_color=given.no_color)


def _verified(server: Server, fabric: Fabric, config: Config, runner: SshRunner, given: VerifyOptions) -> Verification:
    target = ssh_target(server, address_choice(given.ssh))
    if server.guest is None or target is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        problems = server.problems or (Problem(code="guest_not_collected", message="the guest was not collected"),)
        return Verification(id=server.id, name=server.name, problems=problems)
    view = ServerView(server, fabric, config)
    asked = questions(view, predict_flows(view))
    answers: tuple[KernelAnswer, ...] = ()
    problem: tuple[Problem, ...] = ()
    try:
        runner.forget_failures()
        output = runner.run(target, COMMAND, script(asked).encode(), timeout=given.ssh.timeout)
        said = read_answers(output.stdout.decode(errors="replace"), len(asked))
        answers = tuple(map(conclude, asked, said))
    except CollectionError as error:
        problem = (error.problem(),)
    return Verification(id=server.id, name=server.name, kernel=answers, problems=problem)


def _status(verifications: Sequence[Verification]) -> Exit:
    """1 where something is contradicted, 3 where something could not be tested."""
    if any(each.count("contradicted") for each in verifications):
        return Exit.FINDINGS
    whole = all(each.kernel and not each.problems and not each.count("not_tested") for each in verifications)
    return Exit.OK if whole else Exit.INCOMPLETE
