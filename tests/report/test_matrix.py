"""The matrix: what a cell says is what its flows are."""

from functools import cache

import pytest

from tests.support import cases, reports
from vnicheck.model.flow import Direction, Scope, Verdict
from vnicheck.model.report import InstanceReport
from vnicheck.report.matrix import Cell, Mark, Part, legend, matrix_of
from vnicheck.report.verdicts import verdict_lines

SCOPES = list(Scope)


@cache
def instance(name: str) -> InstanceReport:
    return cases.report_of(cases.snapshot_of(name), cases.config_of(name))


def cell(name: str, address: str, direction: Direction, scope: Scope) -> Cell:
    (rows,) = [rows for rows in matrix_of(instance(name)) if rows.address == address]
    row = rows.row(direction)
    assert row is not None
    return row.cells[SCOPES.index(scope)]


@pytest.mark.parametrize(
    ("name", "address", "direction", "scope", "parts"),
    [
        ("article-check-1", "10.0.0.12", "inbound", "vpc", [Part(Mark.DROPPED, "", "rp_filter")]),
        (
            "article-check-1",
            "10.0.0.12",
            "outbound",
            "vpc",
            [Part(Mark.DROPPED, "tcp", "state"), Part(Mark.DROPPED, "", "rp_filter")],
        ),
        ("article-check-1", "10.0.0.11", "inbound", "internet", [Part(Mark.CLOSED, "", "no FIP")]),
        ("article-check-1", "10.0.0.12", "outbound", "internet", [Part(Mark.CLOSED, "", "no PGW")]),
        ("article-check-1", "10.0.0.11", "inbound", "service", []),
        ("security-group-ports", "10.0.0.11", "inbound", "private", [Part(Mark.WORKS, "443,8000-8999 ping", "")]),
        ("network-acl-ports-known-clients", "10.0.0.11", "inbound", "vpc", [Part(Mark.WORKS, "443 udp 53", "")]),
        ("floating-ip-asymmetric", "10.0.0.12", "inbound", "internet", [Part(Mark.DROPPED, "", "spoofing")]),
    ],
)
def test_a_cell(name: str, address: str, direction: str, scope: str, parts: list[Part]) -> None:
    assert list(cell(name, address, Direction(direction), Scope(scope)).parts) == parts


@pytest.mark.parametrize("name", cases.names())
def test_no_sign_says_more_than_the_flows(name: str) -> None:
    """A cell works alone only where all that is open is delivered; one that drops, or is unknown, is never hidden."""
    report = instance(name)
    for rows in matrix_of(report):
        for row in rows.rows:
            for scope, one in zip(SCOPES, row.cells, strict=True):
                flows = [
                    flow
                    for flow in report.flows
                    if (flow.local, flow.direction, flow.remote_scope) == (rows.address, row.direction, scope)
                    and flow.is_of_vpc
                ]
                broken = any(flow.verdict is Verdict.DROPPED and flow.findings for flow in flows)
                unknown = any(flow.verdict is Verdict.UNKNOWN for flow in flows)
                works = any(flow.verdict is Verdict.DELIVERED for flow in flows)
                assert (Mark.DROPPED in one.marks, Mark.UNKNOWN in one.marks, Mark.WORKS in one.marks) == (
                    broken,
                    unknown,
                    works,
                )


def test_networks_of_the_servers_own_are_left_out_and_said_to_be() -> None:
    (report,) = reports.docker().instances
    assert verdict_lines(report) == [(Mark.WORKS, "10.0.0.11 (eth0) works.")]
    assert "left out: the server's own networks behind docker0" in legend(matrix_of(report), report)


def test_what_goes_to_addresses_of_the_vpc_by_a_tunnel_stays_unknown() -> None:
    parts = cell("tailnet-with-a-route-to-a-network", "10.20.1.5", Direction.OUTBOUND, Scope.VPC).parts
    assert Part(Mark.UNKNOWN, "", "route") in parts


def test_a_cell_names_no_protocols_where_they_are_all() -> None:
    assert cell("public-address-range", "192.0.2.17", Direction.INBOUND, Scope.VPC).parts == (
        Part(Mark.UNKNOWN, "", "VPC route"),
    )


def test_who_fares_how_is_said_of_each_protocol_by_itself() -> None:
    mixed = cell("transit-both-arms", "10.0.1.11", Direction.INBOUND, Scope.PRIVATE).mixed
    assert mixed == (
        (Part(Mark.WORKS, "tcp", ""), "10.8.0.0/16 (private)"),
        (Part(Mark.DROPPED, "tcp", "state"), "the rest"),
        (Part(Mark.WORKS, "udp ping", ""), "other private networks"),
    )


def test_who_fares_how_is_said_once_of_protocols_of_which_it_is_so() -> None:
    mixed = cell("tailnet-with-a-route-to-a-network", "10.20.1.5", Direction.OUTBOUND, Scope.VPC).mixed
    assert (Part(Mark.UNKNOWN, "", "route"), "10.60.0.0/16 (vpc)") in mixed
    assert mixed[-1] == (Part(Mark.WORKS, "", ""), "the rest")


def test_addresses_of_which_the_same_is_so_share_a_line_the_worst_first() -> None:
    assert verdict_lines(instance("article-check-1")) == [
        (Mark.DROPPED, "10.0.0.12 (eth1) is not reachable."),
        (Mark.WORKS, "10.0.0.11 (eth0) works."),
    ]
    (first, *_) = verdict_lines(instance("transit-both-arms"))
    assert first == (Mark.DROPPED, "10.0.0.11 (eth0) and 10.0.1.11 (eth1) are reachable only in part.")


def test_an_address_works_only_where_nothing_of_it_is_dropped_or_unknown() -> None:
    for name in cases.names():
        report = instance(name)
        for mark, line in verdict_lines(report):
            if mark is not Mark.WORKS or "through this server" in line:
                continue
            for flow in report.flows:
                if flow.local in line.split() and flow.is_of_vpc:
                    assert flow.verdict is not Verdict.UNKNOWN
                    assert not (flow.verdict is Verdict.DROPPED and flow.findings)


@pytest.mark.parametrize("name", cases.names())
def test_what_is_not_reachable_is_known_not_to_be(name: str) -> None:
    """Where it is unknown whether some client gets through, the line says so."""
    report = instance(name)
    for mark, line in verdict_lines(report):
        if mark is Mark.DROPPED and line.endswith(("is not reachable.", "are not reachable.")):
            inbound = {
                flow.verdict
                for flow in report.flows
                if flow.local in line.split() and flow.direction is Direction.INBOUND and flow.is_of_vpc
            }
            assert inbound == {Verdict.DROPPED}
