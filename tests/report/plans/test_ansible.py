"""The playbook, by a real Ansible on a real kernel: it does what the plan says, once, and takes it back."""

import json
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from tests.lab.require import require_lab
from tests.support.ansible import CLI, LINKS, assert_ansible_reads, play
from tests.support.plan_documents import document, patches, persist, with_actions
from vnicheck.model.plan import InstancePlan
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.report.plans.ansible import render_ansible


def state(namespace: Namespace) -> list[str]:
    """What the plan and its files change."""
    shown = [
        "ip rule",
        "ip -4 route show table all",
        "cat /etc/vnicheck-kept",
        "sh -c 'cat /run/mode-* /run/spoofing-*'",
    ]
    return [namespace.run(["sh", "-c", f"{line} 2>/dev/null"], check=False).stdout for line in shown]


@pytest.mark.root
def test_it_does_it_once_and_takes_it_back(tmp_path: Path) -> None:
    require_lab()
    file = persist("/etc/vnicheck-kept", "kept {{ as }} it is\n")
    plan = with_actions(document(), file, *patches())
    plays = render_ansible([plan]).replace("become: true", "become: false")
    (tmp_path / "playbook.yml").write_text(plays)
    with Namespace.create("ansible", copied=["/etc"], empty=["/run"]) as namespace:
        namespace.ip(*LINKS)
        namespace.run(["mkdir", "/run/bin"])
        namespace.run(["sh", "-c", "cat >/run/bin/ibmcloud; chmod +x /run/bin/ibmcloud"], input=CLI)
        before = state(namespace)
        assert play(namespace, tmp_path)[0] == 3 + 1 + 2
        rules, routes, kept, vnis = state(namespace)
        assert "1003:\tfrom 10.0.0.12 lookup 1003\n" in rules
        assert "default via 10.0.0.1 dev eth1 table 1003 \n" in routes
        assert kept == "kept {{ as }} it is\n"
        assert sorted(vnis.split()) == ["disabled", "disabled", "true"]
        assert play(namespace, tmp_path)[0] == 0
        play(namespace, tmp_path, "--tags", "undo")
        assert state(namespace)[:3] == before[:3]
        assert sorted(state(namespace)[3].split()) == ["auto", "enabled", "false"]
        namespace.run(["sh", "-c", "echo auto >/run/mode-vni-id-2"])  # somebody else's doing, which stays
        assert play(namespace, tmp_path, "--tags", "undo")[0] == 0


@pytest.mark.root
def test_a_step_that_fails_is_undone_with_those_before_it(tmp_path: Path) -> None:
    require_lab()
    (tmp_path / "playbook.yml").write_text(render_ansible([document()]).replace("become: true", "become: false"))
    with Namespace.create("ansible", copied=["/etc"], empty=["/run"]) as namespace:
        namespace.ip(*LINKS, "route add default via 10.0.0.9 dev eth1 table 1003")
        before = state(namespace)
        with pytest.raises(AssertionError, match="a step failed; those before it are undone"):
            play(namespace, tmp_path)
        assert state(namespace) == before


@pytest.mark.root
@pytest.mark.long(sampled=False)
def test_a_group_of_the_inventory_that_bears_the_servers_name_is_not_changed(tmp_path: Path) -> None:
    require_lab()
    plan = with_actions(document(), persist("/etc/vnicheck-kept", "kept\n"))
    (tmp_path / "playbook.yml").write_text(render_ansible([plan]).replace("become: true", "become: false"))
    with Namespace.create("ansible", copied=["/etc"], empty=["/run"]) as namespace:
        namespace.ip(*LINKS[:5], "address add 10.0.0.111/24 dev eth0", "address add 10.0.0.112/24 dev eth1")
        before = state(namespace)
        for arguments in ((), ("--tags", "undo"), ("--check",)):
            with pytest.raises(AssertionError, match="this host is not server"):
                play(namespace, tmp_path, *arguments)
        assert state(namespace) == before


def hosts(*plans: InstancePlan) -> list[str]:
    """Where each play runs."""
    return [play["hosts"] for play in yaml.safe_load(render_ansible(plans).replace("!unsafe", ""))]


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost", "127.0.0.1", "a:b", "web*", "~x", "!x", "a,b"])
def test_a_name_that_ansible_reads_otherwise_gives_way_to_the_id(name: str) -> None:
    assert hosts(document(name=name)) == ["server-id"] * 2
    assert hosts(document(name=name, id=name)) == ["server_1"] * 2


def test_no_two_servers_share_a_host() -> None:
    named_as_an_id = document(name="id-2", id="id-1"), document(name="web", id="id-2")
    assert hosts(*named_as_an_id) == ["id-1"] * 2 + ["web"] * 2
    assert hosts(document(name="no name", id="web"), document(name="web", id="id-2")) == ["web"] * 2 + ["id-2"] * 2
    nameless = document(name="?", id="?")
    assert hosts(document(name="server_2"), nameless) == ["server_2"] * 2 + ["server_3"] * 2


@pytest.mark.parametrize(
    ("mode", "spoofing", "set_back"),
    [
        ("disabled", True, ["--protocol-state-filtering-mode", "--allow-ip-spoofing"]),
        ("enabled", True, ["--allow-ip-spoofing"]),
        ("disabled", False, ["--protocol-state-filtering-mode"]),
        ("enabled", False, None),
    ],
)
def test_of_two_fixes_of_one_vni_that_is_set_back_which_still_stands(
    mode: str, spoofing: bool, set_back: list[str] | None
) -> None:
    (_, undo) = yaml.safe_load(render_ansible([with_actions(document(), *patches())]).replace("!unsafe", ""))
    jinja = Environment(autoescape=False)
    jinja.filters["from_json"] = json.loads
    state = json.dumps({"protocol_state_filtering_mode": mode, "allow_ip_spoofing": spoofing})
    done = [
        [word for word in task["ansible.builtin.command"]["argv"] if word.startswith("--") and word != "--name"]
        for task in undo["tasks"]
        if "vni-id-1" in task.get("ansible.builtin.command", {}).get("argv", ())
        and "when" in task
        and jinja.compile_expression(task["when"])(vnicheck_vni={"stdout": state})
    ]
    assert done == ([] if set_back is None else [set_back])


def test_its_form(tmp_path: Path) -> None:
    plays = yaml.safe_load(render_ansible([document()]).replace("!unsafe", ""))
    assert [(each["hosts"], each.get("tags")) for each in plays] == [("server", None), ("server", ["never", "undo"])]
    (tmp_path / "playbook.yml").write_text(render_ansible([document()]))
    assert_ansible_reads(tmp_path / "playbook.yml", host="server")
