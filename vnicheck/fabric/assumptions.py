"""What is assumed of the VPC: each statement with its basis and source. model.config can override most."""

from typing import Literal

from msgspec import Struct

Basis = Literal["documented", "recorded", "inferred", "assumed"]


class Assumption(Struct, frozen=True):
    """One statement about the fabric that a hop may cite by `id`.

    `basis`: `documented` by IBM, `recorded` in packet captures, `inferred` from documentation, or `assumed` by us.
    `open`: two sources say otherwise of each other, so that either may be so: unknown, unless the configuration says.
    `shared`: so many flows rest on it that reports tell it once, and it lowers no finding's confidence.
    """

    id: str
    statement: str
    basis: Basis
    source: str
    open: bool = False
    shared: bool = False
    short: str = ""
    """Of a shared one: the statement in a few words."""


ASSUMPTIONS = (
    Assumption(
        "psf-auto",
        "Mode auto filters protocol states on virtual server instances, and does not on bare metal servers. "
        "Legacy network interfaces behave as auto and cannot be changed. Less sure on profiles of generation 3 and "
        "later: one page says that one kind of virtual server, which it does not define, is not filtered either.",
        "documented",
        "IBM Cloud Docs, VPC: vni-about; at-events for the exception",
    ),
    Assumption(
        "psf-opening",
        "A filtering VNI drops a TCP packet for which it has seen no opening SYN; having seen only the SYN, it passes "
        "that connection's later packets.",
        "recorded",
        "captures of the article's check 3 (fixtures/article)",
    ),
    Assumption(
        "psf-protocols",
        "Only TCP is state-filtered: the documentation speaks of TCP's states alone. For ICMP it was recorded.",
        "inferred",
        "IBM Cloud Docs, VPC: vni-about, vni-updating; captures of the article's check 2 (fixtures/article) for ICMP",
    ),
    Assumption(
        "spoofing-check",
        "A packet that leaves a VNI with a source that is no address of the server is dropped unless the VNI allows IP "
        "spoofing.",
        "documented",
        "IBM Cloud Docs, VPC: ip-spoofing-about, vsi_is_instance_vnics",
    ),
    Assumption(
        "spoofing-sibling",
        "Whether the spoofing check also drops a packet that leaves a VNI with an address of another VNI of the same "
        "server: the documentation says that the source must be of the specific network interface; against it, such "
        "replies were recorded arriving. Where the VNI allows no IP spoofing, such a packet is not known to come "
        "through, unless the configuration says dropped or passed.",
        "documented",
        "IBM Cloud Docs, VPC: ip-spoofing-about; against it, captures of the article (fixtures/article)",
        open=True,
    ),
    Assumption(
        "spoofing-arrival",
        "Whether the spoofing check also looks at packets that arrive: one sentence says that outgoing packets are "
        "checked, another one incoming and outgoing ones. A packet in transit that arrives at a VNI which allows no IP "
        "spoofing is not known to come through, unless the configuration says dropped or passed.",
        "documented",
        "IBM Cloud Docs, VPC: ip-spoofing-about (two sentences)",
        open=True,
    ),
    Assumption(
        "spoofing-internet",
        "Allowing IP spoofing does not help traffic to the internet.",
        "documented",
        "IBM Cloud Docs, VPC: ip-spoofing-about",
    ),
    Assumption(
        "fip-return",
        "A reply to a client that came through a floating IP must leave by the VNI that holds the floating IP, "
        "whatever the filtering mode.",
        "documented",
        "IBM Cloud Docs, VPC: fip-create; the article",
    ),
    Assumption(
        "nlb-direct",
        "A network load balancer hands its clients' packets, with the clients' own addresses, to the primary VNIs of "
        "its members, and the answers must leave by the same VNI. A public one lets the internet in without a floating "
        "IP, at the ports that its listeners send to; one in route mode forwards by its members.",
        "documented",
        "IBM Cloud Docs, VPC: nlb-about, load-balancers, vnf-about-ha",
    ),
    Assumption(
        "public-ranges",
        "Addresses of a public address range are reached by ingress routes for the internet; a packet from one of them "
        "leaves to the internet as it is, by a VNI that allows IP spoofing, in the zone of the range.",
        "documented",
        "IBM Cloud Docs, VPC: par-about, ip-spoofing-about",
    ),
    Assumption(
        "sg-stateless",
        "On an asymmetric path the security groups of the other VNI have seen no connection: their rules must admit "
        "the packet by themselves.",
        "inferred",
        "IBM Cloud Docs, VPC: par-about, vni-about",
    ),
    Assumption(
        "transit-unchanged",
        "A server that forwards packets neither translates nor filters them. Where its netfilter rules could be read "
        "(root, --sudo), they are asked.",
        "assumed",
        "none: only root is told netfilter's rules",
    ),
    Assumption(
        "vpn-source",
        "A VPC route to a VPN gateway's connection carries only packets whose source is in a subnet that uses the "
        "route's table.",
        "documented",
        "IBM Cloud Docs, VPC: vpn-limitations, vpn-faqs",
    ),
    Assumption(
        "packets-unmarked",
        "Packets that come in, and packets that the server's own programs send, carry no mark (fwmark), so that policy "
        "rules which select by a mark pass them by. Not where netfilter's rules, as far as they could be read, set one "
        "that such a rule reads, nor where tcp_fwmark_accept or fwmark_reflect is on: then it is not known.",
        "assumed",
        "Linux: a packet starts with mark 0 (ip-sysctl.rst, socket(7) SO_MARK); programs that set one of their own are "
        "not seen",
        shared=True,
        short="packets carry no mark",
    ),
    Assumption(
        "guest-firewall",
        "The server's own firewall lets in what the VPC lets in, and lets the answers out. Where its rules could be "
        "read (root, --sudo) they are asked: a rule that stops a flow, or may stop it, leaves that flow unknown, and "
        "is named.",
        "assumed",
        "none: only root is told netfilter's rules; a host firewall is no part of the VPC",
        shared=True,
        short="the server's own firewall lets them pass",
    ),
    Assumption(
        "answered-here",
        "What comes to an address of the server is answered by the server itself, also where it forwards for "
        "containers or other networks of its own. Where netfilter's rules could be read (root, --sudo), ports that "
        "they publish (DNAT, redirect) are known and are not taken for the server's own: container-answers.",
        "assumed",
        "Linux: the answer of a translated flow is routed by the container's address and interface, before its source "
        "is translated back (net/ipv4/route.c, nf_nat; real packets in tests/lab/test_published_ports.py)",
        shared=True,
        short="the server itself answers",
    ),
    Assumption(
        "container-answers",
        "What netfilter's rules surely lead (DNAT) to an address behind a bridge or veth of the server's own is "
        "answered from there, and the answer comes in by the same device, as the container's: routed by its address, "
        "before its source is translated back.",
        "assumed",
        "none: other network namespaces are not looked into. Linux: net/ipv4/ip_forward.c, nf_nat; real packets in "
        "tests/lab/test_published_ports.py",
        shared=True,
        short="containers answer at the ports that are published",
    ),
    Assumption(
        "guest-hooks",
        "What could not be looked at on a server (tc's filters, netfilter's rules, IPsec's policies, BPF programs) "
        "drops, changes or leads elsewhere no packet that the server itself takes or sends.",
        "assumed",
        "none: root sees more of them than others do, and the collection says what it could not see",
    ),
    Assumption("client-ports", "The opening side uses a port of 1024-65535.", "assumed", "common ephemeral ranges"),
    Assumption(
        "remote-reachable",
        "Private space outside the VPC is reached through a Transit Gateway, Direct Link or VPN, which pass asymmetric "
        "paths. A list of prefixes says which, also of networks outside the private address space.",
        "assumed",
        "none: the networks beyond the VPC are not read",
    ),
)

SHARED = {assumption.id: assumption for assumption in ASSUMPTIONS if assumption.shared}
"""Those that are told once for all flows."""
OPEN = frozenset(assumption.id for assumption in ASSUMPTIONS if assumption.open)
"""Those of which either value may be so."""
