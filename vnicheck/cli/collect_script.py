"""`vnicheck collect-script`: what the collector runs on a guest, for those who must run it by hand."""

from vnicheck.cli.given import CollectScriptOptions
from vnicheck.guest.ssh.runner import collect_script_text as text


def collect_script(_: CollectScriptOptions) -> None:
    """The work of `CollectScriptOptions`."""
    print(text(), end="")
