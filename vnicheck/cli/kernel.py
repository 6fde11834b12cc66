"""A server's own kernel asked, over SSH: for `verify`, and for `analyze --verify`."""

from vnicheck.cli.bundles import Ssh
from vnicheck.cli.gather import address_choice
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import COMMAND, SshRunner
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.observation import facts_of
from vnicheck.model.report import TOOL
from vnicheck.model.snapshot import Problem, Server
from vnicheck.model.verification import VERIFICATION_SCHEMA, Verification, VerificationDocument
from vnicheck.system.clock import now
from vnicheck.verify.kernel import conclude, read_answers, script
from vnicheck.verify.questions import questions


def ask_kernel(server: Server, fabric: Fabric, config: Config, runner: SshRunner, ssh: Ssh) -> Verification:
    """What the server's kernel answers, or why it could not be asked."""
    if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
        problems = server.problems or (Problem(code="guest_not_collected", message="the guest was not collected"),)
        return Verification(id=server.id, name=server.name, problems=problems)
    facts = facts_of(server)
    target = ssh_target(server, address_choice(ssh))
    if target is None:
        problem = Problem(code="no_address", message="it has no address to connect to")
        return Verification(id=server.id, name=server.name, problems=(problem,), facts=facts)
    view = ServerView(server, fabric, config)
    asked = questions(view, predict_flows(view))
    try:
        runner.forget_failures()
        output = runner.run(target, COMMAND, script(asked).encode(), timeout=ssh.timeout)
        said = read_answers(output.stdout.decode(errors="replace"), len(asked))
    except CollectionError as error:
        return Verification(id=server.id, name=server.name, problems=(error.problem(),), facts=facts)
    return Verification(id=server.id, name=server.name, kernel=tuple(map(conclude, asked, said)), facts=facts)


def document_of(verifications: tuple[Verification, ...]) -> VerificationDocument:
    """The document, as of now."""
    return VerificationDocument(schema=VERIFICATION_SCHEMA, tool=TOOL, verified_at=now(), verifications=verifications)
