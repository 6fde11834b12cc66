"""`vnicheck fix`: plans that are proved on the model, shown, and applied under a timer that undoes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vnicheck.apply.errors import ApplyError
from vnicheck.apply.ledger import Ledger
from vnicheck.apply.recorded import Applying, Means
from vnicheck.cli import options
from vnicheck.cli.bundles import Selection, Ssh, with_bundles
from vnicheck.cli.change import (
    EXITS,
    ask_sudo,
    confirm,
    ended_in_order,
    ssh_runner,
    tell,
    tell_outcome,
    tell_unfinished,
    vpc_client,
)
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError
from vnicheck.cli.gather import address_choice, gather
from vnicheck.cli.plans import PlanDestination, write_plans
from vnicheck.collect.guests import ssh_target
from vnicheck.fixes.planner import STRATEGIES, Strategy, plan_server
from vnicheck.model.plan import InstancePlan
from vnicheck.model.snapshot import Snapshot

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
    chosen = _strategy(strategy)
    destination = PlanDestination(formats, output)
    config = load_config(config_file)
    if snapshot is not None and not dry_run:
        raise UserError("a snapshot is only looked at: add --dry-run, or leave --snapshot out to fix the live server")
    observed = gather(instances or [], selection, ssh, snapshot=snapshot, no_color=no_color)
    plans = [plan_server(server, observed.fabric, config, chosen) for server in observed.servers]
    proofs = [proof for proof in plans if proof is not None]
    _tell_unchecked(observed)
    servers = len(observed.servers)
    if dry_run or not proofs:
        documents = [proof.document for proof in proofs]
        write_plans(documents, destination, servers=servers, no_color=no_color)
        return _status(observed, documents, allow_incomplete)
    runner = ssh_runner(ssh)
    means = Means(
        runner=runner,
        ledger=Ledger.of_user(),
        connect=lambda region: vpc_client(selection.one_region or region or None, selection.auth),
        sudo=sudo,
        ask_sudo=ask_sudo(),
        script_seconds=ssh.timeout,
        tell=tell,
        agree=lambda question: confirm(question, yes=yes),
    )
    applying = Applying(
        means,
        fabric=observed.fabric,
        seconds=rollback_after,
        target=lambda server: ssh_target(server, address_choice(ssh)),
        collect=lambda server: gather([server], selection, ssh, no_color=no_color),
        show=lambda plan: write_plans([plan], PlanDestination(None, None), servers=1, no_color=no_color, stderr=True),
    )
    tell_unfinished(means.ledger)
    tried: list[InstancePlan] = []
    failure: UserError | None = None
    try:
        with ended_in_order(), runner:
            for document in applying.each(proofs):
                tried.append(document)
                if document.outcome is not None:
                    tell_outcome(document.name, document.outcome, stdout=not destination.wants_documents)
    except ApplyError as error:
        failure = UserError(str(error), Exit.ROLLED_BACK if error.by_server else Exit.USAGE)
    except UserError as error:
        failure = error
    if destination.wants_documents and (tried or failure is None):
        write_plans(tried, destination, servers=servers, no_color=no_color)
    if failure is not None:
        raise failure
    return _status_of_tried(observed, tried)


def _strategy(name: str) -> Strategy:
    chosen = next((strategy for strategy in STRATEGIES if strategy == name), None)
    if chosen is None:
        raise UserError(f"--strategy {name!r}: write {', '.join(STRATEGIES)}")
    return chosen


def _tell_unchecked(observed: Snapshot) -> None:
    """A line for each server that could not be planned for."""
    for server in observed.servers:
        for problem in server.problems:
            tell(f"{server.name}: {problem.message}")
        if server.guest is None and not server.problems:
            why = "its guest was not collected" if server.status == "running" else f"it is {server.status}"
            tell(f"{server.name}: no plan, for {why}")


def _status(observed: Snapshot, documents: Sequence[InstancePlan], allow_incomplete: bool) -> Exit:
    """1 where something stays broken, 3 where a server could not be looked at."""
    if any(document.plan.remaining for document in documents):
        return Exit.FINDINGS
    unseen = any(server.guest is None and server.status == "running" for server in observed.servers)
    return Exit.INCOMPLETE if unseen and not allow_incomplete else Exit.OK


def _status_of_tried(observed: Snapshot, documents: Sequence[InstancePlan]) -> Exit:
    """The worst: a plan that nobody wanted, or that could not be made, leaves its findings."""
    statuses = [EXITS[each.outcome.status] if each.outcome is not None else Exit.FINDINGS for each in documents]
    worst = max(statuses, default=Exit.OK)
    return worst if worst in {Exit.ROLLED_BACK, Exit.UNCONFIRMED} else max(worst, _status(observed, documents, False))
