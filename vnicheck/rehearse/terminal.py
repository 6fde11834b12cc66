"""Whose the terminal is: what is typed goes to one group of processes, and so does Ctrl-C (termios(4), job control)."""

import os
import signal
from contextlib import suppress

_STDIN = 0


def take_terminal() -> None:
    """What is typed is for this process's group from now on; nothing where stdin is no terminal of ours."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it is sent to whoever takes it from another group
    with suppress(OSError):
        os.tcsetpgrp(_STDIN, os.getpgrp())
    signal.signal(signal.SIGTTOU, before)
