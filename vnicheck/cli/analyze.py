"""`vnicheck analyze`: from a server's name to a verdict."""

from vnicheck.analysis.observations import informed
from vnicheck.analysis.server import report_on
from vnicheck.cli.carried import carried
from vnicheck.cli.config import load_config, with_max_age
from vnicheck.cli.failure import UserError
from vnicheck.cli.gather import gather_regions
from vnicheck.cli.given import AnalyzeOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.output import Destination, check_fail_on, exit_status, tell_notes, write_report
from vnicheck.cli.recent import remember
from vnicheck.cli.terminal import tell
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Snapshot
from vnicheck.model.verification import Verification, VerificationDocument
from vnicheck.model.words import counted
from vnicheck.system.clock import now


def analyze(given: AnalyzeOptions) -> int:
    """The work of `AnalyzeOptions`: the exit code."""
    destination = Destination(given.display.formats, given.display.output)
    fail_on = check_fail_on(given.display.fail_on)
    config = with_observations(with_max_age(load_config(given.config_file), given.max_age), given.observations)
    if given.local and given.instances:
        raise UserError("--local looks at the instance that this runs on: name no server beside it")
    if not (given.local or given.instances or given.snapshot):
        raise UserError(
            "name the servers, or give --local on the instance itself, or --snapshot PATH for all of its servers"
        )
    if given.verify and (given.local or given.snapshot is not None):
        raise UserError("--verify asks servers over SSH: leave --local and --snapshot out")
    observed = _observed(given)
    next_needs = carried(
        given.selection,
        given.ssh,
        snapshot=given.snapshot,
        config_file=given.config_file,
        observations=given.observations,
    )
    if given.verify:
        documents = _asked(observed, config, given)
        if _contradicting(documents):
            # what changed meanwhile is no error of ours: collected again, and asked again
            observed = _observed(given)
            documents = _asked(observed, config, given)
        for each in _contradicting(documents):
            count = counted(each.count("contradicted"), "answer")
            tell(
                f"{each.name}: {count} of its kernel contradict what is predicted, and flows follow them; "
                f"both answers: {next_needs.verify(each.name)}"
            )
        config = informed(config, documents)
    if given.snapshot is None and not given.local:
        remember(server.name for snapshot in observed.values() for server in snapshot.servers)
    report = report_on(*observed.values(), generated_at=now(), config=config)
    write_report(
        report,
        destination,
        no_color=given.display.no_color,
        explain=given.explain,
        quiet=given.quiet,
        carried=next_needs,
    )
    tell_notes(config, report, whole=False)
    return exit_status(report, fail_on, allow_incomplete=given.display.allow_incomplete)


def _observed(given: AnalyzeOptions) -> dict[str, Snapshot]:
    return gather_regions(
        given.instances or [],
        given.selection,
        given.ssh,
        snapshot=given.snapshot,
        local=given.local,
        no_color=given.display.no_color,
        quiet=given.quiet,
    )


def _asked(observed: dict[str, Snapshot], config: Config, given: AnalyzeOptions) -> list[VerificationDocument]:
    """What the servers' kernels answer; of one that could not be asked, a line on stderr."""
    from vnicheck.cli.change import ssh_runner
    from vnicheck.cli.kernel import ask_kernel, document_of

    found = []
    with ssh_runner(given.ssh) as runner:
        for snapshot in observed.values():
            for server in snapshot.servers:
                found.append(ask_kernel(server, snapshot.fabric, config, runner, given.ssh))
                for problem in found[-1].problems if server.guest is not None else ():
                    tell(f"{server.name}: its kernel was not asked: {problem.message}")
    return [document_of(tuple(found))]


def _contradicting(documents: list[VerificationDocument]) -> list[Verification]:
    return [each for document in documents for each in document.verifications if each.count("contradicted")]
