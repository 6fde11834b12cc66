"""Changes with their entry in the ledger: plans applied to one server after the other, and a change taken back.

A change is written down before its first step, and again when it is known how it ended.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from vnicheck.apply.attempt import Attempt, Probed
from vnicheck.apply.errors import ApplyError
from vnicheck.apply.ledger import Entry, Ledger, LedgerError, new_change, vni_field
from vnicheck.apply.live_server import LiveReach, log_in
from vnicheck.apply.undoing import Undoing
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.patch import SETTLING
from vnicheck.fixes.drift import drift
from vnicheck.fixes.effects import PatchVni
from vnicheck.fixes.planner import Proof
from vnicheck.fixes.session import touches_session
from vnicheck.fixes.steps import Part, file_parts, running_parts
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import AskSudoPassword, Root
from vnicheck.model.cloud import Fabric, Ref
from vnicheck.model.plan import Applied, InstancePlan
from vnicheck.model.plan_document import as_documents
from vnicheck.model.snapshot import Server, Snapshot
from vnicheck.model.words import listed, one_line
from vnicheck.system.clock import now


class Means(Struct, frozen=True, kw_only=True):
    """What a change is made with. `connect`: the VPC API of a region. `sudo`: whether it may become root by it.
    `script_seconds`: the bound of one script. `tell` gets lines of progress, `agree` a question. `undo_command`:
    what undoes a change in a region, to be typed.
    """

    runner: SshRunner
    ledger: Ledger
    connect: Callable[[str], VpcClient]
    sudo: bool
    ask_sudo: AskSudoPassword | None
    script_seconds: float
    tell: Callable[[str], None]
    agree: Callable[[str], bool]
    undo_command: Callable[[str, str], str] = lambda change, region: f"vnicheck rollback {change}"  # noqa: ARG005


class Applying:
    """Applies plans that were proved on `fabric`, each under a timer of so many `seconds`.

    `target`: where SSH goes, None where a server has no address; `collect`: the server, by its id, as it is now;
    `show`: the plan, to be decided on. `probed`: as of Attempt.
    """

    def __init__(
        self,
        means: Means,
        *,
        fabric: Fabric,
        seconds: int,
        target: Callable[[Server], SshTarget | None],
        collect: Callable[[str], Snapshot],
        show: Callable[[InstancePlan], None],
        probed: Probed | None = None,
    ) -> None:
        self._means = means
        self._probed = probed
        self._fabric = fabric
        self._seconds = seconds
        self._target = target
        self._collect = collect
        self._show = show

    def each(self, proofs: Sequence[Proof]) -> Iterator[InstancePlan]:
        """The plans, with the outcome of those that were tried; the first that fails ends it. Raises ApplyError."""
        for number, proof in enumerate(proofs, 1):
            rest = [other.document.name for other in proofs[number:]]
            try:
                document = self._one(proof)
            except Exception:
                self._tell_untried(rest)
                raise
            yield document
            if document.outcome is not None and document.outcome.status != "applied":
                self._tell_untried(rest)
                return

    def _tell_untried(self, names: Sequence[str]) -> None:
        if names:
            self._means.tell(f"not tried after that: {listed(names)}")

    def _one(self, proof: Proof) -> InstancePlan:
        """Shown, asked about, looked at again, applied."""
        means, document = self._means, proof.document
        name = one_line(document.name, 80)
        self._show(document)
        if not document.plan.actions:
            return document
        target = self._where(proof.trial.server)
        needs_root = any(action.where == "guest" for action in document.plan.actions)
        login, root = log_in(means.runner, target, sudo=means.sudo, ask=means.ask_sudo, needs_root=needs_root)
        if login.client is not None and login.server is not None:
            warning = touches_session(
                proof.trial, proof.effects, client=login.client, local=login.server, port=login.port or 22
            )
            if warning is not None:
                means.tell(f"{name}: {warning}; if no new session comes about, it is undone after {self._seconds} s")
        if not means.agree(f"Apply this to {name}{_although(document)}?"):
            means.tell(f"{name}: not applied")
            return document
        self._require_unchanged(proof)
        return msgspec.structs.replace(document, outcome=self._recorded(proof, target, root))

    def _where(self, server: Server) -> SshTarget:
        if server.guest is not None and server.guest.via != "ssh":
            raise ApplyError(f"{server.name} was read from a file: only a server that SSH reaches can be changed")
        target = self._target(server)
        if target is None:
            raise ApplyError(f"{server.name} has no address to connect to")
        return target

    def _require_unchanged(self, proof: Proof) -> None:
        planned = proof.trial.server
        observed = self._collect(planned.id)
        (server,) = observed.servers
        if server.problems and not planned.problems:
            why = f"{planned.name} could not be collected again: {server.problems[0].message}"
            raise ApplyError(why, by_server=True)
        differing = drift(planned, server, self._fabric, observed.fabric)
        if differing:
            why = f"{planned.name} is no longer as it was planned for ({listed(differing)}): nothing was changed"
            raise ApplyError(why, by_server=True)

    def _recorded(self, proof: Proof, target: SshTarget, root: Root) -> Applied:
        means, server, plan = self._means, proof.trial.server, proof.document.plan
        patches = any(isinstance(effect, PatchVni) for effect in proof.effects)
        client = means.connect(server.region) if patches else None
        entry = Entry(
            id=new_change(),
            begun_at=now(),
            server=Ref(id=server.id, name=server.name),
            region=server.region,
            address=target.address,
            strategy=plan.strategy,
            effects=proof.effects,
            actions=as_documents(plan.actions),
            status="begun",
            begun=(),
        )
        record = _Record(means.ledger, entry)
        means.tell(f"{server.name}: change {entry.id}; '{means.undo_command(entry.id, server.region)}' undoes it")
        reach = LiveReach(
            means.runner,
            target,
            root,
            client,
            script_seconds=min(means.script_seconds, max(5.0, self._seconds / 4)),
            settling=min(SETTLING, max(5.0, self._seconds / 2)),
        )
        tell = _telling(means, server.name)
        attempt = Attempt(entry.id, proof, reach, tell, self._seconds, record=record.begin, probed=self._probed)
        outcome = attempt.run()
        return _ended(means, msgspec.structs.replace(record.entry, found=attempt.found), outcome, attempt.close)


class _Record:
    """The entry of a change that is under way. Raises LedgerError."""

    def __init__(self, ledger: Ledger, entry: Entry) -> None:
        self._ledger = ledger
        self.entry = entry
        self._write()

    def begin(self, what: str) -> None:
        """Writes down what is about to be begun. Raises LedgerError."""
        self.entry = msgspec.structs.replace(self.entry, begun=(*(self.entry.begun or ()), what))
        self._write()

    def _write(self) -> None:
        try:
            self._ledger.write(self.entry)
        except LedgerError as error:
            raise LedgerError(f"{error}; nothing is done unrecorded") from error


def roll_back(entry: Entry, means: Means) -> Applied:
    """Takes back what may be left of a change. Raises ApplyError."""
    undone = _begun(entry)
    client = means.connect(entry.region) if undone.patches else None
    target = SshTarget(id=entry.server.id, name=entry.server.name, address=entry.address)
    root = Root("sh -s")
    if undone.in_guest:
        root = log_in(means.runner, target, sudo=means.sudo, ask=means.ask_sudo, needs_root=True)[1]
    undoing = Undoing(
        entry.id,
        LiveReach(means.runner, target, root, client, script_seconds=means.script_seconds),
        _telling(means, entry.server.name),
        parts=running_parts(entry.effects),
        files=undone.files,
        found=entry.found,
        patched=undone.patches,
        in_guest=undone.in_guest,
        lasting=undone.lasting,
    )
    return _ended(means, entry, undoing.run("asked to roll back"), undoing.close)


class _Begun(Struct, frozen=True, kw_only=True):
    """What an entry says was begun."""

    patches: tuple[PatchVni, ...]
    files: tuple[Part, ...]
    in_guest: bool
    lasting: bool


def _begun(entry: Entry) -> _Begun:
    """All of it, where an older version wrote the entry."""
    patches = tuple(effect for effect in entry.effects if isinstance(effect, PatchVni))
    files = file_parts(entry.actions)
    begun = entry.begun
    if begun is None:
        in_guest = bool(files or running_parts(entry.effects))
        return _Begun(patches=patches, files=files, in_guest=in_guest, lasting=True)
    return _Begun(
        patches=tuple(effect for effect in patches if vni_field(effect) in begun),
        files=files if "files" in begun else (),
        in_guest="timer" in begun,
        lasting=entry.status == "applied" or "files" in begun,
    )


def _although(document: InstancePlan) -> str:
    """What the user agrees to where a plan helps only if an open assumption falls so."""
    conditions = [f"{each.assumption} is {each.value}" for each in document.plan.fixed_if]
    return f", which fixes some flows only if {listed(conditions)}" if conditions else ""


def _telling(means: Means, name: str) -> Callable[[str], None]:
    return lambda line: means.tell(f"{name}: {line}")


def _ended(means: Means, entry: Entry, outcome: Applied, close: Callable[[], None]) -> Applied:
    """Written down as far as that is possible: what was done is done. Only then the server may forget it."""
    status = "rolled_back" if outcome.status == "refused" else outcome.status
    try:
        means.ledger.write(msgspec.structs.replace(entry, status=status, ended_at=now(), said=outcome.said))
    except LedgerError as error:
        means.tell(f"{error}: it does not have how this ended")
        return outcome
    if outcome.status in {"applied", "rolled_back"}:
        close()
    return outcome
