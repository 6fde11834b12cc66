"""`vnicheck fix`: plans that are proved on the model, shown, and applied under a timer that undoes them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vnicheck.analysis.dask_cluster import ClusterError
from vnicheck.analysis.plans import CHUNK, WORTH_PROCESSES, NotCheckedError, Planning, plan_many, prove
from vnicheck.analysis.processes import WorkersLostError
from vnicheck.analysis.spread import spread_over
from vnicheck.apply.errors import ApplyError
from vnicheck.apply.ledger import Ledger
from vnicheck.apply.recorded import Applying, Means
from vnicheck.cli.carried import carried_by_change
from vnicheck.cli.change import (
    EXITS,
    ask_sudo,
    confirm,
    ended_in_order,
    require_own_ssh,
    ssh_runner,
    tell,
    tell_outcome,
    tell_unfinished,
    vpc_client,
)
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import address_choice, gather
from vnicheck.cli.given import FixOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.plans import PlanDestination, PlanOutputs, show_plan
from vnicheck.cli.probing import Asking, Source, promised, sources_of
from vnicheck.cli.terminal import Terminal
from vnicheck.collect.guests import ssh_target
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.planner import STRATEGIES, Proof, Strategy
from vnicheck.model.plan import InstancePlan
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.system.clock import now


def fix(given: FixOptions) -> int:
    """The work of `FixOptions`: the exit code."""
    strategy = _strategy(given.strategy)
    destination = PlanDestination(given.formats, given.output)
    config = with_observations(load_config(given.config_file), given.observations)
    if given.snapshot is not None and not given.dry_run:
        raise UserError("a snapshot is only looked at: add --dry-run, or leave --snapshot out to fix the live server")
    if given.verify_from and given.dry_run:
        raise UserError("--verify-from sends packets once a plan is applied: leave --dry-run out")
    if given.dask is not None and given.workers is not None:
        raise UserError("--workers and --dask exclude each other")
    if not given.dry_run:
        require_own_ssh(given.ssh)
    observed = gather(
        given.instances or [], given.selection, given.ssh, snapshot=given.snapshot, no_color=given.no_color
    )
    planning = Planning(fabric=observed.fabric, config=config, strategy=strategy, flows=given.flows)
    outputs = PlanOutputs(destination, flows=given.flows, no_color=given.no_color, generated_at=now())
    _tell_unchecked(observed, outputs)
    if given.dry_run:
        complete = _only_show(observed, planning, outputs, given)
    else:
        proofs = list(_proofs(observed.servers, planning, outputs))
        if proofs:
            return _apply(observed, proofs, outputs, destination, given)
        complete = not outputs.unchecked
    outputs.finish(servers=len(observed.servers), complete=complete)
    return _status(outputs.plans, complete=complete or given.allow_incomplete)


def _only_show(observed: Snapshot, planning: Planning, outputs: PlanOutputs, given: FixOptions) -> bool:
    """Plans for all servers, on all cores, or over a Dask cluster. Whether every server that runs has been planned."""
    servers = observed.servers
    with (
        ended_by(ClusterError, WorkersLostError),
        spread_over(len(servers), given.workers, given.dask, chunk=CHUNK, worth_processes=WORTH_PROCESSES) as spread,
        Terminal(ask_pass=False, no_color=given.no_color).watch("planning") as progress,
    ):
        progress.expect(len(servers))
        for server, planned in zip(servers, plan_many(servers, planning, spread), strict=True):
            progress.done(server.id, ok=planned.problem is None)
            if planned.problem is not None:
                _could_not(server, planned.problem.message, outputs)
            if planned.plan is not None:
                outputs.add(planned.plan)
    return not outputs.unchecked


def _proofs(servers: Sequence[Server], planning: Planning, outputs: PlanOutputs) -> Iterator[Proof]:
    """The plans to apply, one server after the other."""
    for server in servers:
        try:
            proof = prove(server, planning)
        except NotCheckedError as error:
            _could_not(server, str(error), outputs)
            continue
        if proof is not None:
            yield proof


def _could_not(server: Server, why: str, outputs: PlanOutputs) -> None:
    """Says why a server whose guest was read has no plan, and is not said to be well either."""
    if why not in {problem.message for problem in server.problems}:  # told already
        tell(f"{server.name}: no plan: {why}")
    outputs.unchecked.append(server.name)


def _apply(
    observed: Snapshot,
    proofs: Sequence[Proof],
    outputs: PlanOutputs,
    destination: PlanDestination,
    given: FixOptions,
) -> Exit:
    """Applies the plans to one server after the other. What was done before a failure is written all the same."""
    runner = ssh_runner(given.ssh)
    means = Means(
        runner=runner,
        ledger=Ledger.of_user(),
        connect=lambda region: vpc_client(
            given.selection.one_region or region or None, given.selection, seconds=given.rollback_after
        ),
        sudo=given.sudo,
        ask_sudo=ask_sudo(),
        script_seconds=given.ssh.timeout,
        tell=tell,
        agree=lambda question: confirm(question, yes=given.yes),
        undo_command=carried_by_change(
            given.selection, given.ssh, regions=given.selection.region or (), sudo=given.sudo
        ).rollback,
    )
    asking = Asking(
        hosts=tuple(given.verify_from or ()),
        selection=given.selection,
        ssh=given.ssh,
        sudo=given.sudo,
        yes=given.yes,
        no_color=given.no_color,
    )
    sources: dict[str, Source] = {}

    def probed(before: ServerView, after: ServerView) -> str | None:
        target = ssh_target(after.server, address_choice(given.ssh))
        if target is None:
            return f"{after.server.name} has no address to connect to"
        try:
            return promised(before, after, target, sources, asking)
        except UserError as error:
            return str(error)

    applying = Applying(
        means,
        fabric=observed.fabric,
        seconds=given.rollback_after,
        target=lambda server: ssh_target(server, address_choice(given.ssh)),
        collect=lambda server: gather([server], given.selection, given.ssh, no_color=given.no_color),
        show=lambda plan: show_plan(plan, no_color=given.no_color),
        probed=probed if asking.hosts else None,
    )
    tell_unfinished(means.ledger)
    outputs.require_places()
    failure: UserError | None = None
    unwritten: list[str] = []
    try:
        with ended_in_order(), runner, sources_of(asking, runner) as found:
            sources |= found
            for document in applying.each(proofs):
                with _noting(unwritten):
                    outputs.add(document)
                if document.outcome is not None:
                    tell_outcome(document.name, document.outcome, stdout=not destination.wants_documents)
    except ApplyError as error:
        failure = UserError(str(error), Exit.ROLLED_BACK if error.by_server else Exit.USAGE)
    except UserError as error:
        failure = error
    complete = not outputs.unchecked
    if destination.wants_documents and (outputs.plans or failure is None):
        with _noting(unwritten):
            outputs.finish(servers=len(observed.servers), complete=complete)
            sys.stdout.flush()
    statuses = [EXITS[each.outcome.status] if each.outcome is not None else Exit.FINDINGS for each in outputs.plans]
    worst = max(statuses, default=Exit.OK)
    if worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED}:
        for line in (*unwritten, *([str(failure)] if failure is not None else [])):
            tell(line)
        return worst
    if failure is not None:
        raise failure
    if unwritten:
        raise UserError(f"{unwritten[0]}; what was done is in the ledger ('vnicheck ledger')")
    return max(worst, _status(outputs.plans, complete=complete))


@contextmanager
def _noting(unwritten: list[str]) -> Iterator[None]:
    """What cannot be written once something was changed is told at the end: it ends nothing, and hides no exit code."""
    try:
        yield
    except UserError as error:
        unwritten.append(str(error))
    except OSError as error:
        unwritten.append(f"cannot write the result: {error.strerror}")


def _strategy(name: str) -> Strategy:
    chosen = next((strategy for strategy in STRATEGIES if strategy == name), None)
    if chosen is None:
        raise UserError(f"--strategy {name!r}: write {', '.join(STRATEGIES)}")
    return chosen


def _tell_unchecked(observed: Snapshot, outputs: PlanOutputs) -> None:
    """A line for each server that could not be planned for."""
    for server in observed.servers:
        for problem in server.problems:
            tell(f"{server.name}: {problem.message}")
        if server.guest is not None:
            continue
        (outputs.unchecked if server.may_run else outputs.stopped).append(server.name)
        if not server.problems:
            why = "its guest was not collected" if server.may_run else f"it is {server.status}"
            tell(f"{server.name}: no plan, for {why}")


def _status(plans: Sequence[InstancePlan], *, complete: bool) -> Exit:
    """1 where something stays broken, 3 where a server could not be looked at."""
    if any(each.plan.remaining for each in plans):
        return Exit.FINDINGS
    return Exit.OK if complete else Exit.INCOMPLETE
