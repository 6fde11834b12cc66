"""`vnicheck collect-script`: what the collector runs on a guest, for those who must run it by hand."""

from vnicheck.guest.ssh.runner import collect_script as text


def collect_script() -> None:
    """Print the POSIX sh script that collects a guest; feed its saved output back with --guest INSTANCE=FILE."""
    print(text(), end="")
