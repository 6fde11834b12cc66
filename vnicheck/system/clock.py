"""The one clock: everything else is given the time."""

from datetime import UTC, date, datetime, timedelta


def now() -> str:
    """The time in UTC, ISO 8601, to the second: `2026-11-23T00:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_time(seconds: float) -> str:
    """Seconds since the epoch as `now` writes the time. Raises ValueError or OverflowError for what no calendar has."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def days_after(day: str, days: int) -> str:
    """The day (ISO 8601) so many days after another."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
