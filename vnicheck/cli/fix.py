"""`vnicheck fix`: plans that are proved on the model, shown, and applied under a timer that undoes them."""

from typing import TYPE_CHECKING

from vnicheck.cli.bundles import Selection, Ssh
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
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import address_choice, gather, prompts, ssh_options
from vnicheck.cli.given import FixOptions
from vnicheck.cli.plans import PlanDestination, PlanOutputs, write_text
from vnicheck.cli.terminal import Terminal
from vnicheck.model.words import listed, one_line
from vnicheck.system.clock import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnicheck.analysis.plans import Planning
    from vnicheck.fixes.planner import Proof
    from vnicheck.guest.ssh.options import SshTarget
    from vnicheck.guest.ssh.sudo import Root
    from vnicheck.model.plan import Applied, InstancePlan
    from vnicheck.model.snapshot import Snapshot


def fix(given: FixOptions) -> int:
    """The work of `FixOptions`: the exit code."""
    from vnicheck.analysis.plans import Planning
    from vnicheck.fixes.planner import STRATEGIES

    if given.strategy not in STRATEGIES:
        raise UserError(f"--strategy {given.strategy!r}: write {', '.join(STRATEGIES)}")
    destination = PlanDestination(given.formats, given.output)
    config = load_config(given.config_file)
    if given.snapshot is not None and not given.dry_run:
        raise UserError("a snapshot is only looked at: add --dry-run, or leave --snapshot out to fix the live server")
    if given.dask is not None and given.workers is not None:
        raise UserError("--workers and --dask exclude each other")
    observed = gather(
        given.instances or [], given.selection, given.ssh, snapshot=given.snapshot, no_color=given.no_color
    )
    planning = Planning(fabric=observed.fabric, config=config, strategy=given.strategy, flows=given.flows)
    outputs = PlanOutputs(destination, flows=given.flows, no_color=given.no_color, generated_at=now())
    session = _Session(observed, planning, given.selection, given.ssh, given.no_color, outputs)
    _tell_unchecked(observed)
    if given.dry_run:
        return session.only_show(given.workers, given.dask, allow_incomplete=given.allow_incomplete)
    proofs = session.proofs()
    if not proofs:
        return session.close(allow_incomplete=given.allow_incomplete)
    return _Applying(session, destination, yes=given.yes, sudo=given.sudo, seconds=given.rollback_after).all(proofs)


class _Session:
    """A run of the command: what was observed, how to observe it again, and where plans go."""

    def __init__(
        self,
        observed: "Snapshot",
        planning: "Planning",
        selection: Selection,
        ssh: Ssh,
        no_color: bool,
        outputs: PlanOutputs,
    ) -> None:
        self.observed = observed
        self.planning = planning
        self.selection = selection
        self.ssh = ssh
        self.no_color = no_color
        self.outputs = outputs
        self._failed = False

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

    def proofs(self) -> "list[Proof]":
        """The proved plans, of the servers that need one: here, for they are tried again as they are applied."""
        from vnicheck.analysis.plans import prove

        return [proof for server in self.observed.servers if (proof := prove(server, self.planning)) is not None]

    def only_show(self, workers: int | None, dask: str | None, *, allow_incomplete: bool) -> Exit:
        """Plans for all servers, on all cores, or over a Dask cluster."""
        from vnicheck.analysis.dask_cluster import ClusterError
        from vnicheck.analysis.plans import CHUNK, WORTH_PROCESSES, plan_many
        from vnicheck.analysis.processes import WorkersLostError
        from vnicheck.analysis.spread import spread_over

        servers = self.observed.servers
        with (
            ended_by(ClusterError, WorkersLostError),
            spread_over(len(servers), workers, dask, chunk=CHUNK, worth_processes=WORTH_PROCESSES) as spread,
            Terminal(ask_pass=False, no_color=self.no_color).watch("planning") as progress,
        ):
            progress.expect(len(servers))
            for server, planned in zip(servers, plan_many(servers, self.planning, spread), strict=True):
                progress.done(server.id, ok=planned.problem is None)
                if planned.problem is not None:
                    self._failed = True
                    tell(f"{server.name}: no plan: {planned.problem.message}")
                if planned.plan is not None:
                    self.outputs.add(planned.plan)
        return self.close(allow_incomplete=allow_incomplete)

    def close(self, *, allow_incomplete: bool) -> Exit:
        """Writes what is still to be written."""
        self.outputs.finish(servers=len(self.observed.servers), complete=self.complete)
        return self.status(self.outputs.plans, allow_incomplete=allow_incomplete)

    @property
    def complete(self) -> bool:
        """Whether every server that runs could be looked at."""
        servers = self.observed.servers
        return not self._failed and not any(each.guest is None and each.status == "running" for each in servers)

    def status(self, documents: "Sequence[InstancePlan]", *, allow_incomplete: bool = False) -> Exit:
        """1 where something stays broken, 3 where a server could not be looked at."""
        if any(document.plan.remaining for document in documents):
            return Exit.FINDINGS
        return Exit.OK if self.complete or allow_incomplete else Exit.INCOMPLETE


def _tell_unchecked(observed: "Snapshot") -> None:
    """A line for each server that could not be planned for."""
    for server in observed.servers:
        for problem in server.problems:
            tell(f"{server.name}: {problem.message}")
        if server.guest is None and not server.problems:
            why = "its guest was not collected" if server.status == "running" else f"it is {server.status}"
            tell(f"{server.name}: no plan, for {why}")


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
        outputs = self.session.outputs
        worst: Exit = Exit.OK
        failure: UserError | None = None
        with ended_in_order(), self.runner:
            for number, proof in enumerate(proofs):
                try:
                    document, status = self._one(proof)
                except UserError as error:
                    failure = error
                else:
                    outputs.add(document)
                    worst = max(worst, status)
                if failure is not None or worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED}:
                    left = [other.document.name for other in proofs[number + 1 :]]
                    if left:
                        tell(f"not tried after that: {listed(left)}")
                    break
        if self.destination.wants_documents and (outputs.plans or failure is None):
            outputs.finish(servers=len(self.session.observed.servers), complete=self.session.complete)
        if failure is not None:
            raise failure
        if worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED}:
            return worst
        return max(worst, self.session.status(outputs.plans))

    def _one(self, proof: "Proof") -> "tuple[InstancePlan, Exit]":
        """Shown, asked about, looked at again, applied."""
        import msgspec

        from vnicheck.fixes.session import touches_session

        document = proof.document
        name = one_line(document.name, 80)
        write_text([document], None, servers=1, no_color=self.session.no_color, stderr=True)
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
