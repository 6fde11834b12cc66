"""Where ansible-playbook is: beside this Python, or on PATH."""

import shutil
import sys
from pathlib import Path

from tests.sshd import require


def ansible_playbook() -> str:
    """The program; skips the test where there is none, and fails it in CI."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    if beside.exists():
        return str(beside)
    require("ansible-playbook")
    return str(shutil.which("ansible-playbook"))
