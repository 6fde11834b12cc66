"""Security groups of a VNI: allow rules only, the union of all groups; what none admits is refused.

Source: IBM Cloud Docs, VPC: using-security-groups.
"""

from collections.abc import Hashable, Iterator

from vnicheck.fabric.answers import Answers
from vnicheck.fabric.check import Check, drops, passes, unknown
from vnicheck.fabric.group_rules import GroupRules
from vnicheck.fabric.memory import remembered
from vnicheck.fabric.transport import CrossingPacket, kind_of
from vnicheck.model.address_map import AddressMap, joined
from vnicheck.model.cloud import Fabric, Vni
from vnicheck.model.config import Assumptions
from vnicheck.model.flow import DropCode, Stage

STAGE = Stage.SECURITY_GROUP


def answer_to_seen(vni: Vni, assume: Assumptions, *, seen: bool) -> Check | None:
    """An answer on the VNI that let the opening packet through; None for one that must be admitted by the rules."""
    if not seen:
        if assume.sg_stateless:
            return None
        return passes(STAGE, "answers need no rule of their own (as configured)", "sg-stateless")
    return passes(STAGE, f"the security groups of {vni.name} have admitted this flow's opening packet")


def group_answers(fabric: Fabric, vni: Vni, packet: CrossingPacket) -> Answers | None:
    """What the rules of the VNI's groups say of a packet; None where they are not known."""
    rules = group_rules(fabric, vni)
    if rules is None:
        return None
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    return rules.answers(kind, packet.remotes, packet.local, packet.dports)


def groups_check(fabric: Fabric, vni: Vni, answers: Answers | None, *, direction: str, opening: bool) -> Check:
    """What the VNI's groups do with packets of a direction of which their rules say this. `opening` is False for an
    answer whose opening packet the groups have not seen.
    """
    assumption = None if opening else "sg-stateless"
    if answers is None:
        reason = fabric.missing.get("security_groups", "not readable")
        return unknown(STAGE, f"the security groups of {vni.name}: {reason}", assumption)
    admitted, by = answers.passed, answers.lines
    if admitted == {True}:
        return passes(STAGE, f"the security groups of {vni.name} admit it", assumption, by)
    if admitted == {False}:
        reason = f"no {direction} rule of the security groups of {vni.name} admits it"
        return drops(STAGE, DropCode.SECURITY_GROUP, reason, assumption)
    if None in admitted:
        return unknown(STAGE, f"a rule of the security groups of {vni.name} may admit it", assumption, by)
    return unknown(STAGE, f"the security groups of {vni.name} decide by the opening side's own port", "client-ports")


def by_port(fabric: Fabric, vni: Vni, packet: CrossingPacket) -> AddressMap[bool | None] | None:
    """Whether the groups admit the packet, by its destination port, whichever rule decides; None where the port makes
    no difference.
    """
    rules = group_rules(fabric, vni)
    if rules is None:
        return None
    kind = kind_of(packet.direction, packet.protocol, packet.icmp_type)
    admissions = rules.admissions(kind, packet.remotes[0], packet.local)
    return joined((each.first, each.admitted) for each in admissions) if len(admissions) > 1 else None


def local_set(fabric: Fabric, vni: Vni, local: int) -> int | None:
    """Which local ends of rules an address is in: all that the groups read of it."""
    rules = group_rules(fabric, vni)
    return None if rules is None else rules.locals.at(local)


def alike_ends(fabric: Fabric, vni: Vni) -> Iterator[AddressMap[tuple[Hashable, Hashable]]]:
    """What the groups tell addresses apart by, as the remote and as the local end: of each a fate and a value."""
    rules = group_rules(fabric, vni)
    if rules is not None:
        yield rules.alike(rules.locals.starts)
        yield rules.locals.mapped(lambda held: (held, None))


def alike(fabric: Fabric, vni: Vni, locals_: frozenset[int]) -> AddressMap[tuple[int, int]] | None:
    """See GroupRules.alike; None where the groups tell no remotes apart."""
    rules = group_rules(fabric, vni)
    return None if rules is None else rules.alike(locals_)


def group_rules(fabric: Fabric, vni: Vni) -> GroupRules | None:
    """The rules of the VNI's groups; None where not all of them are known."""
    return rules_of(fabric, vni.security_groups)


def rules_of(fabric: Fabric, ids: tuple[str, ...] | None) -> GroupRules | None:
    """The rules of some groups; None where not all of them are known."""
    return remembered(fabric, (STAGE, ids), lambda: _compile(fabric, ids))


def _compile(fabric: Fabric, ids: tuple[str, ...] | None) -> GroupRules | None:
    if ids is None:
        return None
    groups = [fabric.security_groups.get(group) for group in ids]
    known = [group for group in groups if group is not None]
    return GroupRules(fabric, known) if len(known) == len(groups) else None
