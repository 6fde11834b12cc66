"""Addresses and prefixes, against the standard library's own."""

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vnicheck.model.address import (
    LAST,
    format_address,
    mask,
    merge_ranges,
    parse_address,
    parse_prefix,
    prefix_range,
    range_prefixes,
    split_prefix,
)

numbers = st.integers(0, LAST)
lengths = st.integers(0, 32)
ranges = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))
near = st.integers(0, 40)
small_ranges = st.lists(st.tuples(near, near).map(lambda pair: (min(pair), max(pair))), max_size=8)

NOT_ADDRESSES = [
    "",
    "10.0.0",
    "10.0.0.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "010.0.0.1",
    "10.0.0.1\n",
    " 10.0.0.1",
    "10.0.0.１",
    "１０.0.0.1",
    "٣.0.0.1",
    "10.0.0.-1",
    "10.0.0.0x1",
    "1e1.0.0.1",
    "167772161",
    "::1",
    "::ffff:10.0.0.1",
    "10.0.0.1/32",
    "10..0.1",
]


@given(numbers)
def test_text_and_number_are_the_standard_librarys(number: int) -> None:
    assert format_address(number) == str(ipaddress.IPv4Address(number))
    assert parse_address(format_address(number)) == number


@given(st.text(max_size=20) | st.from_regex(r"[0-9٠-٩.]{1,15}", fullmatch=True))
def test_an_address_is_what_the_standard_library_takes_for_one(text: str) -> None:
    try:
        expected = int(ipaddress.IPv4Address(text))
    except ValueError:
        with pytest.raises(ValueError, match="not an IPv4 address"):
            parse_address(text)
    else:
        assert parse_address(text) == expected


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="not an IPv4 address"):
        parse_address(text)


def test_the_message_about_a_long_text_is_short() -> None:
    with pytest.raises(ValueError, match="not an IPv4 address") as caught:
        parse_address("1" * 100_000)
    assert len(str(caught.value)) < 100


@given(numbers, lengths)
def test_prefixes(number: int, length: int) -> None:
    text = f"{format_address(number)}/{length}"
    network = ipaddress.ip_network(text, strict=False)
    assert split_prefix(text) == (number, length)
    assert mask(length) == int(network.netmask)
    assert prefix_range(str(network)) == (int(network[0]), int(network[-1]))
    if number == int(network[0]):
        assert parse_prefix(text) == (number, length)
    else:
        with pytest.raises(ValueError, match="host bits are set"):
            parse_prefix(text)


def test_a_prefix_without_a_length_is_one_address() -> None:
    assert split_prefix("10.0.0.1") == (parse_address("10.0.0.1"), 32)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8", "10.0.0.0/٨", "10.0.0.0/8/8", "/8"],
)
def test_what_is_no_prefix(text: str) -> None:
    with pytest.raises(ValueError, match="not an IPv4"):
        parse_prefix(text)


@given(ranges)
def test_a_range_is_the_fewest_prefixes(extent: tuple[int, int]) -> None:
    expected = ipaddress.summarize_address_range(*map(ipaddress.IPv4Address, extent))
    assert list(range_prefixes(*extent)) == [str(network) for network in expected]


def test_the_whole_space_is_one_prefix() -> None:
    assert range_prefixes(0, LAST) == ("0.0.0.0/0",)
    assert range_prefixes(LAST, LAST) == ("255.255.255.255/32",)


@given(small_ranges)
def test_merged_ranges_hold_the_same_numbers(extents: list[tuple[int, int]]) -> None:
    merged = merge_ranges(extents)
    numbers_in = {number for first, last in extents for number in range(first, last + 1)}
    assert {number for first, last in merged for number in range(first, last + 1)} == numbers_in
    assert all(this[1] + 1 < following[0] for this, following in pairwise(merged)), (
        "neither sorted nor disjoint, or neighbours touch"
    )
