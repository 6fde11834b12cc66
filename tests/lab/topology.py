"""The lab: a scenario built of real interfaces."""

from tests.lab.scenario import Scenario
from vnicheck.rehearse.namespaces import RehearsalError
from vnicheck.rehearse.topology import Rebuilt


class Lab(Rebuilt):
    """A scenario, for the length of a `with` block. Raises RehearsalError also where its guest commands fail."""

    def __init__(self, scenario: Scenario, *, own_files: bool = False) -> None:
        super().__init__(scenario, own_files=own_files)
        self.scenario = scenario

    def configure_guest(self) -> None:
        """Runs the scenario's commands."""
        done = self.target.run(["sh", "-eu"], input=self.scenario.guest, check=False)
        if done.returncode != 0:
            raise RehearsalError(f"the guest commands of {self.scenario.name!r} failed: {done.stderr.strip()}")
