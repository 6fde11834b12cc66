"""The path of a flow through the server, from one remote to another: the request, then the answer by the VPC's own way.

Which VNIs see the two directions decides: one that filters protocol states and sees the answer alone drops it. That is
what disabling the filter is documented for (IBM Cloud Docs, VPC: vni-about).
"""

from msgspec import Struct

from vnicheck.engine.border import check_first_hop, if_down
from vnicheck.engine.crossing import cross_vni, crossing_packet
from vnicheck.engine.server_view import ServerView
from vnicheck.engine.walk import Opening, Path, Ranges, Section, Walk
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.public_range import handed_to, public_range, why_doubtful
from vnicheck.fabric.remote_acl import home_of, remote_acl
from vnicheck.fabric.spoofing_check import arrival_check, spoofing_check
from vnicheck.fabric.transit_route import TransitRoute, onward
from vnicheck.fabric.vpc_route import vpc_route
from vnicheck.kernel.packet import Transport
from vnicheck.kernel.receive import Reception
from vnicheck.kernel.undetermined import Undetermined
from vnicheck.model.address import Range, parse_address
from vnicheck.model.cloud import Vni, VpcRoute
from vnicheck.model.flow import DropCode, Leg, Outcome, Scope, Stage

FORWARDING = Stage.FORWARDING
_TRANSLATES = (
    "the server may translate what it forwards to the internet (source NAT behind its floating IP or public gateway is "
    "how the documentation has a server do it), and that is not seen"
)
_PUBLIC = (
    "an ingress route leads what is sent to a public address here: to whom the server translates it, or who has it, is "
    "not seen"
)
_MEMBERS = "a network load balancer leads the answer to one of its members, which may be another server"


class Between(Struct, frozen=True):
    """A flow from one remote to another, as it is seen from either: `opener` and `answerer` are that remote, the other
    one being the local address.
    """

    opener: Opening
    answerer: Opening

    def at(self, ports: Ranges) -> "Between":
        """The same with some of the ports."""
        return Between(self.opener.at(ports), self.answerer.at(ports))


class _Passage:
    """One packet of the flow through the server, and the sections that it has passed. `sender`, `receiver`: the flow as
    seen from them; `seen`: ids of the VNIs that have seen the flow's opening packet, of an answer alone.
    """

    def __init__(self, walk: Walk, leg: Leg, flow: Between, seen: frozenset[str] = frozenset()) -> None:
        self._walk = walk
        self._view = walk.view
        self._leg = leg
        self._seen = seen
        request = leg is Leg.REQUEST
        self.sender, self.receiver = (flow.opener, flow.answerer) if request else (flow.answerer, flow.opener)
        self.source, self.destination = self.sender.remote, self.receiver.remote
        self.taken: list[Section] = []
        self.interfaces: tuple[str | None, str | None] = (None, None)
        """Where it enters the guest, and where it leaves."""

    def add(self, at: str, *checks: Check) -> None:
        """The next checks that it meets."""
        self.taken.append(self._walk.section(self._leg, at, *checks))

    def at_home(self, vni: Vni | None, at: Vni, *, sends: bool) -> None:
        """The ACL of the sender's own subnet (`sends`) or of the receiver's, where it has one that is not the VNI's."""
        view, side = self._view, self.sender if sends else self.receiver
        own, vpc = None if vni is None else view.subnet(vni), view.server.vpc.id
        if home_of(view.fabric, vpc, own, side.remote) is not None:
            packet = crossing_packet(self._walk, side, arriving=not sends, answer=self._leg is Leg.REPLY)
            self.add(view.at(at), remote_acl(view.fabric, vpc, own, packet))

    def cross(self, vni: Vni) -> Vni | None:
        """Through the server, in by the VNI. Returns the VNI by which it leaves, where that is known."""
        view, at = self._view, self._view.at(vni)
        self.add(at, *arrival_check(vni, view.assume, view.arrival))
        self._meet(vni, self.sender, arriving=True)
        interface = view.interface_of.get(vni.id)
        if view.kernel is None or interface is None:
            self.add(at, unknown(Stage.GUEST_INTERFACE, view.why_unmatched(vni)))
            return None
        self.add(interface, *if_down(view.kernel, interface))
        check, egress, gateway = self._forward(interface)
        self.add(interface, check)
        self.interfaces = interface, egress
        leaves = view.vni_of(egress) if egress is not None else None
        if egress is None:
            return None
        if leaves is None:
            self.add(egress, unknown(FORWARDING, f"leaves by {egress}, behind which no VNI is known"))
            return None
        return leaves if self._leave(leaves, egress, gateway, interface) else None

    def _meet(self, vni: Vni, side: Opening, *, arriving: bool) -> None:
        seen = self._leg is Leg.REQUEST or vni.id in self._seen
        self.taken.append(cross_vni(self._walk, self._leg, vni, side, arriving=arriving, seen=seen))

    def _leave(self, vni: Vni, egress: str, gateway: str | None, entered: str) -> bool:
        """Out by a VNI; whether it is known what the VPC does with it then."""
        view, fabric, vpc, subnet = self._view, self._view.fabric, self._view.server.vpc.id, self._view.subnet(vni)
        assert view.kernel is not None  # noqa: S101 - the caller has looked
        scope = view.scopes(vni).of(self.destination)
        public, into = public_range(fabric, vpc, self.source), public_range(fabric, vpc, self.destination)
        hop = None
        if into is not None and scope is Scope.INTERNET:
            hop = handed_to(fabric, subnet, view.reserved, self.destination)
            if hop is None:
                reason = f"the destination is of public address range {into.name}: where the VPC leads it from inside"
                self.add(egress, unknown(Stage.VPC_ROUTE, f"{reason} is not known", "public-ranges"))
                return False
            scope = Scope.VPC
        doubt = why_doubtful(fabric, vpc, self.source, subnet.zone) if scope is Scope.INTERNET else None
        translating = vni.floating_ips or subnet.public_gateway is not None
        if scope is Scope.INTERNET and (doubt is not None or (translating and public is None)):
            self.add(egress, unknown(FORWARDING, doubt or _TRANSLATES))
            return False
        if scope is Scope.INTERNET and public is None and view.scopes(vni).of(self.source) is Scope.INTERNET:
            self.add(egress, unknown(FORWARDING, _PUBLIC))
            return False
        next_hop = check_first_hop(subnet, egress, gateway, self.destination, FORWARDING, ())
        self.add(
            egress,
            *([next_hop] if next_hop.outcome is Outcome.UNKNOWN else []),
            *(if_down(view.kernel, egress) if egress != entered else ()),
            spoofing_check(vni, view.assume, "the source", scope, public=public),
        )
        self._meet(vni, self.receiver, arriving=False)
        if hop is not None:
            to_hop = f"a VPC route hands the public address to {hop}"
            self.add(egress, passes(Stage.VPC_ROUTE, to_hop, "public-ranges"))
        else:
            source, own = self.source, view.reserved
            self.add(egress, vpc_route(fabric, subnet, view.assume, self.destination, scope, source=source, own=own))
        return True

    def _forward(self, interface: str) -> tuple[Check, str | None, str | None]:
        """What the guest does with it; the interface and the gateway by which it sends it on, if it does."""
        kernel = self._view.kernel
        assert kernel is not None  # noqa: S101 - the caller has looked
        transport = self._transport()
        try:
            taken = kernel.take_in(interface, self.source, self.destination, transport)
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
        ruling = kernel.passed_on(interface, egress, self.source, self.destination, transport)
        if ruling is not None:
            return unknown(FORWARDING, ruling.reason, by=by), egress, gateway
        unread = None if kernel.firewall_read else "transit-unchanged"
        return passes(FORWARDING, taken.reason, unread, by), egress, gateway

    def half_seen(self) -> None:
        """Nothing answers by the server: what its firewall makes of the packets that follow the first then."""
        kernel, (entered, egress) = self._view.kernel, self.interfaces
        assert kernel is not None  # noqa: S101 - it was sent on
        assert entered is not None  # noqa: S101
        assert egress is not None  # noqa: S101
        ruling = kernel.passed_on(entered, egress, self.source, self.destination, self._transport(), answered=False)
        if ruling is not None:
            self.add(entered, unknown(FORWARDING, ruling.reason))

    def _transport(self) -> Transport:
        protocol = self.sender.protocol
        client, ports, answer = self._view.client_ports(protocol), _hull(self.sender.ports), self._leg is Leg.REPLY
        return Transport(protocol.number, *((ports, client) if answer else (client, ports)), of_source=answer)


def transit_path(walk: Walk, routes: list[TransitRoute], through: TransitRoute, flow: Between) -> Path:
    """Every check of both directions, each evaluated as if those before it had passed."""
    view, vpc, vni = walk.view, walk.view.server.vpc.id, through.vni
    request = _Passage(walk, Leg.REQUEST, flow)
    scope = view.scopes(vni).of(request.source)
    led = onward(view.fabric, vpc, request.source, scope, request.destination, routes)
    if isinstance(led, str):
        request.add(view.at(vni), unknown(Stage.VPC_ROUTE, led))
        return Path(tuple(request.taken), *request.interfaces, None)  # what becomes of it here says nothing of the flow
    request.add(view.at(vni), _by(through))
    request.at_home(vni, vni, sends=True)
    leaves = request.cross(vni)
    if leaves is None:
        return Path(tuple(request.taken), *request.interfaces, None)
    request.at_home(leaves, leaves, sends=False)
    reply = _Passage(walk, Leg.REPLY, flow, frozenset({vni.id, leaves.id}))
    symmetric = _answer(view, routes, reply, leaves, request.interfaces)
    if symmetric is False and reply.interfaces[1] is None:
        request.half_seen()
    return Path((*request.taken, *reply.taken), *request.interfaces, symmetric)


def _answer(
    view: ServerView, routes: list[TransitRoute], reply: _Passage, leaves: Vni, entered: tuple[str | None, str | None]
) -> bool | None:
    """The answer's way; whether it takes the request's interfaces back. `leaves`: the VNI that the request left by."""
    fabric, vpc, whence = view.fabric, view.server.vpc.id, reply.source
    if public_range(fabric, vpc, whence) is not None:
        hop = handed_to(fabric, view.subnet(leaves), view.reserved, whence)
        whence = whence if hop is None else parse_address(hop)
    back = onward(fabric, vpc, whence, view.scopes(leaves).of(whence), reply.destination, routes)
    if back is None:
        reply.at_home(None, leaves, sends=True)
        reply.at_home(None, leaves, sends=False)
        reply.add(view.at(leaves), passes(Stage.VPC_ROUTE, "the answer goes to the opener without this server"))
        return False
    if not isinstance(back, TransitRoute):
        reply.add(view.at(leaves), _elsewhere(back))
        return None
    reply.at_home(back.vni, back.vni, sends=True)
    reply.add(view.at(back.vni), _by(back) if back.alone else unknown(Stage.VPC_ROUTE, _MEMBERS, by=(back.name,)))
    gone = reply.cross(back.vni)
    if gone is not None:
        reply.at_home(gone, gone, sends=False)
    return None if reply.interfaces[1] is None else reply.interfaces == entered[::-1]


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


def _hull(ports: Ranges) -> Range:
    """From the first port to the last; the guest tells none of them apart."""
    return ports[0][0], ports[-1][1]
