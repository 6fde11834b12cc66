"""What the selected tests of a file ask a fixture for, so that it makes that alone."""

from typing import Any

import pytest


def asked_of(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """The parameters of the selected tests of the fixture's file that use it."""
    return [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and request.fixturename in item.fixturenames
    ]
