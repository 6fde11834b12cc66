"""What we tell of the settings in a server's boot configuration, each by its table: set, not set, or unknown."""

from typing import Literal

from tests.support.boot_sandbox import Machine as Host
from tests.support.configured import OWN_PROCESSES
from vnicheck.guest.assemble import read_guest
from vnicheck.guest.frames import read_frames
from vnicheck.guest.gathered import spread
from vnicheck.guest.parsers.boot.files import read_boot_files
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.boot.network import carried_out
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.ssh.runner import collect_script_text

Told = Literal["set", "not set", "unknown"]


def told(host: Host) -> dict[int, Told]:
    """Of what the collect script finds there, every table that a file names."""
    return told_of(host.sh(f"exec {OWN_PROCESSES} sh", stdin=collect_script_text()).stdout.encode())


def told_of(data: bytes) -> dict[int, Told]:
    """The same of what was collected."""
    guest = read_guest(data, via="file")
    machine = Machine(
        interfaces=guest.interfaces,
        managers=guest.network_managers,
        hostname=guest.os.hostname,
        os=(guest.os.id, guest.os.version),
    )
    outcome = carried_out(read_boot_files(spread(read_frames(data))["boot_network"].output), Names(), machine)
    found: dict[int, Told] = {setting.table: "not set" for setting in outcome.idle}
    return found | {each.setting.table: "set" if each.fate is True else "unknown" for each in outcome.found}
