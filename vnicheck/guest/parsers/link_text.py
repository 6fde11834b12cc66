"""`ip addr show`, plain, with or without -d and -N, from iproute2 or busybox.

3: eth0@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 02:00:05:02:70:58 brd ff:ff:ff:ff:ff:ff
    inet 10.0.0.11/24 brd 10.0.0.255 scope global dynamic noprefixroute eth0
       valid_lft 304sec preferred_lft 304sec
"""

import re
from typing import Any

from vnicheck.guest.parsers.names import Names, group_number, link_type, parse_number, scope_name
from vnicheck.guest.parsers.parsed import Parsed, capped, text_lines
from vnicheck.model.interface import Interface, InterfaceAddress

_HEAD = re.compile(r"(\d{1,10}): (\S+): <([^<>]*)>(?: (.*))?", re.ASCII)
_PEER_INDEX = re.compile(r"if(\d{1,10})|NONE", re.ASCII)
PAIRS = {"veth", "netkit", "vxcan"}
"""Kinds of devices that come in pairs; what stands behind `@` is the other end."""
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_HEAD_PAIRS = {"qdisc", "state", "mode", "qlen", "event"}
_ADDRESS_FLAGS = {
    "deprecated", "tentative", "permanent", "mngtmpaddr", "home", "nodad", "optimistic", "dadfailed", "autojoin",
    "stable-privacy", "temporary",
}  # fmt: skip
_IRRELEVANT_LINES = {"altname", "alias", "inet6", "valid_lft", "RX:", "TX:", "RX", "TX", "vf", "mpls", "family"}
_NO_KIND = {"numtxqueues", "promiscuity", "addrgenmode", "minmtu", "gso_max_size", "bytes", "maxmtu"}


def parse_plain_links(text: str, names: Names) -> Parsed[Interface]:
    """The links with their IPv4 addresses, in dump order. Raises CollectionError as `parse_links`."""
    unmodelled: list[str] = []
    blocks: list[list[str]] = []
    for line in text_lines(text, "ip addr"):
        if not line[0].isspace():
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line.strip())
        else:
            unmodelled.append(capped(line))
    links = []
    for block in blocks:
        link = _read_block(block, names)
        if link is None:
            unmodelled += [capped(line) for line in block]
        else:
            links.append(link)
    return Parsed(tuple(links), tuple(unmodelled))


def _read_block(block: list[str], names: Names) -> Interface | None:
    head = _HEAD.fullmatch(block[0])
    if head is None:
        return None
    name, lower, peer_index = _split_name(head[2])
    flags = tuple(flag for flag in head[3].split(",") if flag)
    fields: dict[str, Any] = {"peer_index": peer_index}
    unmodelled: list[str] = []
    addresses: list[InterfaceAddress] = []
    _read_head(head[4] or "", fields, unmodelled, names)
    detail_expected = False
    for line in block[1:]:
        words = line.split()
        if words[0].startswith("link/"):
            fields["mac"] = words[1].lower() if len(words) > 1 and _MAC.fullmatch(words[1]) else None
            fields["link_type"] = link_type(words[0].removeprefix("link/"))
            fields["elsewhere"] = "link-netnsid" in words or "link-netns" in words
            fields["kind_shown"] = "promiscuity" in words
            _read_bus(words, fields)
            _read_own_mac(words, fields)
            detail_expected = True
        elif words[0] == "inet":
            address = _read_address(words[1:], unmodelled)
            addresses += [] if address is None else [address]
            detail_expected = False
        elif words[0] == "altname" and len(words) == 2:
            fields["altnames"] = (*fields.get("altnames", ()), words[1])
        elif words[0] in _IRRELEVANT_LINES or words[0] in _NO_KIND or words[0].endswith("_slave"):
            continue
        elif detail_expected and _WORD.fullmatch(words[0]):
            _read_kind(words, fields)
            _read_bus(words, fields)
            detail_expected = False
        elif not words[0][0].isdigit():
            unmodelled.append(line)
    fields["peer" if fields.get("kind") in PAIRS else "parent"] = lower
    try:
        return Interface(
            name=name,
            index=int(head[1]),
            up="UP" in flags,
            carrier="LOWER_UP" in flags,
            flags=flags,
            addresses=tuple(addresses),
            unmodelled=tuple(capped(item) for item in unmodelled),
            **fields,
        )
    except ValueError:
        return None


def _split_name(text: str) -> tuple[str, str | None, int | None]:
    """`eth0.5@eth0` as name and lower device; of `eth0@if5`, whose other end is elsewhere, the index of that."""
    name, at, lower = text.rpartition("@")
    if not at or not name:
        return text, None, None
    match = _PEER_INDEX.fullmatch(lower)
    return (name, lower, None) if match is None else (name, None, int(match[1] or 0))


def _read_head(text: str, fields: dict[str, Any], unmodelled: list[str], names: Names) -> None:
    words = iter(text.split())
    for key in words:
        if key == "mtu":
            fields["mtu"] = parse_number(next(words, ""))
        elif key == "master":
            fields["master"] = next(words, None)
        elif key == "group":
            value = next(words, "")
            group = group_number(value, names)
            if group is None:
                unmodelled.append(f"group {value}")
            else:
                fields["group"] = group
        elif key in _HEAD_PAIRS:
            next(words, None)
        else:
            unmodelled.append(key)


def _read_kind(words: list[str], fields: dict[str, Any]) -> None:
    fields["kind"] = words[0]
    if words[0] == "vrf" and len(words) > 2 and words[1] == "table":
        fields["vrf_table"] = parse_number(words[2])
    elif words[0] == "vlan" and "id" in words[:-1]:
        fields["vlan_id"] = parse_number(words[words.index("id") + 1], 4095)


def _read_bus(words: list[str], fields: dict[str, Any]) -> None:
    if "parentbus" in words[:-1]:
        fields["bus"] = words[words.index("parentbus") + 1]


def _read_own_mac(words: list[str], fields: dict[str, Any]) -> None:
    if "permaddr" in words[:-1] and _MAC.fullmatch(own := words[words.index("permaddr") + 1].lower()):
        fields["permanent_mac"] = own


def _read_address(words: list[str], unmodelled: list[str]) -> InterfaceAddress | None:
    line = capped(" ".join(["inet", *words]))
    rest = iter(words)
    fields: dict[str, Any] = {"prefix": next(rest, "")}
    strange: list[str] = []
    for key in rest:
        if key == "peer":
            fields["prefix"] += "/32"
            fields["peer"] = next(rest, "")
        elif key == "brd":
            fields["broadcast"] = next(rest, "")
        elif key == "scope":
            fields["scope"] = scope_name(next(rest, ""))
        elif key in {"secondary", "dynamic", "noprefixroute"}:
            fields[key] = True
        elif key in {"metric", "proto", "any"}:
            next(rest, None)
        elif key not in _ADDRESS_FLAGS:
            strange.append(key)
    # The last word is the label, which `ip` prints after the flags and which decides nothing.
    if strange and strange[-1] == words[-1]:
        strange.pop()
    if strange:
        unmodelled.append(" ".join(strange))
    try:
        return InterfaceAddress(**fields)
    except ValueError:
        unmodelled.append(line)
        return None
