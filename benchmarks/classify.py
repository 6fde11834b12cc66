"""How long the classification of all flows takes, beside asking the kernel for one address of each class.

The kernel is asked in a network namespace of its own that is configured like the server, with `ip -batch`: for each
class the way out, and the way in. That answers for one address a class; the classification answers for all of them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from benchmarks.servers import make_server
from vnicheck.engine.classify import predict_flows
from vnicheck.engine.server_view import ServerView
from vnicheck.model.cloud import Fabric
from vnicheck.model.config import Config
from vnicheck.model.flow import Flow
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Server

ROUNDS = 5
SIZES = (
    ("4 VNIs, 10 routes", 4, 10, 0),
    ("15 VNIs, 64 tables, 1,250 routes", 15, 1250, 64),
    ("15 VNIs, 64 tables, 2,500 routes", 15, 2500, 64),
    ("15 VNIs, 64 tables, 5,000 routes", 15, 5000, 64),
)


def main() -> None:
    heads = f"{'classes':>8} {'ms':>8} {'us/route':>9} {'asking ms':>10} {'asking/ours':>12}"
    print(f"{'median of ' + str(ROUNDS):<34} {heads}")
    for name, vnis, routes, tables in SIZES:
        server, fabric = make_server(vnis=vnis, routes=routes, tables=tables)
        assert server.guest is not None
        flows = _classify(server, fabric)
        ours, asking = [], []
        with _Namespace(server.guest) as namespace:
            questions = _questions(flows)
            for _ in range(ROUNDS):
                ours.append(_timed(lambda server=server, fabric=fabric: _classify(server, fabric)))
                asking.append(_timed(lambda namespace=namespace, questions=questions: namespace.ask(questions)))
        mine, theirs = statistics.median(ours), statistics.median(asking)
        per_route = mine / len(server.guest.routes) * 1e6
        print(
            f"{name:<34} {len(flows):8} {mine * 1e3:8.0f} {per_route:9.0f} {theirs * 1e3:10.0f} {theirs / mine:12.2f}"
        )


def _classify(server: Server, fabric: Fabric) -> tuple[Flow, ...]:
    return predict_flows(ServerView(server, fabric, Config()))


def _timed(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def _questions(flows: tuple[Flow, ...]) -> str:
    """Both lookups for one address of each class, as `ip -batch` takes them."""
    lines = []
    for flow in flows:
        remote = flow.remote[0].partition("/")[0]
        lines.append(f"route get {remote} from {flow.local}")
        lines.append(f"route get {flow.local} from {remote} iif {flow.ingress or 'eth0'}")
    return "\n".join(lines) + "\n"


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
