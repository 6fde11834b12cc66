"""Two labs that one client reaches, and a third server that nobody does: what a job that lints a region meets.

The broken server is that of the article's check 1, the healthy one has policy routing; each is real Linux with an sshd
of its own. The VPC API of all three is one stand-in in the client's network.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.api import StandIn, World
from tests.lab import scenario as scenarios
from tests.lab.scenario import Clients, Scenario
from tests.lab.topology import Lab
from tests.lab.world import add_server, world_of
from tests.support.sshd import Sshd

BROKEN, HEALTHY, GONE = "broken", "healthy", "gone"
MEND = """
ip route add 10.0.0.0/24 dev eth1 src 10.0.0.12 table 102
ip route add default via 10.0.0.1 dev eth1 table 102
ip rule add from 10.0.0.12 lookup 102 priority 102
"""
"""What makes a healthy server of the broken one, until it boots."""
_LINK = ("169.254.78.1", "169.254.78.2")
_ELSEWHERE = Clients(
    subnet=("10.0.9.200",),
    vpc=("10.0.6.5",),
    private=("10.8.9.4",),
    service=("161.26.9.10",),
    internet=("203.0.113.99",),
)


def moved(scenario: Scenario) -> Scenario:
    """The scenario in 10.0.9.0/24 instead of 10.0.0.0/24, with clients of its own."""
    text = msgspec.json.encode(scenario).decode()
    renamed = text.replace("10.0.0.", "10.0.9.").replace("subnet-a", "subnet-b").replace("vni-", "vni-b")
    away = msgspec.json.decode(renamed, type=Scenario)
    return msgspec.structs.replace(away, clients=_ELSEWHERE, expect={})


class Fleet:
    """`broken` and `healthy` are labs. `options` lead vnicheck to both from `broken.client`, where `api` is."""

    broken: Lab
    healthy: Lab
    api: StandIn

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        first = msgspec.structs.replace(scenarios.load("article-check-1"), name=BROKEN)
        second = msgspec.structs.replace(moved(scenarios.load("policy-routing")), name=HEALTHY)
        key: Path | None = None
        with ExitStack() as stack:
            self.broken = stack.enter_context(Lab(first))
            self.healthy = stack.enter_context(Lab(second))
            self._join()
            known = []
            for lab in (self.broken, self.healthy):
                sshd = Sshd(
                    self._folder / lab.scenario.name,
                    address=lab.scenario.locals[0],
                    port=22,
                    prefix=lab.target.prefix(),
                    client_key=key,
                )
                key = sshd.client_key
                stack.enter_context(sshd)
                known.append(sshd.known_hosts_line(lab.scenario.locals[0]))
            (self._folder / "known_hosts").write_text("".join(known))
            self._key = key
            self.api = stack.enter_context(self.broken.client.call(lambda: StandIn(self._world(first, second))))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def options(self) -> list[str]:
        """Those that a user of the client would give."""
        known = str(self._folder / "known_hosts")
        return [
            "--ssh-address",
            "private",
            "--known-hosts",
            known,
            "-i",
            str(self._key),
            "-F",
            "none",
            "--ssh-user",
            "root",
        ]

    def _join(self) -> None:
        """The way from the broken server's clients to the healthy one, and back."""
        near, far = self.broken.fabric, self.healthy.fabric
        near.ip(
            f"link add peer type veth peer name peer netns {far.pid}",
            f"address add {_LINK[0]}/30 dev peer",
            "link set peer up",
        )
        far.ip(f"address add {_LINK[1]}/30 dev peer", "link set peer up")
        near.ip(f"route add 10.0.9.0/24 via {_LINK[1]}")
        far.ip(f"route add {self.broken.scenario.management_client}/32 via {_LINK[0]}")

    def _world(self, first: Scenario, second: Scenario) -> World:
        """The API's side of all three; nothing answers at the third one's addresses."""
        world = add_server(world_of(first), second)
        interfaces = [{"subnet": "subnet-a", "address": f"10.0.0.{host}"} for host in (91, 92)]
        return world.instance(GONE, interfaces=interfaces)
