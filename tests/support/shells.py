"""Running a rendered script: in each shell, with stand-ins for the programs that it calls, or in a namespace."""

import os
import subprocess
from pathlib import Path

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
_STUB = """#!/bin/sh
{{ printf '%s' {name}; for word; do printf '<%s>' "$word"; done; echo; }} >>{log}
{body}
"""


_STUBS = ("id", "ip", "sysctl", "ibmcloud")


class Sandbox:
    """A folder with stand-ins for programs, which write down their arguments word by word.

    They are ahead on PATH, and functions too: busybox may prefer its own. A root's script runs in an empty network
    namespace beside, so that one that gets past them changes nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._log = folder / "calls"
        self._bin.mkdir()
        self._log.touch()
        bodies = {
            "id": "echo 0",
            "ip": "case $* in '-4 -o addr show') echo '3: eth1 inet 10.0.0.12/24 scope global eth1' ;; esac",
            "sysctl": "echo 1",
        }
        for name in _STUBS:
            self.stub(name, bodies.get(name, ":"))

    def stub(self, name: str, body: str = ":") -> None:
        """A program that notes how it was called and does this."""
        program = self._bin / name
        program.write_text(_STUB.format(name=name, log=self._log, body=body))
        program.chmod(0o755)

    def run(self, shell: str, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs the script as a file, in this folder."""
        file = self.folder / "script.sh"
        prelude = "".join(f'{name}() {{ {self._bin / name} "$@"; }}\n' for name in _STUBS)
        file.write_text(f"{prelude}{script}")
        apart = ["unshare", "-n"] if os.geteuid() == 0 else []
        return subprocess.run(
            [*apart, *SHELLS[shell], str(file), *arguments],
            cwd=self.folder,
            env={"PATH": f"{self._bin}:{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self) -> list[str]:
        """The calls that change something, in order, and none twice."""
        lines = self._log.read_text().splitlines()
        self._log.write_text("")
        looks = ("id<", "ip<-4>", "sysctl<-n>")
        return [line for line in lines if not line.startswith(looks)]


def parses(shell: str, script: str, folder: Path) -> None:
    """The shell reads the script without a complaint."""
    file = folder / "parsed.sh"
    file.write_text(script)
    done = subprocess.run([*SHELLS[shell], "-n", str(file)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
