"""The map of addresses: a bijection that keeps prefixes, ranges with a meaning, and subnets' edges."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import drawn
from vnicheck.fabric.scope import PRIVATE_PREFIXES, SERVICE_PREFIXES
from vnicheck.model.address import format_address, mask, parse_prefix, prefix_range
from vnicheck.redaction.addresses import OWN_MEANING, UNTOUCHED, AddressPseudonyms

KEY = b"k" * 32
SUBNETS = ("10.0.0.0/24", "10.0.1.64/26", "192.168.7.0/29", "203.0.113.0/24")
MAP = AddressPseudonyms(KEY, SUBNETS)
addresses = st.integers(0, 0xFFFFFFFF) | st.sampled_from(SUBNETS).flatmap(
    lambda prefix: st.integers(*prefix_range(prefix))
)


def shared_bits(one: int, other: int) -> int:
    return 32 - (one ^ other).bit_length()


@settings(max_examples=drawn(300), deadline=None)
@given(addresses, addresses)
def test_two_addresses_share_as_many_leading_bits_after_as_before(one: int, other: int) -> None:
    assert shared_bits(MAP.number(one), MAP.number(other)) == shared_bits(one, other)


@pytest.mark.parametrize("prefix", [*OWN_MEANING, *UNTOUCHED])
def test_ranges_with_a_meaning_stay(prefix: str) -> None:
    assert MAP.prefix(prefix) == prefix
    first, last = prefix_range(prefix)
    assert first <= MAP.number(first + (last - first) // 3) <= last


def test_every_range_that_scopes_are_told_by_stays() -> None:
    for prefix in (*PRIVATE_PREFIXES, *SERVICE_PREFIXES, "0.0.0.0/0"):
        assert MAP.prefix(prefix) == prefix


@settings(max_examples=drawn(200), deadline=None)
@given(addresses)
def test_the_internet_stays_the_internet_and_private_stays_private(address: int) -> None:
    def kind(number: int) -> list[str]:
        ranges = (*OWN_MEANING, *UNTOUCHED)
        return [prefix for prefix in ranges if prefix_range(prefix)[0] <= number <= prefix_range(prefix)[1]]

    assert kind(MAP.number(address)) == kind(address)


@pytest.mark.parametrize("prefix", UNTOUCHED)
def test_addresses_that_are_everyones_stay(prefix: str) -> None:
    first, last = prefix_range(prefix)
    for address in (first, first + 10, last):
        assert MAP.number(address) == address


@pytest.mark.parametrize("prefix", SUBNETS)
def test_a_subnets_edges_stay_edges(prefix: str) -> None:
    first, last = prefix_range(prefix)
    renamed = prefix_range(MAP.prefix(prefix))
    assert (MAP.number(first), MAP.number(first + 1), MAP.number(last)) == (renamed[0], renamed[0] + 1, renamed[1])


def test_what_is_renamed_is_another() -> None:
    hosts = [*range(prefix_range("10.0.0.0/24")[0] + 2, prefix_range("10.0.0.0/24")[1])]
    assert MAP.prefix("10.0.0.0/24") != "10.0.0.0/24"
    assert sorted(MAP.number(host) & 0xFF for host in hosts) == sorted(host & 0xFF for host in hosts)
    assert MAP.address("8.8.8.8") != "8.8.8.8"
    assert ipaddress.ip_address(MAP.address("8.8.8.8")).is_global


def test_a_prefix_with_host_bits_keeps_its_network() -> None:
    host, network = MAP.prefix("10.0.0.12/24"), MAP.prefix("10.0.0.0/24")
    assert host.endswith("/24")
    assert ipaddress.ip_interface(host).network == ipaddress.ip_network(network)
    assert host.partition("/")[0] == MAP.address("10.0.0.12")


@settings(max_examples=drawn(200), deadline=None)
@given(addresses, st.integers(0, 32))
def test_prefixes_stay_prefixes(address: int, length: int) -> None:
    network, kept = parse_prefix(MAP.prefix(f"{format_address(address & mask(length))}/{length}"))
    assert kept == length
    assert MAP.number(address) & mask(length) == network


def test_another_key_is_another_map() -> None:
    assert AddressPseudonyms(b"other", SUBNETS).address("10.9.8.7") != MAP.address("10.9.8.7")
    assert AddressPseudonyms(KEY, SUBNETS).address("10.9.8.7") == MAP.address("10.9.8.7")
