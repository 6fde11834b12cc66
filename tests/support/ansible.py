"""Where ansible-playbook is: beside this Python, or on PATH."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.sshd import require


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
