"""Trying changes on the model: the proof of every plan."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from vnicheck.engine.classify import predict_flows
from vnicheck.engine.open_assumptions import World, failing_hops
from vnicheck.engine.refinement import Overlaps
from vnicheck.engine.server_view import ServerView
from vnicheck.findings.at_risk import flows_to_fix
from vnicheck.findings.facts import Facts
from vnicheck.fixes.comparison import Comparison, compare_flows
from vnicheck.fixes.effects import AddRoutes, AddRule, Effect, PatchVni, SetRpFilter, carry_out, of_sources
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow, Stage
from vnicheck.model.snapshot import Server


class Trial:
    """A server as it is, and as it would be with some effects; each prediction is made once.

    `targets`: the indexes of its broken flows and of those at risk, which a plan is to fix; those that the guest's
    firewall stops besides, or may stop, no plan makes work.
    """

    def __init__(self, server: Server, fabric: Fabric, config: Config, facts: Facts | None = None) -> None:
        """`facts`: those of the server, where they are known already."""
        self._fabric = fabric
        self._config = config
        self._known: dict[tuple[Effect, ...], tuple[Facts, Comparison]] = {}
        self._overlaps: dict[tuple[tuple[int, ...], ...], Overlaps] = {}
        self.server = server
        self.facts = facts if facts is not None else _predicted(ServerView(server, fabric, config))
        self.targets = frozenset(index for index in flows_to_fix(self.facts) if not _is_filtered(self.before[index]))

    @staticmethod
    def of(facts: Facts) -> "Trial":
        """The trial of a server that is predicted already; one for all who ask."""
        view = facts.view

        def trial() -> Trial:
            # what the facts know is not to hold the facts: Python would find what is done with only by a search
            mine = replace(facts, known=dict(facts.known))
            return Trial(view.server, view.fabric, view.config, mine)

        return facts.once("trial", trial)

    @property
    def before(self) -> tuple[Flow, ...]:
        """The flows as they are."""
        return self.facts.flows

    def facts_after(self, effects: Sequence[Effect]) -> Facts:
        """The server with the effects, and its flows."""
        return self._try(tuple(effects))[0]

    def outcome(self, effects: Sequence[Effect]) -> Comparison:
        """What the effects fix, and what fares worse."""
        return self._try(tuple(effects))[1]

    def harmless(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        """The effects without those for addresses that would fare worse with them."""
        kept = tuple(effects)
        while (worse := self.outcome(kept).worse) and kept:
            hurt = {f"{self.before[index].local}/32" for index in worse}
            fewer = tuple(each for each in kept if not (isinstance(each, AddRule) and each.rule.src in hurt))
            if len(fewer) == len(kept):
                return ()
            kept = fewer
        return kept

    def minimal(self, effects: Sequence[Effect], *, surely: bool = False) -> tuple[Effect, ...]:
        """The effects without those that are not needed to fix what they fix together. The last ones go first.

        `surely`: to fix it whatever open assumptions come to.
        """
        kept = tuple(effects)
        if all(isinstance(each, AddRoutes | AddRule) for each in kept):
            # a rule leads what is sent from its own address and nothing else
            outcome = self.outcome(kept)
            helped = outcome.fixed if surely else {index for index, _ in outcome.gained}
            return of_sources(kept, {f"{self.before[index].local}/32" for index in helped})
        wanted = self._fixed(kept, surely=surely)
        checks = [each for each in kept if isinstance(each, PatchVni | SetRpFilter)]
        if len(checks) == len(kept):
            # each changes one check, and no flow's way
            met = self._met(checks, wanted)
            if self._fixed(met, surely=surely) >= wanted and not self.outcome(met).worse:
                return met
        position = len(kept) - 1
        while position >= 0:
            fewer = kept[:position] + kept[position + 1 :]
            # rules come behind their table: those that are left are needed, and so is the table
            needed = _is_led_to(kept[position], fewer) or not self._fixed(fewer, surely=surely) >= wanted
            if not needed and not self.outcome(fewer).worse:
                kept = fewer
                position = len(kept)  # one that was needed beside it may not be any more
            position -= 1
        return kept

    def _met(
        self, effects: Iterable[PatchVni | SetRpFilter], wanted: Iterable[tuple[int, World]]
    ) -> tuple[Effect, ...]:
        """Those of the effects without which some check of a wanted class would not pass."""
        ats = {vni.id: self.facts.view.at(vni) for vni in self.server.vnis}
        failing = {
            (hop.stage, hop.at) for index, world in wanted for hop in failing_hops(self.before[index], dict(world))
        }
        return tuple(each for each in effects if _check_of(each, ats) in failing)

    def _fixed(self, effects: Sequence[Effect], *, surely: bool) -> frozenset[tuple[int, World]]:
        """The classes that the effects fix, each with the worlds in which they do; `surely`: in all, named by none."""
        outcome = self.outcome(effects)
        return frozenset((index, ()) for index in outcome.fixed) if surely else outcome.gained

    def _try(self, effects: tuple[Effect, ...]) -> tuple[Facts, Comparison]:
        known = self._known.get(effects)
        if known is None:
            facts = self.facts
            if effects:
                changed = carry_out(self.server, effects)
                facts = _predicted(ServerView(changed, self._fabric, self._config, like=self.facts.view))
            comparison = compare_flows(self.before, facts.flows, self.targets, self.facts.is_inside, self._overlaps)
            known = self._known[effects] = (facts, comparison)
        return known


def _is_led_to(effect: Effect, effects: Iterable[Effect]) -> bool:
    """Whether it is a table to which a rule among the effects leads."""
    tables = {each.rule.table for each in effects if isinstance(each, AddRule)}
    return isinstance(effect, AddRoutes) and effect.table in tables


def _check_of(effect: PatchVni | SetRpFilter, ats: Mapping[str, str]) -> tuple[Stage, str]:
    """The check that the effect changes, and where."""
    if isinstance(effect, SetRpFilter):
        return Stage.SOURCE_VALIDATION, effect.interface
    stage = Stage.IP_SPOOFING_CHECK if effect.field == "allow_ip_spoofing" else Stage.PROTOCOL_STATE_FILTERING
    return stage, ats[effect.vni]


def _predicted(view: ServerView) -> Facts:
    return Facts(view, predict_flows(view))


def _is_filtered(flow: Flow) -> bool:
    return any(hop.stage is Stage.GUEST_FIREWALL for hop in flow.hops)
