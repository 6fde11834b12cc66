"""What is told beside the flows: counts of the whole server, which confirm nothing and refute nothing."""

from collections.abc import Iterator

from vnicheck.model.words import counted, one_line
from vnicheck.verify.agents import Watched

_BY = {
    "IP_RPFILTER": "reverse path filtering (rp_filter)",
    "IP_LOCAL_SOURCE": "their source, which is one of its own addresses (IP_LOCAL_SOURCE)",
    "IP_INVALID_SOURCE": "their source, which is no unicast address (IP_INVALID_SOURCE)",
    "NETFILTER_DROP": "rules of netfilter (NETFILTER_DROP)",
    "XFRM_POLICY": "IPsec policies (XFRM_POLICY)",
    "TC_INGRESS": "tc filters as they came in (TC_INGRESS)",
    "TC_EGRESS": "tc filters as they left (TC_EGRESS)",
    "XDP": "XDP programs (XDP)",
    "IP_INNOROUTES": "a missing route of packets that came in (IP_INNOROUTES)",
    "IP_OUTNOROUTES": "a missing route of packets that it sent (IP_OUTNOROUTES)",
    "NEIGH_FAILED": "neighbours that did not answer (NEIGH_FAILED)",
    "SECURITY_HOOK": "security modules (SECURITY_HOOK)",
    "BPF_CGROUP_EGRESS": "BPF programs of control groups (BPF_CGROUP_EGRESS)",
}


def told_beside(watched: Watched) -> Iterator[str]:
    """Of the server's counters, its kernel's reasons for drops, and its half-open connections."""
    for counter, rise in watched.counters.items():
        if rise:
            yield f"its counter {one_line(counter, 40)} rose by {rise} meanwhile"
    for reason, count in watched.drops.items():
        if count:
            by = _BY.get(reason, one_line(reason, 40))
            yield f"while probing, the server's kernel dropped {counted(count, 'IPv4 packet')} by {by}"
    if watched.drops_unknown:
        yield f"what its kernel drops is not counted by the reason ({one_line(watched.drops_unknown, 80)})"
    for address, count in watched.half_open.items():
        yield f"{counted(count, 'connection')} to {one_line(address, 40)} half open: its SYN-ACK was not answered"
