"""The collect script run here, on the server itself."""

import subprocess
from typing import TYPE_CHECKING

from vnicheck.guest.assemble import read_guest
from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.runner import collect_script_text
from vnicheck.model.words import one_line

if TYPE_CHECKING:
    from vnicheck.guest.fleet import Result


def collect_local(*, timeout: float) -> "Result":
    """The guest that this is, or why it could not be read."""
    try:
        done = subprocess.run(
            ["sh", "-s"],  # noqa: S607 - the shell of PATH, as a login would have it
            input=collect_script_text().encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        if not done.stdout:
            said = one_line(done.stderr.decode(errors="replace"), 120)
            raise CollectionError("guest_unreadable", f"the collect script printed nothing here: {said}")
        return read_guest(done.stdout, via="local")
    except subprocess.TimeoutExpired:
        error = CollectionError("guest_unreadable", f"the collect script did not end here in {timeout:g} seconds")
        return error.problem()
    except OSError as error:
        return CollectionError(
            "guest_unreadable", f"no shell to run the collect script here: {error.strerror}"
        ).problem()
    except CollectionError as error:
        return error.problem()
