"""`ip addr show` as JSON (`-d -j`, with or without -N): links and their IPv4 addresses.

`link_text` reads the plain form; both give equal structs.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from vnicheck.guest.parsers.link_text import PAIRS, parse_plain_links
from vnicheck.guest.parsers.names import Names, group_number, link_type, parse_number, scope_name
from vnicheck.guest.parsers.parsed import JsonObject, Pairs, Parsed, capped, is_json, read_json, show, word
from vnicheck.model.interface import Interface, InterfaceAddress

_IRRELEVANT_LINK_KEYS = {
    "ifindex", "ifname", "flags", "mtu", "master", "link", "group", "address", "linkinfo", "addr_info", "link_type",
    "link_index", "link_netnsid", "link_netns", "link_pointtopoint", "broadcast", "permaddr", "qdisc", "operstate",
    "linkmode", "mode", "txqlen", "event", "promiscuity", "allmulti", "min_mtu", "max_mtu", "num_tx_queues",
    "num_rx_queues", "gso_max_size", "gso_max_segs", "tso_max_size", "tso_max_segs", "gro_max_size", "headroom",
    "gso_ipv4_max_size", "gro_ipv4_max_size", "tailroom", "phys_port_name", "phys_port_id", "phys_switch_id",
    "proto_down", "proto_down_reason", "protodown", "ifalias", "stats", "stats64", "vfinfo_list", "altnames",
    "parentbus", "parentdev", "inet6_addr_gen_mode", "carrier_changes", "carrier_up_count", "carrier_down_count",
    "max_pacing_offload_horizon", "dpll-pin", "netns-immutable", "af_spec", "num_vf", "devlink_port", "deleted",
    "temp_addr", "prefixlen", "local", "target-netnsid", "new_netnsid", "new_netns", "numtxqueues", "numrxqueues",
}  # fmt: skip
"""Read by this module, or known to say nothing of where an IPv4 packet goes. `xdp` is not among them: such a program
may drop or redirect packets before the stack sees them."""

_IRRELEVANT_ADDRESS_KEYS = {
    "family", "local", "prefixlen", "broadcast", "address", "scope", "secondary", "dynamic", "noprefixroute", "label",
    "valid_life_time", "preferred_life_time", "metric", "protocol", "deprecated", "tentative", "permanent",
    "mngtmpaddr", "home", "nodad", "optimistic", "dadfailed", "autojoin", "stable-privacy", "temporary", "cacheinfo",
    "anycast",
}  # fmt: skip


def parse_links(text: str, names: Names | None = None) -> Parsed[Interface]:
    """The links of `ip addr`, JSON or plain, with their IPv4 addresses, in dump order.

    Raises CollectionError `guest_unreadable` on broken JSON and on more lines than we read.
    """
    names = names if names is not None else Names()
    if not is_json(text):
        return parse_plain_links(text, names)
    objects, unmodelled = read_json(text, "ip addr")
    links = []
    for entry in objects:
        link = _read_link(entry, names)
        if link is None:
            unmodelled.append(show(entry))
        else:
            links.append(link)
    return Parsed(tuple(links), tuple(unmodelled))


def _read_link(entry: JsonObject, names: Names) -> Interface | None:
    values = entry.first()
    flags = values.get("flags")
    index = values.get("ifindex")
    if not isinstance(flags, list) or not isinstance(index, int):
        return None
    words = tuple(word(flag) for flag in flags)
    unmodelled = _strange(entry.pairs, _IRRELEVANT_LINK_KEYS)
    kind, details = _kind(values.get("linkinfo"))
    link = _text(values.get("link"))
    peer_index = values.get("link_index")
    addresses = []
    listed = values.get("addr_info")
    for item in listed if isinstance(listed, list) else []:
        address = _read_address(item, unmodelled)
        if address is not None:
            addresses.append(address)
    group = group_number(word(values.get("group", "default")), names)
    if group is None:
        unmodelled.append(f"group {word(values.get('group'))}")
    try:
        return Interface(
            name=word(values.get("ifname")),
            index=index,
            up="UP" in words,
            carrier="LOWER_UP" in words,
            mac=_mac(values.get("address")),
            permanent_mac=_mac(values.get("permaddr")),
            altnames=_altnames(values.get("altnames")),
            kind=kind,
            kind_shown="promiscuity" in values or kind is not None,
            vrf_table=parse_number(word(details.get("table"))) if kind == "vrf" else None,
            vlan_id=parse_number(word(details.get("id")), 4095) if kind == "vlan" else None,
            master=_text(values.get("master")),
            parent=link if kind not in PAIRS else None,
            peer=link if kind in PAIRS else None,
            peer_index=peer_index if isinstance(peer_index, int) else 0 if "link" in values and link is None else None,
            elsewhere="link_netnsid" in values or "link_netns" in values,
            link_type=link_type(word(values["link_type"])) if "link_type" in values else None,
            bus=_text(values.get("parentbus")),
            group=0 if group is None else group,
            mtu=values["mtu"] if isinstance(values.get("mtu"), int) else None,
            flags=words,
            addresses=tuple(addresses),
            unmodelled=tuple(capped(item) for item in unmodelled),
        )
    except ValueError:
        return None


def _strange(pairs: Pairs, known: set[str]) -> list[str]:
    return [f"{key} {show(value)}" for key, value in pairs if key not in known]


def _altnames(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _mac(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) != 17 or value.count(":") != 5:
        return None
    return value.lower()


def _kind(linkinfo: Any) -> tuple[str | None, dict[str, Any]]:
    """The link's kind, and what is told of it."""
    if not isinstance(linkinfo, JsonObject):
        return None, {}
    values = linkinfo.first()
    data = values.get("info_data")
    return _text(values.get("info_kind")), data.first() if isinstance(data, JsonObject) else {}


def _read_address(item: Any, unmodelled: list[str]) -> InterfaceAddress | None:
    """One IPv4 address; None for other families, and for what is kept in `unmodelled`."""
    if not isinstance(item, JsonObject):
        unmodelled.append(show(item))
        return None
    if not item.pairs:
        return None
    values = item.first()
    if values.get("family") in {"inet6", "mpls", "link"}:
        return None
    length = word(values.get("prefixlen"))
    local = word(values.get("local"))
    peer = _text(values.get("address"))
    try:
        address = InterfaceAddress(
            prefix=f"{local}/{'32' if peer is not None else length}",
            scope=scope_name(word(values.get("scope", "global"))),
            secondary=values.get("secondary") is True,
            dynamic=values.get("dynamic") is True,
            noprefixroute=values.get("noprefixroute") is True,
            broadcast=_text(values.get("broadcast")),
            peer=f"{peer}/{length}" if peer is not None else None,
        )
    except ValueError:
        unmodelled.append(show(item))
        return None
    unmodelled += _strange(item.pairs, _IRRELEVANT_ADDRESS_KEYS)
    return address


def with_buses(interfaces: Iterable[Interface], text: str) -> tuple[Interface, ...]:
    """The interfaces with the bus that /sys tells of them, in lines NAME INDEX MAC BUS of the collect script.

    One that is not the interface of that name, index and MAC is of another network namespace.
    """
    told = {tuple(words[:3]): words[3] for line in text.split("\n") if len(words := line.split()) == 4}
    return tuple(
        interface
        if interface.bus is not None
        or (bus := told.get((interface.name, str(interface.index), interface.mac or ""))) is None
        else msgspec.structs.replace(interface, bus=bus)
        for interface in interfaces
    )
