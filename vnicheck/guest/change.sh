# vnicheck's guest side of a change, format 2. POSIX sh, as root. What is run is defined ahead of this text:
#   vnicheck_id, vnicheck_seconds, vnicheck_count, vnicheck_do_N, vnicheck_back_N, which undoes that, vnicheck_stands_N,
#   which succeeds where its effect is there (where that cannot be looked at: where $1, the status of the undoing, is not
#   0), and vnicheck_undo_text, which prints the script that the timer runs (undo.sh).
# A change is a folder in /run (a boot, which undoes it, clears it). Its state is the name of one file in it, so that
# renaming that file decides who was first, also where the disk is full: `armed` (the timer runs) -> `fired` -> `undone`
# or, where something stands that could not be undone, `stuck`; `armed` -> `kept`. `journal` tells what was done to the
# running server, `files` which configuration files were there before.
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
  for vnicheck_name in armed fired stuck undone kept; do
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
  if ! printf '%s\n' "$vnicheck_id" 2>/dev/null >"$vnicheck_top/lock/id" || [ ! -s "$vnicheck_top/lock/id" ]; then
    rm -rf "$vnicheck_top/lock"
    vnicheck_end failed "no space left in $vnicheck_top"
  fi
}

vnicheck_unlock() {
  if [ "$(cat "$vnicheck_top/lock/id" 2>/dev/null)" = "$vnicheck_id" ]; then rm -rf "$vnicheck_top/lock"; fi
}

# Start what undoes the change unless it is kept in time; it must outlive this session. The file `timer` says what it is.
vnicheck_start_timer() {
  if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1 &&
    systemd-run --quiet --collect --unit="vnicheck-$vnicheck_id" --on-active="$vnicheck_seconds" \
      --timer-property=AccuracySec=1s /bin/sh "$vnicheck_folder/undo" >/dev/null 2>&1; then
    printf 'systemd\n' >"$vnicheck_folder/timer"
  else
    vnicheck_detach=
    if command -v setsid >/dev/null 2>&1; then vnicheck_detach=setsid; fi
    (
      trap '' HUP
      $vnicheck_detach /bin/sh -c 'trap "" HUP; sleep "$1"; exec /bin/sh "$2"' vnicheck \
        "$vnicheck_seconds" "$vnicheck_folder/undo" </dev/null >/dev/null 2>&1 3>&- &
      printf 'process %s\n' "$!" >"$vnicheck_folder/timer"
    )
  fi
  for vnicheck_try in 1 2 3; do # a process may still be on its way to its own command line
    if vnicheck_timer_lives; then return 0; fi
    sleep 1
  done
  return 1
}

# Whether the timer still runs: what ends a session may end a process that it started, too.
vnicheck_timer_lives() {
  read -r vnicheck_kind vnicheck_timer <"$vnicheck_folder/timer" || return 1
  case $vnicheck_kind in
    process) grep -qs "$vnicheck_folder/undo" "/proc/$vnicheck_timer/cmdline" ;;
    systemd) systemctl is-active --quiet "vnicheck-$vnicheck_id.timer" ;;
    *) return 1 ;;
  esac
}

vnicheck_stop_timer() {
  if ! vnicheck_timer_lives; then return 0; fi
  case $vnicheck_kind in
    process) kill "$vnicheck_timer" ;;
    systemd) systemctl stop "vnicheck-$vnicheck_id.timer" >/dev/null ;;
  esac
}

# Before anything is changed, all that undoing needs is written, and read back; `reserve` is room for what is noted on
# the way.
vnicheck_arm() {
  if [ "$(id -u)" != 0 ]; then vnicheck_end not-root; fi
  for vnicheck_tool in ip sysctl sed grep cat mv rm mkdir sleep; do
    command -v "$vnicheck_tool" >/dev/null 2>&1 || vnicheck_end failed "the server has no $vnicheck_tool"
  done
  vnicheck_lock
  umask 077
  if [ -e "$vnicheck_folder" ]; then vnicheck_give_up "$vnicheck_folder is there already"; fi
  if ! vnicheck_write_folder 2>/dev/null; then
    rm -rf "$vnicheck_folder"
    vnicheck_give_up "no space left in $vnicheck_top"
  fi
  if ! vnicheck_start_timer 2>/dev/null; then
    vnicheck_stop_timer 2>/dev/null
    rm -rf "$vnicheck_folder"
    vnicheck_give_up 'no timer could be started'
  fi
  vnicheck_end armed "$vnicheck_kind"
}

vnicheck_write_folder() {
  mkdir "$vnicheck_folder" &&
    vnicheck_undo_text >"$vnicheck_folder/undo" &&
    [ "$(cat "$vnicheck_folder/undo")" = "$(vnicheck_undo_text)" ] &&
    printf 'format 2\n' >"$vnicheck_folder/journal" && [ -s "$vnicheck_folder/journal" ] &&
    printf 'format 2\n' >"$vnicheck_folder/files" && [ -s "$vnicheck_folder/files" ] &&
    printf '%16384s' x >"$vnicheck_folder/reserve" &&
    : >"$vnicheck_folder/armed"
}

vnicheck_give_up() {
  vnicheck_unlock
  vnicheck_end failed "$1"
}

# Each step is noted before it is done, and that it was refused: that did nothing, and is not ours to undo.
vnicheck_apply() {
  vnicheck_require_timer
  vnicheck_step=0
  while [ "$vnicheck_step" -lt "$vnicheck_count" ]; do
    vnicheck_step=$((vnicheck_step + 1))
    if [ ! -e "$vnicheck_folder/armed" ]; then vnicheck_end late "$(vnicheck_state)"; fi
    if ! vnicheck_note "begin $vnicheck_step"; then
      vnicheck_words='it cannot be noted: no space left in /run'
      vnicheck_refused
      vnicheck_undo
    fi
    if vnicheck_words=$("vnicheck_do_$vnicheck_step" 2>&1 </dev/null); then
      vnicheck_say done "$vnicheck_step"
    elif [ -e "$vnicheck_folder/armed" ]; then
      vnicheck_note "refused $vnicheck_step"
      vnicheck_refused
      vnicheck_undo
    fi
    if [ ! -e "$vnicheck_folder/armed" ]; then # the timer may not have seen this step begin
      vnicheck_undo_again
      vnicheck_end late "$(vnicheck_state)"
    fi
  done
  vnicheck_require_timer
  : >"$vnicheck_folder/complete"
  vnicheck_end applied
}

vnicheck_note() {
  printf '%s\n' "$1" 2>/dev/null >>"$vnicheck_folder/journal"
}

# Without a timer nothing is changed, and what is changed is undone.
vnicheck_require_timer() {
  if [ -e "$vnicheck_folder/armed" ] && ! vnicheck_timer_lives 2>/dev/null; then
    vnicheck_say refused 0 the rollback timer does not run any more
    vnicheck_undo
  fi
}

# How far the change is: its state, and whether every step was done.
vnicheck_status() {
  if [ -e "$vnicheck_folder/complete" ]; then vnicheck_end "$(vnicheck_state)" complete; fi
  vnicheck_end "$(vnicheck_state)"
}

vnicheck_first_line() {
  printf '%s' "$vnicheck_words" | sed -e 's/\(.\{200\}\).*/\1/' -e 1q
}

vnicheck_refused() {
  vnicheck_say refused "$vnicheck_step" "$(vnicheck_first_line)"
}

# Undo now what the journal tells, and answer what was ours and what of it still stands. Who renames `armed` first does
# it; a timer that was quicker is waited for.
vnicheck_undo() {
  if [ -e "$vnicheck_folder/undo" ]; then
    vnicheck_stop_timer 2>/dev/null
    vnicheck_run_undo
    vnicheck_await
    if [ ! -e "$vnicheck_folder/undone" ]; then vnicheck_undo_again; fi
    vnicheck_run_undo tell | while read -r vnicheck_line; do vnicheck_say "$vnicheck_line"; done
  fi
  vnicheck_end "$(vnicheck_state)"
}

vnicheck_run_undo() {
  /bin/sh "$vnicheck_folder/undo" "$@" </dev/null 2>/dev/null
}

vnicheck_await() {
  vnicheck_waited=0
  while [ -e "$vnicheck_folder/fired" ] && [ "$vnicheck_waited" -lt 20 ]; do
    sleep 1
    vnicheck_waited=$((vnicheck_waited + 1))
  done
}

# Undo once more after the timer, or what was kept.
vnicheck_undo_again() {
  vnicheck_await
  for vnicheck_name in undone stuck kept; do
    if mv "$vnicheck_folder/$vnicheck_name" "$vnicheck_folder/armed" 2>/dev/null; then
      vnicheck_run_undo
      return
    fi
  done
}

# Keep the change: the timer does nothing any more. `release`: nothing is to follow.
vnicheck_keep() {
  if mv "$vnicheck_folder/armed" "$vnicheck_folder/kept" 2>/dev/null; then
    vnicheck_stop_timer 2>/dev/null
    if [ "$1" = release ]; then vnicheck_unlock; fi
    vnicheck_end kept
  fi
  vnicheck_end late "$(vnicheck_state)"
}

# Steps without a timer, for configuration files, as long as what runs is kept: another session may undo it. One that says
# "there already" has done nothing, and is not undone. Where one fails, those before it are undone at once.
vnicheck_steps() {
  if [ "$(id -u)" != 0 ]; then vnicheck_end not-root; fi
  vnicheck_step=0
  while [ "$vnicheck_step" -lt "$vnicheck_count" ]; do
    vnicheck_step=$((vnicheck_step + 1))
    if [ ! -e "$vnicheck_folder/kept" ]; then vnicheck_end late "$(vnicheck_state)"; fi
    if ! vnicheck_words=$("vnicheck_do_$vnicheck_step" 2>&1 </dev/null); then
      vnicheck_refused
      vnicheck_found_before
      vnicheck_back_from_last files
      vnicheck_end refused-and-undone
    fi
    case $vnicheck_words in
      'there already'*)
        vnicheck_say found "$vnicheck_step"
        vnicheck_found_before
        ;;
      *) vnicheck_say done "$vnicheck_step" ;;
    esac
  done
  vnicheck_unlock
  vnicheck_end applied
}

vnicheck_found_before() {
  printf 'found %s\n' "$vnicheck_step" 2>/dev/null >>"$vnicheck_folder/files"
}

# Undo steps that no timer guards, the last one first, whatever becomes of each; `left`: what stands, and why.
vnicheck_back() {
  if [ "$(id -u)" != 0 ]; then vnicheck_end not-root; fi
  vnicheck_step=$vnicheck_count
  vnicheck_back_from_last "$1"
  vnicheck_unlock
  vnicheck_end back
}

vnicheck_back_from_last() {
  while [ "$vnicheck_step" -gt 0 ]; do
    if [ "$1" = running ] || ! grep -qsx "found $vnicheck_step" "$vnicheck_folder/files"; then
      if vnicheck_words=$("vnicheck_back_$vnicheck_step" 2>&1 </dev/null); then vnicheck_code=0; else vnicheck_code=1; fi
      if ("vnicheck_stands_$vnicheck_step" "$vnicheck_code") </dev/null >/dev/null 2>&1; then
        vnicheck_say left "$vnicheck_step" "$(vnicheck_first_line)"
      fi
    fi
    vnicheck_step=$((vnicheck_step - 1))
  done
}

vnicheck_close() {
  vnicheck_unlock
  rm -rf "$vnicheck_folder"
  vnicheck_end closed
}
