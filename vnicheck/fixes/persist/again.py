"""Whether boot configures an interface again by the configuration that a plan writes to, in words."""

from typing import assert_never

from vnicheck.fixes.persist.share import NotKept, Share
from vnicheck.model.guest import Guest, Manager, NotAgain
from vnicheck.model.plan import AtBoot
from vnicheck.model.words import one_line

_OLD = "an older version collected it, which did not tell whether boot uses it"
_TO_BRING_UP = {
    Manager.NETPLAN: "take activation-mode out of its netplan definition",
    Manager.NETWORKD: "set ActivationPolicy=up and Unmanaged=no in its [Link] section",
    Manager.NETWORK_MANAGER: "run 'nmcli connection modify uuid {handle} connection.autoconnect yes'",
    Manager.IFUPDOWN: "write 'auto {handle}' to /etc/network/interfaces",
    Manager.WICKED: "set STARTMODE=auto in /etc/sysconfig/network/ifcfg-{handle}",
    Manager.NETWORK_SCRIPTS: "set ONBOOT=yes in /etc/sysconfig/network-scripts/ifcfg-{handle}",
}
"""What makes boot bring an interface up by itself."""


def at_boot(guest: Guest, share: Share, what: str) -> tuple[str, AtBoot]:
    """What a boot does with what is written, and what to do where it is not sure to set it. Raises NotKept where it
    does not use that configuration: nothing is to be written to it.
    """
    manager, name = share.owner.manager.value, share.name
    doubt = _doubt(guest, name)
    if doubt is None:
        return f"a boot sets {what} again: {manager} configures {name}", "kept"
    match doubt.how:
        case "not":
            why = one_line(doubt.why, 200) or f"what {manager} has for it now is not what boot uses"
            raise NotKept(f"boot does not configure {name} as it is now: {why}; fix that, and plan again")
        case "by_hand":
            todo = _TO_BRING_UP[share.owner.manager].format(handle=share.owner.handle)
            said = f"the next boot takes {what} back: it does not bring {name} up; whoever brings it up sets them again"
            return f"{said} (for boot to do it, {todo})", "lost"
        case "unknown":
            said = f"a boot sets {what} again only if {manager} still configures {name} then, which is not known"
            return f"{said} ({one_line(doubt.why, 200)}); look at 'ip rule' after the next boot", "partly"
        case never:
            assert_never(never)


def _doubt(guest: Guest, name: str) -> NotAgain | None:
    boot = guest.boot
    if boot is None:
        return NotAgain(how="unknown", why="its configuration was not collected")
    if not boot.carried_out:
        return NotAgain(how="unknown", why=_OLD)
    return boot.not_again.get(name)
