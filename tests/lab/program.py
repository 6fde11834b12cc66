"""The program in the lab: how it reaches the target, and which of its classes a probe belongs to."""

import ipaddress
import sys
from pathlib import Path
from typing import Any

from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from tests.support.sshd import Sshd
from vnicheck.rehearse.packets import Tried

PROGRAM = [sys.executable, "-m", "vnicheck"]
DECIDED_BY_CLIENT_PORT = {"security-groups", "network-acl"}
"""Scenarios whose rules admit an answer only to some ports: vnicheck cannot know which port the opening side takes."""
REPOSITORY = Path(__file__).resolve().parents[2]


def holds(flow: dict[str, Any], probe: Tried) -> bool:
    if (flow["direction"], flow["protocol"], flow["local"]) != (probe.direction, probe.protocol, probe.local):
        return False
    if not any(ipaddress.ip_address(probe.remote) in ipaddress.ip_network(prefix) for prefix in flow["remote"]):
        return False
    ranges = [ports.split("-") for ports in flow.get("ports") or []]
    return probe.port is None or any(int(ends[0]) <= probe.port <= int(ends[-1]) for ends in ranges)


def ssh_arguments(lab: Lab, sshd: Sshd, folder: Path) -> list[str]:
    """Options with which the program reaches the target: bound, like its user's, to the management address."""
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(sshd.known_hosts_line(lab.scenario.locals[0]) + "\n")
    return [
        "--ssh-address",
        "private",
        "--known-hosts",
        str(known_hosts),
        "-i",
        str(sshd.client_key),
        "-F",
        "none",
        "--ssh-user",
        "root",
    ]


def configuration(scenario: Scenario, folder: Path) -> list[str]:
    """What a user would tell: what the lab's spoofing check does, and the clients' ports where they are known."""
    lines = ["[assumptions]", 'spoofing-sibling = "dropped"']
    if scenario.client_ports is not None:
        first, last = scenario.client_ports
        lines.append(f'client-ports = "{first}-{last}"')
    (folder / "vnicheck.toml").write_text("\n".join(lines) + "\n")
    return ["--config", str(folder / "vnicheck.toml")]
