"""One fuzzed input: whatever a server sends, reading it ends soon, in a guest that is fit to be shown or in an error.

The first byte chooses what is fuzzed: the whole output, one section's parser, a host's certificate, YAML, or words.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.frames import is_complete
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import boot_routing
from vnicheck.guest.parsers.boot.plain_yaml import load_yaml
from vnicheck.guest.parsers.boot.sysctl_conf import boot_sysctls
from vnicheck.guest.parsers.counters import parse_counters, parse_route_cache
from vnicheck.guest.parsers.firewall import parse_firewall
from vnicheck.guest.parsers.hooks import parse_hooks
from vnicheck.guest.parsers.links import parse_links
from vnicheck.guest.parsers.names import Names, parse_names
from vnicheck.guest.parsers.neighbours import parse_neighbours
from vnicheck.guest.parsers.nexthops import parse_nexthops, resolve_nexthops
from vnicheck.guest.parsers.parsed import Parsed
from vnicheck.guest.parsers.programs import bpf_hooks, ipsec_hooks, traffic_hooks
from vnicheck.guest.parsers.routes import parse_routes
from vnicheck.guest.parsers.rules import parse_rules
from vnicheck.guest.parsers.sockets import parse_sockets
from vnicheck.guest.parsers.sysctls import parse_sysctls
from vnicheck.guest.parsers.system import parse_ip_version, parse_managers, parse_os
from vnicheck.guest.ssh.certificates import certificate_trouble, certified_key, expired
from vnicheck.model.guest import Guest, Interface
from vnicheck.model.words import one_line

SECONDS = 5.0
"""That no input may take: a hostile server must not hold up the others. Far more than any takes on a busy machine."""
CASES = Path(__file__).parents[2] / "fixtures" / "cases"
MACHINE = Machine(
    interfaces=(Interface(name="eth1", index=2, up=True, carrier=True, mac="02:00:00:00:00:0b", kind_shown=True),),
    hostname="web-1",
)
SEED = (CASES / "policy-routing-collected" / "collected.txt").read_text()
_decoder = msgspec.json.Decoder(Guest)


def check(data: bytes) -> None:
    """Read the input. Raises AssertionError, or what the code under test lets through, where something is wrong."""
    if not data:
        return
    start = time.perf_counter()
    how, rest = data[0] % 16, data[1:]
    refused = None
    try:
        _HOW[how](rest)
    except CollectionError as error:
        refused = error
    if refused is not None:
        assert refused.code.startswith("guest_"), refused.code
        assert refused.message.isprintable(), refused.message
        assert len(refused.message) < 600
    seconds = time.perf_counter() - start
    assert seconds < SECONDS, f"{seconds:.1f} s"


def _whole(data: bytes) -> None:
    complete = is_complete(data)
    guest = read_guest(data, via="ssh", collected_at="2026-11-23T00:00:00Z")
    assert complete, "a guest of an output without an end"
    _fit(guest)


def _parser(data: bytes) -> None:
    """One parser, and what it makes of the text."""
    if not data:
        return
    parse = PARSERS[SECTIONS[data[0] % len(SECTIONS)]]
    found = parse(data[1:].decode("utf-8", "backslashreplace"))
    if isinstance(found, Parsed):
        assert all(text.isprintable() and len(text) <= 300 for text in found.unmodelled)
        msgspec.json.encode(found.items)


def _boot_sysctls(text: str) -> object:
    return boot_sysctls(read_boot_files(text), {"net/ipv4/conf/all/rp_filter": 1})


def _boot_network(text: str) -> object:
    return boot_routing(read_boot_files(text), Names({"blue": 100}), MACHINE)


ROUTES = parse_routes("10.0.0.0/8 nhid 3\n10.1.0.0/16 nhid 1 via 10.0.0.1 dev eth0").items

PARSERS: dict[str, Callable[[str], object]] = {
    "interfaces": parse_links,
    "rules": parse_rules,
    "routes": parse_routes,
    "nexthops": lambda text: resolve_nexthops(ROUTES, parse_nexthops(text).items),
    "names": parse_names,
    "sysctls": parse_sysctls,
    "counters": parse_counters,
    "route_cache": parse_route_cache,
    "managers": parse_managers,
    "hooks": parse_hooks,
    "sockets": parse_sockets,
    "os_release": lambda text: parse_os(text, text),
    "ip_version": parse_ip_version,
    "boot_sysctls": _boot_sysctls,
    "boot_network": _boot_network,
    "neighbours": parse_neighbours,
    "firewall": lambda text: (
        parse_firewall(f"@nft\ntable ip f {{\nchain c {{\n{text}\n}}\n}}\n@end 0"),
        parse_firewall(f"@iptables\n*filter\n:INPUT ACCEPT\n-A INPUT {text}\n@end 0"),
    ),
    "traffic": traffic_hooks,
    "ipsec": ipsec_hooks,
    "bpf": lambda text: bpf_hooks(f"[]\n@cgroups\n{text}\n@end"),
}
SECTIONS = list(PARSERS)


def _certificate(data: bytes) -> None:
    trouble = certificate_trouble(data, {"AAAA"}, "10.0.0.1", 1.8e9)
    assert trouble is not None, "a certificate of nobody is good"
    assert trouble.isprintable()
    expired(data, 1.8e9)
    certified_key(data)


def _yaml(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        load_yaml(data.decode("utf-8", "replace"))


def _words(data: bytes) -> None:
    text = data.decode("utf-8", "backslashreplace")
    assert one_line(text, 80).isprintable()
    assert len(one_line(text, 80)) <= 80
    parse_names(text)


def _fit(guest: Guest) -> None:
    """It survives the way through a snapshot, and what is shown of it steers no terminal."""
    assert _decoder.decode(msgspec.json.encode(guest)) == guest
    for text in (*guest.missing.values(), *(item.text for item in guest.unmodelled), guest.os.name, guest.os.hostname):
        assert text.isprintable(), text


_HOW: tuple[Callable[[bytes], None], ...] = (_whole, *[_parser] * 12, _certificate, _yaml, _words)


def seeds() -> list[bytes]:
    """Inputs to begin with: recorded output, whole and section by section, plain and as JSON."""
    found = [b"\x00" + SEED.encode()]
    for path in sorted(CASES.glob("*/*.txt")):
        name, texts = "", dict[str, list[str]]()
        for line in path.read_text(errors="replace").split("\n"):
            if line.startswith("+ "):
                name = line.split(" ")[1]
            elif line.startswith("|"):
                texts.setdefault(name, []).append(line[1:])
        for number, section in enumerate(SECTIONS):
            if section in texts:
                found.append(bytes([1, number]) + "\n".join(texts[section]).encode()[:8000])
            elif not texts and section in {"interfaces", "rules", "routes", "sysctls"}:
                found.append(bytes([1, number]) + path.read_bytes()[:4000])
    found.append(
        b"\x0enetwork:\n  ethernets:\n    eth1:\n      routing-policy:\n        - {from: 10.0.0.12, table: 1003}\n"
    )
    return found
