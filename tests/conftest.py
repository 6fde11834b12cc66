"""For all tests."""

import signal


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would the programs whose answer to it is tested."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
