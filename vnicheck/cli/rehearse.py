"""`vnicheck rehearse`: a server rebuilt on this machine's kernel, real packets, and every what-if tried there."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from msgspec import UNSET, UnsetType

from vnicheck.analysis.plans import NotCheckedError, Planning, prove
from vnicheck.cli.config import load_config
from vnicheck.cli.failure import Exit, UserError, ended_by
from vnicheck.cli.gather import gather
from vnicheck.cli.given import RehearseOptions
from vnicheck.cli.observations import with_observations
from vnicheck.cli.output import Destination, write_document
from vnicheck.cli.terminal import tell
from vnicheck.model.address import parse_address
from vnicheck.model.config import Config
from vnicheck.model.diff import ServerChange
from vnicheck.model.flow import Protocol
from vnicheck.model.rehearsal import (
    REHEARSAL_SCHEMA,
    Phase,
    Rehearsal,
    RehearsalDocument,
    encode_rehearsal,
)
from vnicheck.model.report import TOOL
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.network import NetworkError
from vnicheck.rehearse.rehearsal import Change, One, Rehearsing
from vnicheck.rehearse.sandbox import Sandbox
from vnicheck.rehearse.settings import SettingError, with_setting
from vnicheck.report.rehearsal import write_rehearsal
from vnicheck.system.files import UnreadableError, read_named

FORMATS = ("text", "json")
_LARGEST_SCRIPT = 1 << 20


def rehearse(given: RehearseOptions) -> int:
    """The work of `RehearseOptions`: the exit code."""
    destination = Destination(given.formats, given.output)
    destination.require(FORMATS, "a rehearsal")
    if given.shell and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("--shell needs a terminal; --run FILE runs a script")
    one = _one(given)
    script = _script(given.run)
    config = with_observations(load_config(given.config_file), given.observations)
    observed = gather([given.instance], given.selection, given.ssh, snapshot=given.snapshot, no_color=given.no_color)
    with ended_by(RehearsalError, NetworkError, SettingError):
        document = _rehearsed(observed, config, given, one, script)
    encoders = {"json": partial(encode_rehearsal, document)}
    write_document(destination.wanted, partial(write_rehearsal, document), encoders, no_color=given.no_color)
    return _status(document.rehearsal.phases)


def _rehearsed(
    observed: Snapshot, config: Config, given: RehearseOptions, one: One | None, script: str | None
) -> RehearsalDocument:
    (server,) = observed.servers
    if server.guest is None or any(vni.subnet not in observed.fabric.subnets for vni in server.vnis):
        for problem in server.problems:
            tell(f"{server.name}: {problem.message}")
        raise UserError(f"{server.name}: its guest was not collected, so that it cannot be rebuilt", Exit.INCOMPLETE)
    changed = server, observed.fabric
    for setting in given.settings or ():
        changed = with_setting(*changed, setting)
    phases: list[Phase] = []
    strategy: str | UnsetType = UNSET
    difference: ServerChange | UnsetType = UNSET
    with Sandbox() as box:
        rehearsing = Rehearsing(box, server, server.guest, observed.fabric, config, one=one, tell=_progress(server))
        phases.append(rehearsing.as_is())
        if given.fix:
            why, proof = "nothing is broken, or nothing that we know fixes it", None
            try:
                proof = prove(server, Planning(fabric=observed.fabric, config=config))
            except NotCheckedError as error:
                why = str(error)
            if proof is None or not proof.effects:
                tell(f"{server.name}: there is no plan to rehearse: {why}")
            else:
                phases += rehearsing.with_fix(proof)
                strategy = proof.document.plan.strategy
        if given.settings or script is not None or given.shell:
            change = Change(server=changed[0], fabric=changed[1], script=script, shell=given.shell)
            phase, difference = rehearsing.changed(change)
            phases.append(phase)
    return RehearsalDocument(
        schema=REHEARSAL_SCHEMA,
        tool=TOOL,
        collected_at=server.guest.collected_at,
        rehearsal=Rehearsal(
            id=server.id,
            name=server.name,
            kernel=rehearsing.kernel,
            told=tuple(dict.fromkeys(rehearsing.told)),
            phases=tuple(phases),
            strategy=strategy,
            difference=difference,
        ),
    )


def _progress(server: Server) -> Callable[[str], None]:
    def said(what: str) -> None:
        if sys.stderr.isatty():
            tell(f"{server.name}: {what}")

    return said


def _one(given: RehearseOptions) -> One | None:
    """The one flow that is asked about. Raises UserError."""
    if given.start is None and given.end is None:
        return None
    if given.start is None or given.end is None:
        raise UserError("--from and --to belong together: the addresses of both ends of one flow")
    protocol = next((known for known in Protocol if known == given.protocol), None)
    if protocol is None:
        raise UserError(f"--protocol {given.protocol!r}: write {', '.join(Protocol)}")
    for option, text in (("--from", given.start), ("--to", given.end)):
        try:
            parse_address(text)
        except ValueError as error:
            raise UserError(f"{option} {text!r}: {error}") from error
    return One(start=given.start, end=given.end, protocol=protocol, port=given.port)


def _script(path: Path | None) -> str | None:
    if path is None:
        return None
    with ended_by(UnreadableError):
        return read_named(path, _LARGEST_SCRIPT).decode(errors="replace")


def _status(phases: Sequence[Phase]) -> Exit:
    """1 where something differs, 3 where something could not be rehearsed."""
    if any(phase.count("differs") for phase in phases):
        return Exit.FINDINGS
    whole = all(phase.flows and not phase.count("not_judged") for phase in phases)
    return Exit.OK if whole else Exit.INCOMPLETE
