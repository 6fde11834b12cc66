"""Steps on a real kernel: each does what its check asks for, and its undo takes just that back."""

import pytest

from tests.lab.require import require_lab
from vnicheck.fixes.actions import action_of, steps_of
from vnicheck.fixes.effects import AddRoutes, AddRule, PatchVni, SetRpFilter
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.model.guest import MAIN_TABLE, PolicyRule
from vnicheck.model.plan_document import as_documents
from vnicheck.rehearse.namespaces import Namespace

LINKS = (
    "link add eth1.7 type veth peer name p1",
    "link set eth1.7 up",
    "link set p1 up",
    "address add 10.0.0.12/24 dev eth1.7",
)
ROUTES = """\
10.0.0.0/24 dev eth1.7 scope link table 1003
10.0.1.9 via 10.0.0.1 dev eth1.7 table 1003
default via 10.0.0.1 dev eth1.7 table 1003
"""
EFFECTS: dict[str, AddRoutes | AddRule | SetRpFilter] = {
    "routes": AddRoutes(table=1003, routes=tuple(parse_routes(ROUTES).items)),
    "a rule": AddRule(rule=PolicyRule(priority=1003, src="10.0.0.12/32", table=1003)),
    "a rule of the main table": AddRule(
        rule=PolicyRule(priority=1003, src="10.0.0.12/32", dst="172.17.0.0/16", table=MAIN_TABLE)
    ),
    "a rule towards one address": AddRule(
        rule=PolicyRule(priority=1003, src="10.0.0.12/32", dst="172.17.0.5/32", table=MAIN_TABLE)
    ),
    "rp_filter": SetRpFilter(interface="eth1.7", old=1, new=2),
}


@pytest.mark.root
@pytest.mark.parametrize("name", EFFECTS)
def test_a_step_is_told_to_stand_from_its_command_to_its_undo(name: str) -> None:
    require_lab()
    with Namespace.create("steps") as namespace:
        namespace.ip(*LINKS)
        namespace.run(["sysctl", "-q", "-w", "net/ipv4/conf/eth1.7/rp_filter=1"])

        def stands(check: str | None) -> int:
            assert check is not None
            return namespace.run(["sh", "-c", check], check=False).returncode

        steps = steps_of(EFFECTS[name])
        for step in steps:
            assert stands(step.check) == 1
            namespace.run(["sh", "-c", step.command])
            assert stands(step.check) == 0
        for step in reversed(steps):
            namespace.run(["sh", "-c", step.undo])
            assert stands(step.check) == 1


def test_a_likeness_is_not_taken_for_the_step() -> None:
    """Dots are dots, and a longer name or another table is another."""
    (step,) = steps_of(EFFECTS["a rule"])
    assert step.check is not None
    assert "'^1003:[[:space:]]+from 10[.]0[.]0[.]12 lookup 1003 *$'" in step.check
    *_, default = steps_of(EFFECTS["routes"])
    assert default.check is not None
    assert default.check.endswith("'^default via 10[.]0[.]0[.]1 dev eth1[.]7( |$)'")


def test_what_is_written_down_is_one_command_and_its_undo_backwards() -> None:
    patch = PatchVni(vni="vni-id-1", name="vni-1", field="allow_ip_spoofing", old=False, new=True)
    routes, vni = as_documents([action_of(EFFECTS["routes"]), action_of(patch)])
    assert (routes.where, vni.where, vni.command) == ("guest", "vpc", None)
    assert routes.command == (
        "ip route add 10.0.0.0/24 dev eth1.7 table 1003 && ip route add 10.0.1.9/32 via 10.0.0.1 dev eth1.7 table 1003"
        " && ip route add default via 10.0.0.1 dev eth1.7 table 1003"
    )
    assert routes.undo == (
        "ip route del default via 10.0.0.1 dev eth1.7 table 1003; ip route del 10.0.1.9/32 via 10.0.0.1 dev eth1.7 "
        "table 1003; ip route del 10.0.0.0/24 dev eth1.7 table 1003"
    )
