"""What an API answers, within bounds: bytes after decompression, and text that can be written down again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from requests import Response

MAX_BYTES = 64 << 20
"""Of one answer: far more than a page of a hundred of anything has."""


class EndlessAnswerError(Exception):
    """An answer of more than `MAX_BYTES`."""


def bounded_answer(response: "Response", *_: object, **__: object) -> None:
    """For `requests`, as a hook of `response`: reading the body raises EndlessAnswerError where it is too large."""
    stream = response.raw.stream

    def counted(*args: Any, **more: Any) -> Iterator[bytes]:
        size = 0
        for part in stream(*args, **more):
            size += len(part)
            if size > MAX_BYTES:
                response.close()
                raise EndlessAnswerError
            yield part

    response.raw.stream = counted


def well_formed(answer: Any) -> Any:
    """The JSON value `answer`, of which everything can be encoded again: halves of surrogate pairs are replaced by
    U+FFFD, and integers of more than 64 bits, which no field of the API has, are their text.
    """
    try:
        msgspec.msgpack.encode(answer)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        return _repaired(answer)
    return answer


def _repaired(value: Any) -> Any:
    if isinstance(value, dict):
        return {_repaired(key): _repaired(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_repaired(each) for each in value]
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return f"{value:#x}"
    return value
