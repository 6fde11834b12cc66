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
        options = [*more, *named, *self.always]
        subject = [] if what is None else [one_line(what)]
        if subject and subject[0].startswith("-"):
            return _line(name, *options, "--", *subject)
        return _line(name, *subject, *options)


def _line(*words: str) -> str:
    """What a shell reads as these words."""
    return " ".join(["vnicheck", *map(_quoted, words)])


def _quoted(word: str) -> str:
    """The very word, in quotes where a shell needs them. What could steer a terminal is written by its bytes."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(char if char.isprintable() and char not in "'\\" else _bytes(char) for char in word) + "'"


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


NOTHING = Carried()


class Suggested(Struct, frozen=True):
    """A command within a sentence."""

    before: str
    command: str
    after: str

    def sentence(self) -> str:
        """All of it on one line."""
        return f"{self.before}`{self.command}` {self.after}"
