"""Changes with their entry in the ledger: plans applied to one server after the other, and a change taken back.

A change is written down before its first step, and again when it is known how it ended.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from vnicheck.apply.attempt import Attempt, Undoing, guest_steps
from vnicheck.apply.errors import ApplyError
from vnicheck.apply.ledger import Entry, Ledger, LedgerError, new_change
from vnicheck.apply.live_server import LiveReach, log_in
from vnicheck.cloud.client import VpcClient
from vnicheck.fixes.drift import drift
from vnicheck.fixes.effects import PatchVni
from vnicheck.fixes.planner import Proof
from vnicheck.fixes.session import touches_session
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
    `script_seconds`: the bound of one script. `tell` gets lines of progress, `agree` a question.
    """

    runner: SshRunner
    ledger: Ledger
    connect: Callable[[str], VpcClient]
    sudo: bool
    ask_sudo: AskSudoPassword | None
    script_seconds: float
    tell: Callable[[str], None]
    agree: Callable[[str], bool]


class Applying:
    """Applies plans that were proved on `fabric`, each under a timer of so many `seconds`.

    `target`: where SSH goes, None where a server has no address; `collect`: the server, by its id, as it is now;
    `show`: the plan, to be decided on.
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
    ) -> None:
        self._means = means
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
        if not means.agree(f"Apply this to {name}?"):
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
        )
        means.ledger.write(entry)
        means.tell(f"{server.name}: change {entry.id}; 'vnicheck rollback {entry.id}' undoes it")
        bound = min(means.script_seconds, max(5.0, self._seconds / 4))
        reach = LiveReach(means.runner, target, root, client, script_seconds=bound)
        tell = _telling(means, server.name)
        return _ended(means, entry, Attempt(entry.id, proof, reach, tell, self._seconds).run())


def roll_back(entry: Entry, means: Means) -> Applied:
    """Takes back what may be left of a change. Raises ApplyError."""
    patches = [effect for effect in entry.effects if isinstance(effect, PatchVni)]
    client = means.connect(entry.region) if patches else None
    steps, files = (guest_steps(entry.actions, persist=persist) for persist in (False, True))
    in_guest = bool(steps or files)
    target = SshTarget(id=entry.server.id, name=entry.server.name, address=entry.address)
    root = Root("sh -s")
    if in_guest:
        root = log_in(means.runner, target, sudo=means.sudo, ask=means.ask_sudo, needs_root=True)[1]
    reach = LiveReach(means.runner, target, root, client, script_seconds=means.script_seconds)
    undoing = Undoing(
        entry.id,
        reach,
        _telling(means, entry.server.name),
        effects=entry.effects,
        steps=steps,
        files=files,
        patched=patches,
        kept=in_guest,
    )
    return _ended(means, entry, undoing.run("asked to roll back"))


def _telling(means: Means, name: str) -> Callable[[str], None]:
    return lambda line: means.tell(f"{name}: {line}")


def _ended(means: Means, entry: Entry, outcome: Applied) -> Applied:
    """Written down as far as that is possible: what was done is done."""
    status = "rolled_back" if outcome.status == "refused" else outcome.status
    try:
        means.ledger.write(msgspec.structs.replace(entry, status=status, ended_at=now(), said=outcome.said))
    except LedgerError as error:
        means.tell(str(error))
    return outcome
