"""A live server as applying reaches it: SSH sessions, the VPC API, a clock."""

import time
from collections.abc import Callable

from vnicheck.apply.errors import ApplyError
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.patch import SETTLING, patch_vni
from vnicheck.fixes.actions import IAM_ACTIONS
from vnicheck.fixes.effects import PatchVni
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.change import ScriptAnswer, read_answer
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.options import SshTarget
from vnicheck.guest.ssh.runner import SshRunner
from vnicheck.guest.ssh.sudo import AskSudoPassword, Root, RootError, Session, become_root, look
from vnicheck.model.guest import Guest
from vnicheck.model.words import one_line


def log_in(
    runner: SshRunner, target: SshTarget, *, sudo: bool, ask: AskSudoPassword | None, needs_root: bool
) -> tuple[Session, Root]:
    """Who we are on the server, and the way to root. Raises ApplyError."""
    try:
        login = look(runner, target)
        if login.uid == 0 or not needs_root:
            return login, Root("sh -s")
        if not sudo:
            raise ApplyError(f"the login on {target.name} is not root: add --sudo, or --ssh-user root")
        return login, become_root(runner, target, ask)
    except (CollectionError, RootError) as error:
        raise ApplyError(error.message) from error


class LiveReach:
    """One server. `root`: how scripts become root there. In seconds, `script_seconds`: the bound of one script;
    `settling`: how long a VNI may take to be stable, or a PATCH without an answer to be done.
    """

    def __init__(
        self,
        runner: SshRunner,
        target: SshTarget,
        root: Root,
        client: VpcClient | None,
        *,
        script_seconds: float,
        settling: float = SETTLING,
    ) -> None:
        self._runner = runner
        self._target = target
        self._root = root
        self._client = client
        self._seconds = script_seconds
        self._settling = settling

    def collect(self) -> Guest:
        """The guest as it is now, by a new session. Raises CollectionError."""
        self._runner.forget_failures()
        return read_guest(self._runner.collect(self._target), via="ssh")

    def run(self, script: str) -> ScriptAnswer:
        """What the script answers, by a new session, as root. Raises CollectionError."""
        name = one_line(self._target.name, 80)
        self._runner.forget_failures()
        stdin = self._root.lead + script.encode()
        output = self._runner.run(self._target, self._root.command, stdin, timeout=self._seconds)
        try:
            return read_answer(output.stdout)
        except CollectionError as error:
            hint = f" ({output.hint})" if output.hint and not self._root.lead else ""
            raise CollectionError(error.code, f"{name}: {error.message}{hint}") from None

    def patch(self, effect: PatchVni, *, back: bool = False, sending: Callable[[], None] = lambda: None) -> bool:
        """The PATCH, or the one that undoes it (see `patch_vni`). Raises CloudError."""
        if self._client is None:
            raise CloudError("no_credentials", f"{effect.name} cannot be changed: there is no VPC API")
        old, new = (effect.new, effect.old) if back else (effect.old, effect.new)
        return patch_vni(
            self._client,
            effect.vni,
            field=effect.field,
            old=old,
            new=new,
            action=IAM_ACTIONS[effect.field][-1],
            sleep=self.sleep,
            sending=sending,
            patience=self._settling,
        )

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)
