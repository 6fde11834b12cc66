"""Some fuzzing in every run: mutated recordings and text that looks like them. `make fuzz` does more, guided."""

import random
import resource
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import PARSERS, SEED, check, seeds
from tests.support.amounts import drawn
from tests.support.patience import ends_in_time
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.model.guest import Guest
from vnicheck.model.words import one_line

SEEDS = seeds()
ODD = st.sampled_from(
    ["\x1b[2J", "\x1b]0;owned\x07", "[red]", "\u202e", "\r", "\x00", "\udcff", "$(id)", "`id`", "; id", "|", "/", ":",
     "+ rules x", "- rules 0", "vnicheck-guest/1 end", "9" * 5000, "0x", "1e999", "NaN", "{", "[" * 2000, "&a [*a]"]
)  # fmt: skip
PLAIN = """default via 10.0.0.1 dev eth0 proto static src metric table nexthop weight from all lookup iif fwmark id 1-2
    2: 0xff/0xff 10.0.0.0/8 unreachable inet link/ether <UP> mtu 1500 eth0@if3: group 1,2/3 not goto uidrange"""
WORDS = st.sampled_from(PLAIN.split())
LINES = st.lists(st.lists(WORDS | ODD, max_size=12).map(" ".join), max_size=30).map("\n".join)


@settings(max_examples=drawn(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(PARSERS)), LINES)
def test_lines_that_look_right(name: str, text: str) -> None:
    number = list(PARSERS).index(name)
    check(bytes([1, number]) + text.encode("utf-8", "surrogatepass"))


@settings(max_examples=drawn(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_mutated_recordings(seed: bytes, chance: random.Random) -> None:
    data = bytearray(seed[:6000])
    for _ in range(chance.randint(1, 12)):
        place = chance.randrange(2, max(3, len(data)))
        piece = chance.choice([b"", b"\x1b[2J", b"\n", b"\xff\xfe", b"{}", b"[[", b'"', b"0", b"-1", b" ", b"|"])
        data[place : place + chance.randint(0, 9)] = piece
    check(bytes(data))


@settings(max_examples=drawn(60), deadline=None)
@given(LINES)
def test_a_section_cannot_pass_for_another(text: str) -> None:
    """Whatever a command prints, the framing of the other sections stands."""
    payload = "\n".join(f"|{line}" for line in text.replace("\r", " ").split("\n"))
    marker = "+ os_release"
    start = SEED.index(marker)
    end = SEED.index("\n", start) + 1
    data = (SEED[:end] + payload + "\n" + SEED[end:]).encode("utf-8", "replace")
    whole, changed = read_guest(SEED.encode(), via="ssh"), read_guest(data, via="ssh")
    assert (changed.rules, changed.routes, changed.interfaces) == (whole.rules, whole.routes, whole.interfaces)
    assert (changed.sysctls, changed.missing) == (whole.sysctls, whole.missing)


def framed(section: str, payload: str) -> bytes:
    start = SEED.index(f"+ {section} ")
    first, last = SEED.index("\n", start) + 1, SEED.index(f"\n- {section} ", start)
    return (SEED[:first] + payload + SEED[last:]).encode()


def test_two_interfaces_of_one_name_contradict_each_other() -> None:
    with pytest.raises(CollectionError, match="contradicts itself"):
        read_guest(framed("interfaces", "|2: a: <UP> mtu 1\n" * 2), via="ssh")


MEGA = 1 << 20
BOMBS = {
    "objects": framed("routes", "|[" + "{}," * MEGA + "{}]"),
    "lists": framed("rules", "|[" + "[]," * MEGA + "[]]"),
    "depth": framed("routes", "|" + "[" * MEGA),
    "depth-of-a-value": framed("routes", '|[{"dst":"default","x":' + "[" * 900 + "]" * 900 + "}]"),
    "numbers": framed("routes", '|[{"dst":"default","metric":' + "9" * MEGA + "}]"),
    "strings": framed("interfaces", '|[{"ifname":"' + "x" * (4 * MEGA) + '"}]'),
    "lines": framed("sysctls", "|x\n" * MEGA),
    "begins": b"vnicheck-guest/1 begin\n" * 200_000 + SEED.encode(),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_take_little_time_and_memory(bomb: str) -> None:
    """In a thread, as in a run: a guest, or an error, within seconds and without hundreds of megabytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome: list[Guest | CollectionError] = []

    def work() -> None:
        try:
            outcome.append(read_guest(BOMBS[bomb], via="ssh"))
        except CollectionError as error:
            outcome.append(error)

    with ends_in_time():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
    assert outcome
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 400, f"{grown:.0f} MB"
    if isinstance(outcome[0], CollectionError):
        assert outcome[0].message.isprintable()
    elif bomb in {"objects", "lists", "depth", "numbers", "lines"}:
        assert outcome[0].missing.keys() & {"routes", "rules", "sysctls"}


def test_a_line_of_colons() -> None:
    """A path may hold colons; looking for every prefix of such a line would take the square of its length."""
    with ends_in_time():
        PARSERS["boot_network"]("@read /etc/rc.local\n/etc/rc.local" + ":" * (2 * MEGA))


def test_netplan_bombs() -> None:
    """YAML's aliases would make billions of interfaces of a few hundred lines."""
    lines = ["network:", "  a: &a"]
    lines += [f"    i{n}: {{routes: [{{to: 10.0.0.0/8, table: 5}}]}}" for n in range(300)]
    lines += ["  b: &b"] + [f"    k{n}: *a" for n in range(300)] + [f"n{n}: *b" for n in range(300)]
    text = "@read /etc/netplan/a.yaml\n" + "\n".join(
        f"/etc/netplan/a.yaml:{n}:{line}" for n, line in enumerate(lines, start=1)
    )
    with ends_in_time():
        found = PARSERS["boot_network"](text)
    assert "more than is understood" in str(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/etc/systemd/network/{}.network", "[Match]\nName=*{}\n[RoutingPolicyRule]\nTable=5\nFrom=10.0.0.1"),
        ("/etc/NetworkManager/system-connections/{}", "[connection]\ntype=ethernet\n[ipv4]\nroute-table=5"),
        ("/etc/sysconfig/network-scripts/ifcfg-{}", "IPV4_ROUTE_TABLE=5"),
        ("/etc/sysconfig/network-scripts/rule-{}", "from 10.0.0.1 table 5"),
        ("/etc/network/interfaces", "auto {0} {0} {0} {0}\niface {0} inet dhcp\nip rule add table 5"),
        ("/etc/network/interfaces.d/{}", "source interfaces.d/{}"),
        ("/etc/systemd/system/{}.service", "pulls {}.service\nip rule add table 5"),
        ("/etc/wireguard/{}.conf", "Table=5\nAllowedIPs=10.0.0.0/8"),
    ],
)
@pytest.mark.parametrize("count", [1400, 5000])
def test_very_many_files(path: str, line: str, count: int) -> None:
    """Each is held against the interfaces, or against the others."""
    text = ["@applied"]
    for number in range(count):
        own = path.format(number)
        text += [f"@wanted /etc/systemd/system/a.wants/{number}.service", f"@read {own}"]
        text += [f"{own}:{at}:{each}" for at, each in enumerate(line.format(number).split("\n"), 1)]
    with ends_in_time():
        PARSERS["boot_network"]("\n".join(text))


def test_hostile_text_is_one_printable_line() -> None:
    for text in ("\x1b]0;owned\x07", "a\rb", "\u202ereversed", "\u2028", "x" * 10000, "\ud800"):
        shown = one_line(text, 100)
        assert shown.isprintable()
        assert len(shown) <= 100
