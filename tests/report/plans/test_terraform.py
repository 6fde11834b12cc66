"""The Terraform form: what it says, by a parser of HCL, and by HashiCorp's own."""

import os
import subprocess
from pathlib import Path

import hcl2
import pytest

from tests.support.plan_documents import HARM, document, hostile, patches, with_actions
from tests.support.sshd import require
from vnicheck.report.plans.terraform import render_terraform


def test_each_vni_is_imported_with_what_changes_and_cannot_be_replaced() -> None:
    read = hcl2.loads(render_terraform([with_actions(document(), *patches())]))
    assert [block["id"] for block in read["import"]] == ['"vni-id-1"', '"vni-id-2"']
    assert [block["to"] for block in read["import"]] == [
        "${ibm_is_virtual_network_interface.vni_1}",
        "${ibm_is_virtual_network_interface.vni_2}",
    ]
    one, other = (next(iter(labels.values())) for block in read["resource"] for labels in block.values())
    lifecycle = one.pop("lifecycle")
    assert {key: value for key, value in one.items() if not key.startswith("__")} == {
        "name": '"vni-1"',
        "protocol_state_filtering_mode": '"disabled"',
        "allow_ip_spoofing": True,
    }
    assert "allow_ip_spoofing" not in other
    assert "subnet" in str(lifecycle)
    assert "'prevent_destroy': True" in str(lifecycle)


def test_the_servers_part_is_told_and_old_values_are_kept() -> None:
    lines = render_terraform([with_actions(document(), *patches())]).splitlines()
    assert "#   ip rule add from 10.0.0.12 table 1003 priority 1003" in lines
    assert '# it was protocol_state_filtering_mode = "auto", allow_ip_spoofing = false' in lines
    assert max(map(len, lines)) <= 120


def test_two_vnis_of_one_name_are_two_resources() -> None:
    twins = [with_actions(document("legacy", "state-filtering", id=each), *patches()[:1]) for each in ("a", "b")]
    read = hcl2.loads(render_terraform(twins))
    assert [block["to"].rpartition(".")[2] for block in read["import"]] == ["vni_1}", "vni_1_2}"]


@pytest.mark.needs("packer")
def test_hashicorps_own_parser_reads_it_and_would_format_it_no_otherwise(tmp_path: Path) -> None:
    """Packer's `fmt` is that of Terraform (hclwrite), and Debian has it."""
    require("packer")
    plans = [with_actions(document(), *patches()), document(), *map(hostile, HARM)]
    assert _formats(tmp_path, render_terraform(plans)) == (0, "")
    assert _formats(tmp_path, 'a  = "b"\n') == (3, "vni.pkr.hcl\n")


def _formats(folder: Path, text: str) -> tuple[int, str]:
    (folder / "vni.pkr.hcl").write_text(text)
    done = subprocess.run(
        ["packer", "fmt", "-check", "vni.pkr.hcl"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout
