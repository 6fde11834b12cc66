"""`vnicheck fix` end to end: the plan is applied over SSH and the stand-in API, whose patches the lab's fabric follows,
and real packets then have the last word.
"""

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api import StandIn
from tests.lab import scenario as scenarios
from tests.lab.namespaces import require_lab
from tests.lab.probe import Probe, probe
from tests.lab.test_analyze import PROGRAM, REPOSITORY, configuration, holds, ssh_arguments
from tests.lab.topology import Lab
from tests.lab.world import follow, world_of
from tests.sshd import Sshd, require

pytestmark = pytest.mark.root

STRATEGIES = ("auto", "policy-routing", "rp-filter", "state-filtering")


@contextmanager
def server(name: str, folder: Path) -> Iterator["Bench"]:
    """A scenario's server, reached by SSH, in a VPC whose API changes what packets meet."""
    scenario = scenarios.load(name)
    folder.mkdir()
    with Lab(scenario) as lab:
        lab.target.run(["sh", "-c", "mount -t tmpfs tmpfs /run && mkdir /run/sshd"])
        with (
            Sshd(folder / "sshd", address=scenario.locals[0], port=22, prefix=lab.target.prefix()) as sshd,
            lab.client.call(lambda: StandIn(world_of(scenario), on_patch=follow(lab))) as api,
        ):
            yield Bench(lab, sshd, api, folder)


class Bench:
    """What a test drives: the lab, its sshd and API, and the program as the user's machine runs it."""

    def __init__(self, lab: Lab, sshd: Sshd, api: StandIn, folder: Path) -> None:
        self.lab, self.sshd, self.api, self.folder = lab, sshd, api, folder
        self.state = folder / "state"

    def vnicheck(self, command: str, *arguments: str, timeout: float = 90) -> Any:
        environ = {**os.environ, **self.api.environ, "XDG_STATE_HOME": str(self.state)}
        ssh = ssh_arguments(self.lab, self.sshd, self.folder)
        return self.lab.client.run(
            [*PROGRAM, command, *arguments, *ssh], cwd=REPOSITORY, env=environ, timeout=timeout, check=False
        )

    def fix(self, *arguments: str) -> Any:
        scenario = self.lab.scenario
        config = configuration(scenario, self.folder)
        return self.vnicheck("fix", scenario.name, "--yes", "-f", "json", *config, *arguments)


class Fixed(Struct, frozen=True):
    """What the program did, and what packets do after it."""

    status: int
    plan: dict[str, Any] | None
    outcome: dict[str, Any] | None
    stderr: str
    before: list[Probe]
    after: list[Probe]
    unexpected: list[str]


def fixed(name: str, strategy: str, folder: Path) -> Fixed:
    with server(name, folder) as bench:
        before = probe(bench.lab)
        done = bench.fix("--strategy", strategy)
        assert done.stdout, done.stderr
        (instance,) = json.loads(done.stdout)["instances"] or [{}]
        return Fixed(
            status=done.returncode,
            plan=instance.get("plan"),
            outcome=instance.get("outcome"),
            stderr=done.stderr,
            before=before,
            after=probe(bench.lab),
            unexpected=bench.api.unexpected,
        )
