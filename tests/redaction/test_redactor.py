"""A redacted snapshot: the same is predicted of it, and nothing in it says whose it is."""

import ast
import re
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import Struct

import vnicheck.guest.parsers.boot
import vnicheck.model.boot
from tests.support import cases
from tests.support.amounts import drawn
from tests.support.any_snapshot import snapshots
from tests.support.servers import COLLECTED, fabric, guest, link, server, two_vnis
from vnicheck.analysis.server import report_on
from vnicheck.demo.checks import CHECKS, load_check
from vnicheck.model.config import Config
from vnicheck.model.guest import (
    BootConfig,
    BootValue,
    Hook,
    HookKind,
    Interface,
    NotAgain,
    OperatingSystem,
    Route,
    Unmodelled,
)
from vnicheck.model.report import InstanceReport
from vnicheck.model.snapshot import SCHEMA, Problem, Snapshot, decode_snapshot, encode_snapshot
from vnicheck.redaction.addresses import OWN_MEANING, UNTOUCHED
from vnicheck.redaction.redactor import KEEP, ROLES, Redactor
from vnicheck.redaction.vocabulary import COMMANDS, INTERFACE, MESSAGES, PLACES

KEY = bytes(range(32))
SNAPSHOTS = dict.fromkeys(cases.names(), cases.snapshot_of) | {
    f"demo-{check.number}": lambda name: load_check(CHECKS[int(name[-1]) - 1]) for check in CHECKS
}


def redacted(snapshot: Snapshot) -> tuple[Snapshot, Redactor]:
    redactor = Redactor(KEY, [snapshot])
    return decode_snapshot(encode_snapshot(redactor.snapshot(snapshot))), redactor


class Renaming:
    """What a redactor makes of the words of a report."""

    def __init__(self, redactor: Redactor) -> None:
        self.address = redactor._roles["address"]
        self.prefix = redactor._roles["prefix"]
        self.interface = redactor._roles["interface"]
        self.vni: Callable[[str], str] = lambda name: redactor._words.named("vni", name)


def told(instance: InstanceReport, renamed: Renaming | None) -> tuple[Counter[Any], Counter[Any]]:
    """The flows and the findings of a report, in no order; with `renamed`, as the redacted report should tell them."""
    vnis = {each.vni.name for each in instance.interfaces if each.vni is not None and not each.in_guest}

    def place(name: str | None) -> str | None:
        if renamed is None or name is None:
            return name
        return renamed.vni(name) if name in vnis else renamed.interface(name)

    def address(text: str) -> str:
        return text if renamed is None else renamed.prefix(text) if "/" in text else renamed.address(text)

    def many(texts: Any) -> Any:
        return texts if isinstance(texts, msgspec.UnsetType) else frozenset(address(text) for text in texts)

    flows = [
        (
            flow.direction, flow.protocol, flow.ports, many(flow.remote), flow.remote_scope, address(flow.local),
            many(flow.local_prefixes), place(flow.ingress), place(flow.egress), flow.symmetric, flow.verdict,
            flow.dropped_by, tuple((drop.by, drop.leg, place(drop.at)) for drop in flow.drops),
            tuple((hop.leg, place(hop.at), hop.stage, hop.outcome, hop.assumption) for hop in flow.hops),
            frozenset(flow.findings),
        )
        for flow in instance.flows
    ]  # fmt: skip
    findings = [
        (finding.rule, finding.severity, finding.confidence, frozenset(flows[index] for index in finding.flows))
        for finding in instance.findings
    ]
    return Counter(flows), Counter(findings)


@pytest.mark.recorded(3)
@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_same_is_predicted_of_it(name: str) -> None:
    original = SNAPSHOTS[name](name)
    other, redactor = redacted(original)
    reports = [report_on(each, generated_at=COLLECTED, config=Config()) for each in (original, other)]
    (before,), (after,) = (report.instances for report in reports)
    assert (after.status, after.kind, after.zone) == (before.status, before.kind, before.zone)
    assert [problem.code for problem in after.problems] == [problem.code for problem in before.problems]
    assert told(after, None) == told(before, Renaming(redactor))
    assert [each.rp_filter for each in after.interfaces] == [each.rp_filter for each in before.interfaces]
    assert reports[0].summary == reports[1].summary


def words_of(value: Any) -> Iterator[str]:
    """The words of all texts in a document, keys of mappings that we name aside."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from words_of(key)
            yield from words_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from words_of(each)
    elif isinstance(value, str):
        yield from re.findall(r"[\w.:-]*\w", value)


def kept_words() -> set[str]:
    """What may be in a redacted snapshot whatever it is of: our own field names, and the vocabulary."""
    fields = {name for struct in ROLES for name in struct.__struct_fields__}
    return fields | COMMANDS | PLACES | MESSAGES


def secrets_of(snapshot: Snapshot) -> set[str]:
    """Names, ids, CRNs, MAC addresses and addresses of a snapshot, but those that are everyone's."""
    found: set[str] = set()

    def walk(struct: Struct) -> None:
        roles = ROLES[type(struct)]
        for name, value in msgspec.structs.asdict(struct).items():
            role = roles.get(name)
            for each in value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]:
                if isinstance(each, Struct):
                    walk(each)
                elif isinstance(each, str) and role not in (KEEP, None, "line", "message", "word", "release", "system"):
                    found.add(each.partition("/")[0] if role in ("prefix", "address") else each)
            if isinstance(value, dict) and role == "id":
                found.update(value)

    walk(snapshot)
    everyones = {prefix.partition("/")[0] for prefix in (*OWN_MEANING, *UNTOUCHED)}
    own = re.compile(r"(127|0|22[4-9]|23\d|24\d|25\d)\..*|161\.26\..*|166\.(8|9|10|11)\..*|169\.254\..*")
    return {
        text
        for text in found - everyones - kept_words() - {"", "00:00:00:00:00:00"}
        if not INTERFACE.fullmatch(text) and not own.fullmatch(text)
    }


@pytest.mark.recorded(1)
@pytest.mark.parametrize("name", SNAPSHOTS)
def test_nothing_in_it_says_whose_it_is(name: str) -> None:
    original = SNAPSHOTS[name](name)
    other, _ = redacted(original)
    secrets = secrets_of(original)
    assert secrets, "the test looks for nothing"
    left = secrets & set(words_of(msgspec.to_builtins(other)))
    assert left == set()
    text = encode_snapshot(other).decode()
    for name in {name for struct in ROLES for name in struct.__struct_fields__}:
        text = text.replace(f'"{name}":', "")
    assert not [secret for secret in secrets if len(secret) > 8 and secret in text]
    assert other.redacted is True


def test_free_texts_keep_what_is_everyones_and_nothing_else() -> None:
    secret = "acme-payroll"
    lines = (
        f"10.20.30.0/24 via 10.20.30.1 dev eth1 proto static metric 100 comment {secret}",
        f"blackhole 2001:db8:1::/48 dev {secret}0 proto {secret}",
        f"rule for mail@{secret}.example, see https://{secret}.example/x?y=ACME#frag \x1b[31m\u202e",
        f'-A PREROUTING -s 10.20.30.40/32 -m comment --comment "{secret}" -j DROP',
        "default via fe80::dead:beef dev enx0200050270ab",
        "crn:v1:bluemix:public:is:us-south-1:a/123456789012::instance:0717_9c55d9d2-0685-4300",
    )
    os = OperatingSystem(
        id=secret,
        version=f"9.4 ({secret})",
        name=secret,
        kernel=f"5.14.0-427.el9.{secret}.x86_64",
        hostname=f"db.{secret}.example",
    )
    boot = BootConfig(
        sysctls={f"net/ipv4/conf/{secret}/rp_filter": BootValue(value=1, source=f"/etc/sysctl.d/99-{secret}.conf:3")},
        unknown={"routing": f"/etc/netplan/{secret}.yaml cannot be read"},
    )
    observed = guest(link("eth0", 0, "10.0.0.11/24"), Interface(name=f"{secret}0", index=9, up=True, carrier=True))
    observed = msgspec.structs.replace(
        observed,
        os=os,
        boot=boot,
        routes=(*observed.routes, *(Route(prefix="10.20.30.0/24", text=line, unmodelled=(line,)) for line in lines)),
        hooks=tuple(Hook(kind=HookKind.SOURCE_MATCH, text=line) for line in lines),
        missing={"rules": f"ip: {secret} said no: permission denied on {secret}0"},
        unmodelled=tuple(Unmodelled(section="routes", text=line) for line in lines),
        network_managers=("NetworkManager", secret),
    )
    of = server(*two_vnis(), guest=observed, problems=(Problem(code="ssh_auth", message="; ".join(lines)),))
    around = fabric(missing={"subnets": f'list_subnets at https://{secret}.example/v1: 403 ("{secret}")'})
    snapshot = Snapshot(schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=(of,), fabric=around)
    other, redactor = redacted(snapshot)
    text = encode_snapshot(other).decode()
    for word in (
        "acme",
        "payroll",
        "ACME",
        "10.20.30",
        "2001",
        "db8",
        "beef",
        "fe80",
        "0200050270ab",
        "123456789012",
        "9c55d9d2",
        "example",
        "mail",
        "\\u001b",
        "\u202e",
        "bluemix",
    ):
        assert word not in text, word
    (renamed,) = other.servers
    assert renamed.guest is not None
    first = renamed.guest.routes[-len(lines)]
    address = redactor._roles["address"]
    assert first.text.startswith(
        f"{redactor._roles['prefix']('10.20.30.0/24')} via {address('10.20.30.1')} dev eth1 proto static metric 100 "
    )
    assert first.text == first.unmodelled[0] == renamed.guest.hooks[0].text
    assert renamed.guest.os.kernel == "5.14.0-427.el9.x-x.x86_64"
    assert renamed.guest.network_managers[0] == "NetworkManager"
    assert renamed.guest.boot is not None
    ((_, value),) = renamed.guest.boot.sysctls.items()
    assert re.fullmatch(r"/etc/sysctl\.d/99-w-[0-9a-f]{8}\.conf:3", value.source)
    assert renamed.guest.missing["rules"].endswith(f"permission … on {renamed.guest.interfaces[-1].name}")
    assert other.fabric.missing["subnets"].endswith('403 ("…")')


def test_what_was_the_same_is_the_same_and_what_differed_differs() -> None:
    observed = msgspec.structs.replace(guest(), os=OperatingSystem(hostname="web-1"))
    of = msgspec.structs.replace(server(guest=observed), name="web-1")
    snapshot = Snapshot(schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=(of,), fabric=fabric())
    other, _ = redacted(snapshot)
    (renamed,) = other.servers
    assert renamed.guest is not None
    assert renamed.name == renamed.guest.os.hostname
    assert {vni.subnet for vni in renamed.vnis} <= set(other.fabric.subnets)
    assert [key == subnet.id for key, subnet in other.fabric.subnets.items()] == [True] * len(other.fabric.subnets)
    macs = {interface.mac for interface in renamed.guest.interfaces}
    assert {vni.mac for vni in renamed.vnis} <= macs
    assert other == redacted(snapshot)[0]
    assert Redactor(b"another key", [snapshot]).snapshot(snapshot) != other


@settings(max_examples=drawn(60), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(snapshots)
def test_any_snapshot_can_be_redacted(snapshot: Snapshot) -> None:
    other = Redactor(KEY, [snapshot]).snapshot(snapshot)
    assert decode_snapshot(encode_snapshot(other)) == other
    assert len(other.servers) == len(snapshot.servers)


def structs_in(kind: Any) -> Iterator[type[Struct]]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
    for inner in typing.get_args(kind):
        yield from structs_in(inner)


def holds_text(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, str):
        return not issubclass(kind, Enum)
    if typing.get_origin(kind) is typing.Literal:
        return True
    return any(holds_text(inner) for inner in typing.get_args(kind) if inner is not types.NoneType)


def reasons_of(path: Path) -> Iterator[str]:
    """The sentences in a module, or what of them is fixed; no docstrings, no patterns."""
    tree = ast.parse(path.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in said else None
        if isinstance(text, str) and " " in text and re.search(r"[\\^*|\n]", text) is None:
            yield text


BOOT = Path(vnicheck.guest.parsers.boot.__path__[0])


@pytest.mark.parametrize(
    "path", [*sorted(BOOT.glob("*.py")), Path(str(vnicheck.model.boot.__file__))], ids=lambda p: p.stem
)
def test_why_something_of_a_boot_is_not_known_keeps_its_words(path: Path) -> None:
    words = {word for reason in reasons_of(path) for word in re.findall(r"\w[\w.-]*(?<![.-])|\w", reason)}
    assert {word for word in words if not word.isdigit()} <= COMMANDS | PLACES | MESSAGES


def test_of_such_a_reason_names_and_values_are_left_out() -> None:
    reason = "/etc/netplan/acme.yaml: whether Path=pci-acme holds for eth1 is not known"
    boot = BootConfig(unknown={"routing": reason}, not_again={"eth1": NotAgain(how="unknown", why=reason)})
    of = server(*two_vnis(), guest=guest(boot=boot))
    snapshot = Snapshot(schema=SCHEMA, tool_version="1", created_at=COLLECTED, servers=(of,), fabric=fabric())
    (other,) = redacted(snapshot)[0].servers
    assert other.guest is not None
    assert other.guest.boot is not None
    said = "/etc/netplan/…: whether Path=… holds for eth1 is not known"
    assert other.guest.boot.unknown == {"routing": said}
    assert other.guest.boot.not_again == {"eth1": NotAgain(how="unknown", why=said)}


def test_every_text_of_a_snapshot_has_a_role() -> None:
    pending: list[type[Struct]] = [Snapshot]
    seen: set[type[Struct]] = set()
    while pending:
        struct = pending.pop()
        if struct in seen:
            continue
        seen.add(struct)
        fields = typing.get_type_hints(struct)
        with_text = {name for name, kind in fields.items() if holds_text(kind)}
        assert set(ROLES[struct]) == with_text, struct.__name__
        pending.extend(inner for kind in fields.values() for inner in structs_in(kind))
    assert set(ROLES) == seen
