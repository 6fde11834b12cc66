"""Servers with broken paths of every kind, for the tests of fixes."""

from collections.abc import Iterable, Sequence
from functools import cache

from tests.support.servers import (
    TWO_DEFAULTS,
    fabric,
    guest,
    link,
    router,
    rules_of,
    server,
    transit_fabric,
    two_vnis,
    vni,
)
from vnicheck.fixes.effects import Effect
from vnicheck.fixes.planner import Proof, Strategy, plan_server
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server

FITTING = "10.0.0.0/24 dev eth1 table 102 scope link\ndefault via 10.0.0.1 dev eth1 table 102\n"
STRICT = {"eth0": 1, "eth1": 1}
THREE = guest(
    link("eth0", 0, "10.0.0.11/24"),
    link("eth1", 1, "10.0.0.12/24", "10.0.0.14/24"),
    link("eth2", 2, "10.0.1.13/24"),
    routes=TWO_DEFAULTS + "10.0.1.0/24 dev eth2 proto kernel scope link src 10.0.1.13\n",
    rp_filter={"eth1": 1, "eth2": 1},
)
DOCKER = guest(
    link("eth0", 0, "10.0.0.11/24"),
    link("eth1", 1, "10.0.0.12/24"),
    link("docker0", 3, "172.17.0.1/16", mac="02:42:00:00:00:01"),
    routes=TWO_DEFAULTS + "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n",
    rp_filter=STRICT,
)

BROKEN: dict[str, tuple[Server, Fabric]] = {
    "strict": (server(guest=guest(rp_filter=STRICT)), fabric()),
    "strict, no spoofing": (server(*two_vnis(spoofing=False), guest=guest(rp_filter={"all": 1})), fabric()),
    "loose": (server(guest=guest(rp_filter={"all": 2})), fabric()),
    "loose, no spoofing": (server(*two_vnis(spoofing=False), guest=guest(rp_filter={"all": 2})), fabric()),
    "legacy": (server(*two_vnis(legacy=True, protocol_state_filtering_mode=None), guest=guest()), fabric()),
    "bare metal, strict": (server(guest=guest(rp_filter=STRICT), kind="bare_metal_server"), fabric()),
    "floating IP": (
        server(
            vni(0, "10.0.0.11", allow_ip_spoofing=True), vni(1, "10.0.0.12", floating_ip="203.0.113.7"), guest=guest()
        ),
        fabric(),
    ),
    "three VNIs, two subnets, a secondary address": (
        server(vni(0, "10.0.0.11"), vni(1, "10.0.0.12", "10.0.0.14"), vni(2, "10.0.1.13", subnet="b"), guest=THREE),
        fabric(),
    ),
    "a table without its rule": (
        server(
            guest=guest(
                routes=TWO_DEFAULTS + FITTING,
                rp_filter=STRICT,
            )
        ),
        fabric(),
    ),
    "a rule of somebody's that takes the packets first": (
        server(
            guest=guest(
                routes=TWO_DEFAULTS + "default via 10.0.0.1 dev eth0 table 500\n",
                rules=rules_of("500: from 10.0.0.12 lookup 500"),
                rp_filter=STRICT,
            )
        ),
        fabric(),
    ),
    "containers": (server(guest=DOCKER), fabric()),
    "in transit": (router(), transit_fabric("10.0.0.11")),
}


def plan(of: Server, around: Fabric | None = None, strategy: Strategy = "auto", config: Config | None = None) -> Proof:
    """The plan for a server of which something is broken."""
    proof = plan_server(of, around if around is not None else fabric(), config or Config(), strategy)
    assert proof is not None
    return proof


@cache
def planned(name: str, strategy: Strategy = "auto") -> Proof:
    """The plan for one of BROKEN, made once."""
    return plan(*BROKEN[name], strategy)


def kinds(effects: Iterable[Effect]) -> list[str]:
    """The names of the effects' classes."""
    return [type(effect).__name__ for effect in effects]


def commands(proof: Proof) -> list[str]:
    """The commands of the guest's immediate actions, one by one."""
    return [step.command for action in proof.document.plan.immediate for step in action.steps]


def without(effects: Sequence[Effect], position: int) -> tuple[Effect, ...]:
    """The effects but one."""
    return (*effects[:position], *effects[position + 1 :])
