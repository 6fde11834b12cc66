"""Persistent configuration by the rendered forms: the same files as by the plan's own commands, and as before again."""

from pathlib import Path

import msgspec
import pytest

from tests.support.ansible import LINKS, play
from tests.support.boot_sandbox import BASES, SECONDARY, Machine, kept, machine, needed, owned
from tests.support.plans import plan
from tests.support.shells import SHELLS
from tests.support.sshd import require
from vnicheck.model.guest import Manager
from vnicheck.model.plan import InstancePlan
from vnicheck.report.plans.ansible import render_ansible
from vnicheck.report.plans.files import files_of
from vnicheck.report.plans.sh import render_sh

pytestmark = [pytest.mark.timeout(400)]

FILE_WRITERS = tuple(manager for manager in Manager if manager is not Manager.NETWORK_MANAGER)


def planned(manager: Manager) -> InstancePlan:
    """A plan for a server of two addresses on a VNI, whose interfaces this manager configures."""
    document = plan(owned(SECONDARY, manager)).document
    assert [action.kind for action in document.plan.actions].count("persist") == len(
        kept(owned(SECONDARY, manager)).actions
    )
    return document


def by_commands(manager: Manager, document: InstancePlan) -> list[str]:
    """What the plan's own commands leave in /etc."""
    with machine(BASES[manager]) as host:
        host.perform([each for each in document.plan.actions if each.kind == "persist"], path=needed(manager))
        return host.tree()


def connect(host: Machine) -> None:
    host.namespace.ip(*LINKS, "address add 10.0.0.14/24 dev eth1")


@pytest.mark.root
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("manager", FILE_WRITERS)
def test_the_script_writes_what_the_plan_says_and_takes_it_back(manager: Manager, shell: str, tmp_path: Path) -> None:
    require(shell)
    document = planned(manager)
    expected = by_commands(manager, document)
    script = tmp_path / "apply.sh"
    script.write_text(render_sh([document]))
    with machine(BASES[manager]) as host:
        connect(host)
        before = host.tree()
        run = f"{' '.join(SHELLS[shell])} {script}"
        host.sh(f"{run} persist", path=needed(manager))
        assert host.tree() == expected
        assert host.sh("ip -4 route show table 1003 2>/dev/null || :").stdout == ""
        host.sh(f"{run} persist && {run} apply", path=needed(manager))
        assert host.tree() == expected
        host.sh(f"{run} undo", path=needed(manager))
        assert not set(before) - set(host.tree())
        assert {line.split()[0] for line in set(host.tree()) - set(before)} <= {"network/interfaces.d"}
        assert "10.0.0.12" not in host.sh("ip -4 rule").stdout


@pytest.mark.root
@pytest.mark.parametrize("manager", [Manager.IFUPDOWN, pytest.param(Manager.NETPLAN, marks=pytest.mark.long)])
def test_the_playbook_writes_what_the_plan_says_and_takes_it_back(manager: Manager, tmp_path: Path) -> None:
    """One of files by `copy` and lines of others' by a command, one of files by a command that checks them."""
    document = planned(manager)
    expected = by_commands(manager, document)
    written = len([each for each in document.plan.actions if each.kind == "persist"])
    playbook = render_ansible([document]).replace("become: true", "become: false")
    (tmp_path / "playbook.yml").write_text(playbook)
    with machine(BASES[manager]) as host:
        connect(host)
        before = host.tree()
        programs = needed(manager)
        if programs:
            host.sh(f"mkdir /run/bin && ln -s {programs}/* /run/bin")
        changed, said = play(host.namespace, tmp_path)
        assert host.tree() == expected, said
        folders = 1 if manager is Manager.IFUPDOWN else 0  # interfaces.d
        assert changed == 2 + len(document.plan.immediate) + written + folders
        assert play(host.namespace, tmp_path)[0] == 0
        play(host.namespace, tmp_path, "--tags", "undo")
        assert not set(before) - set(host.tree())
        assert "10.0.0.12" not in host.sh("ip -4 rule").stdout
        assert play(host.namespace, tmp_path, "--tags", "undo")[0] == 0


def test_the_folder_has_every_form_and_the_files_as_they_will_stand() -> None:
    document = planned(Manager.NETWORKD)
    other = msgspec.structs.replace(document, id="other-id", name="SERVER")
    found = files_of([document, other])
    (text,) = [action.file.text for action in document.plan.actions if action.file is not None]
    drop_in = "files/etc/systemd/network/20-eth1.network.d/50-vnicheck-eth1-1003.conf"
    names = ["apply.sh", "playbook.yml", drop_in]
    assert list(found) == [
        "plan.json",
        *(f"server/{name}" for name in names),
        *(f"SERVER-other-id/{name}" for name in names),  # the same to a file system that does not tell cases apart
    ]
    assert found[f"server/{drop_in}"] == text.encode()
    assert found["server/apply.sh"] == render_sh([document]).encode()
