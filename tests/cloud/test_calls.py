"""A region of many pages: calls that are pages and not servers."""

from collections import Counter
from collections.abc import Callable

from tests.api import StandIn, World
from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.complete import complete
from vnicheck.cloud.read import LISTS, read_region

Opener = Callable[[StandIn], VpcClient]
SERVERS = 50
PAGE = 20


def region() -> World:
    """Servers of two VNIs, one of them legacy, and one of bare metal."""
    made = World().vpc("prod", prefixes=["10.0.0.0/16"]).routing_table("egress", routes=[]).subnet("a", "10.0.0.0/24")
    for number in range(SERVERS):
        interfaces = [{"subnet": "a", "address": f"10.0.0.{4 + 2 * number + nic}"} for nic in (0, 1)]
        made.instance(f"web-{number}", interfaces=interfaces, legacy=number == 0)
    return made.bare_metal_server("metal", interfaces=[{"subnet": "a", "address": "10.0.0.200"}])


def test_calls_are_pages_but_for_legacy_and_bare_metal_servers(to: Opener) -> None:
    made = region()
    with StandIn(made, page_size=PAGE) as api:
        client = to(api)
        read = read_region(client)
        found = complete(client, read, read.servers)
        calls = Counter(call.path for call in api.calls)
    for name in LISTS:
        assert calls.pop(f"/{name}") == max(1, -(-len(made.data[name]) // PAGE)), name
    apart = {server.id for server in found.servers if server.kind != "instance" or any(v.legacy for v in server.vnis)}
    of_servers = {
        path: count for path, count in calls.items() if path.startswith(("/instances/", "/bare_metal_servers/"))
    }
    assert {path.split("/")[2] for path in of_servers} == apart
    assert set(of_servers.values()) == {1}
    assert len(apart) == 2
    of_vpcs = {path: count for path, count in calls.items() if path.startswith("/vpcs/")}
    assert len(of_vpcs) == 2 + len(found.fabric.routing_tables)  # prefixes and tables of the one VPC, and each table
    assert of_servers.keys() | of_vpcs.keys() == calls.keys()
