"""Plans for people: golden outputs, widths, and what hostile names come to.

After a change that is meant: VNICHECK_UPDATE_GOLDEN=1 pytest tests/report, and read the difference.
"""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.support.plan_documents import HARM, document, hostile, patches, persist, with_actions
from tests.support.plans import planned
from vnicheck.model.plan import AtBoot, InstancePlan, without_flows
from vnicheck.report.plans.summary import Scope, result_of
from vnicheck.report.plans.text import write_plans

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (60, 100)
PLANS: dict[str, Callable[[], Sequence[InstancePlan]]] = {
    "routing": lambda: [document()],
    "several": lambda: [planned("three VNIs, two subnets, a secondary address").document, document("containers")],
    "filters": lambda: [document("loose, no spoofing", "state-filtering")],
    "nothing": lambda: [document("loose", "rp-filter")],
    "files": lambda: [
        with_actions(document(), persist("/etc/network/interfaces.d/x", "iface eth1 inet manual\n"), *patches())
    ],
}


def render(
    plans: Sequence[InstancePlan], width: int = 100, *, encoding: str = "utf-8", scope: Scope | None = None
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")
    screen = Console(file=file, width=width, color_system=None, highlight=False, markup=False)
    write_plans(plans, screen, scope or Scope(servers=3))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PLANS)
def test_golden(name: str, width: int) -> None:
    path = GOLDEN / f"{name}-{width}.txt"
    shown = render(PLANS[name](), width)
    if os.environ.get("VNICHECK_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


def test_strategies_that_fail_for_one_reason_are_told_together() -> None:
    plan = document()
    others = tuple(
        msgspec.structs.replace(plan.plan, strategy=name, why_not="fixes nothing") for name in ("rp-filter", "none")
    )
    assert "  rp-filter and none: fixes nothing\n" in render([msgspec.structs.replace(plan, alternatives=others)])


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}-{width}.txt" for name in PLANS for width in WIDTHS}


@pytest.mark.parametrize("name", PLANS)
def test_prose_is_wrapped_and_what_is_to_be_copied_is_not(name: str) -> None:
    for line in render(PLANS[name](), 60).splitlines():
        copied = line.lstrip().startswith(("ip ", "PATCH ", "is.virtual", "/etc/", "| ", "sysctl "))
        assert copied or len(line) <= 60, line


@pytest.mark.parametrize("harm", HARM, ids=range(len(HARM)))
def test_no_name_steers_the_terminal_or_is_markup(harm: str) -> None:
    text = render([hostile(harm), hostile(f"[bold red]{harm}[/]")])
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "[bold red]" in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert render([document()], encoding="ascii").isascii()


def test_what_needs_nothing_is_said() -> None:
    assert render([], scope=Scope(servers=2)) == (
        "nothing is broken that is meant to work: there is nothing to fix\n"
        "whether a boot would change that, 'vnicheck analyze' tells\n"
    )
    assert "nothing to fix on 2 other servers" in render([document()], scope=Scope(servers=3))
    assert "nothing to fix" not in render([document()], scope=Scope(servers=1))


@pytest.mark.parametrize("well", [0, 2])
def test_what_could_not_be_looked_at_is_never_said_to_be_well(well: int) -> None:
    text = render([], scope=Scope(servers=2 + well, unchecked=("web-1",), stopped=("web-2",)))
    assert "nothing is broken" not in text
    assert "could not look at web-1: whether anything is broken there is not known" in text
    assert "web-2 does not run: not looked at" in text
    assert ("nothing to fix on 2 servers" in text) is (well == 2)


def test_the_last_line_counts_what_becomes_of_the_servers() -> None:
    plans = [document(), document("loose", "rp-filter", name="other"), document("containers", name="third")]
    results = [result_of(each.plan) for each in plans]
    said = ", ".join(f"{results.count(each)} {each}" for each in ("fixed", "in part", "by hand"))
    assert {"fixed", "by hand"} <= set(results)
    assert f"Plan: 3 servers: {said}\n" in render(plans, scope=Scope(servers=3))


@pytest.mark.parametrize("at_boot", ["kept", "partly", "lost"])
def test_the_headline_says_what_a_boot_leaves(at_boot: AtBoot) -> None:
    head = render([with_actions(document(), at_boot=at_boot)]).splitlines()[0]
    assert ("not permanent" in head, "permanent in part" in head) == (at_boot == "lost", at_boot == "partly")


def moved(base: InstancePlan, old: str, new: str) -> InstancePlan:
    """The plan of a server with another address."""
    plan = base.plan
    told = tuple(msgspec.structs.replace(flow, hops=()) for flow in plan.before)
    alternatives = tuple(map(without_flows, base.alternatives))
    base = msgspec.structs.replace(
        base, plan=msgspec.structs.replace(plan, before=told, after=()), alternatives=alternatives
    )
    text = msgspec.json.encode(base).decode().replace(old, new)
    return msgspec.json.decode(text, type=InstancePlan)


def test_plans_of_one_shape_are_said_once() -> None:
    first = document()
    text = render([first, *(moved(document(name=f"web-{i}"), "10.0.0.12", f"10.0.0.1{i}") for i in (3, 4))])
    assert text.count("ip rule add") == 1
    assert "The same, with their own addresses: web-3 (10.0.0.13) and web-4 (10.0.0.14)" in text
    assert "Plan: 3 servers: 3 fixed" in text


@pytest.mark.parametrize(
    "other",
    [
        moved(document(name="other"), "1003", "1004"),
        with_actions(document(name="other"), *patches()),
        with_actions(document(name="other"), at_boot="partly"),
        document(name="other", unfixed=("something else",)),
        moved(document(name="other"), "10.0.0.0/24", "10.0.0.12/24"),  # two addresses that are one there
    ],
)
def test_plans_that_differ_in_more_than_addresses_are_told_apart(other: InstancePlan) -> None:
    assert "The same" not in render([document(), other])
