"""A process's pipes, written and read at once, bounded in time and size."""

import os
import selectors
import subprocess
import time
from contextlib import suppress

_CHUNK = 1 << 16
_ERRORS = 16 << 10
"""Bytes of stderr that are kept."""


class TooMuchError(Exception):
    """More came than may."""


def exchange(process: "subprocess.Popen[bytes]", stdin: bytes, *, until: float, limit: int) -> tuple[bytes, bytes]:
    """What the process prints on stdout, and the beginning of its stderr, until both end.

    Raises TimeoutError after `until` (time.monotonic), and TooMuchError where both together exceed `limit` bytes.
    """
    assert process.stdin is not None  # noqa: S101 - all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    kept: dict[int, list[bytes]] = {process.stdout.fileno(): [], process.stderr.fileno(): []}
    left, size, errors = memoryview(stdin), 0, 0
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        reading = 2
        while reading:
            ready = selector.select(max(until - time.monotonic(), 0))
            if time.monotonic() >= until:
                raise TimeoutError
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    try:
                        left = left[os.write(key.fd, left[:_CHUNK]) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        left = left[:0]  # it ended without reading: its status tells
                    if not left:
                        selector.unregister(process.stdin)
                        with suppress(OSError):
                            process.stdin.close()
                    continue
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                    reading -= 1
                    continue
                size += len(data)
                if size > limit:
                    raise TooMuchError
                if key.fileobj is process.stderr:
                    data = data[: _ERRORS - errors]
                    errors += len(data)
                kept[key.fd].append(data)
        out, said = (b"".join(parts) for parts in kept.values())
    return out, said
