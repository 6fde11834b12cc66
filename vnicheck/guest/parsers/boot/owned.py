"""Whether boot configures each interface again by what configures it now."""

from collections.abc import Iterator

from vnicheck.guest.parsers.boot.fate import Fate, Outcome, Use
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.parsed import capped
from vnicheck.model.guest import Manager, NotAgain, Owner

KINDS = {
    Manager.NETPLAN: ("netplan", "networkd"),
    Manager.NETWORKD: ("netplan", "networkd"),
    Manager.NETWORK_MANAGER: ("netplan", "keyfile", "ifcfg", "configuration"),
    Manager.IFUPDOWN: ("ifupdown", "defaults"),
    Manager.WICKED: ("wicked",),
    Manager.NETWORK_SCRIPTS: ("ifcfg",),
}
"""What has to be read for it, of each manager."""


def not_again(machine: Machine, outcome: Outcome, unread: dict[str, str]) -> Iterator[tuple[str, NotAgain]]:
    """The interfaces of which that is not so, or not known. `unread`: why files of a kind could not be read."""
    for name, owner in machine.owners.items():
        doubts = [unread[kind] for kind in KINDS[owner.manager] if kind in unread]
        use = outcome.uses.get(name) or _of_none(owner, read=not doubts)
        found = _of(use, doubts[0] if doubts else None)
        if found is not None:
            yield name, found


def _of_none(owner: Owner, *, read: bool) -> Use:
    """Where no file that was read is the one: netplan makes its own of no others."""
    if owner.manager is Manager.NETPLAN and read:
        return Use(taken=False, up=True)
    return Use(taken=f"the file of {capped(owner.handle)} was not among those that were read", up=True)


def _of(use: Use, doubt: str | None) -> NotAgain | None:
    if use.why:
        return NotAgain(how="not", why=use.why)
    if doubt is not None:
        return NotAgain(how="unknown", why=doubt)
    if use.taken is False:
        return NotAgain(how="not")
    if use.up is False:
        return NotAgain(how="by_hand")
    fates: tuple[Fate, ...] = (use.taken, use.up)
    return next((NotAgain(how="unknown", why=fate) for fate in fates if isinstance(fate, str)), None)
