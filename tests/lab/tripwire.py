"""A moment of a change, caught: a program of the server's, or the VPC's API, waits in the middle of a call."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.api import StandIn
from tests.api.faults import Fault
from vnicheck.rehearse.namespaces import Namespace

PATIENCE = 60.0
_WIRE = """#!/bin/sh
case "NAME $*" in
PATTERN)
  if rm /mnt/wires/NAME.set 2>/dev/null; then
    : >/mnt/wires/tripped
    until [ -e /mnt/wires/go ]; do sleep 0.05; done
  fi
  ;;
esac
exec /mnt/wires/NAME.real "$@"
"""


class Tripwire:
    """Waits for a call of a program on the server: `command` is a pattern of sh for its words (`ip rule add *`), or for
    a call of the API: `PATCH /virtual_network_interfaces/*`, the `number`th.
    """

    def __init__(self, target: Namespace, api: StandIn, command: str, *, number: int = 1) -> None:
        self._folder = Path(f"/proc/{target.pid}/root/mnt/wires")
        self._call: _Held | None = None
        name, _, pattern = command.partition(" ")
        if name.isupper():
            self._call = _Held(pattern, method=name, number=number)
            api.faults.insert(0, self._call)
            return
        target.run(["sh", "-c", "mount -t tmpfs tmpfs /mnt && mkdir /mnt/wires"])
        wire = _WIRE.replace("NAME", name).replace("PATTERN", command.replace(" ", "\\ "))
        place = target.run(["sh", "-c", f"readlink -f $(command -v {name})"]).stdout.strip()
        target.run(["cp", place, f"/mnt/wires/{name}.real"])
        target.run(["sh", "-c", f"cat >/mnt/wires/{name} && chmod 755 /mnt/wires/{name}"], input=wire)
        target.run(["mount", "--bind", f"/mnt/wires/{name}", place])
        self._name = name

    def set(self) -> None:
        """From now on, the next call trips."""
        if self._call is not None:
            self._call.active = True
        else:
            (self._folder / f"{self._name}.set").touch()

    def wait(self, over: Callable[[], bool]) -> bool:
        """Until a call has tripped; False where all is `over` before."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._call.tripped.is_set() if self._call is not None else (self._folder / "tripped").exists():
                return True
            if over():
                return False
            time.sleep(0.02)
        raise TimeoutError("nothing tripped, and nothing ended")

    def release(self) -> None:
        """The call goes on."""
        if self._call is not None:
            self._call.go.set()
        else:
            (self._folder / "go").touch()


class _Held(Fault):
    """A call of the API that waits, and then meets whatever other faults there are by then."""

    def __init__(self, path: str, *, method: str, number: int) -> None:
        super().__init__(path, method=method, times=number)
        self.active = False
        self.tripped = threading.Event()
        self.go = threading.Event()

    def takes(self, method: str, path: str) -> bool:
        if self.active and super().takes(method, path) and self.times == 0:
            self.tripped.set()
            self.go.wait(PATIENCE)
        return False
