"""Seeded random configurations, as the commands that make them: `ip ...` and `sysctl -w KEY=VALUE`.

Addresses, prefixes, tables and priorities come from small pools, so that they collide and overlap. The kernel refuses
some of the commands; that is part of the configuration.
"""

import random
from collections.abc import Callable, Iterator

OWN = (
    "10.0.0.{}/24",
    "10.0.1.{}/24",
    "10.0.0.{}/16",
    "10.1.0.{}/24",
    "10.2.2.{}/25",
    "192.168.1.{}/30",
    "10.3.0.{}/32",
)
PREFIXES = (
    "default", "default", "default", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24",
    "10.0.1.0/24", "10.1.0.0/24", "10.2.0.0/16", "10.2.2.0/24", "10.2.2.128/25", "10.8.0.0/16", "10.8.1.0/24",
    "10.8.1.7", "10.9.0.0/16", "10.9.0.0/24", "172.16.0.0/12", "192.168.0.0/16", "192.168.1.0/24", "203.0.113.0/24",
    "203.0.113.9", "198.51.100.0/24", "10.0.0.3", "10.0.0.5", "10.0.1.4", "127.9.0.0/16",
)  # fmt: skip
GATEWAYS = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "10.2.2.1", "192.168.1.2", "10.0.0.254", "10.0.0.5")
TABLES = ("main", "main", "main", "100", "100", "101", "102", "local", "default", "7000")
METRICS = ("", "", "", " metric 10", " metric 20", " metric 100")
TOS = ("0x04", "0x08", "0x10", "0x1c")
REFUSING = ("blackhole", "unreachable", "prohibit", "throw")
FLAGS = ("accept_local", "src_valid_mark", "forwarding", "ignore_routes_with_linkdown", "send_redirects")


class Generator:
    """Makes one configuration. `interfaces`: v0, v1, ... each with its far end p0, p1, ..."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self.interfaces = [f"v{number}" for number in range(self._random.randint(2, 5))]
        self._own: list[tuple[str, str]] = []
        self._objects: list[int] = []

    def commands(self) -> list[str]:
        """The commands, in order."""
        chance = self._random.random
        lines = [*self._links(), *self._sysctls(early=True), *self._addresses()]
        if chance() < 0.3:
            lines += self._nexthops()
        body = [line for _ in range(self._random.randint(2, 11)) for line in self._routes()]
        if chance() < 0.75:
            body += [self._rule() for _ in range(self._random.randint(1, 8))]
            self._random.shuffle(body)
        lines += body
        if chance() < 0.15:
            lines += self._undone()
        lines += self._sysctls(early=False)
        if chance() < 0.3:
            lines += self._late()
        return lines

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _links(self) -> Iterator[str]:
        if self._random.random() < 0.95:
            yield "ip link set lo up"
        for name in self.interfaces:
            far = name.replace("v", "p")
            yield f"ip link add {name} type veth peer name {far}"
            if self._random.random() < 0.2:
                yield f"ip link set {name} group {self._random.choice((7, 9))}"
            if self._random.random() < 0.93:
                yield f"ip link set {name} up"
            if self._random.random() < 0.88:
                yield f"ip link set {far} up"

    def _sysctls(self, *, early: bool) -> Iterator[str]:
        places = ["all", *self.interfaces]
        for place in places:
            if self._random.random() < (0.3 if early else 0.5):
                value = self._random.choice((0, 0, 1, 1, 1, 2, 2, 3))
                yield f"sysctl -w net/ipv4/conf/{place}/rp_filter={value}"
            for flag in FLAGS:
                if self._random.random() < 0.07:
                    yield f"sysctl -w net/ipv4/conf/{place}/{flag}={self._random.choice((0, 1, 1))}"
        if self._random.random() < 0.25:
            yield "sysctl -w net/ipv4/ip_forward=1"

    def _addresses(self) -> Iterator[str]:
        for name in self.interfaces:
            count = self._random.choice((0, 1, 1, 1, 2, 3))
            for _ in range(count):
                prefix = self._random.choice(OWN).format(self._random.randint(3, 6))
                self._own.append((name, prefix))
                extra = self._pick("", "", "", " brd +", " noprefixroute", " scope link")
                if self._random.random() < 0.05:
                    yield f"ip addr add {prefix.partition('/')[0]} peer 10.7.7.{self._random.randint(1, 9)} dev {name}"
                else:
                    yield f"ip addr add {prefix}{extra} dev {name}"

    def _nexthops(self) -> Iterator[str]:
        for number in range(1, self._random.randint(2, 5)):
            self._objects.append(number)
            if self._random.random() < 0.15:
                yield f"ip nexthop add id {number} blackhole"
            else:
                yield f"ip nexthop add id {number} {self._hop()}"
        if len(self._objects) > 1 and self._random.random() < 0.6:
            members = "/".join(str(number) for number in self._random.sample(self._objects, 2))
            self._objects.append(50)
            yield f"ip nexthop add id 50 group {members}"

    def _hop(self) -> str:
        device = self._random.choice(self.interfaces)
        if self._random.random() < 0.4:
            return f"dev {device}"
        near = [prefix for name, prefix in self._own if name == device and not prefix.endswith("/32")]
        if near and self._random.random() < 0.7:
            network = self._random.choice(near).rpartition(".")[0]
            return f"via {network}.{self._random.choice((1, 1, 2))} dev {device}"
        onlink = self._pick("", "", " onlink")
        return f"via {self._random.choice(GATEWAYS)} dev {device}{onlink}"

    def _routes(self) -> Iterator[str]:
        """A route, and often another of the same prefix, table and metric, whose place among equals decides."""
        first = self._route()
        yield first
        if self._random.random() < 0.25 and " dev " in first and " nexthop " not in first:
            words = first.split()
            words[2] = self._pick("append", "prepend", "append")
            words[words.index("dev") + 1] = self._random.choice(self.interfaces)
            if "via" in words:
                del words[words.index("via") : words.index("via") + 2]
            yield " ".join(words)

    def _route(self) -> str:
        verb = self._pick("add", "add", "add", "append", "prepend", "replace")
        prefix = self._random.choice(PREFIXES)
        tos = f" tos {self._random.choice(TOS)}" if self._random.random() < 0.1 else ""
        table = f" table {self._random.choice(TABLES)}"
        metric = self._random.choice(METRICS)
        kind = self._random.random()
        if kind < 0.15:
            return f"ip route {verb} {self._random.choice(REFUSING)} {prefix}{tos}{table}{metric}"
        if kind < 0.22:
            name = self._pick("local", "local", "broadcast", "anycast", "multicast")
            device = self._pick("lo", *self.interfaces)
            return f"ip route {verb} {name} {prefix}{tos} dev {device}{table}{metric}"
        if kind < 0.34:
            hops = " ".join(f"nexthop {self._hop()} weight {self._random.randint(1, 3)}" for _ in range(2))
            return f"ip route {verb} {prefix}{tos}{table}{metric} {hops}"
        if kind < 0.46 and self._objects:
            return f"ip route {verb} {prefix}{tos} nhid {self._random.choice(self._objects)}{table}{metric}"
        extra = ""
        if self._random.random() < 0.1 and self._own:
            extra = f" src {self._random.choice(self._own)[1].partition('/')[0]}"
        elif self._random.random() < 0.05:
            extra = f" scope {self._pick('host', 'link', 'site', '66')}"
        elif self._random.random() < 0.04:
            extra = " realms 1/2"
        return f"ip route {verb} {prefix}{tos} {self._hop()}{table}{metric}{extra}"

    def _rule(self) -> str:
        words = ["ip rule add"]
        if self._random.random() < 0.12:
            words.append("not")
        words.append(f"pref {self._random.choice((5, 10, 10, 20, 30, 40, 50, 32766, 33000))}")
        words += self._selectors()
        action = self._random.random()
        if action < 0.70:
            words.append(f"lookup {self._random.choice(TABLES)}")
            if self._random.random() < 0.15:
                words.append(f"suppress_prefixlength {self._random.choice((0, 1, 8, 16, 24))}")
            if self._random.random() < 0.1:
                words.append(f"suppress_ifgroup {self._random.choice((0, 7, 9))}")
        elif action < 0.82:
            words.append(f"goto {self._random.choice((20, 30, 50, 60, 33000))}")
        else:
            words.append(self._pick("blackhole", "unreachable", "prohibit", "nop"))
        return " ".join(words)

    def _selectors(self) -> list[str]:
        devices = ("lo", "lo", "gone", *self.interfaces)
        own = [address.partition("/")[0] for _, address in self._own] or ["10.0.0.3"]
        choices: tuple[Callable[[], str], ...] = (
            lambda: f"from {self._random.choice(own)}",
            lambda: f"from {self._random.choice(own)}",
            lambda: f"from {self._random.choice(PREFIXES[3:])}",
            lambda: f"to {self._random.choice(PREFIXES[3:])}",
            lambda: f"iif {self._random.choice(devices)}",
            lambda: f"oif {self._random.choice(devices)}",
            lambda: f"fwmark {self._pick('1', '2', '0x1/0x1', '0x2/0x3', '0/0xff')}",
            lambda: f"tos {self._random.choice(TOS)}",
            lambda: f"ipproto {self._pick('tcp', 'udp', 'icmp')}",
            lambda: f"ipproto {self._pick('tcp', 'udp')} dport {self._pick('443', '1000-2000')}",
            lambda: f"sport {self._pick('22', '443', '1000-30000')}",
            lambda: f"dport {self._pick('22', '443', '1000-30000')}",
            lambda: f"uidrange {self._pick('0-0', '0-1000', '1000-2000')}",
            lambda: "from 0.0.0.0",
        )
        count = self._random.choice((0, 1, 1, 1, 2, 2))
        words: dict[str, str] = {}
        for choice in self._random.sample(choices, count):
            text = choice()
            words.setdefault(text.split()[0], text)
        return list(words.values())

    def _undone(self) -> list[str]:
        """What leaves a trace that no dump shows."""
        if self._random.random() < 0.5:
            return ["ip rule add pref 77 to 10.77.0.0/16 lookup 77", "ip rule del pref 77"]
        return ["ip route add local 10.77.0.0/16 dev lo", "ip route del local 10.77.0.0/16 dev lo"]

    def _late(self) -> Iterator[str]:
        """Changes after the fact. No address goes that may have been a gateway: whether a gateway was the host's own
        when its route was made is not shown.
        """
        for _ in range(self._random.randint(1, 3)):
            kind = self._random.random()
            name = self._random.choice(self.interfaces)
            removable = [entry for entry in self._own if entry[1].partition("/")[0] not in GATEWAYS]
            if kind < 0.3 and removable:
                device, prefix = self._random.choice(removable)
                yield f"ip addr del {prefix} dev {device}"
            elif kind < 0.5:
                yield f"ip link set {name.replace('v', 'p')} down"
            elif kind < 0.6:
                yield f"ip link set {name} down"
            elif kind < 0.7:
                yield f"ip link set {name} down"
                yield f"ip link set {name} up"
            elif kind < 0.85:
                yield f"ip route del {self._random.choice(PREFIXES)} table {self._random.choice(TABLES)}"
            else:
                yield f"ip rule del pref {self._random.choice((10, 20, 30, 32766, 32767))}"
