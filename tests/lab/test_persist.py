"""A fix outlives a boot: `vnicheck fix` writes it to the server's configuration over SSH, the network manager
configures the server from nothing, and packets pass as the plan promised.
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.lab import managers
from tests.lab.bench import Bench, bench
from tests.lab.probe import probe_predicted
from tests.lab.program import holds
from tests.lab.require import require_lab
from tests.lab.scenario import Scenario
from tests.lab.topology import Lab
from tests.support.asked import asked_of
from tests.support.sshd import require
from vnicheck.rehearse.network import Vni
from vnicheck.rehearse.packets import Tried

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

CASES = (
    ("article-check-1", "ifupdown", "policy-routing"),
    ("article-check-1", "netplan", "policy-routing"),
    ("article-check-1", "ifupdown", "rp-filter"),
    ("article-check-1", "NetworkManager", "policy-routing"),
    ("three-subnets", "ifupdown", "policy-routing"),
    ("three-subnets", "netplan", "policy-routing"),
)
EACH_MANAGER = CASES[:2] + CASES[3:4]
"""Cases that always run: one for each manager."""
SAMPLED = [
    pytest.param(case, id=" ".join(case), marks=() if case in EACH_MANAGER else pytest.mark.long) for case in CASES
]


class Reborn(Struct, frozen=True):
    """The plan, and what packets did after boots without our files and with them."""

    plan: dict[str, Any]
    without: list[Tried]
    after: list[Tried]
    outcome: str
    findings: list[str]
    """Rules that find more than a note: NetworkManager loosens rp_filter by itself where its default route is."""
    undone: bool
    """Whether a rollback left /etc as it was before the fix."""


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
    """Keyfiles as NetworkManager writes them: it orders what it changes."""
    files = {}
    for number, (vni, prefix, gateway) in enumerate(configured(scenario)):
        files[f"/etc/NetworkManager/system-connections/cloud-init {vni.interface}.nmconnection"] = (
            f"[connection]\nid=cloud-init {vni.interface}\nuuid=5fb06bd0-0bb0-7ffb-45f1-00000000000{number}\n"
            f"type=ethernet\ninterface-name={vni.interface}\n\n[ethernet]\n\n"
            f"[ipv4]\naddress1={prefix}{'' if gateway is None else f',{gateway}'}\nmethod=manual\n\n"
            "[ipv6]\nmethod=disabled\n\n[proxy]\n"
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
    programs = f"SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin:{managers.GENERATE.parent}:{managers.NMCLI.parent}"
    with bench(name, folder / f"{name}-{manager}-{strategy}", config=[programs]) as server:
        lab = server.lab
        lab.target.run(["mkdir", "-p", "/run/systemd/system"])
        for file, text in base_files(lab.scenario, manager).items():
            script = f"umask 077; mkdir -p '{os.path.dirname(file)}' && cat >'{file}'"
            lab.target.run(["sh", "-c", script], input=text)
        if manager == "netplan":  # networkd is not root
            lab.target.run(["chmod", "-R", "a+rX", "/etc/systemd/network"])
        daemons = boot(lab, manager, 0)
        without, files = probe_predicted(lab), configuration(lab)
        applied = instance(fixed(server, strategy))
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        boot(lab, manager, sum(action["kind"] == "policy_rule" for action in applied["plan"]["actions"]))
        after = probe_predicted(lab)
        report = instance(server.run("analyze", name, "-f", "json"))
        changed = configuration(lab) != files
        undone = server.run("rollback", applied["outcome"]["change"], "--yes")
        return Reborn(
            plan=applied["plan"],
            outcome=applied["outcome"]["status"],
            without=without,
            after=after,
            findings=[each["rule"] for each in report["findings"] if each["severity"] != "note"],
            undone=undone.returncode == 0 and changed and configuration(lab) == files,
        )


def fixed(server: Bench, strategy: str) -> subprocess.CompletedProcess[str]:
    """What `fix` does. Managers of other namespaces are in sight here; where one comes or goes between its two looks,
    it rightly changes nothing, and is asked again.
    """
    for _ in range(4):
        done: subprocess.CompletedProcess[str] = server.fix("--strategy", strategy)
        if "(what manages its network): nothing was changed" not in done.stderr:
            break
        time.sleep(3)
    return done


def instance(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one server of a document."""
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["instances"]
    return dict(found)


def configuration(lab: Lab) -> str:
    """All files of /etc, but for the times that NetworkManager notes in its own."""
    script = 'cd /etc && find . -type f | LC_ALL=C sort | while read -r f; do echo "$f"; grep -v ^timestamp= "$f"; done'
    return lab.target.run(["sh", "-c", f"{script} | sha256sum"]).stdout


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, str], Reborn]:
    """The cases that the selected tests ask for."""
    require_lab()
    require("sshd", "ssh-keygen")
    managers.require_manager(*managers.ALL)
    folder = tmp_path_factory.mktemp("persist")
    wanted = [each["case"] for each in asked_of(request)]
    asked = [case for case in CASES if case in wanted]
    # One after the other: the namespaces show one another's processes, and so the managers that run in them.
    return {case: reborn(*case, folder) for case in asked}


@pytest.mark.parametrize("case", SAMPLED)
def test_packets_pass_as_the_plan_promised(
    case: tuple[str, str, str], results: dict[tuple[str, str, str], Reborn]
) -> None:
    found = results[case]
    assert (found.outcome, found.plan["strategy"]) == ("applied", case[2])
    assert found.plan["fixed"] > 0
    for moment, probes in (("before", found.without), ("after", found.after)):
        wrong = []
        for sent in probes:
            (flow,) = [flow for flow in found.plan[moment] if holds(flow, sent)]
            if flow["verdict"] != ("delivered" if sent.delivered else "dropped"):
                wrong.append((moment, sent, flow["verdict"]))
        assert wrong == []
    fixed = {(sent.direction, sent.protocol, sent.remote, sent.local) for sent in found.after if sent.delivered}
    worked = {(sent.direction, sent.protocol, sent.remote, sent.local) for sent in found.without if sent.delivered}
    assert fixed > worked


@pytest.mark.parametrize("case", SAMPLED)
def test_a_rollback_takes_the_files_back(
    case: tuple[str, str, str], results: dict[tuple[str, str, str], Reborn]
) -> None:
    assert results[case].undone


@pytest.mark.parametrize("case", SAMPLED)
def test_nothing_of_it_hangs_on_this_boot(
    case: tuple[str, str, str], results: dict[tuple[str, str, str], Reborn]
) -> None:
    found = results[case]
    assert not {"VNC251", "VNC252"} & set(found.findings)
    kept = f": {case[1]} configures " if case[2] == "policy-routing" else "a boot keeps rp_filter of "
    assert any(kept in said for said in found.plan["next_boot"])
    assert not any("the next boot takes" in said or "as far as" in said for said in found.plan["next_boot"])
