"""What `ip route get` prints, by iproute2 old and new and by busybox, held against what is predicted."""

import subprocess
from typing import Any

import pytest
from msgspec.structs import replace

from vnicheck.cli.kernel import ask_kernel
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.guest.errors import CollectionError
from vnicheck.model.config import Config
from vnicheck.verify.kernel import Answered, conclude, read_answers, script
from vnicheck.verify.questions import Asked, Expected, Question

LEAVES = Expected(outcome="leaves", ways=frozenset({("eth0", "10.0.0.1")}))
TAKEN = Expected(outcome="taken")
DROPS = Expected(outcome="drops")
ANSWER = "10.8.0.10 from 10.0.0.11 via 10.0.0.1 dev eth0 \\    cache"
LOCAL = "local 10.0.0.12 from 10.8.0.10 dev lo table local \\    cache <local> iif eth1"


def asked(expected: Expected) -> Asked:
    question = Question(source="10.8.0.10", destination="10.0.0.12", interface="eth1")
    if expected.outcome == "leaves":
        question = Question(source="10.0.0.11", destination="10.8.0.10")
    return Asked(question=question, expected=expected, flows=1)


def output(*lines: str) -> str:
    return "\n".join(["motd of a login", "@vnicheck-verify 1", *lines, "@vnicheck-end", ""])


@pytest.mark.parametrize("words", ["Invalid cross-device link", "Invalid argument"], ids=["older", "newer"])
def test_refusals_and_answers_are_told_apart_by_number(words: str) -> None:
    said = output(f"! RTNETLINK answers: {words}", "! Command failed -:2", f"= {ANSWER}", f"= {LOCAL}")
    answers = read_answers(said, 3)
    found = [
        conclude(asked(expected), answer) for expected, answer in zip((LEAVES, DROPS, TAKEN), answers, strict=True)
    ]
    assert [(each.answered, each.conclusion) for each in found] == [
        ("leaves by eth0 via 10.0.0.1", "confirmed"),
        (f"refused: {words}", "confirmed"),
        ("taken", "confirmed"),
    ]


def test_busybox_answers_one_by_one() -> None:
    said = output(
        "? 10.8.0.10 from 10.0.0.11 via 10.0.0.1 dev eth1 ", "? ip: RTNETLINK answers: Network is unreachable "
    )
    first, second = read_answers(said, 2)
    assert conclude(asked(LEAVES), first).conclusion == "contradicted"
    assert conclude(asked(TAKEN), second).conclusion == "contradicted"
    assert conclude(asked(DROPS), second).conclusion == "confirmed"


def test_an_unknown_prediction_is_not_settled_by_an_answer() -> None:
    told = conclude(asked(Expected(outcome="unknown", why="a rule reads marks")), Answered(LOCAL, refused=False))
    assert (told.conclusion, told.why) == ("not_tested", "a rule reads marks")


@pytest.mark.parametrize(
    "line",
    [
        'Error: either "to" is duplicate, or "ipproto" is a garbage.',
        'Error: argument "tcp" is wrong: Invalid "ipproto" value',
        "ip: invalid argument 'ipproto' to 'ip'",
        "sh: ip: not found",
    ],
)
def test_words_that_ip_does_not_know_are_no_refusal_of_the_kernel(line: str) -> None:
    for expected in (TAKEN, DROPS, LEAVES):
        told = conclude(asked(expected), Answered(line, refused=True))
        assert (told.conclusion, told.why) == ("not_tested", "the server's ip does not know the question")


def test_what_cannot_be_told_apart_is_no_answer() -> None:
    assert read_answers(output(f"= {ANSWER}", f"= {ANSWER}"), 1) == [None]
    assert read_answers(output(f"= {ANSWER}"), 2) == [Answered(ANSWER, refused=False), None]
    assert read_answers(output("? only one"), 2) == [None, None]
    for cut in ("", "@vnicheck-verify 1\n= x\n", "@vnicheck-end\n"):
        with pytest.raises(CollectionError):
            read_answers(cut, 1)


def test_the_script_is_sh() -> None:
    text = script([asked(TAKEN).question.command])
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    assert "route get 10.0.0.12 from 10.8.0.10 iif eth1" in text


@pytest.mark.parametrize(
    "line",
    [
        "",
        'Cannot find device "eth1"',
        "RTNETLINK answers: Operation not permitted",
        "Cannot talk to rtnetlink: Connection refused",
        "RTNETLINK answers: No such device",
    ],
)
def test_an_error_confirms_no_drop(line: str) -> None:
    told = conclude(asked(DROPS), Answered(line, refused=True))
    assert told.conclusion == "not_tested"


@pytest.mark.parametrize(
    "said",
    [
        "Network is unreachable",
        "No route to host",
        "Invalid cross-device link",
        "Invalid argument",
        "Permission denied",
    ],
)
def test_what_the_kernel_refuses_with_is_a_drop(said: str) -> None:
    assert conclude(asked(DROPS), Answered(f"RTNETLINK answers: {said}", refused=True)).conclusion == "confirmed"
    assert conclude(asked(TAKEN), Answered(f"RTNETLINK answers: {said}", refused=True)).conclusion == "contradicted"


def test_an_empty_line_is_no_answer() -> None:
    assert read_answers(output("? ", "? local 10.0.0.1 dev lo"), 2)[0] is None


@pytest.mark.parametrize(
    ("rest", "said", "conclusion"),
    [
        ("via 10.0.0.1 dev eth0 uid 1000 \\    cache expires 597sec mtu 1400", "via 10.0.0.1", "confirmed"),
        ("tos 0x10 via 10.0.0.1 dev eth0 table 100 src 10.0.0.11 realm 5 uid 0", "via 10.0.0.1", "confirmed"),
        ("via 10.0.0.9 dev eth0 uid 0 \\ cache <redirected> expires 299sec", "via 10.0.0.9", "contradicted"),
        ("dev eth0 uid 0 \\ cache", "leaves by eth0", "contradicted"),
        ("via 10.0.0.1 dev dev", "leaves by dev via 10.0.0.1", "contradicted"),
        ("via 10.0.0.1 dev encap", "leaves by encap via 10.0.0.1", "contradicted"),
        ("via inet6 fe80::1 dev eth0 uid 0", "via inet6 fe80::1 dev eth0", "contradicted"),
        ("encap ip id 7 src 0.0.0.0 dst 10.0.0.5 ttl 0 tos 0 via 10.0.0.1 dev eth0", "encap ip", "contradicted"),
    ],
)
def test_words_of_an_answer(rest: str, said: str, conclusion: str) -> None:
    told = conclude(asked(LEAVES), Answered(f"10.8.0.10 from 10.0.0.11 {rest}", refused=False))
    assert said in (told.answered or "")
    assert told.conclusion == conclusion
    assert (told.says is None) is (conclusion == "confirmed")


@pytest.mark.parametrize("expected", [TAKEN, DROPS])
def test_what_the_guest_forwards_is_neither_taken_nor_dropped(expected: Expected) -> None:
    for line in (
        "10.0.0.12 from 10.8.0.10 via 10.0.1.1 dev eth0 \\    cache iif eth1",
        "broadcast 10.0.0.12 from 10.8.0.10 dev lo \\    cache <local,brd> iif eth1",
    ):
        told = conclude(asked(expected), Answered(line, refused=False))
        assert told.conclusion == "contradicted"
        assert told.says is not None
        assert told.says.outcome == "unclear"


def test_an_answer_to_another_question_is_none() -> None:
    told = conclude(asked(LEAVES), Answered(ANSWER.replace("10.8.0.10", "10.8.0.11"), refused=False))
    assert (told.conclusion, told.answered) == ("not_tested", None)


def test_of_equal_routes_any_confirms_and_its_interface_alone_is_seen() -> None:
    ways = frozenset({("eth0", "10.0.0.1"), ("eth1", "10.0.1.1")})
    question = asked(Expected(outcome="leaves", ways=ways))
    for device, gateway in ways:
        line = f"10.8.0.10 from 10.0.0.11 via {gateway} dev {device} uid 0 \\    cache"
        assert conclude(question, Answered(line, refused=False)).conclusion == "confirmed"
    other = "10.8.0.10 from 10.0.0.11 via 10.0.1.1 dev eth0 uid 0 \\    cache"
    assert conclude(question, Answered(other, refused=False)).conclusion == "contradicted"


def test_a_server_whose_guest_is_of_a_file_is_not_asked() -> None:
    """Not even connected to: who gives a file may not be able to, or mean the server as it was."""
    snapshot = load_check(CHECKS[0])
    (server,) = snapshot.servers
    assert server.guest is not None
    of_file = replace(server, guest=replace(server.guest, via="file"))
    nobody: Any = None
    found = ask_kernel(of_file, snapshot.fabric, Config(), nobody, nobody)
    assert [problem.code for problem in found.problems] == ["kernel_not_asked"]
    assert found.problems[0].message == "its guest is of a file; 'verify --capture' tells more"
    assert not found.kernel
