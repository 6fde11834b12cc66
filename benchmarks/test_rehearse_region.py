"""Random servers of a made region, rehearsed by a user without rights, with the plans that `auto` offers."""

import subprocess
import sys

import pytest

from tests.lab.require import require_lab
from tests.support import amounts
from tests.support.unprivileged import NOBODY

MORE = range(2, 11)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long(sampled=False)) for seed in MORE)])
def test_packets_do_what_was_predicted_and_plans_keep_their_promises(seed: int) -> None:
    require_lab()
    servers, of = (10, 1000) if amounts.long else (3, 60)
    program = [*NOBODY, sys.executable, "-m", "benchmarks.rehearse_region", str(servers), str(of), str(seed)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"{servers} servers" in done.stdout
