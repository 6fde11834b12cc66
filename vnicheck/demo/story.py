"""The words around the recorded case: what will be seen, observed beside predicted, what to type next."""

from collections.abc import Sequence

from msgspec import Struct

from vnicheck.demo.checks import CHECKS, CLIENT, SERVICE, ArticleCheck, Observation, predicted
from vnicheck.findings.terms import DROPS
from vnicheck.model.report import InstanceReport

TITLE = "A recorded case: ping works and curl does not"
_SCENE = (
    f"A server with two VNIs in one subnet, eth0 10.0.0.11 and eth1 {SERVICE}, and a client {CLIENT} in another "
    f"network. The client talks to {SERVICE}; the server's routing table answers by eth0."
)
_SHOWN = (
    "You will see three states of it. Of each: what packets were recorded to do (observed), what vnicheck says of them "
    "from the configuration alone (predicted), and its report in short."
)
_ASSUMED = "One assumption is set as recorded: spoofing-sibling passed ('vnicheck explain spoofing-sibling')."
BEGINNING = (_SCENE, _SHOWN, _ASSUMED)
NEXT = (
    ("vnicheck explain VNC102", "what a finding means, and how to fix it"),
    ("vnicheck demo --rehearse", "this with real packets, on this machine"),
    ("vnicheck demo -f html -o demo.html", "this as a page, with all facts"),
    ("vnicheck analyze web-1", "a server of your own account"),
    ("vnicheck fix web-1 --dry-run", "what would fix it, proved on the model"),
)
"""Commands, and what each is for."""


class Comparison(Struct, frozen=True):
    """One thing that the client tried: what happened, what is predicted of it, and whether that is the same."""

    observation: Observation
    observed: str
    predicted: str
    agrees: bool


def compared(check: ArticleCheck, instance: InstanceReport) -> tuple[Comparison, ...]:
    """What was observed in a check, each beside what is predicted of the class of flows that it belongs to."""
    return tuple(_compared(observation, instance) for observation in check.observations)


def _compared(observation: Observation, instance: InstanceReport) -> Comparison:
    flow = predicted(instance, observation)
    said = "delivered" if not flow.drops else f"dropped by {DROPS[flow.drops[0].by].agent} at {flow.drops[0].at}"
    return Comparison(
        observation,
        f"{'answered' if observation.answered else 'lost'}: {observation.seen}",
        said,
        (flow.verdict == "delivered") is observation.answered,
    )


def conclusion(instances: Sequence[InstanceReport]) -> str:
    """How many of all observations are as predicted."""
    agree = [
        each.agrees for check, instance in zip(CHECKS, instances, strict=True) for each in compared(check, instance)
    ]
    return f"{sum(agree)} of {len(agree)} observations are as predicted. No packet was needed to predict them."
