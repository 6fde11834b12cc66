"""The playbook of contrib/ansible on real sshds: what it saves is what `--guest-dir` reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api import StandIn, World
from tests.support.ansible import ansible_playbook
from tests.support.program import run
from tests.support.sshd import Sshd, free_port, generate_key, require

ROOT = Path(__file__).parents[2]
PLAYBOOK = ROOT / "contrib" / "ansible" / "collect.yml"
COLLECTED = ROOT / "fixtures" / "cases" / "policy-routing-collected" / "collected.txt"


@pytest.fixture
def playbook() -> str:
    return ansible_playbook()


def play(program: str, inventory: Path, guests: Path, *more: str) -> subprocess.CompletedProcess[str]:
    home = inventory.parent / "home"
    home.mkdir(exist_ok=True)
    (home / "ansible.cfg").touch()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [
            program, "-i", str(inventory), str(PLAYBOOK), "-e", f"guest_dir={guests}",
            "-e", json.dumps({"vnicheck": f"{sys.executable} -m vnicheck"}), *more,
        ],
        env={**environ, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(home), "ANSIBLE_NOCOLOR": "1",
             "ANSIBLE_CONFIG": str(home / "ansible.cfg"), "ANSIBLE_DEPRECATION_WARNINGS": "0"},
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_the_playbook_saves_what_guest_dir_reads(playbook: str, tmp_path: Path) -> None:
    require("sshd", "ssh-keygen", "ssh", "ip")
    key = generate_key(tmp_path / "client")
    known_hosts = tmp_path / "known_hosts"
    with (
        Sshd(tmp_path / "real", client_key=key) as real,
        Sshd(tmp_path / "replay", client_key=key, force_command=f"cat {COLLECTED}") as replay,
    ):
        known_hosts.write_text(real.known_hosts_line() + replay.known_hosts_line())
        hosts = {
            "web-1": {"ansible_port": replay.port},
            "10.0.0.21": {"ansible_port": real.port},
            "jumpy.example": {"ansible_port": replay.port, "vnicheck_name": "web-3"},
            "web-4": {"ansible_port": free_port()},
        }
        common = {
            "ansible_host": "127.0.0.1",
            "ansible_user": real.user,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={known_hosts} -o ControlMaster=no",
        }
        inventory = tmp_path / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
        done = play(playbook, inventory, tmp_path / "guests")
    assert "web-4" in done.stdout, done.stdout + done.stderr
    assert "unreachable=1" in done.stdout
    assert done.returncode == 4, "ansible's own code for hosts that it did not reach"
    assert sorted(os.listdir(tmp_path / "guests")) == ["10.0.0.21.txt", "web-1.txt", "web-3.txt"]
    assert (tmp_path / "guests" / "web-1.txt").read_bytes().rstrip() == COLLECTED.read_bytes().rstrip()
    assert (tmp_path / "guests" / "web-1.txt").stat().st_mode & 0o777 == 0o600

    world = World(region="us-south").vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24")
    for number in range(1, 5):
        world.instance(
            f"web-{number}",
            interfaces=[
                {"subnet": "a", "address": f"10.0.0.{number}1", "mac": "02:00:05:02:70:58"},
                {"subnet": "a", "address": f"10.0.0.{number}2", "mac": "02:00:25:02:70:58"},
            ],
        )
    fleet = tmp_path / "fleet"
    with StandIn(world) as api:
        taken = run("snapshot", "--all", "--guest-dir", str(tmp_path / "guests"), "-o", f"{fleet}/", env=api.environ)
    assert taken.returncode == 3
    (missing,) = taken.stderr.splitlines()
    assert missing.startswith("vnicheck: web-4: no file for it in")
    guests = {path.stem: json.loads(path.read_bytes()) for path in fleet.glob("*/guests/*.json")}
    through = guests[world.id("instance", "web-2")]["guest"]
    assert through["via"] == "file"
    assert through["os"]["hostname"] == os.uname().nodename, "the script itself ran on the host"
    assert through["rules"]
    assert through.get("unmodelled", []) == []
    assert guests[world.id("instance", "web-3")]["guest"] == guests[world.id("instance", "web-1")]["guest"]


def test_without_a_folder_it_says_what_to_give(playbook: str, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text("web-1\n")
    done = play(playbook, inventory, tmp_path, "--extra-vars", "guest_dir=")
    assert done.returncode != 0
    assert "guest_dir=FOLDER" in done.stdout
