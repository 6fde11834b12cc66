"""Cases: folders under fixtures/cases that a network engineer can read and add to, without Python.

A case holds `cloud.json` (what the VPC API answers, in the stand-in's form), the guest's files, and `case.toml`: which
files they are, and what to expect. The cloud is read over HTTP by our own client, the guest by our own parsers.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tests.api import StandIn
from tests.support.guest_parts import guest_from_parts, with_default_tables
from vnicheck.analysis.server import report_on
from vnicheck.cli.config import load_config
from vnicheck.cloud.connect import connect
from vnicheck.collect.live import make_snapshot, observe_regions
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.model.address import parse_address, prefix_range
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest
from vnicheck.model.report import InstanceReport, Status
from vnicheck.model.snapshot import Snapshot

CASES = Path(__file__).parents[2] / "fixtures" / "cases"


class Expectation(Struct, frozen=True, forbid_unknown_fields=True):
    """`flow`: `inbound tcp/80 10.8.0.4 -> 10.0.0.12`, the opener first. `drops`: `rp_filter at eth1`, in order."""

    flow: str
    verdict: Literal["delivered", "dropped", "unknown"]
    drops: tuple[str, ...] = ()
    reason: str = ""
    """Words that stand in the reason of the first hop that does not pass."""
    says: tuple[str, ...] = ()
    """Words each of which stands in the reason of some hop."""
    way: str | None = None
    """`eth1 -> eth0`: where the flow's packets enter the guest, and where they leave it."""


class GuestFiles(Struct, frozen=True, forbid_unknown_fields=True):
    """Either the collect script's output, or separate commands' (`ip a`, `ip r`, `ip rule`, `sysctl`)."""

    collected: str | None = None
    addresses: str | None = None
    routes: str | None = None
    rules: str | None = None
    sysctls: str | None = None


class PlanExpectation(Struct, frozen=True, forbid_unknown_fields=True):
    """What `vnicheck fix` plans: the strategy, some of its commands, and words of what else it says."""

    strategy: str
    commands: tuple[str, ...] = ()
    unfixed: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """`case.toml`: see fixtures/cases/README.md."""

    title: str
    server: str
    collected_at: str
    expect: tuple[Expectation, ...] = ()
    cloud: str = "cloud.json"
    config: str | None = None
    status: Status = "analyzed"
    problems: tuple[str, ...] = ()
    """`code: words` of every problem, in order; the words begin its message."""
    interfaces: dict[str, str] = {}
    """By VNI the guest's interface, `-` for none."""
    text: tuple[str, ...] = ()
    """Words that the text report says."""
    plan: PlanExpectation | None = None
    guest: GuestFiles | None = None
    kernel_defaults: tuple[str, ...] = ()
    errors: tuple[str, ...] | None = None
    """The rules of all findings that are errors."""
    findings: tuple[str, ...] = ()
    """Rules that are among those of its findings."""
    edits: tuple[tuple[str, str], ...] = ()
    """Of a variant: what is replaced in all files of the case, wherever it stands."""

    def __post_init__(self) -> None:
        if not (self.expect or self.problems):
            raise ValueError("a case expects some verdict or some problem")


def names() -> list[str]:
    return sorted(folder.name for folder in CASES.iterdir() if folder.is_dir())


def load(name: str) -> Case:
    return msgspec.convert(_told(name, "case.toml"), Case, strict=True)


def variants(name: str) -> list[Case]:
    """What `variants.toml` makes of the case: its files edited, with expectations of their own."""
    if not (CASES / name / "variants.toml").exists():
        return []
    whole = {key: value for key, value in _told(name, "case.toml").items() if key not in {"expect", "plan", "text"}}
    told = _told(name, "variants.toml")["variant"]
    return [msgspec.convert({**whole, **each}, Case, strict=True) for each in told]


def _told(name: str, file: str) -> dict[str, Any]:
    return tomllib.loads((CASES / name / file).read_text())


def snapshot_of(name: str, case: Case | None = None) -> Snapshot:
    """Of a case, or of a variant of it."""
    case = load(name) if case is None else case
    files = _Files(name, case.edits)
    with StandIn(json.loads(files.read(case.cloud))) as api:
        client = connect(region=None, environ=api.environ, auth=None)
        (region,) = observe_regions([client], [case.server], vpc=None, resource_group=None)
    (server,) = region.servers
    if case.guest is not None:
        try:
            server = msgspec.structs.replace(server, guest=_guest(files, case, case.guest))
        except CollectionError as error:
            server = msgspec.structs.replace(server, problems=(*server.problems, error.problem()))
    files.require_all_edits()
    return make_snapshot(region, [server], created_at=case.collected_at, everything=False)


class _Files:
    """Of a case, as a variant edits them."""

    def __init__(self, name: str, edits: tuple[tuple[str, str], ...]) -> None:
        self._folder, self._edits = CASES / name, edits
        self._found: set[str] = set()

    def read(self, file: str) -> str:
        text = (self._folder / file).read_text()
        for old, new in self._edits:
            self._found |= {old} if old in text else set()
            text = text.replace(old, new)
        return text

    def require_all_edits(self) -> None:
        assert {old for old, _ in self._edits} == self._found, "an edit changes nothing"


def config_of(name: str, case: Case | None = None) -> Config:
    """The configuration of a case, or of a variant, read as the program reads it; without a file, the defaults."""
    case = load(name) if case is None else case
    return Config() if case.config is None else load_config(CASES / name / case.config)


def report_of(snapshot: Snapshot, config: Config | None = None) -> InstanceReport:
    (instance,) = report_on(snapshot, generated_at=snapshot.created_at, config=config or Config()).instances
    return instance


def find(instance: InstanceReport, flow: str) -> Flow:
    """The one class to which a flow, written as in Expectation, belongs."""
    direction, what, opener, _, answerer = flow.split()
    protocol, _, port = what.partition("/")
    remote, local = (answerer, opener) if direction == "outbound" else (opener, answerer)
    matching = [
        known
        for known in instance.flows
        if (known.direction, known.protocol) == (direction, protocol)
        and _has_end(known, local)
        and any(_inside(remote, prefix) for prefix in known.remote)
        and (not port or any(_in_ports(int(port), ports) for ports in known.ports or ()))
    ]
    assert len(matching) == 1, f"{flow} is in {len(matching)} classes"
    return matching[0]


def _has_end(flow: Flow, local: str) -> bool:
    """Whether the address is the flow's local end, or of a flow in transit on its answering side."""
    if isinstance(flow.local_prefixes, msgspec.UnsetType):
        return flow.local == local
    return any(_inside(local, prefix) for prefix in flow.local_prefixes)


def _inside(address: str, prefix: str) -> bool:
    first, last = prefix_range(prefix)
    return first <= parse_address(address) <= last


def _in_ports(port: int, ports: str) -> bool:
    first, _, last = ports.partition("-")
    return int(first) <= port <= int(last or first)


def _guest(folder: _Files, case: Case, files: GuestFiles) -> Guest:
    def read(file: str | None) -> Any:
        return None if file is None else folder.read(file)

    if files.collected is not None:
        return read_guest(read(files.collected).encode(), via="file", collected_at=case.collected_at)
    guest = guest_from_parts(
        collected_at=case.collected_at,
        addresses_text=read(files.addresses),
        routes_text=read(files.routes),
        rules_text=read(files.rules),
        sysctl_text=read(files.sysctls),
        main_only="local table" in case.kernel_defaults,
    )
    return with_default_tables(guest) if case.kernel_defaults else guest
