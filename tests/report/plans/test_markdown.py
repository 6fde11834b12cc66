"""Plans as Markdown: what stands in a pull request, and that no name or command leaves its place there."""

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.plan_documents import HARM, document, hostile, patches, persist, with_actions
from vnicheck.model.plan import InstancePlan
from vnicheck.report.plans.markdown import render_markdown
from vnicheck.report.plans.summary import Scope


def tokens(*plans: InstancePlan, scope: Scope | None = None) -> list[Token]:
    text = render_markdown(plans, scope or Scope(servers=len(plans))).decode()
    return MarkdownIt("commonmark").enable("table").parse(text)


def blocks(parsed: list[Token]) -> list[str]:
    return [line for token in parsed if token.type == "fence" for line in token.content.splitlines()]


def headings(parsed: list[Token]) -> list[str]:
    texts = []
    for position, token in enumerate(parsed):
        if token.type == "heading_open":
            texts.append("".join(child.content for child in parsed[position + 1].children or ()))
    return texts


def test_a_plan_has_its_commands_and_what_a_boot_leaves() -> None:
    changed = with_actions(document(), persist("/etc/network/interfaces.d/x", "iface eth1 inet manual\n"), *patches())
    parsed = tokens(changed)
    assert headings(parsed) == [
        "vnicheck fix",
        "server: policy-routing fixes 10.0.0.12, and breaks nothing; not permanent",
    ]
    found = blocks(parsed)
    assert "ip rule add from 10.0.0.12 table 1003 priority 1003" in found
    assert found.index("# /etc/network/interfaces.d/x") + 1 == found.index("iface eth1 inet manual")
    assert sum(line.startswith("PATCH virtual_network_interfaces/") for line in found) == len(patches())


def test_the_summary_comes_first_and_one_shape_is_said_once() -> None:
    parsed = tokens(document(), document(name="other"), scope=Scope(servers=3, unchecked=("dark",)))
    said = [token.content for token in parsed if token.type == "inline"]
    assert said[1] == "Plan: 2 servers: 2 fixed, 0 in part, 0 by hand"
    assert said[2] == "could not look at dark: whether anything is broken there is not known"
    assert len(headings(parsed)) == 2
    assert any(text.startswith("The same, with their own addresses: other") for text in said)


def test_a_server_without_a_fix_says_why() -> None:
    parsed = tokens(document("loose", "rp-filter"))
    assert "rp-filter alone fixes none of it" in [token.content for token in parsed if token.type == "inline"]
    assert not blocks(parsed)


@pytest.mark.parametrize("harm", HARM, ids=range(len(HARM)))
@pytest.mark.parametrize("more", ["", "``` <img src=x> | @all [a](http://b) "])
def test_no_name_leaves_its_place(harm: str, more: str) -> None:
    bad = tokens(hostile(more + harm))
    inside = [child for token in bad for child in token.children or ()]
    assert not {child.type for child in inside} & {"link_open", "image", "html_inline"}
    assert not any(token.type == "html_block" for token in bad)
    assert sum(token.type == "heading_open" for token in bad) == 2
    assert "@all" not in "".join(child.content for child in inside if child.type == "text")
