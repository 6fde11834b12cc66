"""A fix outlives a boot: a server that its network manager configures from nothing, out of its own files and ours,
passes the packets that the plan promised.
"""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.api import StandIn
from tests.lab import managers
from tests.lab import scenario as scenarios
from tests.lab.namespaces import require_lab
from tests.lab.probe import Probe, probe
from tests.lab.scenario import Scenario
from tests.lab.test_analyze import PROGRAM, REPOSITORY, holds
from tests.lab.topology import Lab
from tests.lab.world import world_of
from vnicheck.guest.ssh import collect_script

pytestmark = pytest.mark.root

CASES = (
    ("article-check-1", "ifupdown", "policy-routing"),
    ("article-check-1", "netplan", "policy-routing"),
    ("article-check-1", "ifupdown", "rp-filter"),
    ("three-subnets", "ifupdown", "policy-routing"),
    ("three-subnets", "netplan", "policy-routing"),
)


class Reborn(Struct, frozen=True):
    """The plan, and what packets did after boots without our files and with them."""

    plan: dict[str, Any]
    without: list[Probe]
    after: list[Probe]
    findings: list[str]


def base_files(scenario: Scenario, manager: str) -> dict[str, str]:
    """What a server's own configuration says: addresses, one default route, strict filters; and for networkd a metric
    for each address, as DHCP gives one, so that the order of equal routes is no matter of chance.
    """
    names = [vni.interface for vni in scenario.vnis]
    keys = "".join(f"net.ipv4.conf.{name}.rp_filter = 1\n" for name in names)
    files = {"/etc/sysctl.d/50-strict.conf": f"net.ipv4.conf.all.rp_filter = 0\n{keys}"}
    netplan = ["network:", "  version: 2", "  ethernets:"]
    stanzas = ["source /etc/network/interfaces.d/*.cfg"]
    for number, vni in enumerate(scenario.vnis):
        prefix = f"{vni.addresses[0]}/24"
        gateway = scenario.subnet_of(vni).gateway if number == 0 else None
        stanzas += [f"auto {vni.interface}", f"iface {vni.interface} inet static", f"  address {prefix}"]
        netplan += [f"    {vni.interface}:", "      link-local: []"]
        if gateway is not None:
            stanzas.append(f"  gateway {gateway}")
            netplan += ["      routes:", "      - to: default", f"        via: {gateway}"]
        drop_in = f"/etc/systemd/network/10-netplan-{vni.interface}.network.d/dhcp.conf"
        if manager == "netplan":
            files[drop_in] = f"[Address]\nAddress={prefix}\nRouteMetric={100 + number}\n"
    if manager == "netplan":
        return {**files, "/etc/netplan/50-cloud-init.yaml": "\n".join([*netplan, ""])}
    return {**files, "/etc/network/interfaces": "\n".join([*stanzas, ""])}


def boot(lab: Lab, manager: str, rules: int) -> subprocess.Popen[str] | None:
    """The server as it is when its manager has configured it, with so many policy rules beside the kernel's. Returns
    the manager's daemon.
    """
    daemon = None
    names = [vni.interface for vni in lab.scenario.vnis]
    managers.forget(lab.target, names)
    managers.apply_sysctls(lab.target)
    if manager == "ifupdown":
        lab.target.run(["rm", "-rf", "/run/network"])
        managers.boot_ifupdown(lab.target)
    else:

        def ready() -> bool:
            configured = "grep -lr ADMIN_STATE=configured /run/systemd/netif/links | wc -l; ip rule | wc -l"
            return lab.target.run(["sh", "-c", configured]).stdout.split() == [str(len(names)), str(3 + rules)]

        daemon = managers.boot_netplan(lab.target, ready)
    lab.introduce_gateways()
    return daemon


def reborn(name: str, manager: str, strategy: str, folder: Path) -> Reborn:
    scenario = scenarios.load(name)
    collected = folder / f"{name}-{manager}-{strategy}.txt"
    with Lab(scenario, own_files=True) as lab:
        lab.target.run(["mkdir", "-p", "/run/systemd/system"])
        for path, text in base_files(scenario, manager).items():
            lab.target.run(["sh", "-c", f"mkdir -p {path.rpartition('/')[0]} && cat >{path}"], input=text)
        daemon = boot(lab, manager, 0)
        without = probe(lab)

        def program(*arguments: str) -> dict[str, Any]:
            collected.write_text(lab.target.run(["sh"], input=collect_script()).stdout)
            with lab.client.call(lambda: StandIn(world_of(scenario))) as api:
                command = [*PROGRAM, *arguments, "-f", "json", "--guest", f"{name}={collected}"]
                done = lab.client.run(
                    command, cwd=REPOSITORY, env={**os.environ, **api.environ}, timeout=90, check=False
                )
            assert done.stdout, done.stderr
            (instance,) = json.loads(done.stdout)["instances"]
            return dict(instance)

        plan = program("fix", name, "--dry-run", "--strategy", strategy)["plan"]
        path = f"PATH={managers.GENERATE.parent}:$PATH"
        for action in plan["actions"]:
            if action["kind"] == "persist":
                lab.target.run(["sh", "-c", f"{path}\n{action['command']}"], cwd="/")
        if daemon is not None:
            daemon.terminate()
            daemon.wait()
        boot(lab, manager, sum(action["kind"] == "policy_rule" for action in plan["actions"]))
        after = probe(lab)
        findings = [finding["rule"] for finding in program("analyze", name)["findings"]]
        return Reborn(plan, without, after, findings)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Reborn]:
    require_lab()
    managers.require_manager(managers.GENERATE, managers.IFUP, managers.NETWORKD, managers.SYSCTL)
    folder = tmp_path_factory.mktemp("persist")
    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(lambda case: reborn(*case, folder), CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_packets_pass_as_the_plan_promised(
    case: tuple[str, str, str], results: dict[tuple[str, str, str], Reborn]
) -> None:
    found = results[case]
    assert found.plan["strategy"] == case[2]
    assert found.plan["fixed"] > 0
    for moment, probes in (("before", found.without), ("after", found.after)):
        wrong = []
        for sent in probes:
            (flow,) = [flow for flow in found.plan[moment] if holds(flow, sent)]
            if flow["verdict"] != ("delivered" if sent.delivered else "dropped"):
                wrong.append((moment, sent, flow["verdict"]))
        assert wrong == []
    mended = {(sent.direction, sent.protocol, sent.remote, sent.local) for sent in found.after if sent.delivered}
    worked = {(sent.direction, sent.protocol, sent.remote, sent.local) for sent in found.without if sent.delivered}
    assert mended > worked


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_nothing_of_it_hangs_on_this_boot(
    case: tuple[str, str, str], results: dict[tuple[str, str, str], Reborn]
) -> None:
    found = results[case]
    assert not {"VNC251", "VNC252"} & set(found.findings)
    assert found.plan["next_boot"]
    assert not any("LOSES" in said or "as far as" in said for said in found.plan["next_boot"])
