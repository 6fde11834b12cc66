"""A region as read in bulk."""

from dataclasses import dataclass

from vnicheck.cloud import wire
from vnicheck.model.cloud import Fabric
from vnicheck.model.snapshot import Problem, Server


@dataclass(frozen=True)
class Region:
    """The servers in scope (`guest` None) and what they share.

    `scope` says for messages where was looked: endpoint and filters. `problems` tell of servers that may be in scope
    and could not be read (codes of CloudError); reading the rest went on. Read in bulk, a region lacks each VPC's
    prefixes and routing tables, what legacy interfaces allow, bare metal interface types, and what is behind
    `load_balancers` (None: not readable): `vnicheck.cloud.complete` adds them for the servers that were selected.
    `name` is the region's, empty where none is known. `failure`: why nothing at all could be read of it.
    """

    servers: tuple[Server, ...]
    fabric: Fabric
    scope: str
    problems: tuple[Problem, ...] = ()
    load_balancers: tuple[wire.LoadBalancer, ...] | None = None
    name: str = ""
    failure: Problem | None = None
