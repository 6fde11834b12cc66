"""`fix --verify-from`: the promised flows get through before the timer is stopped, or all is undone."""

from pathlib import Path

import pytest

from tests.lab.bench import bench
from tests.lab.probe import probe
from tests.lab.require import require_lab
from tests.support.sshd import require

pytestmark = [pytest.mark.root, pytest.mark.timeout(200)]
CLIENT = "10.8.0.4"
DEAF = "table ip vnicheck_test { chain i { type filter hook input priority 0; ip saddr 10.0.0.12 drop; }; }"


@pytest.mark.long(sampled=False)
def test_promised_flows_are_seen_or_all_is_undone(tmp_path: Path) -> None:
    require_lab()
    require("sshd", "ssh-keygen")
    with bench("article-check-1", tmp_path / "bench") as made:
        before = made.everything()
        made.lab.client.run(["nft", "-f", "-"], input=DEAF)
        done = made.fix("--verify-from", f"here={CLIENT}")
        assert done.returncode == 4, done.stderr
        assert "promised flows of here=10.8.0.4 did not get through" in done.stderr
        assert made.everything() == before
        made.lab.client.run(["nft", "delete", "table", "ip", "vnicheck_test"])
        done = made.fix("--verify-from", f"here={CLIENT}")
        assert done.returncode == 0, done.stderr
        assert "sending packets of the promised flows" in done.stderr
        assert all(flow.delivered for flow in probe(made.lab, clients=[CLIENT]))
