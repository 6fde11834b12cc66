"""How long the classification of all flows takes, beside asking the kernel for one address of each class.

The kernel is asked in a network namespace of its own that is configured like the server, with `ip -batch`: the way out
and the way in. For one address of each class (`classes`): that takes the classes as known. And for one address of each
atom (`atoms`), the stretches between two edges of prefixes: what must be asked to find the classes.
"""

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from benchmarks.servers import make_server, with_rules
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.partition import never_remote
from vnicheck.engine.server_view import ServerView
from vnicheck.model.address import format_address
from vnicheck.model.address_map import choose, constant
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

ROUNDS = 5
YOUNG_OBJECTS = 100_000
Ends = tuple[str, str, str]
"""A remote address, a local one, and the interface that packets enter by."""
SIZES = (
    ("4 VNIs, 10 routes", 4, 10, 0),
    ("15 VNIs, 64 tables, 1,250 routes", 15, 1250, 64),
    ("15 VNIs, 64 tables, 2,500 routes", 15, 2500, 64),
    ("15 VNIs, 64 tables, 5,000 routes", 15, 5000, 64),
)


def main() -> None:
    gc.set_threshold(YOUNG_OBJECTS)  # as the program and its workers do
    asking = f"{'asking':>8} {'x ours':>7}"
    heads = f"{'ms':>8} {'us/route':>9} {'classes':>8} {asking} {'atoms':>8} {asking}"
    print(f"{'median of ' + str(ROUNDS):<34} {heads}")
    for name, vnis, routes, tables in SIZES:
        server, fabric = make_server(vnis=vnis, routes=routes, tables=tables)
        assert server.guest is not None
        to_ask = (_of_classes(_classify(server, fabric)), _of_atoms(ServerView(server, fabric, Config())))
        ours: list[float] = []
        asked: tuple[list[float], list[float]] = ([], [])
        with _Namespace(server.guest) as namespace:
            for _ in range(ROUNDS):
                ours.append(_timed(partial(_classify, server, fabric)))
                for times, ends in zip(asked, to_ask, strict=True):
                    times.append(_timed(partial(namespace.ask, _questions(ends))))
        mine = statistics.median(ours)
        print(f"{name:<34} {mine * 1e3:8.0f} {mine / len(server.guest.routes) * 1e6:9.0f}", end="")
        for times, ends in zip(asked, to_ask, strict=True):
            theirs = statistics.median(times)
            print(f" {len(ends):8} {theirs * 1e3:8.0f} {theirs / mine:7.2f}", end="")
        print()
    server, fabric = make_server(vnis=4, routes=40, tables=4)
    for kind in ("5,000 sources", "50 users, 28 ports", "500 ports"):
        took = _timed(partial(_classify, with_rules(server, kind), fabric))
        print(f"{f'4 VNIs, rules: {kind}':<34} {took * 1e3:8.0f}")


def _classify(server: Server, fabric: Fabric) -> tuple[Flow, ...]:
    return predict_flows(ServerView(server, fabric, Config()))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _of_classes(flows: tuple[Flow, ...]) -> list[Ends]:
    return [(flow.remote[0].partition("/")[0], flow.local, flow.ingress or "eth0") for flow in flows]


def _of_atoms(view: ServerView) -> list[Ends]:
    assert view.kernel is not None
    atoms = choose(never_remote(view.own_addresses()), constant(None), view.kernel.ends)
    return [
        (format_address(first), vni.primary_address, view.interface_of[vni.id])
        for vni in view.server.vnis
        for first, _, kind in atoms.stretches()
        if kind is not None
    ]


def _questions(ends: list[Ends]) -> str:
    """Both lookups, as `ip -batch` takes them."""
    return "".join(
        f"route get {remote} from {local}\nroute get {local} from {remote} iif {interface}\n"
        for remote, local, interface in ends
    )


class _Namespace:
    """A network namespace configured like a guest, while it is entered."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        while os.readlink(f"/proc/{self._holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        lines = ["link set lo up"]
        for link in self._guest.interfaces[1:]:
            lines += [
                f"link add {link.name} address {link.mac} type veth peer name p{link.index}",
                f"link set {link.name} up",
                f"link set p{link.index} up",
                *(f"address add {address.prefix} dev {link.name}" for address in link.addresses),
            ]
        for route in self._guest.routes:
            nexthop = route.nexthops[0]
            if nexthop.gateway is not None:
                lines.append(
                    f"route add {route.prefix} via {nexthop.gateway} dev {nexthop.interface} table {route.table}"
                )
        lines += [
            f"rule add from {rule.src} table {rule.table} priority {rule.priority}"
            for rule in self._guest.rules
            if rule.src is not None
        ]
        self._ip("\n".join(lines) + "\n", check=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    def ask(self, questions: str) -> None:
        self._ip(questions, check=False)

    def _ip(self, batch: str, *, check: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "batch"
            file.write_text(batch)
            command = ["nsenter", "-t", str(self._holder.pid), "-n", "ip", "-force", "-batch", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if check and done.returncode != 0:
                sys.exit(f"the namespace could not be configured: {done.stderr[:500]}")
