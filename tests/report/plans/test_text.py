"""Plans for people: golden outputs, widths, and what hostile names come to.

After a change that is meant: VNICHECK_UPDATE_GOLDEN=1 pytest tests/report, and read the difference.
"""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.plan_documents import HARM, document, hostile, patches, persist, with_actions
from tests.support.plans import planned
from vnicheck.model.plan import InstancePlan
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


def render(plans: Sequence[InstancePlan], width: int = 100, *, encoding: str = "utf-8", servers: int = 3) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")
    write_plans(
        plans, Console(file=file, width=width, color_system=None, highlight=False, markup=False), servers=servers
    )
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
    assert render([], servers=2) == "nothing is broken that is meant to work: there is nothing to fix\n"
    assert "nothing to fix on 2 other servers" in render([document()], servers=3)
    assert "nothing to fix" not in render([document()], servers=1)
