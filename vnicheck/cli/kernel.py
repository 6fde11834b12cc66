"""A server's own kernel asked, over SSH: for `verify`, and for `analyze --verify`."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from vnicheck.analysis.observations import informed, without_answers
from vnicheck.cli.bundles import Ssh
from vnicheck.cli.gather import address_choice
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.classify import local_addresses, predict_flow, predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import COMMAND, SshRunner
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.observation import facts_of
from vnicheck.model.report import TOOL
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.verification import VERIFICATION_SCHEMA, AskedHop, Verification, VerificationDocument
from vnicheck.system.clock import now
from vnicheck.verify.kernel import Answered, conclude, follow, is_way_out, read_answers, route_question, script
from vnicheck.verify.questions import questions


def ask_kernel(
    server: Server, fabric: Fabric, config: Config, runner: SshRunner, ssh: Ssh, *, prefer: Iterable[str] = ()
) -> Verification:
    """What the server's kernel answers, or why it could not be asked. `prefer`: remotes to ask about, of many alike."""
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        problems = server.problems or (Problem(code="guest_not_collected", message="the guest was not collected"),)
        return Verification(id=server.id, name=server.name, problems=problems)
    facts = facts_of(server)
    if server.guest.via == "file":  # whoever gives a file may not reach the server, or means it as it was
        problem = Problem(code="kernel_not_asked", message="its guest is of a file; 'verify --capture' tells more")
        return Verification(id=server.id, name=server.name, problems=(problem,), facts=facts)
    target = ssh_target(server, address_choice(ssh))
    if target is None:
        problem = Problem(code="no_address", message="it has no address to connect to")
        return Verification(id=server.id, name=server.name, problems=(problem,), facts=facts)
    view = ServerView(server, fabric, without_answers(config))
    asked = questions(view, predict_flows(view), prefer)
    try:
        runner.forget_failures()
        said = _answers(runner, target, [each.question.command for each in asked], ssh)
        answers = list(map(conclude, asked, said))
        ways = [place for place, answer in enumerate(answers) if is_way_out(answer)]
        if ways:
            routes = _answers(runner, target, [route_question(asked[place]) for place in ways], ssh)
            for place, route in zip(ways, routes, strict=True):
                answers[place] = follow(answers[place], route)
    except CollectionError as error:
        return Verification(id=server.id, name=server.name, problems=(error.problem(),), facts=facts)
    return _followed(Verification(id=server.id, name=server.name, kernel=tuple(answers), facts=facts), view)


def _answers(runner: SshRunner, target: SshTarget, commands: Sequence[str], ssh: Ssh) -> list[Answered | None]:
    """Raises CollectionError."""
    output = runner.run(target, COMMAND, script(commands).encode(), timeout=ssh.timeout)
    return read_answers(output.stdout.decode(errors="replace"), len(commands))


def _followed(known: Verification, view: ServerView) -> Verification:
    """With what becomes of flows by the answers that contradict."""
    if not known.count("contradicted"):
        return known
    seen = ServerView(view.server, view.fabric, informed(view.config, [document_of((known,))]))
    locals_ = {local.address: local for local in local_addresses(seen)}

    def followed(hop: AskedHop) -> AskedHop:
        ends = (hop.direction, hop.protocol, locals_[hop.local], parse_address(hop.remote), hop.port or 0)
        flow = predict_flow(seen, *ends)
        return replace(hop, verdict=flow.verdict, dropped_by=UNSET if flow.dropped_by is None else flow.dropped_by)

    return replace(
        known,
        kernel=tuple(
            answer if answer.says is None else replace(answer, hops=tuple(map(followed, answer.hops)))
            for answer in known.kernel
        ),
    )


def document_of(verifications: tuple[Verification, ...]) -> VerificationDocument:
    """The document, as of now."""
    return VerificationDocument(schema=VERIFICATION_SCHEMA, tool=TOOL, verified_at=now(), verifications=verifications)
