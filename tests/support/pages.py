"""Reports to show in a browser: a server that is broken, one of four interfaces, one out of reach, one that forwards,
one with names as long as they may be, and a fleet.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.support import reports
from tests.support.fleet import BROKEN, NOW, TIMEOUT, WELL, member, regions
from tests.support.servers import COLLECTED, fabric, guest, link, router, server, subnet, transit_fabric, two_vnis, vni
from vnicheck.analysis.lint import lint
from vnicheck.analysis.server import analyze_server, assemble_report
from vnicheck.demo.checks import AS_RECORDED, CHECKS, load_check
from vnicheck.model.cloud import Fabric, Ref
from vnicheck.model.config import Config
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Problem, Server
from vnicheck.report.html import HtmlWriter

LONG = "a-name-that-is-as-long-as-a-name-may-be-which-are-63-letters-xx"
LONGEST_INTERFACE = "enp7s0f1np1v100"


def written(report: Report) -> bytes:
    """The document."""
    writer = HtmlWriter()
    for instance in report.instances:
        writer.add(instance)
    return b"".join(writer.finish(report))


def linted(*servers: Any, earlier: Any = None, plans: bool = False) -> bytes:
    """The document of a fleet."""
    writer = HtmlWriter()
    read = regions(*servers)
    outcome = lint(read, Config(), generated_at=NOW, writers=[writer], earlier=earlier, plans=plans)
    return b"".join(writer.finish(outcome.report))


def analyzed(of: Server, around: Fabric | None = None, config: Config | None = None) -> bytes:
    """The document of one server, its fix proved."""
    made = analyze_server(of, around or fabric(), config or Config(), read_at=COLLECTED, plans=True)
    return written(assemble_report((made,), generated_at=COLLECTED))


def check_1() -> bytes:
    """The article's first check."""
    snapshot = load_check(CHECKS[0])
    return analyzed(snapshot.servers[0], snapshot.fabric, AS_RECORDED)


def four_interfaces(**more: Any) -> bytes:
    """One that has no policy routing: three interfaces of four are broken."""
    names = ("eth0", "eth1", "eth2", LONGEST_INTERFACE)
    links = [link(name, n, f"10.0.{n}.11/24") for n, name in enumerate(names)]
    routes = "default via 10.0.0.1 dev eth0\n" + "".join(
        f"10.0.{n}.0/24 dev {name} proto kernel scope link src 10.0.{n}.11\n" for n, name in enumerate(names)
    )
    vnis = [vni(n, f"10.0.{n}.11", subnet=key, allow_ip_spoofing=n == 1) for n, key in enumerate("abcd")]
    around = fabric(subnets=[subnet(key, f"10.0.{n}.0/24") for n, key in enumerate("abcd")])
    inside = guest(*links, routes=routes, rp_filter={"eth1": 1, "eth2": 2})
    return analyzed(server(*vnis, name="four", guest=inside, **more), around)


def unreachable() -> bytes:
    """One that does not answer."""
    return analyzed(server(*two_vnis(), name="unreached", problems=(TIMEOUT,)))


def forwards() -> bytes:
    """One that loses what goes through it."""
    return analyzed(router(rp_filter=1, name="router"), transit_fabric())


def long_names() -> bytes:
    """Names without a place to break; one is that of a VNI for which the server has no interface."""
    name = LONG.replace("-", "x")
    vnis = [msgspec.structs.replace(each, name=f"{n}{name}"[:63]) for n, each in enumerate(two_vnis())]
    routes = "default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n"
    inside = guest(link("eth0", 0, "10.0.0.11/24"), routes=routes, missing={"counters": name * 3})
    return analyzed(
        server(*vnis, name=name, vpc=Ref(id="vpc", name=name), zone="us-south-1", guest=inside, problems=(_odd(),))
    )


def fleet(count: int = 60) -> bytes:
    """Most are broken, each in its way; some are well, out of reach, or stopped; two have names without a break."""
    kinds = [
        member("broken", BROKEN),
        member("loose", guest(rp_filter={"all": 2})),
        member("metal", BROKEN, kind="bare_metal_server"),
        member("well", WELL),
        member("unreached", problems=(TIMEOUT,)),
        member("no-route", guest(routes="default via 10.0.0.1 dev eth0\n"), region="eu-de"),
        member("asleep", status="stopped"),
        member("partly", BROKEN, problems=(_odd(),)),
    ]
    return of_kinds(kinds, count)


def of_kinds(kinds: Sequence[Server], count: int) -> bytes:
    """The document of so many servers, which are analyzed once for each kind."""
    made = [analyze_server(kind, fabric(), Config()) for kind in kinds]
    named = [f"web-{number}" if number % 30 else f"{LONG.replace('-', 'x')[:60]}{number}" for number in range(count)]
    instances = [
        msgspec.structs.replace(made[number % len(made)], name=name, id=name) for number, name in enumerate(named)
    ]
    return written(assemble_report(tuple(instances), generated_at=NOW))


def _odd() -> Problem:
    return Problem(code="guest_partial", message=f"some of it was not read: {LONG.replace('-', 'y')}")


PAGES: dict[str, Callable[[], bytes]] = {
    "check-1": check_1,
    "four-interfaces": four_interfaces,
    "unreachable": unreachable,
    "forwards": forwards,
    "long-names": long_names,
    "hostile": lambda: written(reports.hostile()),
    "several": lambda: written(reports.several()),
    "fleet": fleet,
    "part-of-it": lambda: fleet(8),
}
