"""Evidence: the lines, settings and API fields that a finding rests on, each with the time it was collected."""

from collections.abc import Iterable, Sequence

from msgspec import UnsetType

from vnicheck.findings.facts import Facts
from vnicheck.model.cloud import LoadBalancerMember, Vni
from vnicheck.model.finding import Evidence
from vnicheck.model.flow import Direction, DropCode, Flow, GuestLines, Hop, Stage
from vnicheck.model.words import one_line

RPF_COUNTER = "TcpExtIPReversePathFilter"


def of_hops(facts: Facts, flow: Flow, hops: Sequence[Hop]) -> tuple[Evidence, ...]:
    """What these hops of a flow rest on; a hop's own reason where no single fact can be named."""
    found: dict[Evidence, None] = {}
    for hop in hops:
        named = list(_of_hop(facts, flow, hop))
        found.update(dict.fromkeys([*(named or [_reason(facts, hop)]), *_seen(hop)]))
    return tuple(found)


def _seen(hop: Hop) -> list[Evidence]:
    """That the hop was seen to be so, by whom and when."""
    if isinstance(hop.observed, UnsetType):
        return []
    text = f"{hop.stage.replace('_', ' ')} at {hop.at}: {hop.outcome}, as predicted"
    return [Evidence(source=f"seen ({hop.observed.how})", text=text, collected_at=hop.observed.at)]


def sysctls(facts: Facts, *paths: str) -> list[Evidence]:
    """Sysctls by their path below /proc/sys; those that were not collected are left out."""
    guest = facts.view.server.guest
    if guest is None:
        return []
    return [
        Evidence(source="sysctl", text=f"{path} = {guest.sysctls[path]}", collected_at=guest.collected_at)
        for path in paths
        if path in guest.sysctls
    ]


def rp_filter(facts: Facts, interface: str) -> list[Evidence]:
    """The two values whose larger one is in force on an interface."""
    return sysctls(facts, *(f"net/ipv4/conf/{name}/rp_filter" for name in ("all", interface)))


def reverse_path_counter(facts: Facts) -> list[Evidence]:
    """The kernel's count of packets that rp_filter dropped, where any were."""
    guest = facts.view.server.guest
    count = guest.counters.get(RPF_COUNTER) if guest is not None else None
    if guest is None or count is None or count == 0:
        return []
    text = f"{RPF_COUNTER} = {count} (all interfaces of the network namespace, since it was made)"
    return [Evidence(source="/proc/net/netstat", text=text, collected_at=guest.collected_at)]


def martians_logged(facts: Facts, interface: str) -> list[Evidence]:
    """Whether the kernel logs what it drops on an interface: without that nothing is to be found in the logs."""
    return sysctls(facts, *(f"net/ipv4/conf/{name}/log_martians" for name in ("all", interface)))


def half_open(facts: Facts, flow: Flow) -> list[Evidence]:
    """Connections to the flow's address whose SYN the guest has answered, and of which it has heard no more."""
    guest = facts.view.server.guest
    count = guest.sockets.half_open.get(flow.local) if guest is not None and guest.sockets is not None else None
    if guest is None or count is None or flow.direction is not Direction.INBOUND:
        return []
    text = f"{count} half-open connections to {flow.local} (SYN_RECV): their SYN-ACKs were not answered"
    return [Evidence(source="/proc/net/tcp", text=text, collected_at=guest.collected_at)]


def vni_field(facts: Facts, vni: Vni, *fields: str) -> list[Evidence]:
    """Fields of a VNI (or legacy interface) as the API gives them."""
    server = facts.view.server
    path = (
        f"instances/{server.id}/network_interfaces/{vni.id}" if vni.legacy else f"virtual_network_interfaces/{vni.id}"
    )
    return [_api(facts, path, f"{vni.name}: {field} = {_json(getattr(vni, field))}") for field in fields]


def guest_line(facts: Facts, command: str, text: str) -> Evidence:
    """A line of a command's output."""
    guest = facts.view.server.guest
    return Evidence(source=command, text=one_line(text), collected_at=guest.collected_at if guest is not None else "")


def subnet_field(facts: Facts, vni: Vni) -> Evidence:
    """The subnet of a VNI."""
    subnet = facts.view.subnet(vni)
    return _api(facts, f"subnets/{subnet.id}", f"ipv4_cidr_block = {subnet.cidr}")


def pool_member(facts: Facts, member: LoadBalancerMember) -> Evidence:
    """A member of a load balancer's pool, by its address."""
    path = f"load_balancers/{member.load_balancer.id}/pools/{member.pool.id}/members"
    return _api(facts, path, f"target.address = {_json(member.address)}, port = {_json(member.port)}")


def primary_interface(facts: Facts, vni: Vni) -> Evidence:
    """That a VNI (or legacy interface) is the server's primary one."""
    server = facts.view.server
    field = "primary_network_interface" if vni.legacy else "primary_network_attachment.virtual_network_interface"
    return _api(facts, f"{server.kind}s/{server.id}", f"{field}.id = {vni.id}")


def _of_hop(facts: Facts, flow: Flow, hop: Hop) -> Iterable[Evidence]:
    vni = facts.vni_named(hop.at)
    match hop.stage:
        case Stage.SOURCE_VALIDATION:
            yield from rp_filter(facts, hop.at)
            yield from _lines(facts, hop)
            if hop.drop is DropCode.RP_FILTER:
                yield from _back(facts, flow, hop)
                yield from reverse_path_counter(facts)
                yield from martians_logged(facts, hop.at)
        case Stage.REPLY_ROUTE | Stage.REQUEST_ROUTE:
            yield from _lines(facts, hop)
        case Stage.PROTOCOL_STATE_FILTERING if vni is not None:
            yield (
                _api(
                    facts,
                    f"instances/{facts.view.server.id}/network_interfaces/{vni.id}",
                    f"{vni.name}: a legacy interface, which filters as in mode auto",
                )
                if vni.legacy
                else vni_field(facts, vni, "protocol_state_filtering_mode")[0]
            )
            yield from _back(facts, flow, hop)
            yield from half_open(facts, flow)
        case Stage.IP_SPOOFING_CHECK if vni is not None:
            yield from vni_field(facts, vni, "allow_ip_spoofing")
            yield from _back(facts, flow, hop)
        case Stage.FLOATING_IP:
            for holder in facts.view.server.vnis:
                for address in holder.floating_ips:
                    yield _api(facts, f"floating_ips/{address.id}", f"address = {address.address}, of {holder.name}")
            yield from _back(facts, flow, hop)
        case Stage.SECURITY_GROUP if vni is not None:
            for group in vni.security_groups or ():
                known = facts.view.fabric.security_groups.get(group)
                yield _api(facts, f"security_groups/{group}", f"name = {known.name if known is not None else group}")
        case Stage.NETWORK_ACL if vni is not None:
            acl = facts.view.subnet(vni).network_acl
            if acl is not None:
                yield _api(facts, f"network_acls/{acl}", hop.reason)
        case Stage.INTERFACE_STATE | Stage.LOCAL_DELIVERY:
            yield from _link(facts, hop)


def back_lines(facts: Facts, flow: Flow) -> list[Evidence]:
    """The rule and the route by which a flow's packets leave the guest."""
    return list(_back(facts, flow, None))


def _back(facts: Facts, flow: Flow, hop: Hop | None) -> Iterable[Evidence]:
    """The rule and the route by which the flow's other packet leaves: what makes its path asymmetric."""
    for other in flow.hops:
        if other is not hop and other.stage in {Stage.REPLY_ROUTE, Stage.REQUEST_ROUTE}:
            yield from _lines(facts, other)


def _lines(facts: Facts, hop: Hop) -> Iterable[Evidence]:
    """The policy rule and the route that decided, of several the first."""
    for each in hop.by[:1]:
        if isinstance(each, GuestLines):
            for command, line in (("ip rule", each.rule), ("ip route", each.route)):
                if line:  # a line that the snapshot has no text of is no evidence
                    yield guest_line(facts, command, line)


def _link(facts: Facts, hop: Hop) -> Iterable[Evidence]:
    guest = facts.view.server.guest
    for link in guest.interfaces if guest is not None else ():
        if link.name == hop.at:
            state = f"{'up' if link.up else 'down'}, {'carrier' if link.carrier else 'no carrier'}"
            addresses = ", ".join(address.prefix for address in link.addresses) or "no IPv4 address"
            yield guest_line(facts, "ip address", f"{link.name}: {state}, {addresses}")


def _reason(facts: Facts, hop: Hop) -> Evidence:
    guest = facts.view.server.guest
    collected_at = guest.collected_at if guest is not None else facts.read_at
    return Evidence(source=f"{hop.stage} at {hop.at}", text=hop.reason, collected_at=collected_at)


def _api(facts: Facts, path: str, text: str) -> Evidence:
    return Evidence(source=f"GET /{path}", text=text, collected_at=facts.read_at)


def _json(value: object) -> str:
    """A field's value as the API's JSON has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
