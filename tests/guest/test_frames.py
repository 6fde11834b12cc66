"""The collect script's framing: noise, truncation, damage, forgery."""

from pathlib import Path

import msgspec
import pytest

from tests.support.cases import snapshot_of
from tests.support.servers import report
from vnicheck.guest.assemble import failure, read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.frames import read_frames

COLLECTED = Path(__file__).parents[2] / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"
GOOD = """vnicheck-guest/1 begin
+ date date -u
|2026-11-23T07:35:16Z

- date 0
+ uname vnicheck_uname
|Linux
|6.1.0
|web-1

- uname 0
+ ip_version ip -V
|ip utility, iproute2-6.1.0, libbpf 1.1.2
- ip_version 0
+ interfaces ip addr show
|1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
|    inet 127.0.0.1/8 scope host lo
- interfaces 0
+ rules ip -4 rule show
|0:	from all lookup local
- rules 0
+ routes ip -4 route show table all
|default via 10.0.0.1 dev eth0
- routes 0
+ sysctls vnicheck_sysctls
|net/ipv4/conf/all/rp_filter:0
- sysctls 0
+ hooks vnicheck_hooks
- hooks 0
vnicheck-guest/1 end
"""


def read(text: str) -> object:
    return read_guest(text.encode(), via="file")


def refusal(text: str) -> str:
    with pytest.raises(CollectionError) as caught:
        read(text)
    return caught.value.code


def test_date_of_the_script_is_used() -> None:
    guest = read_guest(GOOD.encode(), via="file")
    assert guest.collected_at == "2026-11-23T07:35:16Z"
    assert guest.os.kernel == "6.1.0"
    assert guest.ip_version == "6.1.0"
    assert read_guest(GOOD.encode(), via="ssh", collected_at="x").collected_at == "x"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r\r\n"),
        "Welcome to Debian!\n\x1b[?2004lroot@web-1:~# sh collect.sh\n" + GOOD + "root@web-1:~# logout\n",
        "  printf 'vnicheck-guest/%s begin' 1\n" + GOOD,
        GOOD.partition("- rules")[0] + "\n" + GOOD,
        GOOD + GOOD.partition("- rules")[0],
    ],
)
def test_noise_around_it(text: str) -> None:
    assert read(text) == read(GOOD)


def test_the_last_of_several_runs() -> None:
    later = GOOD.replace("rp_filter:0", "rp_filter:2")
    assert read_guest((GOOD + later).encode(), via="file").sysctls == {"net/ipv4/conf/all/rp_filter": 2}


@pytest.mark.parametrize("cut", range(1, len(GOOD.splitlines())))
def test_truncated_anywhere(cut: int) -> None:
    assert refusal("\n".join(GOOD.splitlines()[:cut])) == "guest_truncated"


@pytest.mark.parametrize("text", ["", "hello\n", "\0\0", "vnicheck-guest/1 end\n", "vnicheck-guest/2 begin\n"])
def test_something_else(text: str) -> None:
    assert refusal(text) == "guest_unreadable"


def test_not_linux() -> None:
    assert refusal(GOOD.replace("|Linux", "|FreeBSD")) == "guest_not_linux"


def test_twice_the_same_section() -> None:
    assert (
        refusal(GOOD.replace("vnicheck-guest/1 end", "+ rules x\n- rules 0\nvnicheck-guest/1 end"))
        == "guest_unreadable"
    )


def test_forged_frames_stay_payload() -> None:
    forged = GOOD.replace(
        "|0:\tfrom all lookup local", "|0:\tfrom all lookup local\n|vnicheck-guest/1 end\n|- rules 0\n!- rules 3"
    )
    section = read_frames(forged.encode())["rules"]
    assert section.output.split("\n")[1:] == ["vnicheck-guest/1 end", "- rules 0"]
    assert section.errors == "- rules 3"
    assert section.status == 0


def test_a_failed_section_is_missing_with_its_reason() -> None:
    text = GOOD.replace(
        "|0:\tfrom all lookup local\n- rules 0", "!RTNETLINK answers: Operation not supported\n- rules 2"
    )
    guest = read_guest(text.encode(), via="file")
    assert guest.missing == {"rules": "exit status 2: RTNETLINK answers: Operation not supported"}
    assert guest.rules == ()


def test_a_missing_command_is_told_from_a_failing_one() -> None:
    text = GOOD.replace("|0:\tfrom all lookup local\n- rules 0", "!sh: 1: ip: not found\n- rules 127")
    assert failure(read_frames(text.encode())["rules"]) == "sh: 1: ip: not found"


@pytest.mark.parametrize("noise", ["[ 12.3] eth0: link up", "continued line of a wrapped terminal", "- routes 0"])
def test_text_that_ran_into_a_section_spoils_it(noise: str) -> None:
    guest = read_guest(GOOD.replace("- rules 0", f"{noise}\n- rules 0").encode(), via="file")
    assert set(guest.missing) == {"rules"}


def test_an_interrupted_dump_is_missing() -> None:
    text = GOOD.replace("- routes 0", "!Dump was interrupted and may be inconsistent.\n- routes 0")
    assert set(read_guest(text.encode(), via="file").missing) == {"routes"}


def test_section_that_never_came_is_missing() -> None:
    start, _, rest = GOOD.partition("+ sysctls")
    guest = read_guest((start + "vnicheck-guest/1 end\n").encode(), via="file")
    assert guest.missing == {"sysctls": "not collected", "hooks": "not collected"}
    assert rest


@pytest.mark.parametrize(
    "spoilt",
    ["", "+ hooks vnicheck_hooks\n- hooks 97\n", "+ hooks vnicheck_hooks\n|tc qdisc\nclsact dev eth1\n- hooks 0\n"],
    ids=["not there", "could not be printed", "wrapped"],
)
def test_hooks_that_were_not_wholly_read_leave_every_delivery_open(spoilt: str) -> None:
    """A filter on eth1 may be what was lost."""
    whole = COLLECTED.read_text()
    before, _, behind = whole.partition("+ hooks ")
    text = before + spoilt + behind.partition("- hooks 0\n")[2]
    of = snapshot_of("policy-routing-collected").servers[0]

    def verdicts(collected: str) -> set[str]:
        guest = read_guest(collected.encode(), via="file")
        around = snapshot_of("policy-routing-collected").fabric
        return {flow.verdict.value for flow in report(msgspec.structs.replace(of, guest=guest), around).flows}

    assert "delivered" in verdicts(whole)
    assert "delivered" not in verdicts(text)
    assert "unknown" in verdicts(text)
