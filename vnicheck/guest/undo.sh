# What undoes a change: by the timer, by vnicheck, or by hand. POSIX sh, as root. Defined ahead of this text: change,
# folder, undo_N and stands_N (see change.sh), is_known. With the argument `tell` it undoes nothing, and says which steps
# are ours and which of these stand. It writes nothing, so that a full disk does not stop it: its result is a name.
PATH=${PATH:-/bin:/usr/bin}:/sbin:/usr/sbin
LC_ALL=C
export PATH LC_ALL
cd "$folder" || exit 3
if [ "${1-}" != tell ]; then
  mv armed fired 2>/dev/null || exit 0
  rm -f reserve
fi

# Steps that were begun, the last one first, but for those that were refused: they did nothing.
steps=
while read -r word number; do
  if ! is_known "$number"; then continue; fi
  case $word in
    begin) steps="$number $steps" ;;
    refused) steps=${steps#"$number "} ;;
  esac
done <journal

if [ "${1-}" = tell ]; then
  [ -n "$steps" ] || echo ours none
  for number in $steps; do
    echo "ours $number"
    if [ ! -e undone ] && ("stands_$number" 0) </dev/null >/dev/null 2>&1; then echo "left $number"; fi
  done
  exit 0
fi

left=
for again in 1 2 3; do
  left=
  for number in $steps; do
    if ("undo_$number") </dev/null >/dev/null 2>&1; then code=0; else code=1; fi
    if ("stands_$number" "$code") </dev/null >/dev/null 2>&1; then left="$left$number "; fi
  done
  if [ -z "$left" ]; then break; fi
  steps=$left
  if [ "$again" != 3 ]; then sleep 1; fi
done
if [ -n "$left" ] || [ ! -s journal ]; then
  mv fired stuck
  exit 1
fi
mv fired undone
if [ "$(cat ../lock/id 2>/dev/null)" = "$change" ]; then rm -rf ../lock; fi
exit 0
