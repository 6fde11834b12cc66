"""`vnicheck fix`: plans that are proved on the model, shown, and applied under a timer that undoes them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vnicheck.cli import options
from vnicheck.cli.bundles import Selection, Ssh, with_bundles
from vnicheck.cli.change import (
    EXITS,
    confirm,
    ended_in_order,
    log_in,
    new_change,
    tell,
    tell_outcome,
    tell_unfinished,
    vpc_client,
)
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import address_choice, gather, prompts, ssh_options
from vnicheck.cli.plans import PlanDestination, write_plans
from vnicheck.model.words import listed, one_line
from vnicheck.system.clock import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnicheck.fixes.planner import Proof, Strategy
    from vnicheck.guest.ssh.options import SshTarget
    from vnicheck.guest.ssh.sudo import Root
    from vnicheck.model.config import Config
    from vnicheck.model.plan import Applied, InstancePlan
    from vnicheck.model.snapshot import Server, Snapshot

LEAST_SECONDS = 5


@with_bundles
def fix(
    selection: Selection,
    ssh: Ssh,
    instances: Annotated[
        list[str] | None,
        typer.Argument(metavar="[INSTANCE...]", help="Name, id, CRN or address; all affected servers without one."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
    strategy: Annotated[
        str,
        typer.Option("--strategy", metavar="auto|policy-routing|rp-filter|state-filtering", help="How to mend."),
    ] = "auto",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")] = False,
    sudo: Annotated[bool, typer.Option("--sudo", help="Become root by sudo where the login is not.")] = False,
    rollback_after: Annotated[
        int,
        typer.Option(
            "--rollback-after", min=LEAST_SECONDS, help="Seconds after which the server undoes what is not verified."
        ),
    ] = 120,
    snapshot: options.SnapshotFile = None,
    config_file: options.ConfigFile = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="FORMAT[=FILE]", help="text, json, sh, ansible, terraform or ibmcloud."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file for the one format; a folder for all forms.")
    ] = None,
    no_color: options.NoColor = False,
    allow_incomplete: options.AllowIncomplete = False,
) -> int:
    """Plan a fix that is proved to mend and to break nothing; without --dry-run, apply it with automatic rollback."""
    from vnicheck.fixes.planner import STRATEGIES

    if strategy not in STRATEGIES:
        raise UserError(f"--strategy {strategy!r}: write {', '.join(STRATEGIES)}")
    destination = PlanDestination(formats, output)
    config = load_config(config_file)
    if snapshot is not None and not dry_run:
        raise UserError("a snapshot is only looked at: add --dry-run, or leave --snapshot out to fix the live server")
    observed = gather(instances or [], selection, ssh, snapshot=snapshot, no_color=no_color)
    session = _Session(observed, config, strategy, selection, ssh, no_color)
    proofs = [proof for server in observed.servers if (proof := session.plan(server)) is not None]
    _tell_unchecked(observed)
    if dry_run or not proofs:
        write_plans([proof.document for proof in proofs], destination, servers=len(observed.servers), no_color=no_color)
        return _status(observed, [proof.document for proof in proofs], allow_incomplete)
    return _Applying(session, destination, yes=yes, sudo=sudo, seconds=rollback_after).all(proofs)


class _Session:
    """A run of the command: what was observed, and how to observe it again."""

    def __init__(
        self,
        observed: "Snapshot",
        config: "Config",
        strategy: "Strategy",
        selection: Selection,
        ssh: Ssh,
        no_color: bool,
    ) -> None:
        self.observed = observed
        self.config = config
        self.strategy = strategy
        self.selection = selection
        self.ssh = ssh
        self.no_color = no_color

    def require_unchanged(self, proof: "Proof") -> None:
        """Collects the server again. Raises UserError where it is no longer as it was planned for."""
        from vnicheck.fixes.drift import drift

        planned = proof.trial.server
        observed = gather([planned.id], self.selection, self.ssh, no_color=self.no_color)
        (server,) = observed.servers
        if server.problems and not planned.problems:
            raise UserError(
                f"{planned.name} could not be collected again: {server.problems[0].message}", Exit.ROLLED_BACK
            )
        differing = drift(planned, server, self.observed.fabric, observed.fabric)
        if differing:
            raise UserError(
                f"{planned.name} is no longer as it was planned for ({listed(differing)}): nothing was changed",
                Exit.ROLLED_BACK,
            )

    def plan(self, server: "Server") -> "Proof | None":
        """The proved plan for a server; None where nothing is broken, or not enough is known."""
        from vnicheck.fixes.planner import plan_server

        fabric = self.observed.fabric
        if server.guest is None or any(vni.subnet not in fabric.subnets for vni in server.vnis):
            return None
        return plan_server(server, fabric, self.config, self.strategy)


def _tell_unchecked(observed: "Snapshot") -> None:
    """A line for each server that could not be planned for."""
    for server in observed.servers:
        for problem in server.problems:
            tell(f"{server.name}: {problem.message}")
        if server.guest is None and not server.problems:
            why = "its guest was not collected" if server.may_run else f"it is {server.status}"
            tell(f"{server.name}: no plan, for {why}")


def _status(observed: "Snapshot", documents: "Sequence[InstancePlan]", allow_incomplete: bool) -> Exit:
    """1 where something stays broken, 3 where a server could not be looked at."""
    if any(document.plan.remaining for document in documents):
        return Exit.FINDINGS
    unseen = any(server.guest is None and server.may_run for server in observed.servers)
    return Exit.INCOMPLETE if unseen and not allow_incomplete else Exit.OK


class _Applying:
    """Applying to one server after the other: by which connections, and what was asked for."""

    def __init__(
        self, session: _Session, destination: "PlanDestination", *, yes: bool, sudo: bool, seconds: int
    ) -> None:
        from vnicheck.apply.ledger import Ledger
        from vnicheck.guest.ssh.runner import SshRunner

        self.session = session
        self.destination = destination
        self.yes = yes
        self.sudo = sudo
        self.seconds = seconds
        self.ledger = Ledger.of_user()
        self.runner = SshRunner(ssh_options(session.ssh), *prompts(session.ssh))

    def all(self, proofs: "list[Proof]") -> Exit:
        """The first server that fails ends it; what was done before is written all the same. Raises UserError."""
        tell_unfinished(self.ledger)
        documents: list[InstancePlan] = []
        worst: Exit = Exit.OK
        failure: UserError | None = None
        with ended_in_order(), self.runner:
            for number, proof in enumerate(proofs):
                try:
                    document, status = self._one(proof)
                except UserError as error:
                    failure = error
                else:
                    documents.append(document)
                    worst = max(worst, status)
                if failure is not None or worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED}:
                    left = [other.document.name for other in proofs[number + 1 :]]
                    if left:
                        tell(f"not tried after that: {listed(left)}")
                    break
        observed = self.session.observed
        if self.destination.wants_documents and (documents or failure is None):
            write_plans(documents, self.destination, servers=len(observed.servers), no_color=self.session.no_color)
        if failure is not None:
            raise failure
        if worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED}:
            return worst
        return max(worst, _status(observed, documents, allow_incomplete=False))

    def _one(self, proof: "Proof") -> "tuple[InstancePlan, Exit]":
        """Shown, asked about, looked at again, applied."""
        import msgspec

        from vnicheck.fixes.session import touches_session

        document = proof.document
        name = one_line(document.name, 80)
        write_plans([document], PlanDestination(None, None), servers=1, no_color=self.session.no_color, stderr=True)
        if not document.plan.actions:
            return document, Exit.FINDINGS
        target = _target(self.session, proof)
        needs_root = any(action.where == "guest" for action in document.plan.actions)
        login, root = log_in(self.runner, target, sudo=self.sudo, needs_root=needs_root)
        if login.client is not None and login.server is not None:
            warning = touches_session(
                proof.trial, proof.effects, client=login.client, local=login.server, port=login.port or 22
            )
            if warning is not None:
                tell(f"{name}: {warning}; if no new session comes about, it is undone after {self.seconds} s")
        if not confirm(f"Apply this to {name}?", yes=self.yes):
            tell(f"{name}: not applied")
            return document, Exit.FINDINGS
        self.session.require_unchanged(proof)
        outcome = self._recorded(proof, target, root)
        tell_outcome(name, outcome, stdout=not self.destination.wants_documents)
        return msgspec.structs.replace(document, outcome=outcome), EXITS[outcome.status]

    def _recorded(self, proof: "Proof", target: "SshTarget", root: "Root") -> "Applied":
        """Written down before anything is done, and again when it is known how it ended."""
        import msgspec

        from vnicheck.apply.attempt import Attempt
        from vnicheck.apply.ledger import Entry, LedgerError
        from vnicheck.apply.live_server import LiveReach
        from vnicheck.fixes.effects import PatchVni
        from vnicheck.model.cloud import Ref

        patches = any(isinstance(effect, PatchVni) for effect in proof.effects)
        server, plan, selection = proof.trial.server, proof.document.plan, self.session.selection
        client = vpc_client(selection.one_region or server.region or None, selection.auth) if patches else None
        entry = Entry(
            id=new_change(),
            begun_at=now(),
            server=Ref(id=server.id, name=server.name),
            region=server.region,
            address=target.address,
            strategy=plan.strategy,
            effects=proof.effects,
            actions=plan.actions,
            status="begun",
        )
        try:
            self.ledger.write(entry)
        except LedgerError as error:
            raise UserError(str(error)) from error
        tell(f"{server.name}: change {entry.id}; 'vnicheck rollback {entry.id}' undoes it")
        bound = min(self.session.ssh.timeout, max(5.0, self.seconds / 4))
        reach = LiveReach(self.runner, target, root, client, script_seconds=bound)
        attempt = Attempt(entry.id, proof, reach, lambda line: tell(f"{server.name}: {line}"), self.seconds)
        outcome = attempt.run()
        status = "rolled_back" if outcome.status == "refused" else outcome.status
        try:
            self.ledger.write(msgspec.structs.replace(entry, status=status, ended_at=now(), said=outcome.said))
        except LedgerError as error:
            tell(str(error))
        return outcome


def _target(session: _Session, proof: "Proof") -> "SshTarget":
    """Where to connect. Raises UserError."""
    from vnicheck.collect.guests import ssh_target

    server = proof.trial.server
    guest = server.guest
    if guest is not None and guest.via != "ssh":
        raise UserError(f"{server.name} was read from a file: only a server that SSH reaches can be changed")
    target = ssh_target(server, address_choice(session.ssh))
    if target is None:
        raise UserError(f"{server.name} has no address to connect to")
    return target
