"""Flows that netfilter leads to a container, which answers them by a way of its own (kernel/published.py)."""

from collections.abc import Iterable

from vnicheck.model.flow import Direction, Flow, Leg, Stage


def is_published(flow: Flow) -> bool:
    """Whether it is such a flow: the guest forwards what is sent to its own address."""
    return flow.direction is Direction.INBOUND and any(hop.stage is Stage.FORWARDING for hop in flow.hops)


def containers_devices(flows: Iterable[Flow]) -> tuple[str, ...]:
    """The devices by which the containers' answers come in."""
    found: dict[str, None] = {}
    for flow in flows:
        answers = [hop.at for hop in flow.hops if hop.leg is Leg.REPLY and hop.stage is Stage.FORWARDING]
        found.update(dict.fromkeys(answers[:1]))
    return tuple(found)
