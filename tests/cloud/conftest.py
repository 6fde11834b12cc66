"""A small world with every kind of server, and a client that gives up fast."""

from collections.abc import Callable, Iterator

import pytest

from tests.api import StandIn, World
from tests.support.vpc_client import FAST
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.connect import connect


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials or proxies of the machine reach the tests."""
    import os

    for name in list(os.environ):
        if name.startswith(("VPC", "IBM", "IC_", "VCAP")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def world() -> World:
    return (
        World()
        .vpc("prod", prefixes=["10.0.0.0/16", "10.1.0.0/16"])
        .network_acl("strict", rules=[{"action": "deny", "direction": "inbound", "source": "10.9.0.0/16"}])
        .security_group(
            "web",
            rules=[
                {"direction": "inbound", "protocol": "tcp", "port_min": 443, "port_max": 443},
                {"direction": "inbound", "protocol": "tcp", "remote": "web"},
            ],
        )
        .routing_table("egress", routes=[{"destination": "10.8.0.0/16", "next_hop": "10.0.0.5"}], ingress=["internet"])
        .subnet("a", "10.0.0.0/24")
        .subnet("b", "10.0.1.0/24", zone="us-south-2", network_acl="strict", routing_table="egress")
        .instance(
            "web-1",
            interfaces=[
                {"subnet": "a", "address": "10.0.0.11", "mac": "02:00:05:02:70:58", "allow_ip_spoofing": True},
                {
                    "subnet": "a",
                    "address": "10.0.0.12",
                    "mode": "disabled",
                    "secondary": ["10.0.0.13"],
                    "floating_ip": "203.0.113.7",
                    "security_groups": ["web"],
                },
            ],
        )
        .instance(
            "old-1",
            interfaces=[
                {"subnet": "a", "address": "10.0.0.21", "allow_ip_spoofing": True, "floating_ip": "203.0.113.21"},
                {"subnet": "b", "address": "10.0.1.21", "security_groups": ["web"]},
            ],
            legacy=True,
        )
        .bare_metal_server(
            "metal-1",
            interfaces=[
                {"subnet": "a", "address": "10.0.0.31"},
                {
                    "subnet": "b",
                    "address": "10.0.1.31",
                    "interface_type": "vlan",
                    "vlan": 100,
                    "floating_ip": "203.0.113.31",
                    "floating_ip_on": "attachment",
                },
            ],
        )
    )


@pytest.fixture
def to() -> Callable[[StandIn], VpcClient]:
    """A client of a stand-in."""
    return lambda api: connect(region=None, environ=api.environ, auth=None, http=FAST)


@pytest.fixture
def api(world: World) -> Iterator[StandIn]:
    with StandIn(world) as running:
        yield running
