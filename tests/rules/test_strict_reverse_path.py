"""VNC101: networks that nobody is meant to send from by a VNI, and sysctls that were not read."""

import msgspec
import pytest

from tests.support.drop_cases import OPEN_DISABLED
from tests.support.servers import guest, link, report, server, vni
from vnicheck.model.config import Config
from vnicheck.model.snapshot import Server


def test_strict_without_sysctls_is_no_finding() -> None:
    inside = msgspec.structs.replace(guest(), sysctls={}, missing={"sysctls": "permission denied"})
    of = server(*OPEN_DISABLED, guest=inside)
    assert [each.rule for each in report(of).findings if each.rule < "VNC2"] == [], "none of drops"


def with_network_behind(device: str, kind: str = "bridge") -> Server:
    routes = f"default via 10.0.0.1 dev eth0\n10.0.0.0/24 dev eth0 scope link\n172.17.0.0/16 dev {device} scope link\n"
    links = (link("eth0", 0, "10.0.0.11/24"), link(device, 3, "172.17.0.1/16", kind=kind))
    return server(vni(0, "10.0.0.11"), guest=guest(*links, routes=routes, rp_filter={"all": 1}))


def test_the_guests_own_networks_are_a_note_and_nothing_to_fix() -> None:
    """Strict filtering drops what claims to come from behind the VLAN: nobody is meant to send that by a VNI."""
    (finding,) = report(with_network_behind("lan0", "vlan")).findings
    assert (finding.rule, finding.severity, finding.fixes) == ("VNC101", "note", ())


@pytest.mark.parametrize("device", ["docker0", "lan0"])
def test_a_network_of_containers_is_no_finding_unless_it_is_configured_to_be_elsewhere(device: str) -> None:
    of = with_network_behind(device)
    assert report(of).findings == ()
    (finding,) = report(of, None, Config(networks={"branch": ("172.17.5.0/24",)})).findings
    assert (finding.rule, finding.severity) == ("VNC101", "note")
