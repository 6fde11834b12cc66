"""Which assumptions what was seen speaks for, or against: those are sought that, set otherwise, would explain it all.

Each flow that was seen is predicted again with a setting changed; the engine itself says what follows from it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import Any

import msgspec
from msgspec import Struct

from vnicheck.engine.open_assumptions import OPEN_VALUES
from vnicheck.engine.server_view import names_of
from vnicheck.fabric.assumptions import OPEN
from vnicheck.model.config import Assumptions, Config, setting_for
from vnicheck.model.flow import Flow, Protocol
from vnicheck.model.snapshot import Server
from vnicheck.verify.evidence import Evidence, contradicted
from vnicheck.verify.sightings import FlowKey

_WIDER = {"psf-auto": "psf-opening", "spoofing-sibling": "spoofing-check"}
"""Assumptions that say of some packets what the other says of more."""
Predict = Callable[[Config], Mapping[FlowKey, Flow]]
"""The flows that were seen, as they are predicted with a configuration."""


class Setting(Struct, frozen=True):
    """An assumption, by its id, with a value that `model.config.Assumptions` takes for it, for one server."""

    id: str
    value: Any


class Explanation(Struct, frozen=True, kw_only=True):
    """`refuted`: the fewest settings that explain what the present ones do not; none where nothing contradicts them.
    `suspected`: the same, where others of `or_else` explain it no less; else those of `or_else` claim more.
    `unexplained`: no two settings do. `settled`: open questions that only one answer is left to. `confirmed`:
    assumptions without which what was seen could not be.
    """

    refuted: tuple[Setting, ...] = ()
    suspected: tuple[Setting, ...] = ()
    or_else: tuple[tuple[Setting, ...], ...] = ()
    unexplained: bool = False
    settled: tuple[Setting, ...] = ()
    confirmed: tuple[str, ...] = ()


def explain(evidence: Evidence, predict: Predict, config: Config, server: Server) -> Explanation:
    """What the evidence says of the assumptions of a configuration."""

    @cache
    def holds(settings: tuple[Setting, ...]) -> bool:
        flows = predict(with_settings(config, settings))
        return not any(
            contradicted(evidence.parts(key, flow), guest=False)
            for key, flow in flows.items()
            if evidence.went_as_predicted(key, flow)
        )

    candidates = list(_candidates(config.assumptions, server))
    refuted: tuple[Setting, ...] = ()
    or_else: tuple[tuple[Setting, ...], ...] = ()
    if not holds(()):
        ways: list[tuple[Setting, ...]] = [(setting,) for setting in candidates if holds((setting,))]
        if not ways:
            pairs = (pair for pair in combinations(candidates, 2) if pair[0].id != pair[1].id)
            ways = [pair for pair in pairs if holds(pair)]
        if not ways:
            return Explanation(unexplained=True)
        least = _least(ways)
        or_else = tuple(way for way in _each_once(ways) if way != least[0])
        if len(least) > 1:
            return Explanation(suspected=least[0], or_else=or_else)
        refuted = least[0]
    tried = {setting.id for setting in refuted}
    settled, confirmed = [], []
    by_id: dict[str, list[Setting]] = {}
    for setting in candidates:
        by_id.setdefault(setting.id, []).append(setting)
    for name, others in by_id.items():
        if name in tried:
            continue
        left = [setting for setting in others if holds((*refuted, setting))]
        if _is_open(config.assumptions, server, name):
            settled += left if len(left) == 1 < len(others) else []
        elif not left:
            confirmed.append(name)
    return Explanation(refuted=refuted, or_else=or_else, settled=tuple(settled), confirmed=tuple(confirmed))


def _least(ways: list[tuple[Setting, ...]]) -> list[tuple[Setting, ...]]:
    """Of several explanations those that no other one narrows."""
    once = _each_once(ways)
    known = {tuple(setting.id for setting in way) for way in once}

    def narrowed(way: tuple[Setting, ...]) -> bool:
        ids = [setting.id for setting in way]
        return any(
            tuple(sorted([*ids[:at], narrow, *ids[at + 1 :]])) in {tuple(sorted(each)) for each in known}
            for at, name in enumerate(ids)
            for narrow, wide in _WIDER.items()
            if name == wide
        )

    return [way for way in once if not narrowed(way)]


def _each_once(ways: list[tuple[Setting, ...]]) -> list[tuple[Setting, ...]]:
    """Of explanations by the same assumptions the first, which claims least."""
    return list({tuple(setting.id for setting in way): way for way in reversed(ways)}.values())[::-1]


def with_settings(config: Config, settings: Iterable[Setting]) -> Config:
    """The configuration with other values for some assumptions."""
    values = {setting.id.replace("-", "_"): setting.value for setting in settings}
    if not values:
        return config
    return msgspec.structs.replace(config, assumptions=msgspec.structs.replace(config.assumptions, **values))


def _is_open(assume: Assumptions, server: Server, name: str) -> bool:
    return name in OPEN and _said(assume, server, name) is None


def _said(assume: Assumptions, server: Server, name: str) -> Any:
    return setting_for(getattr(assume, name.replace("-", "_")), names_of(server))


def present(assume: Assumptions, server: Server, name: str) -> Any:
    """The value that holds for the server."""
    if name == "psf-auto":
        return "enabled" if assume.auto_filters(server.kind, *names_of(server)) else "disabled"
    return _said(assume, server, name) if name in OPEN else getattr(assume, name.replace("-", "_"))


def _candidates(assume: Assumptions, server: Server) -> Iterator[Setting]:
    """Other values of each, those first that claim least: of several that explain a thing, the first is named."""
    auto = "disabled" if assume.auto_filters(server.kind, *names_of(server)) else "enabled"
    yield Setting("psf-auto", auto)
    for name in sorted(OPEN):
        said = _said(assume, server, name)
        yield from (Setting(name, passage) for passage in OPEN_VALUES if passage != said)
    filtered = set(assume.psf_protocols)
    for protocol in (Protocol.UDP, Protocol.ICMP):
        yield Setting("psf-protocols", tuple(each for each in Protocol if each in filtered ^ {protocol}))
    yield Setting("psf-protocols", tuple(each for each in Protocol if each in filtered ^ {Protocol.UDP, Protocol.ICMP}))
    for name in ("fip-return", "sg-stateless", "psf-opening", "spoofing-check"):
        yield Setting(name, not getattr(assume, name.replace("-", "_")))
