"""Remote text is hostile until it is one plain line."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnicheck.model.words import listed, one_line, shown_json

STEERING = [*"\r\n\x00\x7f\x85\u2028\u2029\u202e\u2066", "\x1b[31m", "\x1b]0;title\x07", "\x9b2J"]


@given(st.text(alphabet=st.characters(), max_size=200) | st.lists(st.sampled_from(STEERING)).map("x".join))
def test_nothing_is_left_that_steers_a_terminal(text: str) -> None:
    shown = one_line(text)
    assert not [char for char in shown if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert shown == shown.strip()
    assert "  " not in shown


@pytest.mark.parametrize("steering", STEERING, ids=ascii)
def test_what_stands_around_stays(steering: str) -> None:
    shown = one_line(f"before{steering}after")
    assert shown.startswith("before")
    assert shown.endswith("after")


@given(st.text(max_size=400), st.integers(1, 80))
def test_it_is_no_longer_than_asked(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit


def test_plain_text_is_as_it_was() -> None:
    assert one_line("ip route, 10.0.0.0/24 naïve 東京") == "ip route, 10.0.0.0/24 naïve 東京"
    assert one_line("a" * 10, 5) == "aaaa…"


def test_lists() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"


def test_json_on_a_terminal() -> None:
    text = "e\x1b[2J\u202e\u2028ü\U000e0001"
    shown = shown_json(json.dumps({"name": text}, ensure_ascii=False).encode())
    assert json.loads(shown) == {"name": text}
    assert shown.decode().isprintable()
    assert "ü" in shown.decode()
    assert shown_json(b'{"a": 1}\n') == b'{"a": 1}\n'
