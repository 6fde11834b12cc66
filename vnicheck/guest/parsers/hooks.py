"""Modules in use, IP virtual servers, and what else judges packets as older collect scripts told of it, on lines of
their own.

ip_vs TCP  0A00000C:0050 rr
ip_vs FWM  00000001 rr
module nft_fib_ipv4 16384 1 nft_fib_inet, Live 0x0000000000000000
process firewalld
nft listed
nft table ip filter {
nft fib saddr . iif oif missing drop
tc qdisc clsact ffff: dev eth0 parent ffff:fff1
ipsec src 10.1.0.0/16 dst 10.2.0.0/16 \\	dir out priority 0 ptype main \\	tmpl ...
"""

import re

from vnicheck.guest.parsers.parsed import capped, text_lines
from vnicheck.guest.parsers.programs import ipsec_policy
from vnicheck.model.address import format_address
from vnicheck.model.guest import Hook, HookKind

_TC = re.compile(r"qdisc (?:clsact|ingress) .*?\bdev (\S+)", re.ASCII)
_IPV4_FAMILIES = {"ip", "inet", "netdev"}
_IPV6_ONLY = re.compile(r"(?<!!= )nfproto ipv6\b|\bip6 [a-z]+ |\bicmpv6 [a-z]+ ", re.ASCII)
_SERVER = re.compile(r"(TCP|UDP|SCTP) +([0-9A-F]{8}):([0-9A-F]{4})(?: |$)", re.ASCII)
_MOST_SERVERS = 500
"""Lines that the collect script takes of a file."""
_REMARK = re.compile(r'\b(?:comment|prefix) "[^"]*"', re.ASCII)
_LOOKS_BACK = re.compile(r'\bfib (?!daddr type local\b)|"rpfilter"', re.ASCII)


def parse_hooks(text: str) -> tuple[Hook, ...]:
    """The hooks, in the order of the lines. Whoever lists the nftables rules has no need of the modules' use counts.

    firewalld uses `fib` for IPv6 only (its option IPv6_rpfilter), so its use of that for both families says nothing.
    """
    lines = list(text_lines(text, "hooks"))
    listed, firewalld = "nft listed" in lines, "process firewalld" in lines
    hooks: list[Hook] = []
    family = ""
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "nft" and rest.startswith("table "):
            family = rest.split()[1]
        elif kind == "nft" and rest != "listed":
            bare = _REMARK.sub("", rest)
            if family in _IPV4_FAMILIES and _LOOKS_BACK.search(bare) and _IPV6_ONLY.search(bare) is None:
                hooks.append(Hook(kind=HookKind.SOURCE_MATCH, text=capped(f"nft: {rest}")))
        elif kind == "ip_vs":
            hooks.append(_virtual_server(rest))
        elif (
            kind == "module"
            and rest.split()[:1] != ["ip_vs"]
            and _in_use(rest.split(), listed=listed, firewalld=firewalld)
        ):
            hooks.append(Hook(kind=HookKind.SOURCE_MATCH, text=f"kernel module {capped(rest.split()[0])} in use"))
        elif kind == "tc" and (match := _TC.match(rest)) is not None:
            hooks.append(Hook(kind=HookKind.INGRESS_PROGRAM, text=capped(f"tc: {rest}"), interface=match[1]))
        elif kind == "ipsec":
            hooks += ipsec_policy(rest)
    if sum(hook.kind is HookKind.VIRTUAL_SERVER for hook in hooks) >= _MOST_SERVERS:
        hooks.append(Hook(kind=HookKind.VIRTUAL_SERVER, text="/proc/net/ip_vs has more lines than are read"))
    return tuple(hooks)


def _virtual_server(line: str) -> Hook:
    """One of /proc/net/ip_vs: address and port in hexadecimal digits. By a mark, or not understood: for any packet."""
    match = _SERVER.match(line)
    if match is None:
        return Hook(
            kind=HookKind.VIRTUAL_SERVER,
            text="/proc/net/ip_vs cannot be read" if line == "unread" else capped(f"IPVS: {line}"),
        )
    address, port = format_address(int(match[2], 16)), int(match[3], 16)
    return Hook(
        kind=HookKind.VIRTUAL_SERVER,
        text=f"IPVS: {match[1]} {address}:{port}",
        dst=f"{address}/32",
        protocol=match[1].lower(),
        port=port or None,
    )


def _in_use(words: list[str], *, listed: bool, firewalld: bool) -> bool:
    """`nft_fib_ipv4 16384 1 nft_fib_inet, Live ...`: used by more than the modules that are named."""
    if len(words) < 4 or not words[2].isdigit():
        return False
    name, users = words[0], [user for user in words[3].split(",") if user not in {"", "-"}]
    if name != "ipt_rpfilter" and (listed or (name == "nft_fib_inet" and firewalld)):
        return False
    return int(words[2]) > len(users)
