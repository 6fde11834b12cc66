"""What flows of many servers rest on, told once at the foot of a report."""

from vnicheck.fabric.assumptions import SHARED
from vnicheck.model.report import InstanceReport
from vnicheck.model.words import listed
from vnicheck.report.coverage import some


class Assumed:
    """Collects the servers whose flows rest on a shared assumption."""

    def __init__(self) -> None:
        self._servers: dict[str, dict[str, None]] = {}

    def add(self, instance: InstanceReport) -> None:
        """Takes one server's flows."""
        for assumption in {hop.assumption for flow in instance.flows for hop in flow.hops} & SHARED.keys():
            if assumption is not None:
                self._servers.setdefault(assumption, {})[instance.name] = None

    def short(self) -> str:
        """All of them in a few words; empty where there are none."""
        ids = sorted(self._servers)
        return f"{listed([SHARED[each].short for each in ids])} ({', '.join(ids)})" if ids else ""

    def lines(self) -> list[str]:
        """One line for each assumption."""
        return [
            f"{SHARED[assumption].statement.partition('. ')[0].rstrip('.')} ({assumption}; {some(list(names))})."
            for assumption, names in sorted(self._servers.items())
        ]
