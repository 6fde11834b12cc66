# vnicheck's guest collector, format 1: prints what this server says of its own network.
# POSIX sh; needs no privilege, writes nothing, reads /proc and the lines on routing of network configuration, runs `ip`.
# Root is told more: the firewall's rules, IPsec's policies, BPF programs.
#   sh collect.sh > guest.txt                      then: vnicheck analyze NAME --guest NAME=guest.txt
#   VNICHECK_PLAIN=1 sh collect.sh > guest.txt     plain text where `ip` would give JSON
#
# Each program, and each process that the shell makes of itself, costs the server a millisecond or more. So the shell
# reads what it can by itself, one command reads many files whatever facts they are for, and one frames everything.

# section NAME COMMAND...: one framed section, its trailer with the exit status. Frames begin with a mark that no command
# can know. Commands run in this shell: what a function sets stays set.
vnicheck_section() {
  vnicheck_name=$1
  shift
  printf '%s+ %s %s\n' "$vnicheck_mark" "$vnicheck_name" "$*"
  printf '@%s\n' "$vnicheck_name" >&2
  "$@"
  printf '\n%s- %s %s\n' "$vnicheck_mark" "$vnicheck_name" "$?"
}

# Payload lines get a '|' in front, so that nothing a command prints can pass for a frame; empty lines are left out. What
# the commands said on stderr is a section of its own, the last: `@NAME` stands before what section NAME said.
vnicheck_framed() {
  {
    {
      vnicheck_errors=$({ vnicheck_collect >&4; } 2>&1)
      printf '%s+ errors stderr\n%s\n%s- errors 0\n' "$vnicheck_mark" "$vnicheck_errors" "$vnicheck_mark"
    } 4>&1
    printf '%svnicheck-guest/%s end\n' "$vnicheck_mark" 1
  } | sed -e "s/^$vnicheck_mark//" -e t -e '/^$/d' -e 's/^/|/'
}

# The options that this `ip` accepts, asked all at once, else one by one: no version is guessed, busybox has none.
vnicheck_ip_version() {
  vnicheck_flags=' -d -N -j'
  if [ "${VNICHECK_PLAIN:-0}" = 1 ]; then vnicheck_flags=' -d'; fi
  if ip $vnicheck_flags -V 2>/dev/null; then return; fi
  vnicheck_wanted=$vnicheck_flags
  vnicheck_flags=
  for vnicheck_option in $vnicheck_wanted; do
    if ip $vnicheck_flags $vnicheck_option -V >/dev/null 2>&1; then
      vnicheck_flags="$vnicheck_flags $vnicheck_option"
    fi
  done
  ip -V
}

# Files that are read whole: what the distribution is, the names that `ip` prints instead of numbers (what /etc says wins,
# so it comes last), counters, and sysctls. With very many interfaces the list of files is taken in parts.
vnicheck_texts() {
  cd /proc/sys 2>/dev/null || cd /
  vnicheck_paths='/etc/os-release /usr/lib/os-release
    /usr/share/iproute2/rt_tables /usr/share/iproute2/rt_tables.d/*.conf
    /usr/lib/iproute2/rt_tables /usr/lib/iproute2/rt_tables.d/*.conf
    /etc/iproute2/rt_tables /etc/iproute2/rt_tables.d/*.conf
    /usr/share/iproute2/group /usr/share/iproute2/group.d/*.conf /etc/iproute2/group /etc/iproute2/group.d/*.conf
    /proc/net/snmp /proc/net/netstat /proc/net/stat/rt_cache
    net/ipv4/ip_forward net/ipv4/tcp_fwmark_accept net/ipv4/fwmark_reflect net/ipv4/tcp_l3mdev_accept
    net/ipv4/fib_multipath_hash_policy net/ipv4/fib_multipath_use_neigh net/ipv4/ip_nonlocal_bind
    net/ipv4/icmp_echo_ignore_all'
  set -- net/ipv4/conf/*
  while [ $# -gt 0 ]; do
    vnicheck_left=500
    while [ $# -gt 0 ] && [ "$vnicheck_left" -gt 0 ]; do
      vnicheck_paths="$vnicheck_paths $1/rp_filter $1/accept_local $1/src_valid_mark $1/forwarding $1/route_localnet
        $1/send_redirects $1/ignore_routes_with_linkdown $1/arp_ignore $1/arp_announce $1/arp_filter $1/log_martians
        $1/bc_forwarding"
      vnicheck_left=$((vnicheck_left - 1))
      shift
    done
    grep -sH '' $vnicheck_paths
    vnicheck_paths=
  done
  cd / && [ -r /proc/sys/net/ipv4/conf/all/rp_filter ]
}

# Files of which only the lines that match are taken: names of programs that manage the network or the firewall, what the
# managers note of interfaces, netfilter's modules and IP virtual servers, sockets that answer from an address that the
# kernel chooses (UDP on every address), and half-open connections.
vnicheck_matches() {
  vnicheck_programs='NetworkManager|systemd-network|wickedd|dhcpcd|connmand|dhclient|udhcpc|netifd|firewalld'
  vnicheck_modules='ipt_rpfilter|nft_fib_ipv4|nft_fib_inet|ip_vs'
  vnicheck_every='(00000000|00000000000000000000000000000000)'
  grep -sHE -m 500 -e "^($vnicheck_programs)\$" -e "^($vnicheck_modules) " \
    -e '^(ADMIN_STATE|NETWORK_FILE|managed|connection-uuid)=' -e " $vnicheck_every:[0-9A-F]{4} 0+:0000 07 " \
    -e ' [0-9A-F]{8}:[0-9A-F]{4} [0-9A-F]{8}:[0-9A-F]{4} 03 ' -e '^(TCP|UDP|SCTP|FWM) +[0-9A-F]{8}[: ]' \
    /proc/[0-9]*/comm /proc/modules /proc/net/ip_vs /proc/net/udp /proc/net/udp6 /proc/net/tcp \
    /run/systemd/netif/links/[0-9]* /run/NetworkManager/devices/[0-9]*
  for vnicheck_path in /proc/modules /proc/net/ip_vs /proc/net/udp; do
    if [ -r "$vnicheck_path" ]; then printf '@read %s\n' "$vnicheck_path"; fi
  done
  return 0
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

# Facts from which the reader tells which programs manage the network: marks below /run, systemd units.
vnicheck_managers() {
  for vnicheck_path in /run/NetworkManager /run/systemd/netif/state /run/wicked /run/dhcpcd /run/connman \
    /run/cloud-init /run/network/ifstate /etc/network/interfaces /etc/netplan/*.yaml /run/netplan/*.yaml; do
    if [ -e "$vnicheck_path" ]; then printf 'path %s\n' "$vnicheck_path"; fi
  done
  if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    set -- NetworkManager systemd-networkd networking network wickedd wicked dhcpcd connman
    for vnicheck_state in $($vnicheck_bound systemctl is-active "$@" 2>/dev/null); do
      printf 'unit %s %s\n' "$1" "$vnicheck_state"
      if [ $# -gt 1 ]; then shift; fi
    done
  fi
  return 0
}

# Who configures each interface: files that are named after one, ifupdown's note, NetworkManager's connections.
vnicheck_owners() {
  for vnicheck_path in /etc/sysconfig/network/ifcfg-* /etc/sysconfig/network-scripts/ifcfg-*; do
    if [ -f "$vnicheck_path" ]; then printf '%s:\n' "$vnicheck_path"; fi
  done
  if [ -r /run/network/ifstate ]; then
    while IFS= read -r vnicheck_value; do
      printf '/run/network/ifstate:%s\n' "$vnicheck_value"
    done </run/network/ifstate
  fi
  if [ -d /run/NetworkManager ] && command -v nmcli >/dev/null; then
    printf '@nmcli\n'
    $vnicheck_bound nmcli -t -f UUID,DEVICE,FILENAME connection show --active 2>/dev/null
  fi
  return 0
}

# The bus of each interface that has one (virtio, pci), as NAME INDEX MAC BUS: a /sys that shows another network namespace
# than ours is found out by the three.
vnicheck_devices() {
  for vnicheck_path in /sys/class/net/*/device/subsystem; do
    vnicheck_link=${vnicheck_path%/device/subsystem}
    if read -r vnicheck_index <"$vnicheck_link/ifindex" && read -r vnicheck_mac <"$vnicheck_link/address" &&
      cd -P "$vnicheck_path"; then
      printf '%s %s %s %s\n' "${vnicheck_link##*/}" "$vnicheck_index" "$vnicheck_mac" "${PWD##*/}"
    fi 2>/dev/null
  done
  cd / && [ -d /sys/class/net ]
}

# tc's programs on the way in and out: the disciplines, then the filters that belong to them, after `@DEVICE DIRECTION`
# (of those that choose a class of what leaves: `root`, or the handle of a discipline within another, `11:`; of HFSC the
# classes too). Beyond 16 devices a filter is taken for granted wherever there is a place for one.
vnicheck_traffic() {
  vnicheck_disciplines=$(tc qdisc show) || return
  printf '%s\n' "$vnicheck_disciplines"
  vnicheck_left=16
  set -f
  IFS=$vnicheck_newline
  set -- $vnicheck_disciplines
  set +f
  unset IFS
  for vnicheck_line in "$@"; do
    vnicheck_link=${vnicheck_line#* dev }
    vnicheck_link=${vnicheck_link%% *}
    case $vnicheck_line in
      'qdisc clsact '*) vnicheck_directions='ingress egress' ;;
      'qdisc ingress '*) vnicheck_directions=ingress ;;
      'qdisc htb '* | 'qdisc hfsc '* | 'qdisc prio '* | 'qdisc ets '* | 'qdisc drr '* | 'qdisc cbq '* | 'qdisc qfq '* | \
        'qdisc multiq '* | 'qdisc dsmark '* | 'qdisc fq_codel '*' root '* | 'qdisc sfq '*' root '* | 'qdisc sfb '*' root '* | \
        'qdisc choke '*' root '* | 'qdisc cake '*' root '*)
        vnicheck_directions=${vnicheck_line#qdisc * }
        vnicheck_directions=${vnicheck_directions%% *}
        case $vnicheck_line in *' root '*) vnicheck_directions=root ;; esac
        ;;
      *) continue ;;
    esac
    if [ "$vnicheck_left" -eq 0 ]; then return 0; fi
    vnicheck_left=$((vnicheck_left - 1))
    for vnicheck_direction in $vnicheck_directions; do
      printf '@%s %s\n' "$vnicheck_link" "$vnicheck_direction"
      case $vnicheck_line in 'qdisc hfsc '*) tc class show dev "$vnicheck_link" ;; esac
      case $vnicheck_direction in
        root) tc filter show dev "$vnicheck_link" ;;
        *:) tc filter show dev "$vnicheck_link" parent "$vnicheck_direction" ;;
        *) tc filter show dev "$vnicheck_link" "$vnicheck_direction" ;;
      esac && printf '@end\n'
    done
  done
  return 0
}

# Whether we may ask what only the network's administrator is told (CAP_NET_ADMIN, bit 12 of the effective ones).
vnicheck_may() {
  vnicheck_value=
  while read -r vnicheck_key vnicheck_mask vnicheck_rest; do
    if [ "$vnicheck_key" = CapEff: ]; then vnicheck_value=$vnicheck_mask; fi
  done </proc/self/status
  case $vnicheck_value in
    '' | *[13579bdf]???) return 0 ;;
  esac
  printf 'only root is told\n' >&2
  return 1
}

# Netfilter's rules: nftables', or what iptables tells of them where there is no `nft` to list all (`@unlisted`), and
# those of the older iptables, which `nft` does not list; cut off without `@end`.
vnicheck_firewall() {
  vnicheck_may || return 1
  {
    vnicheck_status=0
    if command -v nft >/dev/null; then
      printf '@nft\n'
      nft list ruleset || vnicheck_status=$?
    else
      vnicheck_by_iptables
      if [ ! -r /proc/modules ] || grep -q '^nf_tables ' /proc/modules; then printf '@unlisted\n'; fi
    fi
    vnicheck_legacy
    printf '@end %s\n' "$vnicheck_status"
  } | head -c 1000000
}

# What the newer iptables lists; nothing where there is the older one alone.
vnicheck_by_iptables() {
  vnicheck_lister=iptables-save
  if command -v iptables-nft-save >/dev/null; then
    vnicheck_lister=iptables-nft-save
  else
    vnicheck_version=$(iptables -V 2>/dev/null)
    if [ -n "${vnicheck_version##*nf_tables*}" ]; then return; fi
  fi
  printf '@iptables\n'
  $vnicheck_lister || vnicheck_status=$?
}

# Which tables of the older kinds there are, and the rules of the older iptables, whose name may stand for the newer one.
vnicheck_legacy() {
  vnicheck_tables=
  if [ -r /proc/net/arp_tables_names ]; then read -r vnicheck_tables </proc/net/arp_tables_names; fi
  if [ -n "$vnicheck_tables" ]; then printf '@arptables-legacy\n'; fi
  vnicheck_tables=
  if [ -r /proc/net/ip_tables_names ]; then read -r vnicheck_tables </proc/net/ip_tables_names; fi
  if [ -z "$vnicheck_tables" ]; then return; fi
  printf '@iptables-legacy\n'
  if command -v iptables-legacy-save >/dev/null; then
    iptables-legacy-save || vnicheck_status=$?
  else
    vnicheck_version=$(iptables -V 2>/dev/null)
    if [ -n "${vnicheck_version##*nf_tables*}" ]; then iptables-save || vnicheck_status=$?; fi
  fi
}

vnicheck_ipsec() {
  vnicheck_may || return 1
  ip -o xfrm policy || return
  ip xfrm policy getdefault || printf '@no default is told\n'
}

# BPF programs that neither `ip` nor `tc` shows: on tcx and netkit links, on control groups.
vnicheck_bpf() {
  vnicheck_may || return 1
  bpftool -j net show || return
  printf '\n@cgroups\n'
  bpftool -j cgroup tree | head -c 200000
  printf '\n@end\n'
}

# vnicheck_lines PATTERN PATH...: of each file what can be done with it (`@masked`: a link to /dev/null), of each folder
# whether it can be listed, then the files' lines that match, as PATH:NUMBER:LINE.
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
  if [ $# -gt 0 ]; then grep -nHE -m 2000 -e "$vnicheck_pattern" "$@"; fi
}

# What the next boot sets of net.ipv4.conf: the lines that mention it, and the names of all files (one in /etc masks its
# namesake in /usr/lib). The key or the pattern only; no other line of these files is taken.
vnicheck_boot_sysctls() {
  if [ -d /run/systemd/system ]; then printf '@systemd\n'; fi
  set -- /etc/sysctl.d /etc/sysctl.d/*.conf /run/sysctl.d /run/sysctl.d/*.conf /usr/local/lib/sysctl.d \
    /usr/local/lib/sysctl.d/*.conf /usr/lib/sysctl.d /usr/lib/sysctl.d/*.conf
  if [ ! -h /lib ] && [ ! -h /lib/sysctl.d ]; then set -- "$@" /lib/sysctl.d /lib/sysctl.d/*.conf; fi
  if [ -r /etc/ufw/ufw.conf ]; then
    while read -r vnicheck_value; do
      case $vnicheck_value in
        [Ee][Nn][Aa][Bb][Ll][Ee][Dd]=[Yy][Ee][Ss]*) set -- "$@" /etc/ufw/sysctl.conf ;;
      esac
    done </etc/ufw/ufw.conf
  fi
  vnicheck_lines '^[[:space:]]*(-[[:space:]]*)?([./]*net[./]+ipv4[./]+(conf[./]|ip_forward)|[^=#;]*[*?[])' "$@"
  return 0
}

# What may leave the server of the lines of boot configuration, and how much of it. Bounded: 8000 lines, 400 characters.
# Of what only network managers read: all that was looked for. Of scripts, interfaces and units: the `ip rule` and
# `ip route` commands of a line that runs nothing else, as PATH:NUMBER:ip ...; `rp_filter` where a line names that; what
# ifupdown includes, and its stanzas; in scripts, where what follows may not run (`branch`, `exit`); `?` for the rest:
# variables but $IFACE, other programs.
# Of netplan: the lines that tell of rules and routes, and those that hold them together (keys without a value, brackets
# and anchors); values of other keys stay on the server. `#withheld` where such a value might have told of routing all the
# same, where a line was cut off, and where a file may go on behind the last line that is read. Comments are taken off.
vnicheck_allowed() {
  vnicheck_ip='(\/[a-z\/]*\/)?ip[[:blank:]]([A-Za-z0-9[:blank:].\/_-]|"?[$][{]?IFACE[}]?"?|%i)*'
  vnicheck_keys='from|to|table|priority|via|scope|type|on-link|metric|mark|type-of-service|ipproto|mtu'
  vnicheck_others='addresses|dhcp4|dhcp6|dhcp4-overrides|dhcp6-overrides|use-routes|use-dns|use-domains|use-ntp|use-mtu|use-hostname|send-hostname|route-metric|optional|critical|set-name|match|macaddress|name|driver|nameservers|search|accept-ra|link-local|gateway4|version|renderer|activation-mode|id|link|interfaces'
  vnicheck_plain='["'\'']?[A-Za-z0-9.:\/-]*["'\'']?'
  vnicheck_glob='["'\'']?[]A-Za-z0-9.:_*?![@-]+["'\'']?'
  vnicheck_flow='["'\'']?[A-Za-z0-9.:\/_*?!@-]*["'\'']?'
  vnicheck_brackets='[][{}, ]*'
  sed -E -n -e '/^@/{p;b' -e '}' -e '8000{s/.*/more lines than are read/p;q' -e '}' \
    -e '/^\/(etc|run|lib)\/netplan\//bnetplan' \
    -e 's/^[-dlbcps]([-r][-w][-xsStT]){3}/@mode &/' -e '/^@/{p;b' -e '}' \
    -e 's/^(\/[^:]*\/system-connections[^:]*:[0-9]+:[[:space:]]*permissions[[:space:]]*=).*[^[:space:]].*/\1?/' \
    -e '/^\/(etc|run|usr\/lib|usr\/local\/lib)\/(NetworkManager\/(system-connections|conf\.d|NetworkManager\.conf)|sysconfig\/|systemd\/network|default\/networking)/{s/^(.{400}).*/\1/' -e p -e b -e '}' \
    -e 's/^([^:]*:[0-9]+:).*rp_filter.*/\1rp_filter/' -e tkept \
    -e '/^\/etc\/dhcp\/dhclient-exit-hooks\.d\/rfc3442-classless-routes:[0-9]+:[[:space:]]*ip -4 route add "\$[{]net_address[}]\/\$[{]net_length[}]" \\$/d' \
    -e '/^\/(etc|run)\/(network\/interfaces|wireguard\/|keepalived\/)/bstanza' -e '/^\/etc\/systemd\/system\//bunit' \
    -e 's/^([^:]*:[0-9]+:)#!.*/\1#!/' -e tkept \
    -e 's/^([^:]*:[0-9]+:)[[:space:]]*exit([[:space:]]+[0-9]+)?[[:space:];]*$/\1exit/' -e tkept \
    -e '/(rule|route)[[:space:]]+(a|add|append|replace)[[:space:]]/bcommand' \
    -e "s/^([^:]*:[0-9]+:)[[:space:]]*($vnicheck_branches).*/\\1branch/" -e tkept -e bcommand \
    -e ':unit' -e 's/^([^:]*:[0-9]+:)[[:space:]]*(Condition|Assert)[A-Za-z]+[[:space:]]*=.*/\1condition/' -e tkept \
    -e 's/^([^:]*:[0-9]+:)[[:space:]]*Exec[A-Za-z]+[[:space:]]*=[[:space:]]*$/\1reset/' -e tkept \
    -e 's/^([^:]*:[0-9]+:)[[:space:]]*('"$vnicheck_pulls"')[[:space:]]*=[[:space:]]*([A-Za-z0-9@:._\\ -]*)$/\1pulls \3/' -e tkept -e bcommand \
    -e ':stanza' -e '/^\/(etc|run)\/network/s/^([^:]*:[0-9]+:)[[:space:]]*((source|source-directory|source-dir)[[:space:]]+[^[:space:]]+)[[:space:]]*$/\1\2/' -e tkept \
    -e '/^\/(etc|run)\/network/s/^([^:]*:[0-9]+:)[[:space:]]*((auto|allow-[a-z0-9-]+|iface|mapping|rename|template)([[:space:]]+[]A-Za-z0-9.:_*?![@=\/-]+)*)[[:space:]]*$/\1\2/' -e tkept \
    -e '/^\/etc\/wireguard/s/^([^:]*:[0-9]+:)[[:space:]]*(\[[A-Za-z]+\]|([Tt]able|[Aa]llowed[Ii][Pp]s)[[:blank:]]*=[A-Za-z0-9.:,\/ -]*)[[:space:]]*$/\1\2/' -e tkept \
    -e '/^\/etc\/keepalived/s/^([^:]*:[0-9]+:)[[:space:]]*(static_routes|static_rules|virtual_routes|virtual_rules|include).*/\1\2/' -e tkept \
    -e ':command' \
    -e 's/^([^:]*:[0-9]+:)[[:space:]]*((pre-up|up|post-up)[[:space:]]+|Exec(Condition|Start|StartPre|StartPost)=-?|P[a-z]+[Uu]p[[:blank:]]*=[[:blank:]]*)?('"$vnicheck_ip"'((&&|;)[[:blank:]]*'"$vnicheck_ip"')*)([|][|] *(true|:)|;)?$/\1\5/' \
    -e tkept -e 's/^([^:]*:[0-9]+:).*/\1?/' -e ':kept' -e 's/^(.{400}).*/\1/' -e p -e b \
    -e ':netplan' -e '/^.{400}/bwithhold' -e '/^[^:]*:2000:/bwithhold' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*#/b' -e 's/^([^:]*:[0-9]+:[^"'\''#]*[[:space:]])#.*/\1/' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?[A-Za-z0-9_.-]+["'\'']?:[[:space:]]*([&*][A-Za-z0-9_-]+|[[{])?[[:space:]]*$/{p;b' -e '}' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*- +[&*][A-Za-z0-9_-]+[[:space:]]*$/{p;b' -e '}' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*[]}][][{}, ]*$/{p;b' -e '}' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?('"$vnicheck_keys"'|renderer|version)["'\'']?: *'"$vnicheck_plain"'[[:space:]]*$/{p;b' -e '}' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*["'\'']?(macaddress|name|driver|set-name|activation-mode)["'\'']?: *('"$vnicheck_glob"'|\[ *'"$vnicheck_glob"'( *, *'"$vnicheck_glob"')* *\])[[:space:]]*$/{p;b' -e '}' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?(["'\'']?[A-Za-z0-9_.-]+["'\'']?: *)?[[{]'"$vnicheck_brackets"'(["'\'']?('"$vnicheck_keys|$vnicheck_others"'|routes|routing-policy)["'\'']?: *[][{} ]*'"$vnicheck_flow"'('"$vnicheck_brackets$vnicheck_flow"')*'"$vnicheck_brackets"')+$/{p;b' -e '}' \
    -e 's/^([^:]*:[0-9]+:[[:space:]]*["'\'']?(match|macaddress|name|driver|set-name|activation-mode)["'\'']?:).*/\1 #withheld/' -e tkept \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(use-routes|["'\'']use-routes["'\'']): *[a-z]*[[:space:]]*$/b' \
    -e '/routing-policy|routes|[{[].*(from|table)/bwithhold' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?('"$vnicheck_keys"')["'\'']?:/bwithhold' \
    -e '/^[^:]*:[0-9]+:[[:space:]]*(- +)?["'\'']?[A-Za-z0-9_.-]+["'\'']?:[[:space:]]+[&!#*]/bwithhold' -e '/<</bwithhold' -e b \
    -e ':withhold' -e 's/^([^:]*:[0-9]+:).*/\1#withheld/p'
}

# The scripts that units, cron and rc.local run, wherever they are, but those that a package brings, as STARTER:LINE:SCRIPT.
vnicheck_started() {
  grep -sHnE '^(Exec[A-Za-z]+=|@reboot[[:space:]]|[[:space:]]*)[^#]*/' /etc/systemd/system/*.service \
    /etc/systemd/system/*.service.d/*.conf /etc/cron.d/* /etc/crontab /etc/rc.local /etc/rc.d/rc.local |
    sed -E -n -e 's/^([^:]*:[0-9]+:)(Exec[A-Za-z]+=[-+!@:]*|@reboot[[:space:]]+([a-z]+[[:space:]]+)?|[[:space:]]*)((\/usr)?\/bin\/(env +)?(ba|da)?sh +(-[a-z]+ +)*)?(\/[A-Za-z0-9_.\/-]+)([[:space:]].*)?$/\1\9/' \
      -e tfound -e d -e ':found' -e '/:\/((usr\/)?s?bin|(usr\/)?lib)\//d' -e p
}

# Which units a boot starts: the links in the folders of what wants them, of those of packages the network's own.
vnicheck_wanted() {
  for vnicheck_path in /etc/systemd/system/*.wants/* /etc/systemd/system/*.requires/* /run/systemd/system/*.wants/* \
    /run/systemd/generator*/*.wants/* /usr/lib/systemd/system/*.wants/* /lib/systemd/system/*.wants/*; do
    case $vnicheck_path in
      */\*) ;;
      /etc/* | */NetworkManager* | */systemd-networkd.* | */network*.service | */wicked*.service | */rc*.service)
        printf '@wanted %s\n' "$vnicheck_path"
        ;;
    esac
  done
}

# What the next boot sets of policy rules and routes, by network manager and in scripts; which interfaces that is for,
# and whether boot does it at all. No secrets: of keyfiles and ini files the section headers and the keys that tell of
# that, of scripts the `ip rule` and `ip route` commands.
vnicheck_boot_network() {
  vnicheck_branches='(if|elif|else|case|while|for|until|select|function|return|exec|exit|test|then|do)([^A-Za-z0-9_-]|$)|\[|\{|[A-Za-z_]+[[:space:]]*\(\)'
  vnicheck_pulls='Wants|Requires|Requisite|BindsTo|Upholds|OnSuccess|OnFailure|Unit'
  vnicheck_boot_lines | vnicheck_allowed
}

vnicheck_boot_lines() {
  printf '@applied\n'
  vnicheck_wanted
  vnicheck_lines '^[[:space:]]*(\[|(autoconnect|autoconnect-priority|interface-name|mac-address|mac-address-[a-z]+|type|method|uuid|permissions|driver|path|kernel-command-line|route[0-9]+(_options)?|route-table|routing-rule[0-9]+)[[:space:]]*=)' \
    /etc/NetworkManager/system-connections /etc/NetworkManager/system-connections/* \
    /run/NetworkManager/system-connections /run/NetworkManager/system-connections/* \
    /usr/lib/NetworkManager/system-connections /usr/lib/NetworkManager/system-connections/*
  vnicheck_lines '^[[:space:]]*(\[|(unmanaged-devices|managed|match-device|plugins|enable)[+-]?[[:space:]]*=)' \
    /etc/NetworkManager/NetworkManager.conf /etc/NetworkManager/conf.d/*.conf /run/NetworkManager/conf.d/*.conf \
    /usr/lib/NetworkManager/conf.d/*.conf
  vnicheck_lines '^[[:space:]]*(ROUTING_RULE_[0-9]+|IPV4_ROUTE_TABLE|POST_UP_SCRIPT|DEVICE|HWADDR|UUID|ONBOOT|AUTOCONNECT_PRIORITY|NM_CONTROLLED|STARTMODE|NETWORKING)=.' \
    /etc/sysconfig/network-scripts /etc/sysconfig/network-scripts/ifcfg-* /etc/sysconfig/network \
    /etc/sysconfig/network/ifcfg-*
  vnicheck_lines '^[[:space:]]*[^#[:space:]]' /etc/sysconfig/network-scripts/rule-* \
    /etc/sysconfig/network-scripts/route-* /etc/sysconfig/network/ifroute-* /etc/sysconfig/network/ifrule-* \
    /etc/sysconfig/network/routes
  vnicheck_lines '[^[:space:]]' /etc/netplan /etc/netplan/*.yaml /run/netplan /run/netplan/*.yaml /lib/netplan/*.yaml
  vnicheck_lines '^[[:space:]]*(\[|(From|To|Table|Priority|Destination|RouteTable|IncomingInterface|OutgoingInterface|FirewallMark|Family|Type|TypeOfService|SourcePort|DestinationPort|IPProtocol|InvertRule|User|SuppressPrefixLength|SuppressInterfaceGroup|L3MasterDevice|IPv4ReversePathFilter|Name|OriginalName|MACAddress|PermanentMACAddress|Path|Driver|Kind|Property|WLANInterfaceType|SSID|BSSID|Host|Virtualization|KernelCommandLine|KernelVersion|Credential|Architecture|Firmware|Unmanaged|ActivationPolicy)[[:space:]]*=)' \
    /etc/systemd/networkd.conf /etc/systemd/networkd.conf.d/*.conf /run/systemd/networkd.conf.d/*.conf \
    /usr/lib/systemd/networkd.conf /usr/lib/systemd/networkd.conf.d/*.conf \
    /etc/systemd/network /etc/systemd/network/*.network /etc/systemd/network/*.network.d/*.conf \
    /run/systemd/network /run/systemd/network/*.network /run/systemd/network/*.network.d/*.conf \
    /usr/local/lib/systemd/network/*.network /usr/local/lib/systemd/network/*.network.d/*.conf \
    /usr/lib/systemd/network/*.network /usr/lib/systemd/network/*.network.d/*.conf \
    /etc/systemd/network/*.netdev /run/systemd/network/*.netdev /usr/local/lib/systemd/network/*.netdev \
    /usr/lib/systemd/network/*.netdev
  vnicheck_lines '^[[:space:]]*(pre-up|up|post-up|source|source-directory|source-dir|auto|allow-[a-z0-9-]+|iface|mapping|rename|template)([[:space:]]|$)' \
    /etc/network/interfaces /etc/network/interfaces.d /etc/network/interfaces.d/* /run/network/interfaces.d/*
  vnicheck_lines '^(CONFIGURE_INTERFACES|EXCLUDE_INTERFACES)=' /etc/default/networking
  vnicheck_lines '^[[:space:]]*(\[|[Tt]able[[:space:]]*=|[Aa]llowed[Ii][Pp]s[[:space:]]*=|P[a-z]+[Uu]p[[:space:]]*=.*(rule|route)[[:space:]]+(a|add|append|replace)[[:space:]])' \
    /etc/wireguard /etc/wireguard/*.conf
  vnicheck_lines '^[[:space:]]*(static_routes|static_rules|virtual_routes|virtual_rules|include)' \
    /etc/keepalived/keepalived.conf
  set -- /etc/rc.local /etc/rc.d/rc.local /etc/NetworkManager/dispatcher.d/* /etc/NetworkManager/dispatcher.d/*.d/* \
    /etc/networkd-dispatcher/*.d/* /etc/network/if-*.d/* /etc/dhcp/dhclient-*-hooks.d/* \
    /etc/cron.d/* /etc/tuned/*/tuned.conf /usr/local/bin/*.sh /usr/local/sbin/*.sh
  for vnicheck_value in $(vnicheck_started); do
    printf '@starts %s\n' "$vnicheck_value"
    case ${vnicheck_value##*:} in
      /usr/local/*bin/*/*) set -- "$@" "${vnicheck_value##*:}" ;;
      /usr/local/bin/*.sh | /usr/local/sbin/*.sh) ;;
      *) set -- "$@" "${vnicheck_value##*:}" ;;
    esac
  done
  vnicheck_lines '^[[:space:]]*[^#[:space:]].*(rp_filter|(rule|route)[[:space:]]+(a|add|append|replace)[[:space:]])|^[[:space:]]*ip.*r[a-z]*[[:space:]]+a|^[^#]*rp_filter|^[[:space:]]*('"$vnicheck_branches"')|^#!' "$@"
  vnicheck_lines '^[[:space:]]*[^#[:space:]].*(rp_filter|(rule|route)[[:space:]]+(a|add|append|replace)[[:space:]])|^[^#]*rp_filter|^[[:space:]]*((Condition|Assert)[A-Za-z]+|'"$vnicheck_pulls"')[[:space:]]*=|^[[:space:]]*Exec[A-Za-z]+[[:space:]]*=[[:space:]]*$' \
    /etc/systemd/system/*.service /etc/systemd/system/*.service.d/*.conf /etc/systemd/system/*.target \
    /etc/systemd/system/*.timer /etc/systemd/system/*.path /etc/systemd/system/*.socket
  vnicheck_modes "$@" /etc/NetworkManager/system-connections/* /usr/lib/NetworkManager/system-connections/* \
    /run/NetworkManager/system-connections/*
  return 0
}

# The modes of files that have any, with the user and the group that they belong to.
vnicheck_modes() {
  vnicheck_left=$#
  while [ "$vnicheck_left" -gt 0 ]; do
    if [ -f "$1" ]; then set -- "$@" "$1"; fi
    shift
    vnicheck_left=$((vnicheck_left - 1))
  done
  if [ $# -gt 0 ]; then ls -ldLn "$@"; fi
}

vnicheck_collect() {
  vnicheck_section date date -u +%Y-%m-%dT%H:%M:%SZ
  vnicheck_section uname vnicheck_uname
  vnicheck_section ip_version vnicheck_ip_version
  vnicheck_section interfaces ip $vnicheck_flags addr show
  vnicheck_section rules ip -4 $vnicheck_flags rule show
  vnicheck_section routes ip -4 $vnicheck_flags route show table all
  vnicheck_section nexthops ip $vnicheck_flags nexthop show
  vnicheck_section neighbours ip -4 $vnicheck_flags neigh show nud permanent
  vnicheck_section texts vnicheck_texts
  vnicheck_section matches vnicheck_matches
  vnicheck_section managers vnicheck_managers
  vnicheck_section owners vnicheck_owners
  vnicheck_section devices vnicheck_devices
  vnicheck_section traffic vnicheck_traffic
  vnicheck_section firewall vnicheck_firewall
  vnicheck_section ipsec vnicheck_ipsec
  vnicheck_section bpf vnicheck_bpf
  vnicheck_section boot_sysctls vnicheck_boot_sysctls
  vnicheck_section boot_network vnicheck_boot_network
}

LC_ALL=C
PATH=${PATH:-/bin:/usr/bin}:/sbin:/usr/sbin
export LC_ALL PATH
unset IFS
vnicheck_newline='
'
vnicheck_bound=
if command -v timeout >/dev/null; then vnicheck_bound='timeout 5'; fi
vnicheck_mark=vnicheck-$$
if [ -r /proc/sys/kernel/random/uuid ]; then read -r vnicheck_mark </proc/sys/kernel/random/uuid; fi
printf '\nvnicheck-guest/%s begin\n' 1
vnicheck_framed </dev/null
