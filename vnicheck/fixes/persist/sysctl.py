"""rp_filter at boot: a file of /etc/sysctl.d whose name sorts behind every file that sets the key."""

from vnicheck.fixes.effects import SetRpFilter
from vnicheck.fixes.persist.share import UNFIT_NAME, NotKept, file_label
from vnicheck.fixes.persist.shell import file_action
from vnicheck.model.guest import BootConfig, Guest
from vnicheck.model.lines import is_plain_interface
from vnicheck.model.plan import Action, File

_FOLDER = "/etc/sysctl.d"
_FOLDERS = {f"{parent}/sysctl.d" for parent in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")}
"""Whose files count, sorted by their names whatever the folder."""
_LONGEST = 20


def action(guest: Guest, effect: SetRpFilter) -> Action:
    """The file. The key is written with slashes: dots belong to names then. Raises NotKept where no name sorts last, or
    the interface's is none to be written.
    """
    if not is_plain_interface(effect.interface):
        raise NotKept(UNFIT_NAME)
    path = f"{_FOLDER}/{_last_name(guest.boot, effect.path, file_label(effect.interface))}"
    text = f"# Written by vnicheck.\n{effect.path} = {effect.new}\n"
    summary = f"sysctl.d: {path} keeps rp_filter of {effect.interface} at {effect.new}"
    return file_action(summary, File(path=path, text=text))


def doubt(guest: Guest, key: str) -> str | None:
    """Why the file may not have the last word; None where nothing that we read speaks against it."""
    boot = guest.boot
    if boot is None:
        return "what else sets it at boot was not collected"
    if "sysctls" in boot.unknown:
        return boot.unknown["sysctls"]
    setting = boot.sysctls.get(key)
    if setting is not None and not setting.inherited and "/etc/ufw/" in setting.source:
        return "ufw sets it at about the same time (/etc/ufw/sysctl.conf)"
    return None


def _last_name(boot: BootConfig | None, key: str, label: str) -> str:
    setting = boot.sysctls.get(key) if boot is not None else None
    folder, _, file = setting.file.rpartition("/") if setting is not None and setting.file is not None else ("", "", "")
    winner = file if folder in _FOLDERS else None
    for count in range(2, _LONGEST):
        name = f"{'z' * count}-vnicheck-{label}.conf"
        if winner is None or winner == name or winner.encode() < name.encode():
            return name
    raise NotKept(f"{winner} sorts behind every name that we write")
