"""The stand-in VPC API: a world of resources (`world.World`) served over real HTTP (`standin.StandIn`).

    from tests.api import StandIn, World

    world = World().vpc("prod", prefixes=["10.0.0.0/16"]).subnet("a", "10.0.0.0/24").instance("web-1", interfaces=[
        dict(subnet="a", address="10.0.0.11", mac="02:00:05:02:70:58", mode="auto", allow_ip_spoofing=True),
        dict(subnet="a", address="10.0.0.12", floating_ip="203.0.113.7"),
    ])
    with StandIn(world) as api:
        client = connect(region=None, environ=api.environ, auth=None)   # VPC_URL and VPC_AUTH_TYPE=noauth
        ...
    assert api.unexpected == []

As a program: `python -m tests.api WORLD.json --port 8090` (`World.save` writes WORLD.json).
"""

from tests.api.faults import Fault
from tests.api.standin import Call, StandIn
from tests.api.world import World

__all__ = ["Call", "Fault", "StandIn", "World"]
