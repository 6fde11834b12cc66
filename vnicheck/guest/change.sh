# vnicheck's guest side of a change, format 1. POSIX sh, as root. What is run is defined ahead of this text:
#   vnicheck_id, vnicheck_seconds, vnicheck_count, vnicheck_do_N and vnicheck_back_N, which undoes that, and
#   vnicheck_undo_text, which prints the script that the timer runs.
# A change is a folder in /run (a boot, which undoes it, clears it). Its state is the name of one file in it, so that
# renaming that file decides who was first: `armed` (the timer runs) -> `fired` -> `undone`, or `armed` -> `kept`.
# Every answer is a line that starts with "@vnicheck "; the last one is "@vnicheck end".

vnicheck_top=/run/vnicheck
vnicheck_folder=$vnicheck_top/$vnicheck_id
PATH=${PATH:-/bin:/usr/bin}:/sbin:/usr/sbin
LC_ALL=C
export PATH LC_ALL
trap '' HUP PIPE # what is begun is ended, also where a step cuts this very session

vnicheck_say() {
  printf '@vnicheck %s\n' "$*"
}

vnicheck_end() {
  vnicheck_say "$@"
  vnicheck_say end
  exit 0
}

vnicheck_state() {
  for vnicheck_name in armed fired undone kept; do
    if [ -e "$vnicheck_folder/$vnicheck_name" ]; then
      printf '%s\n' "$vnicheck_name"
      return
    fi
  done
  printf 'absent\n'
}

# Take the lock: one change at a time on a server. One that is over, or whose client went away, holds it no longer.
vnicheck_lock() {
  mkdir -p "$vnicheck_top" && chmod 700 "$vnicheck_top" || vnicheck_end failed cannot write to /run
  if ! mkdir "$vnicheck_top/lock" 2>/dev/null; then
    vnicheck_other=$(cat "$vnicheck_top/lock/id" 2>/dev/null)
    case $vnicheck_other in
      '' | *[!A-Za-z0-9_-]*) vnicheck_other=unknown ;;
    esac
    if [ -e "$vnicheck_top/$vnicheck_other/armed" ] || [ -e "$vnicheck_top/$vnicheck_other/fired" ] ||
      [ -z "$(find "$vnicheck_top/lock" -prune -mmin +10 2>/dev/null)" ]; then
      vnicheck_end busy "$vnicheck_other"
    fi
    rm -rf "$vnicheck_top/lock"
    mkdir "$vnicheck_top/lock" 2>/dev/null || vnicheck_end busy unknown
  fi
  printf '%s\n' "$vnicheck_id" >"$vnicheck_top/lock/id"
}

vnicheck_unlock() {
  if [ "$(cat "$vnicheck_top/lock/id" 2>/dev/null)" = "$vnicheck_id" ]; then rm -rf "$vnicheck_top/lock"; fi
}

# Start what undoes the change unless it is kept in time; it must outlive this session.
vnicheck_start_timer() {
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1 &&
    systemd-run --quiet --collect --unit="vnicheck-$vnicheck_id" --on-active="$vnicheck_seconds" \
      --timer-property=AccuracySec=1s /bin/sh "$vnicheck_folder/undo" >/dev/null 2>&1; then
    printf 'systemd\n'
    return 0
  fi
  vnicheck_detach=
  if command -v setsid >/dev/null 2>&1; then vnicheck_detach=setsid; fi
  (
    trap '' HUP
    $vnicheck_detach /bin/sh -c 'trap "" HUP; sleep "$1"; exec /bin/sh "$2"' vnicheck \
      "$vnicheck_seconds" "$vnicheck_folder/undo" </dev/null >/dev/null 2>&1 3>&- &
    printf '%s\n' "$!" >"$vnicheck_folder/timer"
  )
  if kill -0 "$(cat "$vnicheck_folder/timer")" 2>/dev/null; then printf 'process\n'; else return 1; fi
}

vnicheck_stop_timer() {
  if [ -e "$vnicheck_folder/timer" ]; then
    vnicheck_timer=$(cat "$vnicheck_folder/timer")
    if grep -qs "$vnicheck_folder/undo" "/proc/$vnicheck_timer/cmdline"; then kill "$vnicheck_timer" 2>/dev/null; fi
  fi
  if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
    systemctl stop "vnicheck-$vnicheck_id.timer" >/dev/null 2>&1
  fi
  return 0
}

vnicheck_arm() {
  if [ "$(id -u)" != 0 ]; then vnicheck_end not-root; fi
  for vnicheck_tool in ip sysctl sed grep cat mv rm mkdir sleep; do
    command -v "$vnicheck_tool" >/dev/null 2>&1 || vnicheck_end failed "the server has no $vnicheck_tool"
  done
  vnicheck_lock
  umask 077
  if [ -e "$vnicheck_folder" ] || ! mkdir "$vnicheck_folder" || ! vnicheck_undo_text >"$vnicheck_folder/undo" ||
    ! : >"$vnicheck_folder/intents"; then
    vnicheck_unlock
    vnicheck_end failed "cannot write to $vnicheck_folder"
  fi
  : >"$vnicheck_folder/armed"
  if vnicheck_timer=$(vnicheck_start_timer); then vnicheck_end armed "$vnicheck_timer"; fi
  rm -f "$vnicheck_folder/armed"
  vnicheck_unlock
  vnicheck_end failed 'no timer could be started'
}

# Each step is noted before it is done: what may have been done is undone.
vnicheck_apply() {
  vnicheck_step=0
  while [ "$vnicheck_step" -lt "$vnicheck_count" ]; do
    vnicheck_step=$((vnicheck_step + 1))
    if [ ! -e "$vnicheck_folder/armed" ]; then vnicheck_end late "$(vnicheck_state)"; fi
    printf '%s\n' "$vnicheck_step" >>"$vnicheck_folder/intents"
    if vnicheck_words=$("vnicheck_do_$vnicheck_step" 2>&1 </dev/null); then
      vnicheck_say done "$vnicheck_step"
    else
      vnicheck_refused
      vnicheck_undo
    fi
    if [ ! -e "$vnicheck_folder/armed" ]; then # the timer may not have seen this step begin
      vnicheck_go_back
      vnicheck_end late "$(vnicheck_state)"
    fi
  done
  : >"$vnicheck_folder/complete"
  vnicheck_end applied
}

# How far the change is: its state, and whether every step was done.
vnicheck_status() {
  if [ -e "$vnicheck_folder/complete" ]; then vnicheck_end "$(vnicheck_state)" complete; fi
  vnicheck_end "$(vnicheck_state)"
}

vnicheck_refused() {
  vnicheck_say refused "$vnicheck_step" "$(printf '%s' "$vnicheck_words" | sed -e 's/\(.\{200\}\).*/\1/' -e 1q)"
}

vnicheck_go_back() {
  while [ "$vnicheck_step" -gt 0 ]; do
    "vnicheck_back_$vnicheck_step" </dev/null >/dev/null 2>&1
    vnicheck_step=$((vnicheck_step - 1))
  done
}

# Undo now what is armed. Who renames `armed` first does it; a timer that was quicker is waited for.
vnicheck_undo() {
  if [ -e "$vnicheck_folder/undo" ]; then
    vnicheck_stop_timer
    /bin/sh "$vnicheck_folder/undo" </dev/null >/dev/null 2>&1
    vnicheck_waited=0
    while [ -e "$vnicheck_folder/fired" ] && [ "$vnicheck_waited" -lt 20 ]; do
      sleep 1
      vnicheck_waited=$((vnicheck_waited + 1))
    done
  fi
  vnicheck_end "$(vnicheck_state)"
}

# Keep the change: the timer does nothing any more. `release`: nothing is to follow.
vnicheck_keep() {
  if mv "$vnicheck_folder/armed" "$vnicheck_folder/kept" 2>/dev/null; then
    vnicheck_stop_timer
    if [ "$1" = release ]; then vnicheck_unlock; fi
    vnicheck_end kept
  fi
  vnicheck_end late "$(vnicheck_state)"
}

# Steps without a timer, undone at once where one fails: configuration files, and the undoing of a change that was kept.
vnicheck_steps() {
  if [ "$(id -u)" != 0 ]; then vnicheck_end not-root; fi
  vnicheck_step=0
  while [ "$vnicheck_step" -lt "$vnicheck_count" ]; do
    vnicheck_step=$((vnicheck_step + 1))
    if vnicheck_words=$("vnicheck_do_$vnicheck_step" 2>&1 </dev/null); then
      vnicheck_say done "$vnicheck_step"
      continue
    fi
    vnicheck_refused
    if [ "$1" = back ]; then
      vnicheck_go_back
      vnicheck_end refused-and-undone
    fi
  done
  vnicheck_unlock
  vnicheck_end applied
}

vnicheck_close() {
  vnicheck_unlock
  rm -rf "$vnicheck_folder"
  vnicheck_end closed
}
