"""When facts were collected, and how old they are, in words."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import UnsetType

from vnicheck.model.report import Collected
from vnicheck.model.words import counted, one_line

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def collected_words(collected: Collected, now: str) -> str:
    """`collected 2026-11-28 02:11 UTC, just now`; where the VPC's side and the server's are hours apart, both."""
    times = {"server": collected.guest, "VPC": collected.vpc}
    known = {side: time for side, time in times.items() if not isinstance(time, UnsetType)}
    if not known:
        return ""
    moments = {side: _moment(time) for side, time in known.items()}
    apart = [moment for moment in moments.values() if moment is not None]
    if len(known) == 1 or (len(apart) == len(known) and abs((apart[0] - apart[-1]).total_seconds()) < _HOUR):
        side, time = next(iter(known.items()))
        only = "" if len(known) > 1 else f"{side} "
        return f"{only}collected {_said(time, now)}"
    return "; ".join(f"{side} collected {_said(time, now)}" for side, time in known.items())


def since_words(times: Iterable[str], now: str) -> str:
    """The oldest of the times at which servers were collected; empty where none is known."""
    known = [time for time in times if _moment(time) is not None]
    return f"oldest facts collected {_said(min(known), now)}" if known else ""


def _said(time: str, now: str) -> str:
    moment, then = _moment(time), _moment(now)
    if moment is None:
        return one_line(time, 40)
    shown = f"{moment:%Y-%m-%d %H:%M} UTC"
    return f"{shown}, {age((then - moment).total_seconds())}" if then is not None else shown


def age(seconds: float) -> str:
    """`3 days ago`."""
    if seconds < -_MINUTE:
        return "in the future by this machine's clock"
    for size, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= size:
            return f"{counted(int(seconds // size), word)} ago"
    return "just now"


def _moment(time: str) -> datetime | None:
    """The moment; None where it is none, or says nothing of its zone."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
