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
a activation-mode ActivationPolicy address addresses adds after again all among an and anew another answer answered any
api applies are as at authorized be before began belongs both brings but by cannot carries certificate check checked
client
closed code collected comes command commands conditions configuration configured connect connected connection could
counts credential did do does Driver driver else error errors every executable exit failed file files first for found
free from gave given goes gone group groups guest guests had hand has have here holds Host host hosts how in includes
incomplete interface interface-name interfaces internet invalid ip is it its keep keepalived kernel kernel-command-line
key keys Kind known large lead leaves line lines list listed lo load local login long longer MAC MACAddress makes many
mapping may means merge message metadata missing mode modelled more Name name named names needs network next no none
nor not nothing now of older on ONBOOT one only or other others out output own Path path pattern PermanentMACAddress
permission plain port prefixes private problem program Property public pulls range read readable reads refused region
request reset rest root route routes routing rule rules run running runs says script seconds security server servers
service set sets shell some something speaks ssh stanza start STARTMODE starts status subnet subnets such sysctls table
tables takes tell than that the their them then there they this those time timed timeout to too took tried Type under
understood unknown unless unreadable up use used user users uses using value values variable verified version virtual
vpc vpcs was were wg-quick what when where whether which while who whose why with within without WLANInterfaceType
wrong YAML yet you your
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
