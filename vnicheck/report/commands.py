"""Commands that are suggested: whole, and with the options without which they would look elsewhere."""

import shlex

from msgspec import Struct

from vnicheck.model.words import one_line


class Carried(Struct, frozen=True, kw_only=True):
    """Words of the command line that a next command needs too. `always`: how to get at the account and the servers;
    `seen`: observations; `saved`: snapshots and saved guests, which stand in for the servers as they are. `regions`: to
    be named, where it is not the default one; of several, or of none that is named (`all_regions`), the server's own.
    """

    always: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    all_regions: bool = False

    def analyze(self, server: str, region: str = "") -> str:
        """`vnicheck analyze SERVER`."""
        return self._command("analyze", server, region, *self.seen, *self.saved)

    def plan(self, server: str | None = None, region: str = "") -> str:
        """`vnicheck fix SERVER --dry-run`."""
        return self._command("fix", server, region, "--dry-run", *self.seen, *self.saved)

    def apply(self, server: str, region: str = "") -> str:
        """`vnicheck fix SERVER`: on the server as it is."""
        return self._command("fix", server, region, *self.seen)

    def doctor(self, server: str, region: str = "") -> str:
        """`vnicheck doctor SERVER`."""
        return self._command("doctor", server, region)

    def verify(self, server: str, region: str = "") -> str:
        """`vnicheck verify SERVER`."""
        return self._command("verify", server, region)

    def rollback(self, change: str, region: str = "") -> str:
        """`vnicheck rollback CHANGE`."""
        return self._command("rollback", change, region)

    def _command(self, name: str, what: str | None, region: str, *more: str) -> str:
        own = region if region and (self.all_regions or len(self.regions) > 1) else ""
        regions = [own] if own else self.regions[:1]
        named = [word for each in regions for word in ("--region", each)]
        words = [name, *([] if what is None else [what]), *more, *named, *self.always]
        return f"vnicheck {shlex.join(one_line(word, 400) for word in words)}"


NOTHING = Carried()


class Suggested(Struct, frozen=True):
    """A command within a sentence."""

    before: str
    command: str
    after: str

    def sentence(self) -> str:
        """All of it on one line."""
        return f"{self.before}`{self.command}` {self.after}"
