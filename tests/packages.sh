#!/bin/sh
# The programs that the tests use beside Python: network namespaces, packets, an SSH server, other shells, a browser.
# Installed by apt where root and Debian allow it; elsewhere the tests that need them are skipped (failed in CI).
set -u
missing=
need() {
	PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need ip iproute2
need nft nftables
need iptables-legacy iptables
need nsenter util-linux
need sshd openssh-server
need ssh openssh-client
need busybox busybox-static
need dash dash
need bash bash
need strace strace
need setpriv util-linux
need sudo sudo
need fish fish
need tcsh tcsh
need zsh zsh
need mksh mksh
need packer packer
need groff groff-base
need npm npm
need openssl openssl
command -v google-chrome >/dev/null 2>&1 || need chromium chromium
[ -x /usr/lib/systemd/systemd-sysctl ] || [ -x /lib/systemd/systemd-sysctl ] || missing="$missing systemd"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "tests will be skipped for want of:$missing" >&2
	exit 0
fi
echo "installing$missing ..." >&2
export DEBIAN_FRONTEND=noninteractive
waiting='-o DPkg::Lock::Timeout=300' # another clone may be at it
# shellcheck disable=SC2086
{ apt-get -qq $waiting update && apt-get -qq $waiting install -y --no-install-recommends $missing; } >/dev/null || {
	echo "could not install$missing; run apt-get by hand to see why" >&2
	exit 1
}
