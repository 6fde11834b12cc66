"""The one clock: everything else is given the time."""

from datetime import UTC, datetime


def now() -> str:
    """The time in UTC, ISO 8601, to the second: `2026-11-23T00:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
