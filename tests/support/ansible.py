"""Where ansible-playbook is: beside this Python, or on PATH."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.sshd import require
from vnicheck.rehearse.namespaces import Namespace


def ansible_playbook() -> str:
    """The program; skips the test where there is none, and fails it in CI."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    if beside.exists():
        return str(beside)
    require("ansible-playbook")
    return str(shutil.which("ansible-playbook"))


def assert_ansible_reads(playbook: Path, *, host: str) -> None:
    """Ansible itself finds nothing wrong with the playbook's form."""
    done = subprocess.run(
        [ansible_playbook(), "--syntax-check", "-i", f"{host},", playbook.name],
        cwd=playbook.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


LINKS = (
    "link add eth0 type veth peer name p0",
    "link add eth1 type veth peer name p1",
    *(f"link set {name} up" for name in ("eth0", "eth1", "p0", "p1")),
    "address add 10.0.0.11/24 dev eth0",
    "address add 10.0.0.12/24 dev eth1",
)
CLI = """#!/bin/sh
printf '%s\\n' "$*" >>/run/asked
case $* in *--output*) printf '{"protocol_state_filtering_mode": "%s", "allow_ip_spoofing": %s}' \\
  "$(cat /run/mode-$3 2>/dev/null || echo auto)" "$(cat /run/spoofing-$3 2>/dev/null || echo false)" ;;
*) while [ $# -gt 0 ]; do case $1 in
  --protocol-state-filtering-mode) echo "$2" >/run/mode-$vni ;; --allow-ip-spoofing) echo "$2" >/run/spoofing-$vni ;;
  vni-id-*) vni=$1 ;; esac; shift; done ;;
esac
"""


def play(namespace: Namespace, folder: Path, *arguments: str) -> tuple[int, str]:
    """How many tasks changed something, and all that Ansible said."""
    command = [ansible_playbook(), "-c", "local", "-i", "server,", *arguments, "playbook.yml"]
    environ = {
        "PATH": "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        "ANSIBLE_BECOME": "false",
        "ANSIBLE_PIPELINING": "true",
    }
    done = namespace.run(command, cwd=folder, env=environ, timeout=110, check=False)
    recap = re.search(r"server +: ok=\d+ +changed=(\d+) .*failed=0", done.stdout)
    assert recap is not None, done.stdout + done.stderr
    return int(recap[1]), done.stdout
