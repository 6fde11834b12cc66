"""The words that may stay in a text: those of iproute2, tc, nftables and iptables, of configuration files' places, and
of our own messages. Every other word is renamed or left out, whatever it is.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMANDS = _words("""
abort accept action add alias all allmulticast anycast and any arp babel bgp bird blackhole boot bpf bridge broadcast
brd bond chain clsact codel dead default deprecated dev dhcp dir direct direct-action dport drop dscp dst dynamic
eigrp encap esp established expires fib filter flags flow flower flowid forever forward fq_codel from fwd fwmark
gated global goto group handle hook hoplimit host htb icmp id iif in in_hw inet ingress initcwnd initrwnd input ip
ip6 ipip iproto ipproto ipv4 ipv6 isis jited jump kernel l3mdev lft limit link linkdown local lock lookup loopback
macvlan macvtap main mark mask master match matchall metric mirred mode mq mrt mtu multicast multipath mgmttmpaddr
nat netns new nexthop nexthops nhid noarp none noop nop noprefixroute noqueue not not_in_hw ntk oif on onlink openr
ospf out output parent pass permanent pervasive pfifo_fast pipe policy postrouting pref preference prerouting
priority prohibit promisc proto protocol qdisc qlen ra raw realms redirect reject related reqid requeue return rip
rp_filter rpf rpfilter rtt rttvar rule saddr daddr scope secondary section sfp sit skip_hw skip_sw sport src stale
state static suppress_ifgroup suppress_prefixlength table target tc tcp team temporary tentative throw tmpl to tos
trap tun tunnel type u32 udp uidrange unchanged unicast unreachable unspec up down unknown use valid_lft
preferred_lft veth via vlan vrf vxlan weight window wireguard xdp xfrm xorp xresolve zebra PREROUTING INPUT FORWARD
OUTPUT POSTROUTING ACCEPT DROP REJECT RETURN NOTRACK invert validmark loose accept-local A I N P m j i o s d
BROADCAST MULTICAST UP LOWER_UP LOOPBACK NOARP POINTOPOINT PROMISC ALLMULTI MASTER SLAVE DYNAMIC DORMANT ECHO
established new related invalid untracked dnat snat masquerade tproxy queue jump goto fib dstnat srcnat filter nat
ether inet netdev sctp udplite dccp icmpv6 ipv6-icmp echo-request saddr daddr iifname oifname l4proto ct packets limit
connmark prerouting postrouting ingress egress virtio pci netkit loopback TCP UDP SCTP FWM IPVS
NO-CARRIER RUNNING M-DOWN number_1 number_6 number_17 icmp_tcp_udp deny allow inbound outbound NetworkManager
systemd-networkd networking wicked netplan ifupdown network dhcpcd connman networkd systemd
""")
"""What the commands print and what their dumps consist of."""

PLACES = _words("""
etc run usr lib proc sys net conf sysctl sysctl.d sysctl.conf ufw netplan systemd network interfaces interfaces.d
sysconfig network-scripts NetworkManager system-connections dispatcher.d iproute2 rt_tables rt_tables.d wicked
conf.d local share cloud init.d if-up.d networkd-dispatcher cloud-init cloud.cfg.d boot
""")
"""Where configuration is. Names of files keep their ending only."""

MESSAGES = _words("""
a address addresses after again all an and answer answered any api are as at authorized be before began but by
cannot certificate check checked client closed code collected command configuration configured connect connected
connection could credential did do does error errors every exit failed file files for found from gave given group
groups guest guests had has have host hosts how in incomplete interface interfaces internet invalid ip is it its
key keys kernel known line lines list listed load local long longer login many message metadata missing mode name
named names needs network no none not nothing of on one only or other out output permission port prefixes private
problem program public range read readable refused region request reset routing route routes rule rules run
seconds security server servers service shell some speaks ssh status subnet subnets such table tables takes than
that the their them they this time timed timeout to too took tried under unknown unreadable up use used user using
value values verified version virtual vpc vpcs was were what when where which who why with within without wrong
yet you your
""")
"""What messages are made of."""

ENDINGS = (".conf", ".yaml", ".yml", ".network", ".netdev", ".link", ".nmconnection", ".xml", ".cfg", ".sh")

INTERFACE = re.compile(
    r"(?:lo|(?:eth|eno|ens|bond|team|dummy|br|vlan|tun|tap|wg|docker|virbr|vnet|macvlan|vrf)\d{1,4}"
    r"|en[ps]\d{1,4}(?:s\d{1,4})?(?:f\d{1,3})?(?:np\d{1,3})?)(?:\.\d{1,4})?",
    re.ASCII,
)
"""Names that kernels and distributions give to interfaces everywhere. Not `enx`, which holds a MAC address."""

SYSTEMS = _words("""
almalinux alpine amzn arch centos coreos debian fedora flatcar linux ol opensuse-leap photon rhcos rhel rocky sle
sles suse ubuntu
""")
RELEASE_WORDS = _words("amd64 arm64 aarch64 cloud default generic ibm lowlatency s390x virt x86_64 rt BusyBox iproute2")
