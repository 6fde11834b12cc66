"""Many servers: the reports are those of one server at a time, in order, wherever and however they are worked out."""

import gc
import os
import signal
import struct
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import pytest

from tests.support.kernel_guests import KERNEL_RULES
from tests.support.many import SHARED, analyzed, fleet
from tests.support.servers import COLLECTED, guest, server, two_vnis
from vnicheck.analysis import many
from vnicheck.analysis.many import CHUNK, analyze_chunk, analyze_many
from vnicheck.analysis.processes import WorkersLostError, in_order, in_process, processes
from vnicheck.analysis.server import analyze_server, report_on
from vnicheck.analysis.spread import local
from vnicheck.model.guest_file import encode_guest_file
from vnicheck.model.region import Job, job_of
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import SCHEMA, Problem, Server, Snapshot


def expected(servers: list[Server]) -> tuple[InstanceReport, ...]:
    snapshot = Snapshot(
        schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=tuple(servers), fabric=SHARED.fabric
    )
    return report_on(snapshot, generated_at=SHARED.generated_at, config=SHARED.config, plans=False).instances


def test_reports_are_those_of_one_server_after_the_other() -> None:
    servers = fleet(2 * CHUNK + 3)
    reports = analyzed([job_of(each) for each in servers])
    assert tuple(reports) == expected(servers)
    assert {finding.muted is not msgspec.UNSET for each in reports for finding in each.findings} == {True, False}


def test_processes_give_the_same_bytes_in_the_same_order() -> None:
    jobs = [job_of(each) for each in fleet(3 * CHUNK + 1)]
    here = analyzed(jobs)
    there = analyzed(jobs, spread=processes(2))
    assert [msgspec.json.encode(each) for each in there] == [msgspec.json.encode(each) for each in here]


def test_a_guest_comes_from_its_file() -> None:
    inside = guest(rp_filter={"eth1": 1})
    bare = server(*two_vnis())
    (from_file,) = analyzed([job_of(bare, encode_guest_file(bare.id, inside))])
    assert (from_file,) == expected([server(*two_vnis(), guest=inside)])


def test_a_problem_comes_from_a_guest_file() -> None:
    bare = server(*two_vnis())
    (told,) = analyzed([job_of(bare, encode_guest_file(bare.id, Problem(code="ssh_timeout", message="no answer")))])
    assert [problem.code for problem in told.problems] == ["ssh_timeout"]
    assert told.status == "incomplete"


@pytest.mark.parametrize("data", [b"{}", b"not JSON", b"", encode_guest_file("another", guest())])
def test_a_guest_file_that_is_none_is_its_servers_problem(data: bytes) -> None:
    servers = fleet(3)
    reports = analyzed([job_of(servers[0]), job_of(msgspec.structs.replace(servers[1], guest=None), data)])
    assert [problem.code for problem in reports[1].problems] == ["guest_unreadable"]
    assert reports[0] == expected(servers)[0]


def test_a_fault_of_ours_is_told_of_its_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = analyze_server

    def faulty(of: Server, *args: Any, **more: Any) -> InstanceReport:
        if of.id == "id-1":
            raise KeyError("oh")
        return whole(of, *args, **more)

    monkeypatch.setattr(many, "analyze_server", faulty)
    servers = fleet(3)
    reports = analyzed([job_of(each) for each in servers])
    assert [report.status for report in reports] == ["analyzed", "incomplete", "incomplete"]
    assert [problem.code for problem in reports[1].problems] == ["internal_error"]
    assert "KeyError" in reports[1].problems[0].message
    assert (reports[0], reports[2]) == (expected(servers)[0], expected(servers)[2])


def test_flows_are_left_out_where_nobody_wants_them() -> None:
    servers = fleet(1)
    (slim,) = analyzed([job_of(servers[0])], msgspec.structs.replace(SHARED, flows=False))
    (whole,) = expected(servers)
    assert slim == msgspec.structs.replace(whole, flows=whole.flows[:1])
    assert slim.findings


def test_chunks_are_fetched_as_they_are_needed() -> None:
    taken: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(10):
            taken.append(number)
            yield str(number).encode()

    def submit(chunk: bytes) -> "Future[bytes]":
        future: Future[bytes] = Future()
        future.set_result(chunk)
        return future

    results = in_order(submit, chunks(), ahead=3)
    assert next(results) == b"0"
    assert taken == [0, 1, 2]
    assert [*results] == [str(number).encode() for number in range(1, 10)]


def test_servers_are_fetched_as_they_are_needed() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        for number, each in enumerate(fleet(5 * CHUNK)):
            taken.append(number)
            yield job_of(each)

    next(analyze_many(jobs(), SHARED, in_process))
    assert len(taken) == CHUNK


def test_a_worker_that_is_killed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job_of(each) for each in fleet(4 * CHUNK)]
    reports = analyze_many(jobs, SHARED, processes(1))
    next(reports)
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(WorkersLostError, match="--workers"):
        list(reports)


def dies_in_the_middle_of_its_answer(_: object, chunk: bytes) -> bytes:
    """Nothing else ends a worker between two bytes of an answer, each time: it is one call that sends them all."""

    def half(connection: Connection, answer: bytes) -> None:
        os.write(connection.fileno(), struct.pack("!i", len(answer)) + bytes(answer[:10]))
        os.kill(os.getpid(), signal.SIGKILL)

    Connection._send_bytes = half  # type: ignore[attr-defined]
    return chunk * 100


def test_a_worker_that_is_killed_in_the_middle_of_its_answer_is_told() -> None:
    with pytest.raises(WorkersLostError, match="--workers"):
        list(processes(2)(dies_in_the_middle_of_its_answer, None, iter([b"1"])))
    assert children() == []


def fails(_: object, chunk: bytes) -> bytes:
    raise ValueError(chunk.decode())


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="of a worker"):
        list(processes(1)(fails, None, iter([b"of a worker"])))


def test_workers_end_with_the_work() -> None:
    reports = analyze_many([job_of(each) for each in fleet(4 * CHUNK)], SHARED, processes(1))
    next(reports)
    assert children()
    assert isinstance(reports, Generator)
    reports.close()
    assert children() == []


def test_a_chunk_is_a_function_of_bytes() -> None:
    jobs = [job_of(each) for each in fleet(4)]
    chunk = msgspec.msgpack.encode(jobs)
    assert analyze_chunk(SHARED, chunk) == analyze_chunk(SHARED, chunk)
    decoded = msgspec.msgpack.decode(analyze_chunk(SHARED, chunk), type=list[InstanceReport])
    assert tuple(decoded) == expected(fleet(4))


def test_few_servers_are_worked_out_here() -> None:
    assert local(many.WORTH_PROCESSES - 1) is in_process
    assert local(10_000, 1) is in_process
    assert local(10, 2) is not in_process


def test_no_servers() -> None:
    assert analyzed([]) == []
    assert analyzed([], spread=processes(2)) == []


def children() -> list[int]:
    """The worker processes: those that run Python's spawn."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            for pid in map(int, file.read().split()):
                with open(f"/proc/{pid}/cmdline", "rb") as command:
                    if b"spawn_main" in command.read():
                        found.append(pid)
    return found


def test_a_server_is_forgotten_once_its_report_is_made() -> None:
    """Nothing that is made of it waits for Python's search for garbage, which would take a quarter of the time."""
    chunk = msgspec.msgpack.encode(
        [job_of(server(*two_vnis(), guest=guest(rules="\n".join(KERNEL_RULES), rp_filter={"all": 1})))]
    )
    analyze_chunk(SHARED, chunk)  # what is kept for the fleet
    gc.collect()
    gc.disable()
    try:
        (report,) = msgspec.msgpack.decode(analyze_chunk(SHARED, chunk), type=list[InstanceReport])
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert any(fix.commands for finding in report.findings for fix in finding.fixes)  # it was tried on a copy
