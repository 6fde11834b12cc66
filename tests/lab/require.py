"""Whether this machine can build a lab."""

import os
import shutil

import pytest

from vnicheck.rehearse.namespaces import PROGRAMS


def require_lab() -> None:
    """Skip the test where a lab cannot be built; with CI=true fail it instead."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    reason = ""
    if os.geteuid() != 0:
        reason = "the network lab needs root"
    elif missing:
        reason = f"the network lab needs {', '.join(missing)} on PATH"
    if reason:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
