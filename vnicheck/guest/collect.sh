# vnicheck's guest collector, format 1: prints what this server says of its own network.
# POSIX sh; needs no privilege, writes nothing, reads /proc and the lines on routing of network configuration, runs `ip`.
#   sh collect.sh > guest.txt                      then: vnicheck analyze NAME --guest NAME=guest.txt
#   VNICHECK_PLAIN=1 sh collect.sh > guest.txt     plain text where `ip` would give JSON

# section NAME COMMAND...: one framed section. Payload lines start with '|' (stdout) or '!' (stderr), so that nothing a
# command prints can pass for a frame; empty lines are left out. The trailer carries the exit status (97: printf failed,
# which is a program of its own in some shells and takes no long list). The shell itself does the framing: a process for
# each would cost the server more than all that is asked of it.
vnicheck_section() {
  vnicheck_name=$1
  shift
  vnicheck_command=$*
  {
    vnicheck_errors=$(
      {
        vnicheck_output=$("$@" 2>&3 3>&- 4>&- </dev/null)
        vnicheck_status=$?
        set -f
        IFS=$vnicheck_newline
        printf '+ %s %s\n' "$vnicheck_name" "$vnicheck_command" >&4
        if [ -n "$vnicheck_output" ]; then
          printf '|%s\n' $vnicheck_output >&4 || vnicheck_status=97
        fi
        printf '\n%s' "$vnicheck_status"
      } 3>&1
    )
  } 4>&1
  vnicheck_status=${vnicheck_errors##*$vnicheck_newline}
  vnicheck_errors=${vnicheck_errors%$vnicheck_newline*}
  if [ -n "$vnicheck_errors" ]; then
    vnicheck_errors=$(
      set -f
      IFS=$vnicheck_newline
      printf '!%s\n' $vnicheck_errors
    )$vnicheck_newline
  fi
  printf '%s- %s %s\n' "$vnicheck_errors" "$vnicheck_name" "$vnicheck_status"
}

vnicheck_os_release() {
  if [ -r /etc/os-release ]; then cat /etc/os-release; else cat /usr/lib/os-release; fi
}

# As `uname -s`, `uname -r` and `uname -n`, without a process for each where there is Linux's /proc.
vnicheck_uname() {
  if { read -r vnicheck_system && [ "$vnicheck_system" = Linux ]; } </proc/sys/kernel/ostype &&
    read -r vnicheck_release </proc/sys/kernel/osrelease && read -r vnicheck_host </proc/sys/kernel/hostname; then
    printf '%s\n' "$vnicheck_system" "$vnicheck_release" "$vnicheck_host"
  else
    uname -s && uname -r && uname -n
  fi 2>/dev/null
}

# Names that `ip` prints instead of numbers; what /etc says wins, so it comes last.
vnicheck_names() {
  grep -sH '' /usr/share/iproute2/rt_tables /usr/share/iproute2/rt_tables.d/*.conf \
    /usr/lib/iproute2/rt_tables /usr/lib/iproute2/rt_tables.d/*.conf \
    /etc/iproute2/rt_tables /etc/iproute2/rt_tables.d/*.conf \
    /usr/share/iproute2/group /usr/share/iproute2/group.d/*.conf /etc/iproute2/group /etc/iproute2/group.d/*.conf
  return 0
}

# One grep for all; with so many interfaces that the list of arguments could be too long, one for each interface.
vnicheck_sysctls() {
  cd /proc/sys || return 1
  vnicheck_global='net/ipv4/ip_forward net/ipv4/tcp_fwmark_accept net/ipv4/fwmark_reflect net/ipv4/tcp_l3mdev_accept
    net/ipv4/fib_multipath_hash_policy net/ipv4/fib_multipath_use_neigh net/ipv4/ip_nonlocal_bind
    net/ipv4/icmp_echo_ignore_all'
  set -- net/ipv4/conf/*
  if [ $# -lt 100 ]; then set -- 'net/ipv4/conf/*'; fi
  for vnicheck_conf in "$@"; do
    grep -sH '' $vnicheck_conf/rp_filter $vnicheck_conf/accept_local $vnicheck_conf/src_valid_mark \
      $vnicheck_conf/forwarding $vnicheck_conf/route_localnet $vnicheck_conf/send_redirects \
      $vnicheck_conf/ignore_routes_with_linkdown $vnicheck_conf/arp_ignore $vnicheck_conf/arp_announce \
      $vnicheck_conf/arp_filter $vnicheck_conf/log_martians $vnicheck_conf/bc_forwarding $vnicheck_global
    vnicheck_global=
  done
  vnicheck_value=
  read -r vnicheck_value <net/ipv4/conf/all/rp_filter || [ -n "$vnicheck_value" ]
}

# Facts from which the reader tells which programs manage the network: processes, marks below /run, systemd units.
vnicheck_managers() {
  for vnicheck_path in /run/NetworkManager /run/systemd/netif/state /run/wicked /run/dhcpcd /run/connman \
    /run/cloud-init /run/network/ifstate /etc/network/interfaces /etc/netplan/*.yaml /run/netplan/*.yaml; do
    if [ -e "$vnicheck_path" ]; then printf 'path %s\n' "$vnicheck_path"; fi
  done
  vnicheck_known='NetworkManager|systemd-network|wickedd|dhcpcd|connmand|dhclient|udhcpc|netifd'
  for vnicheck_process in $(grep -shE "^($vnicheck_known)\$" /proc/[0-9]*/comm); do
    printf 'process %s\n' "$vnicheck_process"
  done
  if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    set -- NetworkManager systemd-networkd networking network wickedd wicked dhcpcd connman
    vnicheck_bound=
    if command -v timeout >/dev/null; then vnicheck_bound='timeout 5'; fi
    for vnicheck_state in $($vnicheck_bound systemctl is-active "$@" 2>/dev/null); do
      printf 'unit %s %s\n' "$1" "$vnicheck_state"
      if [ $# -gt 1 ]; then shift; fi
    done
  fi
  return 0
}

# Who configures each interface, as the managers themselves note it: by number, by name, or by a file that is there.
vnicheck_owners() {
  {
    grep -sHE '^(ADMIN_STATE|NETWORK_FILE)=' /run/systemd/netif/links/[0-9]*
    grep -sHE '^(managed|connection-uuid)=' /run/NetworkManager/devices/[0-9]*
    grep -sH '=' /run/network/ifstate
    for vnicheck_path in /etc/sysconfig/network/ifcfg-* /etc/sysconfig/network-scripts/ifcfg-*; do
      if [ -f "$vnicheck_path" ]; then printf '%s:\n' "$vnicheck_path"; fi
    done
  } | head -n 4000
  if [ -d /run/NetworkManager ] && command -v nmcli >/dev/null; then
    vnicheck_bound=
    if command -v timeout >/dev/null; then vnicheck_bound='timeout 5'; fi
    $vnicheck_bound nmcli -t -f UUID,DEVICE,FILENAME connection show --active 2>/dev/null | sed 's/^/nmcli:/' |
      head -n 1000
  fi
  return 0
}

# What may decide beside rules, routes and sysctls: netfilter rules that look up the way back (modules with their use
# count and users; the rules themselves only root may list), tc filters on input, IPsec policies (root).
vnicheck_hooks() {
  grep -sE '^(ipt_rpfilter|nft_fib_ipv4|nft_fib_inet) ' /proc/modules | sed 's/^/module /'
  if grep -sqx firewalld /proc/[0-9]*/comm; then printf 'process firewalld\n'; fi
  if vnicheck_rules=$(nft list ruleset 2>/dev/null); then
    printf 'nft listed\n'
    printf '%s\n' "$vnicheck_rules" | grep -E '^table|fib (s|d)addr|"rpfilter"' | sed 's/^[[:space:]]*/nft /'
  fi
  tc qdisc show 2>/dev/null | grep -E ' (clsact|ingress) ' | sed 's/^/tc /'
  ip -o xfrm policy 2>/dev/null | grep -v socket | sed 's/^/ipsec /'
  return 0
}

# vnicheck_lines PATTERN PATH...: of each file what can be done with it (`@masked`: a link to /dev/null), of each folder
# whether it can be listed, then the files' lines that match, as PATH:NUMBER:LINE. Bounded: 2000 lines, 400 characters.
vnicheck_lines() {
  vnicheck_pattern=$1
  shift
  vnicheck_left=$#
  while [ "$vnicheck_left" -gt 0 ]; do
    vnicheck_path=$1
    vnicheck_left=$((vnicheck_left - 1))
    shift
    if [ -c "$vnicheck_path" ]; then
      printf '@masked %s\n' "$vnicheck_path"
    elif [ -d "$vnicheck_path" ] && [ -r "$vnicheck_path" ] && [ -x "$vnicheck_path" ]; then
      :
    elif [ -f "$vnicheck_path" ] && [ -r "$vnicheck_path" ]; then
      printf '@read %s\n' "$vnicheck_path"
      set -- "$@" "$vnicheck_path"
    elif [ -e "$vnicheck_path" ]; then
      printf '@unreadable %s\n' "$vnicheck_path"
    elif [ -h "$vnicheck_path" ]; then
      printf '@dangling %s\n' "$vnicheck_path"
    fi
  done
  if [ $# -gt 0 ]; then
    grep -nHE -e "$vnicheck_pattern" "$@" | sed -n -e 's/^\(.\{400\}\).*/\1/' -e p -e 2000q
  fi
}

# What the next boot sets of net.ipv4.conf: the lines that mention it, and the names of all files (one in /etc masks its
# namesake in /usr/lib). The key or the pattern only; no other line of these files is taken.
vnicheck_boot_sysctls() {
  if [ -d /run/systemd/system ]; then printf '@systemd\n'; fi
  set -- /etc/sysctl.d /etc/sysctl.d/*.conf /run/sysctl.d /run/sysctl.d/*.conf /usr/local/lib/sysctl.d \
    /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d /usr/lib/sysctl.d/*.conf
  if [ ! -h /lib ] && [ ! -h /lib/sysctl.d ]; then set -- "$@" /lib/sysctl.d /lib/sysctl.d/*.conf; fi
  if grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf; then set -- "$@" /etc/ufw/sysctl.conf; fi
  vnicheck_lines '^[[:space:]]*(-[[:space:]]*)?(net[./]ipv4[./](conf[./]|ip_forward)|net[^=#;]*[*?[])' "$@"
  return 0
}

# Of lines that mention it, the one `ip rule` or `ip route` command that a line runs, as PATH:NUMBER:ip ...; `rp_filter`
# where a line names that; `?` for the rest: variables, several commands, other programs. Nothing else of a line is kept.
vnicheck_commands() {
  sed -E -e '/^@/b' -e 's/^([^:]*:[0-9]+:).*rp_filter.*/\1rp_filter/' -e t \
    -e 's/^([^:]*:[0-9]+:)[[:space:]]*((pre-up|up|post-up)[[:space:]]+|Exec[A-Za-z]+=-?)?(\/[a-z\/]*\/)?(ip[[:space:]][A-Za-z0-9 ./_-]*)([|][|] *(true|:))?$/\1\5/' \
    -e t -e 's/^([^:]*:[0-9]+:).*/\1?/'
}

# The lines of netplan's files that tell of rules and routes, and those that hold them together (keys without a value);
# values of other keys stay on the server. `#withheld` where such a value might have told of routing all the same, where a
# line was cut off, and where the file may go on behind the last line that is read. Comments are taken off.
vnicheck_netplan() {
  vnicheck_lines '[^[:space:]]' /etc/netplan /etc/netplan/*.yaml /run/netplan /run/netplan/*.yaml /lib/netplan/*.yaml |
    sed -E -n -e '/^@/{p;b' -e '}' -e '/^.{400}/bwithhold' -e '2000bwithhold' \
      -e '/^[^:]*:[0-9]+:[[:space:]]*#/b' -e 's/^([^:]*:[0-9]+:[^"'\''#]*[[:space:]])#.*/\1/' \
      -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?[A-Za-z0-9_.-]+["'\'']?:[[:space:]]*$/{p;b' -e '}' \
      -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?(from|to|table|priority|via|scope|type|on-link|metric|mark|type-of-service|renderer|version): *["'\'']?[A-Za-z0-9.:/-]*["'\'']?[[:space:]]*$/{p;b' -e '}' \
      -e '/routing-policy|routes|[{[].*(from|table)/bwithhold' \
      -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?(from|to|table|priority|via|scope|type|on-link|metric|mark|type-of-service)["'\'']?:/bwithhold' \
      -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?[A-Za-z0-9_.-]+["'\'']?:[[:space:]]+[&!#]/bwithhold' -e b \
      -e ':withhold' -e 's/^([^:]*:[0-9]+:).*/\1#withheld/p'
}

# What the next boot sets of policy rules and routes, by network manager and in scripts. No secrets: of keyfiles and ini
# files the section headers and the keys that tell of routing, of scripts the `ip rule` and `ip route` commands.
vnicheck_boot_network() {
  vnicheck_lines '^\[|^(route[0-9]+(_options)?|route-table|routing-rule[0-9]+)[[:space:]]*=' \
    /etc/NetworkManager/system-connections /etc/NetworkManager/system-connections/* \
    /run/NetworkManager/system-connections /run/NetworkManager/system-connections/* \
    /usr/lib/NetworkManager/system-connections /usr/lib/NetworkManager/system-connections/*
  vnicheck_lines '^(ROUTING_RULE_[0-9]+|IPV4_ROUTE_TABLE|POST_UP_SCRIPT)=.' /etc/sysconfig/network-scripts \
    /etc/sysconfig/network-scripts/ifcfg-* /etc/sysconfig/network /etc/sysconfig/network/ifcfg-*
  vnicheck_lines '^[[:space:]]*[^#[:space:]]' /etc/sysconfig/network-scripts/rule-* \
    /etc/sysconfig/network-scripts/route-* /etc/sysconfig/network/ifroute-* /etc/sysconfig/network/ifrule-* \
    /etc/sysconfig/network/routes
  vnicheck_netplan
  vnicheck_lines '^\[|^(From|To|Table|Priority|Destination|RouteTable|IncomingInterface|OutgoingInterface|FirewallMark|Family|Type|IPv4ReversePathFilter)[[:space:]]*=' \
    /etc/systemd/network /etc/systemd/network/*.network /etc/systemd/network/*.network.d/*.conf \
    /run/systemd/network /run/systemd/network/*.network /run/systemd/network/*.network.d/*.conf \
    /usr/lib/systemd/network/*.network /usr/lib/systemd/network/*.network.d/*.conf
  vnicheck_lines '^[[:space:]]*(pre-up|up|post-up)[[:space:]]' /etc/network/interfaces /etc/network/interfaces.d \
    /etc/network/interfaces.d/* | vnicheck_commands
  vnicheck_lines '^[[:space:]]*[^#[:space:]].*(rp_filter|(rule|route) +(a|add|append|replace)[[:space:]])|^[[:space:]]*ip.*r[a-z]* +a|^[^#]*rp_filter' \
    /etc/rc.local /etc/rc.d/rc.local /etc/NetworkManager/dispatcher.d/* /etc/NetworkManager/dispatcher.d/*.d/* \
    /etc/networkd-dispatcher/*.d/* /etc/network/if-*.d/* /etc/dhcp/dhclient-*-hooks.d/* /etc/systemd/system/*.service \
    /etc/cron.d/* /etc/tuned/*/tuned.conf /usr/local/bin/*.sh /usr/local/sbin/*.sh | vnicheck_commands
  return 0
}

# Sockets that answer from an address that the kernel chooses (UDP on every address), and half-open connections.
vnicheck_sockets() {
  read -r vnicheck_value </proc/net/udp || return 1
  grep -shE ' (00000000|00000000000000000000000000000000):[0-9A-F]{4} 0+:0000 07 ' /proc/net/udp /proc/net/udp6 |
    head -n 500 | sed 's/^/udp /'
  grep -shE ' [0-9A-F]{8}:[0-9A-F]{4} [0-9A-F]{8}:[0-9A-F]{4} 03 ' /proc/net/tcp | head -n 200 | sed 's/^/tcp /'
  return 0
}

# The options that this `ip` accepts, asked all at once, else one by one: no version is guessed, busybox has none.
vnicheck_options() {
  vnicheck_flags=
  if [ "${VNICHECK_PLAIN:-0}" != 1 ] && ip -d -N -j -V </dev/null >/dev/null 2>&1; then
    vnicheck_flags=' -d -N -j'
    return
  fi
  for vnicheck_option in -d -N -j; do
    case ${VNICHECK_PLAIN:-0}$vnicheck_option in
      1-N | 1-j) continue ;;
    esac
    if ip $vnicheck_flags $vnicheck_option -V </dev/null >/dev/null 2>&1; then
      vnicheck_flags="$vnicheck_flags $vnicheck_option"
    fi
  done
}

vnicheck_collect() {
  LC_ALL=C
  PATH=${PATH:-/bin:/usr/bin}:/sbin:/usr/sbin
  export LC_ALL PATH
  vnicheck_newline='
'
  vnicheck_options
  printf '\nvnicheck-guest/%s begin\n' 1
  vnicheck_section date date -u +%Y-%m-%dT%H:%M:%SZ
  vnicheck_section uname vnicheck_uname
  vnicheck_section os_release vnicheck_os_release
  vnicheck_section ip_version ip -V
  vnicheck_section interfaces ip $vnicheck_flags addr show
  vnicheck_section rules ip -4 $vnicheck_flags rule show
  vnicheck_section routes ip -4 $vnicheck_flags route show table all
  vnicheck_section nexthops ip $vnicheck_flags nexthop show
  vnicheck_section names vnicheck_names
  vnicheck_section sysctls vnicheck_sysctls
  vnicheck_section counters cat /proc/net/snmp /proc/net/netstat
  vnicheck_section route_cache cat /proc/net/stat/rt_cache
  vnicheck_section managers vnicheck_managers
  vnicheck_section owners vnicheck_owners
  vnicheck_section hooks vnicheck_hooks
  vnicheck_section sockets vnicheck_sockets
  vnicheck_section boot_sysctls vnicheck_boot_sysctls
  vnicheck_section boot_network vnicheck_boot_network
  printf 'vnicheck-guest/%s end\n' 1
}

# In one piece, for over SSH every write is a packet of its own; again and bit by bit where printf takes no long text.
vnicheck_collected=$(vnicheck_collect)
printf '%s\n' "$vnicheck_collected" || vnicheck_collect
