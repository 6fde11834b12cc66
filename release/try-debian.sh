#!/bin/sh
# try-debian.sh [SUITE]: what the README tells a newcomer to type, on a Debian made by debootstrap, as a user that is new
# there: the demo from a clone, pip and pipx from the repository, the one file, and a saved guest without SSH. Needs root
# and debootstrap; takes some minutes. The repository is this clone's HEAD; packages come by this machine's settings.
set -eu
suite=${1:-bookworm}
here=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf --one-file-system "$root"' EXIT
echo "making a Debian $suite in $root ..."
debootstrap --variant=minbase --include=ca-certificates,git,make,python3,python3-venv,pipx,iproute2,procps "$suite" "$root" \
	>"$root.log" 2>&1 || { tail -n 5 "$root.log"; exit 1; }
rm -f "$root.log"
for file in /etc/resolv.conf /etc/pip.conf "$HOME/.config/pip/pip.conf" /etc/ssl/certs/ca-certificates.crt; do
	if [ -r "$file" ]; then cp -L "$file" "$root/etc/$(basename "$file")"; fi
done
if [ -r "$root/etc/ca-certificates.crt" ]; then mv "$root/etc/ca-certificates.crt" "$root/etc/ssl/certs/"; fi
git clone -q --bare "$here" "$root/srv/vnicheck"
git --git-dir="$root/srv/vnicheck" update-server-info
chroot "$root" useradd --create-home newcomer
chroot "$root" chown -R newcomer /srv
if [ -r "$here/dist/vnicheck.pyz" ]; then cp "$here/dist/vnicheck.pyz" "$root/srv/"; fi
cat >"$root/srv/steps" <<'STEPS'
set -eu
cd
export PATH="$HOME/.local/bin:$PATH"
python3 -u -m http.server --bind 127.0.0.1 --directory /srv 0 >http.txt 2>&1 &
server=$!
trap 'kill $server' EXIT
until grep -q 'port [0-9]' http.txt; do sleep 0.1; done
REPOSITORY="http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\) .*/\1/p' http.txt)/vnicheck"
export REPOSITORY
step() { printf '%s ... ' "$*"; started=$(date +%s); }
well() { echo "well, $(($(date +%s) - started)) s"; }
tells() { grep -q '6 of 6 observations are as predicted' "$1" || { cat "$1"; exit 1; }; }
step 'git clone, make demo'
git clone -q "$REPOSITORY" clone && (cd clone && make demo) >demo.txt 2>err.txt || { cat err.txt; exit 1; }
tells demo.txt; well
step 'make demo again'
(cd clone && make demo) >demo.txt; tells demo.txt; well
step 'pipx install, vnicheck demo'
pipx install "git+$REPOSITORY" >pipx.txt 2>&1 || { tail -n 20 pipx.txt; exit 1; }
vnicheck demo >demo.txt; tells demo.txt; well
step 'pip install into a virtual environment'
python3 -m venv venv && venv/bin/pip install -q "git+$REPOSITORY" >pip.txt 2>&1 || { tail -n 20 pip.txt; exit 1; }
venv/bin/vnicheck --version >/dev/null; well
if [ -r /srv/vnicheck.pyz ]; then
	step 'python3 vnicheck.pyz demo'
	python3 /srv/vnicheck.pyz demo >demo.txt; tells demo.txt; well
fi
step 'collect-script, run here, read with --guest'
vnicheck collect-script >collect.sh && sh collect.sh >web-1.txt
status=0; vnicheck analyze web-1 --guest web-1=web-1.txt >out.txt 2>err.txt || status=$?
[ "$status" = 2 ] && grep -q IBMCLOUD_API_KEY err.txt || { cat out.txt err.txt; exit 1; }
well # there is no account here: one line says which variable is missing
step 'a snapshot, offline'
snapshot=$(find clone/vnicheck/demo -name recorded.json)
vnicheck analyze --snapshot "$snapshot" >analyze.txt
vnicheck trace server --snapshot "$snapshot" --from 10.8.0.4 --to 10.0.0.12 --port 443 >trace.txt
status=0; vnicheck lint --snapshot "$snapshot" --max-age 36500 -f sarif=vnicheck.sarif -f text >lint.txt 2>&1 || status=$?
[ "$status" = 1 ] || { cat lint.txt; exit 1; }
vnicheck fix server --dry-run --snapshot "$snapshot" >fix.txt
vnicheck explain VNC101 >page.txt
grep -q VNC101 analyze.txt
grep -q rp_filter trace.txt
grep -q VNC101 vnicheck.sarif
grep -q 'ip rule add' fix.txt
grep -q 'packets drop' page.txt; well
echo 'all of it: well'
STEPS
chroot "$root" su - newcomer -s /bin/sh /srv/steps
