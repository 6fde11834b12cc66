"""From a plan's effects to what makes them outlive a boot, and what does not, in words."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from vnicheck.fixes.effects import Effect, PatchVni, SetRpFilter
from vnicheck.fixes.persist import again, ifupdown, netplan, network_manager, networkd, sysconfig, sysctl
from vnicheck.fixes.persist.share import NotKept, Share, Unkept, rules_said, shares
from vnicheck.model.guest import Guest, Manager
from vnicheck.model.plan import Action, AtBoot
from vnicheck.model.words import one_line

_WRITERS: dict[Manager, Callable[[Share], tuple[Action, ...]]] = {
    Manager.NETPLAN: netplan.actions,
    Manager.NETWORKD: networkd.actions,
    Manager.NETWORK_MANAGER: network_manager.actions,
    Manager.IFUPDOWN: ifupdown.actions,
    Manager.WICKED: sysconfig.wicked,
    Manager.NETWORK_SCRIPTS: sysconfig.network_scripts,
}
_OWN_FILES = {Manager.NETPLAN, Manager.NETWORKD, Manager.IFUPDOWN}
"""Ours are apart from those that cloud-init may have written."""
_KEPT: AtBoot = "kept"
_NO_RULES = "netplan configures the interface by NetworkManager, to which older versions of it hand no rules"
_CLOUD_INIT = (
    "cloud-init wrote this configuration: where it takes the server for a new one (a copy made from its image), it "
    "writes it anew without the fix"
)


class Kept(Struct, frozen=True):
    """`next_boot` says in words what a boot keeps and what it loses, which comes to `at_boot`."""

    actions: tuple[Action, ...]
    next_boot: tuple[str, ...]
    at_boot: AtBoot = "kept"


def persist(guest: Guest | None, effects: Iterable[Effect]) -> Kept:
    """The actions that write the effects to the configuration of whoever owns each interface."""
    effects = tuple(effects)
    parts = [] if guest is None else [*_of_routing(guest, effects), *_of_rp_filter(guest, effects)]
    patched = dict.fromkeys(effect.name for effect in effects if isinstance(effect, PatchVni))
    return Kept(
        actions=tuple(action for part in parts for action in part.actions),
        next_boot=(
            *(word for part in parts for word in part.next_boot),
            *(f"what is changed of {name} stays: the VPC keeps it" for name in patched),
        ),
        at_boot=_together([part.at_boot for part in parts], kept=bool(patched)),
    )


def _together(parts: Iterable[AtBoot], *, kept: bool) -> AtBoot:
    fates = {*parts, *([_KEPT] if kept else [])}
    if len(fates) > 1:
        return "partly"
    return fates.pop() if fates else _KEPT


def _of_routing(guest: Guest, effects: Sequence[Effect]) -> Iterator[Kept]:
    for share in shares(guest, effects):
        if isinstance(share, Unkept):
            yield _lost(share.what, share.why)
            continue
        what = rules_said(share.rules)
        if share.owner.manager is Manager.NETPLAN and _is_handed_on(guest):
            yield _lost(what, _NO_RULES)
            continue
        try:
            actions = _WRITERS[share.owner.manager](share)
            said, fate = again.at_boot(guest, share, what)
        except NotKept as why:
            yield _lost(what, str(why))
            continue
        words = [said, *share.lost]
        if "cloud-init" in guest.network_managers and share.owner.manager not in _OWN_FILES:
            words.append(_CLOUD_INIT)
        yield Kept(actions, tuple(words), "partly" if share.lost and fate == "kept" else fate)


def _is_handed_on(guest: Guest) -> bool:
    """Whether netplan's files are NetworkManager's alone here."""
    return "NetworkManager" in guest.network_managers and "systemd-networkd" not in guest.network_managers


def _of_rp_filter(guest: Guest, effects: Sequence[Effect]) -> Iterator[Kept]:
    for effect in effects:
        if not isinstance(effect, SetRpFilter):
            continue
        what = f"rp_filter of {one_line(effect.interface, 40)}"
        try:
            action = sysctl.action(guest, effect)
        except NotKept as why:
            yield _lost(what, str(why))
            continue
        doubt = sysctl.doubt(guest, effect.path)
        said = f"a boot keeps {what} at {effect.new}"
        yield Kept((action,), (said if doubt is None else f"{said}, as far as can be told: {doubt}",))


def _lost(what: str, why: str) -> Kept:
    return Kept((), (f"the next boot takes {what} back ({why})",), "lost")
