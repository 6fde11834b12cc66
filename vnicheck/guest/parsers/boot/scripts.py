"""Scripts and units that set rules and routes: whether boot runs them, and reaches the commands.

A unit runs where a target that boot reaches wants it and nothing masks it (systemctl(1), `enable`); rc.local where it
is executable (systemd-rc-local-generator(8)); NetworkManager's dispatcher runs what is executable, of root and not
writable for others (NetworkManager-dispatcher(8)); run-parts(8) what is executable and has a plain name. A script
elsewhere runs where one of those starts it. Commands behind a condition may run or not; behind an `exit` they do not.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from vnicheck.guest.parsers.boot.fate import BootSetting, Fate, Outcome, all_of, any_of, no
from vnicheck.guest.parsers.boot.files import BootFiles, Line
from vnicheck.guest.parsers.boot.ip_commands import NotUnderstood, commands_of
from vnicheck.guest.parsers.boot.machine import Machine
from vnicheck.guest.parsers.names import Names
from vnicheck.guest.parsers.parsed import capped

UNITS = "/etc/systemd/system/"
_REACHED = {
    "multi-user.target", "network.target", "network-online.target", "network-pre.target", "sysinit.target",
    "basic.target", "default.target", "local-fs.target", "sockets.target", "timers.target", "paths.target",
    "cloud-init.target", "cloud-config.target", "systemd-networkd.service", "NetworkManager.service",
    "networking.service",
}  # fmt: skip
_LIKE_RED_HAT = {"rhel", "centos", "rocky", "almalinux", "fedora", "ol", "amzn"}
_RUN_PARTS = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_UNIT = re.compile(r"[A-Za-z0-9@:._\\-]+\.(service|timer|path|socket|target)", re.ASCII)
_MARKS = {"branch", "exit", "#!", "condition", "reset", "rp_filter"}


def apply(files: BootFiles, paths: Sequence[str], names: Names, machine: Machine, outcome: Outcome) -> None:
    """What boot sets by scripts and units."""
    for path in paths:
        lines = files.lines[path]
        if not any(map(_is_command, lines)):
            continue
        if path.startswith(UNITS):
            unit = _unit_of(path)
            fate = all_of(is_unit_run(unit, files), _reached(_of_unit(unit, files)))
            for line in lines:
                if _is_command(line):
                    outcome.take(path, fate, _commands(line, names))
        else:
            _take(path, lines, _is_run(path, files, machine), names, outcome)


def _take(path: str, lines: Sequence[Line], fate: Fate, names: Names, outcome: Outcome) -> None:
    """A script's commands, up to where it ends."""
    for number, line in enumerate(lines):
        if _is_command(line):
            outcome.take(path, all_of(fate, _reached(lines[:number])), _commands(line, names))


def _is_command(line: Line) -> bool:
    return line.text not in _MARKS and not line.text.startswith("pulls ")


def _of_unit(unit: str, files: BootFiles) -> Iterator[Line]:
    """The lines of a unit's file and of its drop-ins, which may take back what it runs."""
    for path, lines in files.lines.items():
        if path.startswith(UNITS) and _unit_of(path) == unit:
            yield from lines


def _reached(before: Iterable[Line]) -> Fate:
    """Whether what stands behind these lines is reached."""
    reached: Fate = True
    for line in before:
        if line.text in {"branch", "condition", "reset"}:
            reached = f"{line.source} may keep its commands from running"
        elif line.text == "exit" and reached is True:
            return False
    return reached


def _commands(line: Line, names: Names) -> Iterator[BootSetting | None]:
    if line.text == "?":
        raise NotUnderstood
    yield from commands_of(line.text, line.source, names)


def is_unit_run(unit: str, files: BootFiles, depth: int = 3) -> Fate:
    """Whether boot starts a unit."""
    if f"{UNITS}{unit}" in files.masked:
        return False
    wanting = [
        path.rpartition("/")[0].rpartition("/")[2].rpartition(".")[0]
        for path in files.wanted
        if path.endswith(f"/{unit}")
    ]
    if any(target in _REACHED for target in wanting):
        return True
    pulling = [
        _unit_of(line.path)
        for of_path in files.lines.values()
        for line in of_path
        if line.path.startswith(UNITS) and line.text.startswith("pulls ") and unit in line.text.split()[1:]
    ]
    stem = unit.rpartition(".")[0]
    pulling += [f"{stem}.{kind}" for kind in ("timer", "path", "socket") if f"{UNITS}{stem}.{kind}" in files.lines]
    others = [*wanting, *(each for each in pulling if each != unit)]
    if depth and others and all(_UNIT.fullmatch(each) and not is_unit_known(each) for each in others):
        fates = [is_unit_run(each, files, depth - 1) for each in dict.fromkeys(others)]
        if all(fate is False for fate in fates):
            return False
    return f"whether boot starts {capped(others[0])[:60]}, which starts {unit}, is not known" if others else False


def is_unit_known(unit: str) -> bool:
    """Whether it is a target of systemd's own, which something else may start: `graphical.target`."""
    return unit.endswith(".target")


def _unit_of(path: str) -> str:
    """`vni.service` of its file, and of a drop-in."""
    return path.removeprefix(UNITS).partition("/")[0].removesuffix(".d")


def _is_run(path: str, files: BootFiles, machine: Machine) -> Fate:
    folder, _, name = path.rpartition("/")
    started = [_is_started(starter, files, machine) for starter in files.starters.get(path, ())]
    if path in {"/etc/rc.local", "/etc/rc.d/rc.local"}:
        return all_of(_is_executable(path, files), _is_rc_local(path, files, machine))
    if folder.startswith("/etc/NetworkManager/dispatcher.d"):
        return all_of(_is_executable(path, files), _is_of_root(path, files))
    if folder.startswith("/etc/networkd-dispatcher"):
        return all_of(_is_executable(path, files), _is_of_root(path, files), is_dispatched(files))
    if folder.startswith("/etc/network/if-"):
        if "down.d" in folder:
            return False
        return all_of(_RUN_PARTS.fullmatch(name) is not None, _is_executable(path, files), _has_shebang(path, files))
    if folder.startswith("/etc/dhcp/"):
        return _RUN_PARTS.fullmatch(name) is not None
    if folder == "/etc/cron.d" or path == "/etc/crontab":
        return _RUN_PARTS.fullmatch(name) is not None
    return any_of(*started) if started else "nothing that was read starts it"


def _is_started(starter: Line, files: BootFiles, machine: Machine) -> Fate:
    """Whether what starts a script is run itself, and comes to it."""
    path = starter.path
    lines = files.lines.get(path, ())
    if path.startswith(UNITS):
        return all_of(is_unit_run(_unit_of(path), files), _reached(_of_unit(_unit_of(path), files)))
    return all_of(_is_run(path, files, machine), _reached(line for line in lines if line.number < starter.number))


def is_dispatched(files: BootFiles) -> Fate:
    """Whether networkd-dispatcher is there: its unit is of a package."""
    return is_unit_run("networkd-dispatcher.service", files) if files.wanted else True


def _is_rc_local(path: str, files: BootFiles, machine: Machine) -> Fate:
    """Which of the two files counts is the distribution's choice; a script without `#!` is not run by systemd."""
    masked = any(f"{UNITS}{unit}" in files.masked for unit in ("rc-local.service", "rc.local.service"))
    red_hat = machine.os[0] in _LIKE_RED_HAT
    right: Fate = (
        (path == "/etc/rc.d/rc.local") == red_hat
        if machine.os[0]
        else path == "/etc/rc.local" or "whether it counts is not known"
    )
    if red_hat and path == "/etc/rc.local":
        right = "whether it is a link to the one that counts is not known"
    return all_of(not masked, right, _has_shebang(path, files))


def _has_shebang(path: str, files: BootFiles) -> Fate:
    return any(line.text == "#!" and line.number == 1 for line in files.lines[path])


def _is_executable(path: str, files: BootFiles) -> Fate:
    mode = files.modes.get(path)
    return "whether it is executable is not known" if mode is None else mode.executable


def _is_of_root(path: str, files: BootFiles) -> Fate:
    mode = files.modes.get(path)
    if mode is None:
        return "whose file it is is not known"
    return all_of(mode.user == 0, no("w" in (mode.bits[4], mode.bits[7])), no("s" in mode.bits.lower()[2:3]))
