"""The path of a flow through the server, from one remote to another: the request, then the answer by the VPC's own way.

Which VNIs see the two directions decides: one that filters protocol states and sees the answer alone drops it. That is
what disabling the filter is documented for (IBM Cloud Docs, VPC: vni-about).
"""

from msgspec import Struct

from vnicheck.engine.border import if_down
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.walk import Path, Section, Walk
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.network_acl import CrossingPacket, network_acl
from vnicheck.fabric.public_range import handed_to, public_range, why_doubtful
from vnicheck.fabric.remote_acl import Leaving, home_of, remote_acl
from vnicheck.fabric.security_group import GroupedPacket, answer_to_seen, security_groups
from vnicheck.fabric.spoofing_check import arrival_check, spoofing_check
from vnicheck.fabric.state_filter import state_filter
from vnicheck.fabric.transit_route import TransitRoute, onward
from vnicheck.fabric.transport import ECHO_REPLY, ECHO_REQUEST
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.kernel.packet import Packet
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import Range, parse_address, prefix_range
from vnicheck.model.cloud import Subnet, Vni, VpcRoute
from vnicheck.model.flow import DropCode, Leg, Protocol, Scope, Stage

FORWARDING = Stage.FORWARDING
_TRANSLATES = (
    "the server may translate what it forwards to the internet (source NAT behind its floating IP or public gateway is "
    "how the documentation has a server do it), and that is not seen"
)


_MEMBERS = "a network load balancer leads the answer to one of its members, which may be another server"


class Crossing(Struct, frozen=True, kw_only=True):
    """One packet that the server forwards. `seen`: ids of the VNIs that have seen the flow's opening packet."""

    protocol: Protocol
    source: int
    destination: int
    sports: Range
    dports: Range
    seen: frozenset[str] | None = None

    @property
    def icmp_type(self) -> int:
        """Of an echo: the request opens, the reply answers."""
        return ECHO_REQUEST if self.seen is None else ECHO_REPLY


class Sections:
    """Collects the sections of one leg, one after the other."""

    def __init__(self, walk: Walk, leg: Leg) -> None:
        self._walk = walk
        self._leg = leg
        self.taken: list[Section] = []

    def add(self, at: str, *checks: Check) -> None:
        """The next checks that the packet meets."""
        self.taken.append(self._walk.steps(self._leg, at, *checks))


def transit_path(
    walk: Walk,
    routes: list[TransitRoute],
    through: TransitRoute,
    protocol: Protocol,
    opener: int,
    answerer: int,
    ports: Range,
) -> Path:
    """Every check of both directions, each evaluated as if those before it had passed."""
    view = walk.view
    client = view.client_ports(protocol)
    vpc = view.server.vpc.id
    request = Crossing(protocol=protocol, source=opener, destination=answerer, sports=client, dports=ports)
    sections = Sections(walk, Leg.REQUEST)
    led = onward(view.fabric, vpc, opener, view.scopes(through.vni).of(opener), answerer, routes)
    sections.add(view.at(through.vni), unknown(Stage.VPC_ROUTE, led) if isinstance(led, str) else _by(through))
    sections.add(view.at(through.vni), *_at_home(view, through.vni, request, sends=True))
    ingress, egress, leaves = _cross(view, sections, through.vni, request)
    if leaves is None:
        return Path(tuple(sections.taken), ingress, egress)
    sections.add(view.at(leaves), *_at_home(view, leaves, request, sends=False))
    reply = Sections(walk, Leg.REPLY)
    answer = Crossing(
        protocol=protocol,
        source=answerer,
        destination=opener,
        sports=ports,
        dports=client,
        seen=frozenset({through.vni.id, leaves.id}),
    )
    whence = answerer
    if public_range(view.fabric, vpc, answerer) is not None:
        hop = handed_to(view.fabric, view.subnet(leaves), view.reserved, answerer)
        whence = answerer if hop is None else parse_address(hop)
    scope = view.scopes(leaves).of(whence)
    back = onward(view.fabric, vpc, whence, scope, opener, routes)
    if back is None:
        reply.add(view.at(leaves), *_at_home(view, None, answer, sends=True))
        reply.add(view.at(leaves), *_at_home(view, None, answer, sends=False))
        reply.add(view.at(leaves), passes(Stage.VPC_ROUTE, "the answer goes to the opener without this server"))
        return Path((*sections.taken, *reply.taken), ingress, egress, straight=False)
    if not isinstance(back, TransitRoute):
        reply.add(view.at(leaves), _elsewhere(back))
        return Path((*sections.taken, *reply.taken), ingress, egress)
    reply.add(view.at(back.vni), *_at_home(view, back.vni, answer, sends=True))
    reply.add(view.at(back.vni), _by(back) if back.alone else unknown(Stage.VPC_ROUTE, _MEMBERS, by=(back.name,)))
    entered, left, gone = _cross(view, reply, back.vni, answer)
    if gone is not None:
        reply.add(view.at(gone), *_at_home(view, gone, answer, sends=False))
    straight = None if left is None else (entered, left) == (egress, ingress)
    return Path((*sections.taken, *reply.taken), ingress, egress, straight=straight)


def _at_home(view: ServerView, vni: Vni | None, packet: Crossing, *, sends: bool) -> tuple[Check, ...]:
    """The ACL of the sender's own subnet (`sends`) or of the receiver's; nothing where that is the VNI's, or none."""
    remote, other = (packet.source, packet.destination) if sends else (packet.destination, packet.source)
    leaving = Leaving(
        "outbound" if sends else "inbound",
        packet.protocol,
        other,
        (packet.sports,),
        (packet.dports,),
        packet.icmp_type,
    )
    own = None if vni is None else view.subnet(vni)
    if home_of(view.fabric, view.server.vpc.id, own, remote) is None:
        return ()
    return (remote_acl(view.fabric, view.server.vpc.id, own, (remote,), leaving),)


def _by(through: TransitRoute) -> Check:
    if through.balancer is not None:
        reason = f"a VPC route leads it by network load balancer {through.balancer} to {through.vni.name}"
        return passes(Stage.VPC_ROUTE, reason, "nlb-direct", by=(through.name,))
    return passes(Stage.VPC_ROUTE, f"a VPC route leads it to {through.vni.name}", by=(through.name,))


def _elsewhere(back: VpcRoute | str) -> Check:
    """An answer that a VPC route takes, or may take, and does not lead to the server."""
    if isinstance(back, str):
        return unknown(Stage.VPC_ROUTE, back)
    by = (f"VPC route {back.name}: {back.destination} {back.action}",)
    if back.action == "drop":
        return drops(Stage.VPC_ROUTE, DropCode.VPC_ROUTE, "a VPC route drops the answer", by=by)
    return unknown(Stage.VPC_ROUTE, "a VPC route leads the answer where we cannot see", by=by)


def _cross(view: ServerView, steps: Sections, vni: Vni, packet: Crossing) -> tuple[str | None, str | None, Vni | None]:
    """The packet through the server, in by the VNI. Returns where it enters and leaves the guest, and by which VNI."""
    steps.add(view.at(vni), *arrival_check(vni, view.assume, view.arrival), *_checks(view, vni, packet, arriving=True))
    interface = view.interface_of.get(vni.id)
    if view.kernel is None or interface is None:
        steps.add(view.at(vni), unknown(Stage.GUEST_INTERFACE, view.why_unmatched(vni)))
        return None, None, None
    steps.add(interface, *if_down(view.kernel, interface))
    check, egress, gateway = _forward(view, interface, packet)
    steps.add(interface, check)
    leaves = view.vni_of(egress) if egress is not None else None
    if egress is None or leaves is None:
        if egress is not None:
            steps.add(egress, unknown(FORWARDING, f"leaves by {egress}, behind which no VNI is known"))
        return interface, egress, None
    subnet = view.subnet(leaves)
    scope = view.scopes(leaves).of(packet.destination)
    vpc = view.server.vpc.id
    public = public_range(view.fabric, vpc, packet.source)
    into = public_range(view.fabric, vpc, packet.destination)
    hop = None
    if into is not None and scope is Scope.INTERNET:
        hop = handed_to(view.fabric, subnet, view.reserved, packet.destination)
    if into is not None and scope is Scope.INTERNET and hop is None:
        reason = f"the destination is of public address range {into.name}: where the VPC leads it from inside"
        steps.add(egress, unknown(Stage.VPC_ROUTE, f"{reason} is not known", "public-ranges"))
        return interface, egress, None
    if hop is not None:
        scope = Scope.VPC
    doubt = why_doubtful(view.fabric, vpc, packet.source, subnet.zone) if scope is Scope.INTERNET else None
    translating = leaves.floating_ips or subnet.public_gateway is not None
    if scope is Scope.INTERNET and (doubt is not None or (translating and public is None)):
        steps.add(egress, unknown(FORWARDING, doubt or _TRANSLATES))
        return interface, egress, None
    steps.add(
        egress,
        *_first_hop(view, leaves, egress, gateway, packet.destination),
        *(if_down(view.kernel, egress) if egress != interface else ()),
        spoofing_check(leaves, view.assume, "the source", scope, public=public),
        *_checks(view, leaves, packet, arriving=False),
        _onward(view, subnet, packet, scope, hop),
    )
    return interface, egress, leaves


def _onward(view: ServerView, subnet: Subnet, packet: Crossing, scope: Scope, hop: str | None) -> Check:
    """The VPC routing table of the subnet that the packet leaves. `hop`: to whom it hands what is sent to a public
    address range.
    """
    if hop is not None:
        return passes(Stage.VPC_ROUTE, f"a VPC route hands the public address to {hop}", "public-ranges")
    return vpc_route(
        view.fabric, subnet, view.assume, packet.destination, scope, source=packet.source, own=view.reserved
    )


def _forward(view: ServerView, interface: str, packet: Crossing) -> tuple[Check, str | None, str | None]:
    """What the guest does with the packet; the interface and the gateway by which it sends it on, if it does."""
    assert view.kernel is not None  # noqa: S101 - the caller has looked
    try:
        taken = view.kernel.take_in(
            interface,
            Packet(packet.source, packet.destination, packet.protocol.number),
            sports=packet.sports,
            dports=packet.dports,
        )
    except Undetermined as why:
        return unknown(FORWARDING, str(why)), None, None
    by = (taken.by,) if taken.by else ()
    if taken.reception is Reception.DELIVERED:
        return unknown(FORWARDING, "the guest takes the packet for its own", by=by), None, None
    if taken.reception is not Reception.FORWARDED:
        code = DropCode(taken.reception.value)
        reason = "the guest does not forward it" if code is DropCode.NOT_LOCAL else taken.reason
        return drops(FORWARDING, code, reason, by=by), None, None
    if len(taken.egress) != 1 or len(taken.gateways) != 1:
        return unknown(FORWARDING, f"several next hops of equal cost: {', '.join(taken.egress)}", by=by), None, None
    egress, gateway = taken.egress[0], taken.gateways[0]
    ruling = view.kernel.passed_on(
        interface,
        egress,
        packet.source,
        packet.destination,
        packet.protocol.number,
        packet.sports,
        packet.dports,
        answer=packet.seen is not None,
    )
    if ruling is not None:
        return unknown(FORWARDING, ruling.reason, by=by), egress, gateway
    unread = None if view.kernel.firewall_read else "transit-unchanged"
    return passes(FORWARDING, taken.reason, unread, by), egress, gateway


def _first_hop(view: ServerView, vni: Vni, egress: str, gateway: str | None, destination: int) -> tuple[Check, ...]:
    """A doubt about the next hop; nothing where it is the subnet's gateway, or the destination itself."""
    subnet = view.subnet(vni)
    first, last = prefix_range(subnet.cidr)
    if gateway is None and not first <= destination <= last:
        return (unknown(FORWARDING, f"leaves by {egress} on-link, but the remote is not in subnet {subnet.name}"),)
    if gateway is not None and parse_address(gateway) != first + 1:
        return (unknown(FORWARDING, f"leaves by {egress} to {gateway}, not the gateway of subnet {subnet.name}"),)
    return ()


def _checks(view: ServerView, vni: Vni, packet: Crossing, *, arriving: bool) -> tuple[Check, ...]:
    """The VNI's state filter and security groups, and its subnet's ACL."""
    direction = "inbound" if arriving else "outbound"
    seen = packet.seen is None or vni.id in packet.seen
    remote, local = (packet.source, packet.destination) if arriving else (packet.destination, packet.source)
    crossing = CrossingPacket(
        direction=direction,
        protocol=packet.protocol,
        remotes=(remote,),
        local=local,
        sports=(packet.sports,),
        dports=(packet.dports,),
        icmp_type=packet.icmp_type,
    )
    grouped = GroupedPacket(
        direction=direction,
        protocol=packet.protocol,
        remotes=(remote,),
        local=local,
        dports=(packet.dports,),
        opening=packet.seen is None,
        icmp_type=packet.icmp_type,
    )
    answered = answer_to_seen(vni, view.assume, seen=seen) if packet.seen is not None else None
    return (
        network_acl(view.fabric, view.subnet(vni), crossing),
        answered if answered is not None else security_groups(view.fabric, vni, grouped),
        state_filter(vni, view.assume, packet.protocol, auto_filters=view.auto_filters, saw_opening=seen),
    )
