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
from tests.lab.scenario import Scenario, Vni
from tests.lab.test_analyze import PROGRAM, REPOSITORY, holds
from tests.lab.topology import Lab
from tests.lab.world import world_of
from vnicheck.guest.ssh import collect_script

pytestmark = pytest.mark.root

CASES = (
    ("article-check-1", "ifupdown", "policy-routing"),
    ("article-check-1", "netplan", "policy-routing"),
    ("article-check-1", "ifupdown", "rp-filter"),
    ("article-check-1", "NetworkManager", "policy-routing"),
    ("three-subnets", "ifupdown", "policy-routing"),
    ("three-subnets", "netplan", "policy-routing"),
    ("three-subnets", "NetworkManager", "policy-routing"),
)


class Reborn(Struct, frozen=True):
    """The plan, and what packets did after boots without our files and with them."""

    plan: dict[str, Any]
    without: list[Probe]
    after: list[Probe]
    findings: list[str]
    """Rules that find more than a note: NetworkManager loosens rp_filter by itself where its default route is."""


def ifupdown_files(scenario: Scenario) -> dict[str, str]:
    lines = ["source /etc/network/interfaces.d/*.cfg"]
    for vni, prefix, gateway in configured(scenario):
        lines += [f"auto {vni.interface}", f"iface {vni.interface} inet static", f"  address {prefix}"]
        lines += [f"  gateway {gateway}"] if gateway is not None else []
    return {"/etc/network/interfaces": "\n".join([*lines, ""])}


def netplan_files(scenario: Scenario) -> dict[str, str]:
    """Addresses come from drop-ins, with a metric each, as DHCP gives them: netplan has none for its own addresses, and
    which of two equal routes is the first would be a matter of chance.
    """
    lines = ["network:", "  version: 2", "  ethernets:"]
    files = {}
    for number, (vni, prefix, gateway) in enumerate(configured(scenario)):
        lines += [f"    {vni.interface}:", "      link-local: []"]
        lines += ["      routes:", "      - to: default", f"        via: {gateway}"] if gateway is not None else []
        drop_in = f"/etc/systemd/network/10-netplan-{vni.interface}.network.d/dhcp.conf"
        files[drop_in] = f"[Address]\nAddress={prefix}\nRouteMetric={100 + number}\n"
    return {**files, "/etc/netplan/50-cloud-init.yaml": "\n".join([*lines, ""])}


def network_manager_files(scenario: Scenario) -> dict[str, str]:
    files = {}
    for number, (vni, prefix, gateway) in enumerate(configured(scenario)):
        files[f"/etc/NetworkManager/system-connections/cloud-init {vni.interface}.nmconnection"] = (
            f"[connection]\nid=cloud-init {vni.interface}\nuuid=5fb06bd0-0bb0-7ffb-45f1-00000000000{number}\n"
            f"type=ethernet\ninterface-name={vni.interface}\n[ipv4]\nmethod=manual\n"
            f"address1={prefix}{'' if gateway is None else f',{gateway}'}\n[ipv6]\nmethod=disabled\n"
        )
    return files


def configured(scenario: Scenario) -> list[tuple[Vni, str, str | None]]:
    """Each VNI with its address and, the first one, its gateway: one default route."""
    first = scenario.subnet_of(scenario.vnis[0]).gateway
    return [(vni, f"{vni.addresses[0]}/24", None if number else first) for number, vni in enumerate(scenario.vnis)]


FILES = {"ifupdown": ifupdown_files, "netplan": netplan_files, "NetworkManager": network_manager_files}


def base_files(scenario: Scenario, manager: str) -> dict[str, str]:
    """What a server's own configuration says: addresses, one default route, strict filters."""
    keys = "".join(f"net.ipv4.conf.{vni.interface}.rp_filter = 1\n" for vni in scenario.vnis)
    files = {"/etc/sysctl.d/50-strict.conf": f"net.ipv4.conf.all.rp_filter = 0\n{keys}"}
    return files | FILES[manager](scenario)


def boot(lab: Lab, manager: str, rules: int) -> list[subprocess.Popen[str]]:
    """The server as it is when its manager has configured it, with so many policy rules beside the kernel's. Returns
    the manager's daemons.
    """
    names = [vni.interface for vni in lab.scenario.vnis]
    managers.forget(lab.target, names)
    managers.apply_sysctls(lab.target)

    def counts(script: str) -> bool:
        shown = lab.target.run(["sh", "-c", f"{script} | wc -l; ip rule | wc -l"], check=False).stdout.split()
        return shown == [str(len(names)), str(3 + rules)]

    daemons: list[subprocess.Popen[str]] = []
    if manager == "ifupdown":
        lab.target.run(["rm", "-rf", "/run/network"])
        managers.boot_ifupdown(lab.target)
    elif manager == "netplan":
        ready = "grep -lr ADMIN_STATE=configured /run/systemd/netif/links"
        daemons = managers.boot_netplan(lab.target, lambda: counts(ready))
    else:
        ready = f"{managers.NMCLI} -t -f STATE,CONNECTION device | grep '^connected:cloud-init'"
        daemons = managers.boot_network_manager(lab.target, lambda: counts(ready))
    lab.introduce_gateways()
    return daemons


def reborn(name: str, manager: str, strategy: str, folder: Path) -> Reborn:
    scenario = scenarios.load(name)
    collected = folder / f"{name}-{manager}-{strategy}.txt"
    path = f"PATH=$PATH:{managers.GENERATE.parent}:{managers.NMCLI.parent}"
    with Lab(scenario, own_files=True) as lab:
        lab.target.run(["mkdir", "-p", "/run/systemd/system"])
        for file, text in base_files(scenario, manager).items():
            script = f"umask 077; mkdir -p '{os.path.dirname(file)}' && cat >'{file}'"
            lab.target.run(["sh", "-c", script], input=text)
        if manager == "netplan":  # networkd is not root
            lab.target.run(["chmod", "-R", "a+rX", "/etc/systemd/network"])
        daemons = boot(lab, manager, 0)
        without = probe(lab)

        def program(*arguments: str) -> dict[str, Any]:
            collected.write_text(lab.target.run(["sh", "-c", f"{path} exec sh"], input=collect_script()).stdout)
            with lab.client.call(lambda: StandIn(world_of(scenario))) as api:
                command = [*PROGRAM, *arguments, "-f", "json", "--guest", f"{name}={collected}"]
                done = lab.client.run(
                    command, cwd=REPOSITORY, env={**os.environ, **api.environ}, timeout=90, check=False
                )
            assert done.stdout, done.stderr
            (instance,) = json.loads(done.stdout)["instances"]
            return dict(instance)

        plan = program("fix", name, "--dry-run", "--strategy", strategy)["plan"]
        for action in plan["actions"]:
            if action["kind"] == "persist":
                lab.target.run(["sh", "-c", f"{path}\n{action['command']}"], cwd="/")
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        boot(lab, manager, sum(action["kind"] == "policy_rule" for action in plan["actions"]))
        after = probe(lab)
        findings = [each["rule"] for each in program("analyze", name)["findings"] if each["severity"] != "note"]
        return Reborn(plan, without, after, findings)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Reborn]:
    require_lab()
    managers.require_manager(*managers.ALL)
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
    kept = f": {case[1]} configures " if case[2] == "policy-routing" else "a boot keeps rp_filter of "
    assert any(kept in said for said in found.plan["next_boot"])
    assert not any("LOSES" in said or "as far as" in said for said in found.plan["next_boot"])
