"""Exit codes (the contract's), and the one exception that ends a command with a line for the user."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    ROLLED_BACK = 4
    UNCONFIRMED = 5
    INTERNAL = 70
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "complete, and nothing found that fails the command",
    Exit.FINDINGS: "a finding at or above --fail-on; of fix: something stays broken",
    Exit.USAGE: "usage, configuration, credentials, or nothing matched the selection",
    Exit.INCOMPLETE: "incomplete: something selected could not be checked",
    Exit.ROLLED_BACK: "a fix was not applied, or failed and was rolled back",
    Exit.UNCONFIRMED: "a rollback could not be confirmed",
    Exit.INTERNAL: "an error of ours",
    Exit.INTERRUPTED: "interrupted",
}


class UserError(Exception):
    """Ends the command: the message goes to stderr as one line, `status` is the exit code."""

    def __init__(self, message: str, status: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.status = status


def refuse_given(options: Mapping[str, object], beside: str) -> None:
    """Refuses the first of the options that was given, for it has no meaning with `beside`."""
    for option, value in options.items():
        if value is not None:
            raise UserError(f"{option} has no meaning with {beside}")


@contextmanager
def ended_by(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds, whose message is one line for the user, end the command."""
    try:
        yield
    except kinds as error:
        raise UserError(str(error)) from error
