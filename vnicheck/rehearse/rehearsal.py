"""A rehearsal: the server rebuilt, packets sent, and what they did held against what was predicted of it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.analysis.diff import compare_reports
from vnicheck.analysis.server import analyze_server
from vnicheck.engine.classify import local_addresses, predict_flow, predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.fixes.effects import carry_out
from vnicheck.fixes.planner import Proof
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.address import parse_address
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.diff import ServerChange
from vnicheck.model.flow import Direction, DropCode, Flow, Leg, Protocol, Scope, Verdict
from vnicheck.model.guest import Guest
from vnicheck.model.rehearsal import Judgement, Phase, PhaseKind, Place, RehearsedFlow, Untried
from vnicheck.model.snapshot import Server
from vnicheck.model.words import one_line
from vnicheck.rehearse.judging import class_of, judge
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.packets import PATIENCE, TIMEOUTS, Tried
from vnicheck.rehearse.requests import Build, Built, Done, Fate, Patch, Ran, Run, Send, Sent
from vnicheck.rehearse.sampling import Sample
from vnicheck.rehearse.sandbox import Sandbox
from vnicheck.rehearse.vpc import network_of, rebuilt_vnis

_COLLECTING = 60.0


class One(Struct, frozen=True, kw_only=True):
    """The one flow that is asked about, from one address to another."""

    start: str
    end: str
    protocol: Protocol
    port: int


class Change(Struct, frozen=True, kw_only=True):
    """What is asked about: the server with other settings of its VPC, a script for the guest, a shell in it."""

    server: Server
    fabric: Fabric
    script: str | None = None
    shell: bool = False
    seconds: float = 300.0


class Rehearsing:
    """One server in a sandbox. `tell` is told what begins. `told`: what of the server could not be rebuilt as it is."""

    def __init__(
        self,
        box: Sandbox,
        server: Server,
        guest: Guest,
        fabric: Fabric,
        config: Config,
        *,
        one: One | None = None,
        prefer: Sequence[str] = (),
        tell: Callable[[str], None],
    ) -> None:
        self._box = box
        self._guest = guest
        self._fabric = fabric
        self._config = config
        self._one = one
        self._tell = tell
        self.server = server
        self.told: list[str] = []
        self.kernel = ""
        self._view = ServerView(server, fabric, config)
        self._predicted = self._predict(self._view)
        held = [address for vni in rebuilt_vnis(self._view) for address in vni.addresses]
        self._sample = Sample(self._view, self._predicted, held, prefer=prefer)
        self._before: dict[int, Fate] = {}
        self._otherwise: set[int] = set()
        """The flows that the rebuilt server treats otherwise, for what could not be set here."""

    def as_is(self) -> Phase:
        """The server as it is, rebuilt and tried. Flows that the rebuilt one treats otherwise are not judged, here and
        with a plan. Raises RehearsalError.
        """
        self._tell("building")
        self._build(self._view, self._guest)
        rebuilt = self._predict(self._seen_inside(self.server, self._fabric))
        for place, tried in self._sample.flows.items():
            here = class_of(rebuilt, tried)
            if here is None or _answer(here) != _answer(self._predicted[place]):
                self._otherwise.add(place)
        phase, self._before = self._try("as_is", self._predicted)
        return phase

    def with_fix(self, proof: Proof) -> tuple[Phase, Phase]:
        """The plan's own commands carried out, tried, undone, and tried again, after `as_is`. What the plan promises
        and what worked has to be delivered; after the undo all has to be as it was. Raises RehearsalError.
        """
        plan = proof.document.plan
        self._tell("carrying out the plan")
        commands = [step.command for action in plan.immediate for step in action.steps]
        self._patch((action.vni, action.patch) for action in plan.actions)
        self._must(commands)
        fixed = carry_out(self.server, proof.effects)
        promised = [proof.trial.before[place] for place in proof.promised]
        kept = {
            place
            for place, tried in self._sample.flows.items()
            if self._before[place].delivered or class_of(promised, tried) is not None
        }
        after, _ = self._try(
            "fixed", self._predict(ServerView(fixed, self._fabric, self._config)), commands=commands, kept=kept
        )
        self._tell("undoing it")
        undo = [step.undo for action in reversed(plan.immediate) for step in reversed(action.steps)]
        self._patch((action.vni, action.undo_patch) for action in reversed(plan.actions))
        self._must(undo)
        again, _ = self._try("undone", self._predicted, commands=undo, same=self._before)
        return after, again

    def changed(self, change: Change) -> tuple[Phase, ServerChange]:
        """The server with a change, collected and analysed anew, and tried, and what that changes. Raises
        RehearsalError.
        """
        self._tell("changing it")
        view = ServerView(change.server, change.fabric, self._config)
        self._build(view, self._guest)
        printed: str | UnsetType = UNSET
        status: int | UnsetType = UNSET
        if change.script is not None:
            ran = self._box.ask(Run(script=change.script, seconds=change.seconds), Ran, seconds=change.seconds + 10)
            printed, status = (ran.stdout + ran.stderr).decode(errors="replace"), ran.status
        if change.shell:
            self._box.shell()
        after = self._seen_inside(change.server, change.fabric)
        phase, _ = self._try("changed", self._predict(after))
        difference = compare_reports(
            analyze_server(self.server, self._fabric, self._config),
            analyze_server(after.server, change.fabric, self._config),
        )
        return msgspec.structs.replace(phase, printed=printed, status=status), difference

    def _build(self, view: ServerView, guest: Guest) -> None:
        network = network_of(view, self._sample.remotes, self._sample.transits)
        built = self._box.ask(Build(network=network, guest=guest), Built)
        self.told = list(built.told)
        self.kernel = built.kernel

    def _predict(self, view: ServerView) -> tuple[Flow, ...]:
        """All classes of flows, or the one flow that is asked about."""
        if self._one is None:
            return predict_flows(view)
        one = self._one
        for direction, own, remote in (
            (Direction.OUTBOUND, one.start, one.end),
            (Direction.INBOUND, one.end, one.start),
        ):
            for local in local_addresses(view):
                if local.address == own:
                    return (predict_flow(view, direction, one.protocol, local, parse_address(remote), one.port),)
        raise RehearsalError(f"neither {one.start} nor {one.end} is an address of {self.server.name}")

    def _seen_inside(self, server: Server, fabric: Fabric) -> ServerView:
        """The server with what the collect script reads in the rebuilt one. Boot files, services, sockets and what
        judges packets beside routing stay the snapshot's: they are not rebuilt.
        """
        ran = self._box.ask(Run(script=collect_script_text(), seconds=_COLLECTING), Ran, seconds=_COLLECTING + 10)
        try:
            seen = read_guest(ran.stdout, via="local")
        except CollectionError as error:
            raise RehearsalError(f"the rebuilt server cannot be collected: {error.message}") from error
        return ServerView(msgspec.structs.replace(server, guest=_running(self._guest, seen)), fabric, self._config)

    def _patch(self, patches: Iterable[tuple[str | None, Mapping[str, Any] | None]]) -> None:
        for vni, patch in patches:
            if vni is not None and patch is not None:
                self._box.ask(Patch(vni=vni, changes=dict(patch)), Done)

    def _must(self, commands: Sequence[str]) -> None:
        """Commands of ours, which have to succeed."""
        if commands:
            ran = self._box.ask(Run(script="\n".join(["set -e", *commands]), seconds=_COLLECTING), Ran)
            if ran.status != 0:
                raise RehearsalError(
                    f"a command of the plan fails: {one_line(ran.stderr.decode(errors='replace'), 200)}"
                )

    def _try(
        self,
        kind: PhaseKind,
        predicted: Sequence[Flow],
        *,
        commands: Sequence[str] = (),
        kept: Collection[int] = (),
        same: Mapping[int, Fate] | None = None,
    ) -> tuple[Phase, dict[int, Fate]]:
        """Sends one flow of every class and holds each against the prediction; those that get lost and should not, or
        not there, once more. `kept`: those that have to be delivered; `same`: the fates to be as before.
        """

        def judged(place: int) -> RehearsedFlow:
            tried, fate = flows[place], fates[place]
            flow, scope = class_of(predicted, tried), self._predicted[place].remote_scope
            judgement, why = judge(flow, fate, self._place(fate), scope)
            if kind != "changed" and place in self._otherwise and judgement != "not_judged":
                judgement, why = "not_judged", "the rebuilt server is not as the snapshot's in what this flow meets"
            elif place in kept and not fate.delivered:
                judgement, why = "differs", "it worked before, or the plan promises it"
            elif same is not None and same[place].delivered is not fate.delivered:
                judgement, why = "differs", "it is not as before the plan"
            return self._rehearsed(tried, scope, flow, fate, judgement, why)

        self._tell("sending packets")
        flows = self._sample.flows
        fates, rp_filter_drops = self._send(flows, TIMEOUTS)
        rehearsed = {place: judged(place) for place in flows}
        lost = [place for place, flow in rehearsed.items() if flow.judgement == "differs" and not flow.delivered]
        if lost:
            fates |= self._send({place: flows[place] for place in lost}, PATIENCE)[0]
            rehearsed |= {place: judged(place) for place in lost}
        reasons = Counter(self._sample.left_out.values())
        return (
            Phase(
                kind=kind,
                flows=tuple(rehearsed.values()),
                untried=tuple(Untried(count=count, why=why) for why, count in reasons.items()),
                rp_filter_drops=rp_filter_drops,
                commands=tuple(commands),
            ),
            fates,
        )

    def _send(self, flows: Mapping[int, Tried], timeouts: tuple[float, ...]) -> tuple[dict[int, Fate], int]:
        """What becomes of them, and what the rp_filter counter rose by."""
        sent = self._box.ask(Send(flows=tuple(flows.values()), timeouts=timeouts), Sent)
        return dict(zip(flows, sent.fates, strict=True)), sent.rp_filter_drops

    def _place(self, fate: Fate) -> Place | None:
        if fate.leg is None or fate.at is None:
            return None
        code, _, vni = fate.at.partition(" ")
        if code == "guest":
            return Place(leg=Leg(fate.leg), by=None, at=None)
        return Place(leg=Leg(fate.leg), by=DropCode(code), at=self._view.interface_of.get(vni))

    def _rehearsed(
        self, tried: Tried, scope: Scope, flow: Flow | None, fate: Fate, judgement: Judgement, why: str | None
    ) -> RehearsedFlow:
        return RehearsedFlow(
            direction=Direction(tried.direction),
            protocol=Protocol(tried.protocol),
            port=UNSET if tried.port is None else tried.port,
            remote=tried.remote,
            remote_scope=scope,
            local=tried.local,
            predicted=Verdict.UNKNOWN if flow is None else flow.verdict,
            dropped_by=None if flow is None else flow.dropped_by,
            delivered=fate.delivered,
            died=self._place(fate),
            judgement=judgement,
            why=UNSET if why is None else why,
        )


def _answer(flow: Flow) -> tuple[object, ...]:
    """What is said of a flow."""
    return flow.verdict, flow.drops, flow.ingress, flow.egress


def _running(old: Guest, seen: Guest) -> Guest:
    """The guest with the running facts of another collection. Devices that were there keep what they are: a stand-in's
    own kind says nothing of them.
    """
    known = {link.name: link for link in old.interfaces}
    interfaces = tuple(
        msgspec.structs.replace(
            known[link.name], up=link.up, carrier=link.carrier, addresses=link.addresses, flags=link.flags
        )
        if link.name in known
        else link
        for link in seen.interfaces
    )
    return msgspec.structs.replace(
        old,
        interfaces=interfaces,
        routes=seen.routes,
        rules=seen.rules,
        sysctls={**old.sysctls, **{path: value for path, value in seen.sysctls.items() if path.startswith("net/")}},
        counters=seen.counters,
        missing=seen.missing,
        unmodelled=tuple(seen.unmodelled),
    )
