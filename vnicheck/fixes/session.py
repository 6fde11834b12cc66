"""Whether a plan changes the way of the SSH session that applies it."""

from vnicheck.engine.classify import local_addresses, predict_flow
from vnicheck.engine.server_view import LocalAddress
from vnicheck.findings.facts import Facts
from vnicheck.fixes.effects import Effect
from vnicheck.fixes.trial import Trial
from vnicheck.model.address import parse_address
from vnicheck.model.flow import Direction, Flow, Protocol


def touches_session(trial: Trial, effects: tuple[Effect, ...], *, client: str, local: str, port: int) -> str | None:
    """What changes for the session from `client` to the server's address `local`, in words; None where nothing does.

    None too where the addresses are none that the model knows (an address behind a translation of the guest's own).
    """
    before = _session(trial.facts, client, local, port)
    after = _session(trial.facts_after(effects), client, local, port)
    if before is None or after is None or _way(before) == _way(after):
        return None
    if before.egress != after.egress:
        what = f"its packets leave by {after.egress}, no longer by {before.egress}"
    else:
        what = "it is judged by other rules on its way"
    return f"this changes the path of the SSH session itself ({client} to {local}): {what}"


def _session(facts: Facts, client: str, local: str, port: int) -> Flow | None:
    try:
        remote = parse_address(client)
    except ValueError:
        return None
    own: LocalAddress | None = next((each for each in local_addresses(facts.view) if each.address == local), None)
    if own is None or own.number == remote:
        return None
    return predict_flow(facts.view, Direction.INBOUND, Protocol.TCP, own, remote, port)


def _way(flow: Flow) -> tuple[object, ...]:
    return flow.verdict, flow.egress, [(hop.leg, hop.at, hop.stage, hop.outcome, hop.reason) for hop in flow.hops]
