"""Reports to render, from the recorded case and from servers that are built here."""

import io
from typing import Any

import msgspec
from rich.console import Console

from tests.support.servers import (
    COLLECTED,
    POLICY_ROUTING,
    POLICY_RULES,
    acl_rule,
    fabric,
    guest,
    link,
    report,
    server,
    subnet,
    two_vnis,
    vni,
)
from vnicheck.analysis.server import assemble_report, report_on
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.model.cloud import NetworkAcl, Ref
from vnicheck.model.report import InstanceReport, Report
from vnicheck.model.snapshot import Problem, Server
from vnicheck.report.text import write_text

HOSTILE = (
    "né\x1b[31mred\x1b]0;title\x07\x1b[2J[bold red]m[/bold red]:boom:\r\nforged: no broken path\x85next\u2028line"
    "\u202egnp\u202c\u2066x\x9b2J\x00\x7f\t\x0b\x0cend"
)
"""Terminal escapes (7 and 8 bit), rich markup and emoji codes, line ends of every kind, bidirectional overrides."""

DOCKER = guest(
    link("eth0", 0, "10.0.0.11/24"),
    link("docker0", 3, "172.17.0.1/16", kind="bridge"),
    routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n172.17.0.0/16 dev docker0 scope link\n",
    rp_filter={"all": 1},
)
WEB_ONLY = NetworkAcl(
    id="acl",
    name="web-only",
    rules=(
        acl_rule("allow", "inbound", "tcp", destination_port_min=443, destination_port_max=443),
        acl_rule("allow", "outbound", "tcp", source_port_min=443, source_port_max=443, destination_port_min=32768),
    ),
)


def _of(*servers: Server, around: Any = None) -> Report:
    return assemble_report(tuple(report(each, around) for each in servers), generated_at=COLLECTED)


def around(*instances: InstanceReport) -> Report:
    """A document of servers that are reported on already."""
    return assemble_report(instances, generated_at=COLLECTED)


def demo(number: int) -> Report:
    return report_on(load_check(CHECKS[number - 1]), generated_at=COLLECTED, config=AS_RECORDED)


def several() -> Report:
    """A server that is well, one that could not be reached, one that is stopped, one of bare metal."""
    unreached = Problem(code="ssh_timeout", message="10.0.0.11 did not answer within 10 seconds")
    return _of(
        server(
            vni(0, "10.0.0.11", floating_ip="203.0.113.7"),
            vni(1, "10.0.0.12"),
            name="well",
            guest=guest(routes=POLICY_ROUTING, rules=POLICY_RULES, rp_filter={"eth0": 1, "eth1": 1}),
        ),
        server(name="unreached", problems=(unreached,)),
        server(name="asleep", status="stopped"),
        server(*two_vnis(), name="metal", kind="bare_metal_server", guest=guest(rp_filter={"all": 2})),
    )


def hostile() -> Report:
    """All that the cloud or a guest may name, named to do harm."""
    vnis = two_vnis(name=HOSTILE)
    inside = guest(
        link("eth0", 0, "10.0.0.11/24"),
        link("e\x1b[31m\r\n1", 1, "10.0.0.12/24"),
        routes="default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n",
        missing={"counters": HOSTILE},
    )
    inside = msgspec.structs.replace(
        inside, routes=tuple(msgspec.structs.replace(route, text=HOSTILE) for route in inside.routes)
    )
    around = fabric(subnets=[msgspec.structs.replace(subnet("a", "10.0.0.0/24"), name=HOSTILE)])
    return _of(
        server(
            *vnis,
            name=HOSTILE,
            zone=HOSTILE,
            vpc=Ref(id="vpc", name=HOSTILE),
            guest=inside,
            problems=(Problem(code="x", message=HOSTILE),),
        ),
        around=around,
    )


def docker() -> Report:
    return _of(server(vni(0, "10.0.0.11"), guest=DOCKER, name="docker-host"))


def web_only() -> Report:
    return _of(server(vni(0, "10.0.0.11"), guest=DOCKER, name="web"), around=fabric(acls=[WEB_ONLY]))


ALL = {
    "check-1": lambda: demo(1),
    "check-2": lambda: demo(2),
    "check-3": lambda: demo(3),
    "several": several,
    "docker": docker,
    "web-only": web_only,
    "hostile": hostile,
}


def render(
    report: Report,
    width: int,
    *,
    encoding: str = "utf-8",
    terminal: bool = False,
    explain: bool = False,
    quiet: bool = False,
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="")
    console = Console(
        file=file,
        width=width,
        force_terminal=terminal,
        color_system="truecolor" if terminal else None,
        highlight=False,
        markup=False,
    )
    write_text(report, console, explain=explain, quiet=quiet)
    file.flush()
    return raw.getvalue().decode(encoding)
