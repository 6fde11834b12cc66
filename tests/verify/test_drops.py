"""The kernel's reasons for drops: which it has, by its own files, and what is told of them."""

from pathlib import Path

import pytest

from vnicheck.verify import agent_drops
from vnicheck.verify.agents import Watched
from vnicheck.verify.beside import told_beside

OLD = """name: kfree_skb
format:
\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:unsigned short protocol;\toffset:24;\tsize:2;\tsigned:0;

print fmt: "skbaddr=%p protocol=%u location=%p", REC->skbaddr, REC->protocol, REC->location
"""
NEW = """name: kfree_skb
format:
\tfield:unsigned short protocol;\toffset:32;\tsize:2;\tsigned:0;
\tfield:enum skb_drop_reason reason;\toffset:36;\tsize:4;\tsigned:0;

print fmt: "reason: %s", __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 12, "NETFILTER_DROP" }, """
NEW += '{ 16, "SKB_DROP_REASON_IP_RPFILTER" }, { 128, "MAX" })'


def tracefs(folder: Path, form: str) -> str:
    event = folder / "events/skb/kfree_skb"
    event.mkdir(parents=True)
    (event / "format").write_text(form)
    (event / "id").write_text("2310\n")
    return str(folder)


def test_reasons_are_those_that_the_running_kernel_lists(tmp_path: Path) -> None:
    assert agent_drops.kfree_skb(tracefs(tmp_path, NEW)) == (2310, [("IP_RPFILTER", 16), ("NETFILTER_DROP", 12)])


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (None, "tracefs is not mounted"),
        (OLD, "its kernel names no reasons (before 5.17)"),
        (NEW.replace("NETFILTER_DROP", "X").replace("IP_RPFILTER", "Y"), "its kernel names no reasons (before 5.17)"),
        ("", "its kernel names no reasons (before 5.17)"),
    ],
    ids=["absent", "old", "other names", "empty"],
)
def test_where_they_are_not_known_that_is_told_and_nothing_counted(
    form: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "" if form is None else tracefs(tmp_path, form)
    monkeypatch.setattr(agent_drops, "tracefs", lambda: where)
    drops = agent_drops.Drops(True)
    assert (drops.why, drops.counts()) == (why, {})
    watched = Watched(packets=(), counters={}, drops=drops.counts(), drops_unknown=drops.why)
    assert list(told_beside(watched)) == [f"what its kernel drops is not counted by the reason ({why})"]


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_drops, "tracefs", lambda: str(tmp_path))
    assert agent_drops.Drops(True).why == "No such file or directory"
    tracefs(tmp_path, NEW)
    (tmp_path / "events/skb/kfree_skb/id").write_text("")
    assert "invalid literal" in agent_drops.Drops(True).why


def test_hosts_count_nothing() -> None:
    drops = agent_drops.Drops(False)
    assert (drops.why, drops.counts()) == ("", {})


def test_counts_are_told_in_words_and_zeros_are_not() -> None:
    drops = {"IP_RPFILTER": 4, "NETFILTER_DROP": 0, "TC_EGRESS": 1}
    assert list(told_beside(Watched(packets=(), counters={"IPReversePathFilter": 4}, drops=drops))) == [
        "its counter IPReversePathFilter rose by 4 meanwhile",
        "while probing, the server's kernel dropped 4 IPv4 packets by reverse path filtering (rp_filter)",
        "while probing, the server's kernel dropped 1 IPv4 packet by tc filters as they left (TC_EGRESS)",
    ]


def test_every_reason_has_its_words() -> None:
    for reason in agent_drops.REASONS:
        (said,) = told_beside(Watched(packets=(), counters={}, drops={reason: 1}))
        assert not said.endswith(f"by {reason}")
