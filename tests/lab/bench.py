"""A server of the lab for the program to change."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.program import PROGRAM, REPOSITORY, configuration, ssh_arguments
from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from tests.lab.world import follow, world_of
from tests.support.sshd import Sshd


class Bench:
    """What a test drives: the lab, its sshd and API, and the program as the user's machine runs it."""

    def __init__(self, lab: Lab, sshd: Sshd, api: StandIn, folder: Path) -> None:
        self.lab, self.sshd, self.api, self.folder = lab, sshd, api, folder
        self.environ = {**os.environ, **api.environ, "XDG_STATE_HOME": str(folder / "state")}

    def command(self, *arguments: str) -> list[str]:
        return [*PROGRAM, *arguments, *ssh_arguments(self.lab, self.sshd, self.folder)]

    def run(self, *arguments: str) -> Any:
        return self.lab.client.run(self.command(*arguments), cwd=REPOSITORY, env=self.environ, timeout=100, check=False)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Also where these tests run under nohup, it hears that its terminal is gone."""
        command = ["env", "--default-signal=HUP", *self.command(*arguments)]
        return self.lab.client.popen(
            command, cwd=REPOSITORY, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def fix(self, *arguments: str) -> Any:
        config = configuration(self.lab.scenario, self.folder)
        return self.run("fix", self.lab.scenario.name, "--yes", "-f", "json", "--flows", *config, *arguments)

    def guest(self) -> tuple[str, ...]:
        """All that a plan may change there."""
        commands = (
            ["ip", "rule"],
            ["ip", "-4", "route", "show", "table", "all"],
            ["sh", "-c", "grep -H . /proc/sys/net/ipv4/conf/*/rp_filter"],
            ["find", "/etc", "-newer", "/run/sshd", "-type", "f"],
        )
        return tuple(self.lab.target.run(command).stdout for command in commands)

    def modes(self) -> list[tuple[str, bool]]:
        """Of the VNIs, as the API has them."""
        return [
            (vni["protocol_state_filtering_mode"], vni["allow_ip_spoofing"])
            for vni in self.api.world["virtual_network_interfaces"]
        ]

    def everything(self) -> tuple[object, ...]:
        return (self.guest(), self.modes())


@contextmanager
def bench(
    name: str | Scenario, folder: Path, *, config: Sequence[str] = (), build: Callable[..., Lab] = Lab
) -> Iterator[Bench]:
    """A scenario's server (by name, or as changed), reached by SSH, in a VPC whose API changes what packets meet."""
    scenario = scenarios.load(name) if isinstance(name, str) else name
    folder.mkdir()
    with build(scenario, own_files=True) as lab:
        lab.target.run(["mkdir", "/run/sshd"])
        with (
            Sshd(
                folder / "sshd", address=scenario.locals[0], port=22, prefix=lab.target.prefix(), config=config
            ) as sshd,
            lab.client.call(lambda: StandIn(world_of(scenario), on_patch=follow(lab))) as api,
        ):
            yield Bench(lab, sshd, api, folder)
