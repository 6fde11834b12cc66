#!/bin/sh
# Network managers whose Debian packages bring services that would take over this machine's network: unpacked into the
# folder that is named, not installed, and run from there. What they need is installed: libraries, and the bus daemon.
set -u
folder=$1
[ -e "$folder/.ready" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "tests will be skipped for want of Debian's netplan, ifupdown and NetworkManager" >&2
	exit 0
fi
echo "unpacking network managers into $folder ..." >&2
export DEBIAN_FRONTEND=noninteractive
waiting='-o DPkg::Lock::Timeout=300' # another clone may be at it
packages='netplan.io ifupdown network-manager'
# shellcheck disable=SC2086
apt-cache show $packages >/dev/null 2>&1 || apt-get -qq $waiting update >/dev/null
libraries=$(apt-cache depends $packages | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p' | sort -u)
command -v dbus-daemon >/dev/null || libraries="$libraries dbus-daemon"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086
{
	apt-get -qq $waiting install -y --no-install-recommends --no-upgrade $libraries >/dev/null &&
		cd "$work" && apt-get -qq -o APT::Sandbox::User=root download $packages >/dev/null && cd - >/dev/null &&
		mkdir -p "$folder" && for package in "$work"/*.deb; do dpkg-deb -x "$package" "$folder" || exit 1; done
} && touch "$folder/.ready" || {
	echo "could not unpack $packages; run tests/managers.sh by hand to see why" >&2
	exit 1
}
