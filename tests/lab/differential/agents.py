"""Seeded random servers on which agents own policy rules and tables, as the commands that make them: what Tailscale,
wg-quick, amazon-vpc-cni, Calico, Cilium, transparent proxies, nm-cloud-setup and netplan set, one or several of them,
some of it half done, and rules that read marks among theirs.
"""

import random
from collections.abc import Callable, Iterator

OWN_DEVICES = ("br0", "pod0", "tun7")
TAILNET_RULES = (
    "ip rule add pref 5210 fwmark 0x80000/0xff0000 lookup main",
    "ip rule add pref 5230 fwmark 0x80000/0xff0000 lookup default",
    "ip rule add pref 5250 fwmark 0x80000/0xff0000 unreachable",
    "ip rule add pref 5270 lookup 52",
)
"""What Tailscale sets."""
_MASKS = (
    "0x0", "0x1", "0x2", "0x0/0x0", "0x1/0x0", "0x0/0xff", "0x1/0x1", "0x2/0x3", "0x3/0x3", "0x80/0x80",
    "0x80000/0xff0000", "0x200/0xf00", "0xa00/0xf00", "0xca6c", "0x10000/0x10000", "0xffffffff",
    "0x80000000/0x80000000",
)  # fmt: skip
_TABLES = ("main", "52", "100", "101", "2004", "2005", "30400", "51820", "default", "local")


class Agents:
    """Makes one configuration: two or three VNIs as `v0`, `v1`, `v2`, each with its far end `p0`, ..., and devices of
    the server's own.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(f"agents {seed}")
        self._vnis = range(self._random.choice((2, 2, 3)))
        self._addresses = [f"10.0.{number}.11" for number in self._vnis]
        self._addresses += [f"10.0.{number}.12" for number in self._vnis if self._some(0.4)]
        self._pods = self._random.sample([f"10.0.{n}.{host}" for n in self._vnis for host in range(20, 60)], 3)

    def commands(self) -> list[str]:
        """The commands, in order."""
        agents = self._random.sample(_AGENTS, self._random.choice((1, 1, 2, 3)))
        body = [line for agent in agents for line in agent(self)]
        rules = [self._rule() for _ in range(self._random.randrange(6))]
        return [*self._base(), *body, *rules, *self._tables(), *self._late()]

    def _some(self, chance: float) -> bool:
        return self._random.random() < chance

    def _base(self) -> Iterator[str]:
        yield "ip link set lo up"
        for number in self._vnis:
            yield f"ip link add v{number} type veth peer name p{number}"
            yield f"ip link set v{number} up"
            yield f"ip link set p{number} up"
        for address in self._addresses:
            yield f"ip addr add {address}/24 dev v{address.split('.')[2]}"
        for number in self._vnis:
            if number == 0 or self._some(0.4):
                yield f"ip route add default via 10.0.{number}.1 dev v{number} metric {100 + number}"
        yield "ip link add br0 type bridge"
        yield "ip link add pod0 type veth peer name far0"
        yield "ip link add tun7 type veth peer name far7"
        for name in ("br0", "pod0", "far0", "tun7", "far7"):
            if self._some(0.9):
                yield f"ip link set {name} group {self._random.choice((0, 7))} up"
        yield "ip addr add 172.17.0.1/16 dev br0"
        yield "ip addr add 100.79.1.1/32 dev tun7"
        for place in ("all", *(f"v{number}" for number in self._vnis), *OWN_DEVICES):
            yield f"sysctl -w net/ipv4/conf/{place}/rp_filter={self._random.choice((0, 1, 1, 2, 2))}"
            if self._some(0.3):
                yield f"sysctl -w net/ipv4/conf/{place}/src_valid_mark=1"
        if self._some(0.5):
            yield "sysctl -w net/ipv4/ip_forward=1"
        if self._some(0.2):
            yield f"sysctl -w net/ipv4/{self._random.choice(('tcp_fwmark_accept', 'fwmark_reflect'))}=1"

    def _tailnet(self) -> Iterator[str]:
        yield from TAILNET_RULES
        yield f"ip route add 100.{self._random.randrange(64, 128)}.2.3 dev tun7 table 52"
        if self._some(0.4):
            prefix = self._random.choice(("10.9.0.0/16", "10.0.1.0/24", "default"))
            yield f"ip route add {prefix} dev tun7 table 52"
        if self._some(0.4):
            yield f"ip route add throw {self._random.choice(('10.8.0.0/16', '10.0.0.0/16'))} table 52"

    def _default_by_tunnel(self) -> Iterator[str]:
        yield "ip route add default dev tun7 table 51820"
        yield "ip rule add not fwmark 0xca6c lookup 51820"
        yield f"ip rule add lookup main suppress_prefixlength {self._random.choice((0, 0, 8, 24))}"
        if self._some(0.6):
            yield "sysctl -w net/ipv4/conf/all/src_valid_mark=1"

    def _pods_with_vni_addresses(self) -> Iterator[str]:
        yield "ip rule add pref 1024 fwmark 0x80/0x80 lookup main"
        for pod in self._pods:
            yield f"ip route add {pod} dev pod0 scope link"
            if self._some(0.8):
                yield f"ip rule add pref 512 to {pod} lookup main"
            if self._some(0.5):
                yield f"ip rule add pref 1536 from {pod} lookup 101"

    def _pods_of_a_block(self) -> Iterator[str]:
        for host in self._random.sample(range(1, 60), 2):
            yield f"ip route add 192.168.234.{host} dev pod0 scope link"
        yield f"ip route add {self._random.choice(('blackhole', 'unreachable'))} 192.168.234.0/26 proto 80"
        if self._some(0.5):
            yield "ip rule add pref 99 fwmark 0x10000/0x10000 lookup 100"

    def _local_rule_moved(self) -> Iterator[str]:
        yield "ip rule add pref 100 lookup local"
        if self._some(0.9):
            yield "ip rule del pref 0"
        yield "ip rule add pref 9 fwmark 0x200/0xf00 lookup 2004"
        yield "ip route add local default dev lo table 2004"
        if self._some(0.6):
            yield "ip rule add pref 10 fwmark 0xa00/0xf00 lookup 2005"
            yield "ip route add default dev br0 table 2005"

    def _transparent_proxy(self) -> Iterator[str]:
        ports = self._random.choice(("", "", " ipproto tcp dport 443", " ipproto tcp"))
        yield f"ip rule add pref 100 fwmark {self._random.choice(('1', '0x1/0x1'))}{ports} lookup 100"
        yield f"ip route add local {self._random.choice(('default', '0.0.0.0/1', '203.0.113.0/24'))} dev lo table 100"

    def _tables_by_source(self) -> Iterator[str]:
        """As nm-cloud-setup, netplan and cloud-init do."""
        priority = self._random.choice(("", " pref 10", " pref 101", " pref 30400"))
        for address in self._random.sample(self._addresses, self._random.randint(1, len(self._addresses))):
            table = self._random.choice((100, 101, 30400))
            number = int(address.split(".")[2]) if self._some(0.8) else 0
            yield f"ip rule add{priority} from {address} lookup {table}"
            if self._some(0.8):
                yield f"ip route add default via 10.0.{number}.1 dev v{number} table {table}"
            if self._some(0.5):
                yield f"ip route add 10.0.{number}.0/24 dev v{number} table {table}"

    def _rule(self) -> str:
        selectors = [f"fwmark {self._random.choice(_MASKS)}"] if self._some(0.75) else []
        others = (
            f"from {self._random.choice((*self._addresses, *self._pods, '10.0.0.0/16'))}",
            f"to {self._random.choice(('10.8.0.0/16', '203.0.113.0/24', '10.0.0.0/16', *self._pods))}",
            f"iif {self._random.choice(('lo', 'v0', 'v1', *OWN_DEVICES))}",
            f"oif {self._random.choice(('v1', 'tun7'))}",
            f"tos {self._random.choice(('0x08', '0x10'))}",
            f"uidrange {self._random.choice(('0-0', '0-1000', '1000-2000'))}",
            f"ipproto {self._random.choice(('tcp', 'udp', 'icmp'))}",
            f"ipproto tcp dport {self._random.choice(('443', '1000-2000'))}",
            f"ipproto tcp sport {self._random.choice(('22', '1000-30000'))}",
        )
        more = self._random.sample(others, self._random.choice((0, 0, 1, 1, 2)))
        selectors += [text for place, text in enumerate(more) if text.split()[0] not in " ".join(more[:place])]
        inverted = "not " if self._some(0.2) and selectors else ""
        return f"ip rule add {inverted}pref {self._priority()} {' '.join(selectors)} {self._action()}"

    def _priority(self) -> int:
        return self._random.choice((5, 50, 200, 1000, 5220, 5260, 5300, 30000, 32765, 32766, 33000))

    def _action(self) -> str:
        kind = self._random.random()
        if kind < 0.12:
            return f"goto {self._random.choice((200, 1000, 5270, 30000, 32766, 33000))}"
        if kind < 0.25:
            return self._random.choice(("blackhole", "unreachable", "prohibit", "nop"))
        suppressed = self._random.choice(
            ("", "", "", "", f" suppress_prefixlength {self._random.choice((0, 16))}", " suppress_ifgroup 7")
        )
        return f"lookup {self._random.choice(_TABLES)}{suppressed}"

    def _tables(self) -> Iterator[str]:
        for table in self._random.sample(("100", "101", "2005", "30400", "default"), 2):
            device = self._random.choice(("v0", "v1", *OWN_DEVICES))
            prefix = self._random.choice(("default", "10.8.0.0/16", "203.0.113.0/24", "10.0.0.0/8"))
            tos = self._random.choice(("", "", "", "tos 0x10 "))
            yield f"ip route add {prefix} {tos}dev {device} table {table}"

    def _late(self) -> Iterator[str]:
        if self._some(0.1):
            yield f"ip link set far{self._random.choice((0, 7))} down"
        if self._some(0.1):
            yield "ip rule del pref 32766"


_AGENTS: tuple[Callable[[Agents], Iterator[str]], ...] = (
    Agents._tailnet,
    Agents._default_by_tunnel,
    Agents._pods_with_vni_addresses,
    Agents._pods_of_a_block,
    Agents._local_rule_moved,
    Agents._transparent_proxy,
    Agents._tables_by_source,
)
