"""Names that are out to do harm end quoted or refused, in every form; shells and Ansible are the judges."""

import shlex
from pathlib import Path

import hcl2
import msgspec
import pytest
import yaml

from tests.lab.require import require_lab
from tests.support.ansible import CLI, LINKS, assert_ansible_reads, play
from tests.support.plan_documents import HARM, document, hostile, patches, persist, with_actions
from tests.support.shells import SHELLS, Sandbox, parses
from tests.support.sshd import require
from vnicheck.fixes.state_filtering import MODE
from vnicheck.model.plan import Action, Step
from vnicheck.rehearse.namespaces import Namespace
from vnicheck.report.plans.ansible import render_ansible
from vnicheck.report.plans.files import files_of
from vnicheck.report.plans.ibmcloud import render_ibmcloud
from vnicheck.report.plans.sh import render_sh
from vnicheck.report.plans.terraform import render_terraform

KINDS = pytest.mark.parametrize("harm", HARM, ids=range(len(HARM)))
HEADER = "#jinja2:variable_start_string:'[[',variable_end_string:']]'\n[[ lookup('pipe', 'touch pwned') ]]\n"
"""A template without a brace: its first line tells Ansible's Jinja other marks."""
WELL = "ibmcloud<is><virtual-network-interface-update><vni-id-1><--protocol-state-filtering-mode>"


@KINDS
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_runs_the_plan_and_nothing_else(harm: str, shell: str, tmp_path: Path) -> None:
    require(shell)
    sandbox = Sandbox(tmp_path)
    plan = hostile(harm)
    script = render_sh([plan])
    parses(shell, script, tmp_path)
    sandbox.run(shell, script, "apply")
    assert [call.split("<")[0] for call in sandbox.calls()] == ["ip", "ip", "ip"]
    sandbox.run(shell, script, "persist")
    done = sandbox.run(shell, script, "undo")
    assert sandbox.calls() == []
    for output in (done.stdout, done.stderr):
        assert all(char.isprintable() or char in "\n\t" for char in output)
    done = sandbox.run(shell, script, "vpc")
    assert "refused: " in done.stderr
    assert (done.returncode, sandbox.calls()) == (1, [])
    sandbox.run(shell, script, "vpc-undo")
    assert sandbox.calls() == [f"{WELL}<auto>"]
    several = render_sh([plan, document()])
    parses(shell, several, tmp_path)
    sandbox.run(shell, several, "server", "apply")
    assert len(sandbox.calls()) == 3
    assert not list(tmp_path.rglob("pwned"))


@KINDS
@pytest.mark.parametrize("shell", SHELLS)
def test_the_commands_of_the_cli_refuse_what_is_no_id(harm: str, shell: str, tmp_path: Path) -> None:
    require(shell)
    sandbox = Sandbox(tmp_path)
    script = render_ibmcloud([hostile(harm)])
    parses(shell, script, tmp_path)
    assert sandbox.run(shell, script).returncode == 1
    assert sandbox.run(shell, script, "undo").returncode == 1
    assert sandbox.calls() == [f"{WELL}<auto>"]
    assert not list(tmp_path.rglob("pwned"))


@KINDS
def test_comments_end_where_they_are_meant_to(harm: str) -> None:
    plan = hostile(harm)
    for render in (render_sh, render_ansible, render_terraform, render_ibmcloud):
        text = render([plan])
        assert all(char.isprintable() or char in "\n\t" for char in text if render is not render_ansible), render


@KINDS
@pytest.mark.parametrize("what", ["id", "field", "value", "undo"])
def test_one_bad_part_of_a_patch_is_enough_to_refuse_it(harm: str, what: str) -> None:
    good: dict[str, object] = {MODE: "disabled"}
    bad: dict[str, object] = {harm: "disabled"} if what == "field" else {MODE: harm}
    patch = Action(
        kind="vni_patch",
        summary="change it",
        vni=harm if what == "id" else "vni-id-1",
        patch=bad if what in {"field", "value"} else good,
        undo_patch=bad if what == "undo" else good,
    )
    plan = with_actions(document(), patch)
    for render in (render_sh, render_ibmcloud, render_ansible):
        text = render([plan])
        assert "refused: " in text
        assert "virtual-network-interface-update" not in text
    assert "\nresource " not in render_terraform([plan])


def test_a_command_in_a_comment_stays_in_it() -> None:
    command = "true # \x1b[31m\rresource {}\x85\u2028resource {}"
    action = Action(kind="sysctl", summary="x", steps=(Step(command, "true"),))
    text = render_terraform([with_actions(document(), action)])
    assert text.count("#   resource {}\n") == 2
    assert all(line.startswith("#") for line in text.split("\n") if line)
    assert all(char.isprintable() or char == "\n" for char in text)


@KINDS
def test_terraform_gets_one_import_and_one_resource(harm: str) -> None:
    text = render_terraform([hostile(harm)])
    read = hcl2.loads(text)
    assert len(read["import"]) == len(read["resource"]) == 1
    assert set(read) <= {"import", "resource", "__comments__", "__inline_comments__"}
    assert "REFUSED: " in text


@KINDS
def test_files_stay_inside_the_folder(harm: str, tmp_path: Path) -> None:
    found = files_of([hostile(harm), hostile(harm), document()])
    folder = tmp_path / "a" / "b"
    for path, data in found.items():
        place = folder / path
        assert folder in Path(*place.parts).resolve().parents
        assert not any(part in {"", ".", ".."} for part in path.split("/"))
        assert path.isascii()
        assert all(char.isalnum() or char in "._-/" for char in path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    assert sum(path.endswith("/apply.sh") for path in found) == 3
    assert "server/apply.sh" in found


class _Loader(yaml.SafeLoader):
    pass


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


_Loader.add_constructor("!unsafe", _text)


@KINDS
def test_the_playbook_has_the_plays_that_are_meant(harm: str) -> None:
    plays = yaml.load(render_ansible([hostile(harm)]), Loader=_Loader)
    assert [each["hosts"] for each in plays] == ["server_1"] * 2
    assert [len(each["tasks"]) for each in plays] == [1 + 2 + 1 + 2, 2 + 1 + 2 + 3]
    for task in (task for each in plays for task in each["tasks"]):
        assert set(task) <= {
            *("name", "block", "rescue", "register", "when", "changed_when", "check_mode"),
            *("delegate_to", "become", "environment", "ansible.builtin.shell", "ansible.builtin.command"),
            *("ansible.builtin.fail", "ansible.builtin.copy", "ansible.builtin.file"),
        }


def test_ansible_reads_every_playbook(tmp_path: Path) -> None:
    (tmp_path / "playbook.yml").write_text(render_ansible([hostile(harm) for harm in HARM]))
    assert_ansible_reads(tmp_path / "playbook.yml", host="server_1")


@pytest.mark.root
@pytest.mark.long(sampled=False)
def test_ansible_takes_no_name_text_or_command_for_a_template(tmp_path: Path) -> None:
    """All of them in one run: as the names of tasks, as what a file holds, and in a command."""
    require_lab()
    harm = "".join(f"{each}\n" for each in HARM if each.isprintable())
    word = "{{ lookup('pipe', 'touch pwned') }}{% raw %}{#"
    base = document()
    named = [msgspec.structs.replace(action, summary=harm) for action in (*base.plan.actions, *patches()[:1])]
    file = msgspec.structs.replace(persist("/etc/vnicheck-kept", harm), summary=harm)
    header = persist("/etc/vnicheck-header", HEADER)
    command = persist("/etc/network/vnicheck-said", "", command=f"echo {shlex.quote(word)} >/etc/network/vnicheck-said")
    bare = msgspec.structs.replace(command, summary=word, file=None)
    plan = msgspec.structs.replace(base.plan, strategy=harm, actions=(*named, file, header, bare))
    playbook = render_ansible([msgspec.structs.replace(base, plan=plan)]).replace("become: true", "become: false")
    (tmp_path / "playbook.yml").write_text(playbook)
    with Namespace.create("hostile", copied=["/etc"], empty=["/run"]) as namespace:
        namespace.ip(*LINKS)
        namespace.run(["sh", "-c", "mkdir -p /run/bin /etc/network; cat >/run/bin/ibmcloud"], input=CLI)
        namespace.run(["chmod", "+x", "/run/bin/ibmcloud"])
        changed, said = play(namespace, tmp_path)
        assert changed == 3 + 3 + 1
        assert namespace.run(["cat", "/etc/vnicheck-kept"]).stdout == harm
        assert namespace.run(["cat", "/etc/vnicheck-header"]).stdout == HEADER
        assert namespace.run(["cat", "/etc/network/vnicheck-said"]).stdout == f"{word}\n"
        assert "{{ lookup('pipe', 'touch pwned') }}" in said
        assert play(namespace, tmp_path, "--tags", "undo")[0] == 3 + 3 + 1
        assert namespace.run(["sh", "-c", "ls /etc/vnicheck-* /etc/network/vnicheck-*"], check=False).stdout == ""
    assert not list(tmp_path.rglob("pwned"))
