"""Many servers at once: each has its own fate."""

import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.patience import ends_in_time
from tests.support.ssh_client import options_for
from tests.support.sshd import Sshd, free_port
from vnicheck.guest.fleet import Calls, Result, collect_many
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.model.guest import Guest
from vnicheck.model.snapshot import Problem


def test_one_failure_touches_no_other(
    start_sshd: Callable[..., Sshd], known: Callable[..., Path], tmp_path: Path
) -> None:
    good, slow, unknown = start_sshd("good"), start_sshd("slow", force_command="sleep 90"), start_sshd("unknown")
    config = tmp_path / "config"
    ports = {"good-*": good.port, "slow": slow.port, "unknown": unknown.port, "down": free_port()}
    config.write_text("".join(f"Host {name}\n  Port {port}\n" for name, port in ports.items()))
    names = ["good-1", "slow", "good-2", "unknown", "down", "good-3"]
    targets = [SshTarget(id=f"id-{name}", name=name, address="127.0.0.1") for name in names]
    targets.append(SshTarget(id="id-odd", name="odd", address="not an address"))
    done: list[tuple[str, Result]] = []
    main = threading.get_ident()

    def on_done(target: SshTarget, result: Result) -> None:
        assert threading.get_ident() == main
        done.append((target.name, result))

    options = options_for(good, known(good, slow), config_file=config, port=None, timeout=2.5)
    with ends_in_time():
        results = collect_many(targets, options, Calls(on_done=on_done), jobs=8)
    assert list(results) == [target.key for target in targets]
    codes = {key: result.code if isinstance(result, Problem) else "ok" for key, result in results.items()}
    assert codes == {
        "id-good-1": "ok",
        "id-slow": "ssh_timeout",
        "id-good-2": "ok",
        "id-unknown": "ssh_host_key_unknown",
        "id-down": "ssh_refused",
        "id-good-3": "ok",
        "id-odd": "ssh_config",
    }
    assert sorted(name for name, _ in done) == sorted(target.name for target in targets)
    assert done[-1][0] == "slow"
    assert good.sessions() == 3
    guest = results["id-good-1"]
    assert isinstance(guest, Guest)
    assert guest.via == "ssh"


def test_many_servers_behind_one_jump_host(start_sshd: Callable[..., Sshd], known: Callable[..., Path]) -> None:
    """One connection to it: more at once would run into its MaxStartups."""
    jump = start_sshd("jump", config=("MaxStartups 1:100:1",))
    server = start_sshd("server", config=("MaxStartups 50",))
    targets = [SshTarget(name=f"web-{number}", address="127.0.0.1") for number in range(8)]
    options = options_for(server, known(jump, server), jump=f"127.0.0.1:{jump.port}")
    results = collect_many(targets, options)
    assert [type(result) for result in results.values()] == [Guest] * 8
    assert (jump.connections(), server.sessions()) == (1, 8)


def test_nobody_to_collect_from(known: Callable[..., Path], start_sshd: Callable[..., Sshd]) -> None:
    server = start_sshd()
    assert collect_many([], options_for(server, known(server))) == {}
