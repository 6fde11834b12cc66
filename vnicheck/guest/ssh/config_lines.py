"""The SSH configuration's lines as they apply to one host: Include put in place, Host and Match decided.

An entry applies when its pattern matches the instance's name or its address, which paramiko.SSHConfig, made for one
name, cannot tell. So each Host or Match line becomes `Host *` or one that matches nothing. A Match that would run a
command (`exec`) never applies: a pattern in a configuration file is no reason to run programs.
"""

import difflib
import fnmatch
import getpass
import glob
import os
import re
import shlex
from pathlib import Path

from vnicheck.guest.errors import CollectionError
from vnicheck.guest.ssh.keywords import KNOWN
from vnicheck.model.words import one_line
from vnicheck.system.files import FileTooLargeError, UnreadableError, read_named

MAX_INCLUDES = 16
MAX_FILE_BYTES = 4 << 20
APPLIES, NEVER = "Host *", "Host !*"

_LINE = re.compile(r"([\w-]+)(?:\s*=\s*|\s+)(.+)")
_ALONE = {"all", "canonical", "final"}
_WITH_VALUE = {"host", "originalhost", "user", "localuser", "exec", "address", "localaddress", "localnetwork", "tagged"}
_WITH_VALUE |= {"version", "sessiontype", "command", "rdomain"}
_UNDECIDED = _WITH_VALUE - {"host", "originalhost", "user", "localuser"}
_LEFT_OUT = {
    "revokedhostkeys": "mark revoked keys with @revoked in known_hosts",
    "knownhostscommand": "name files with UserKnownHostsFile",
}
"""Keywords that would decide on trust, and are not read."""
_DROPPED = {"canonicalizehostname", "canonicaldomains", *_LEFT_OUT}


class ConfigReader:
    """Collects `lines` for one host. `candidates` are its names, `host` what is connected to unless HostName says
    otherwise, `user` what the command line says.
    """

    def __init__(self, candidates: tuple[str, ...], host: str, user: str | None) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.has_final = False
        self._candidates = candidates
        self._host = host
        self._host_name: str | None = None
        self._user = user
        self._final = False
        self._certificates: list[str] = []
        self._ignored: list[str] | None = None
        """Patterns of the first IgnoreUnknown."""

    def start_final(self) -> None:
        """From now on a second reading, in which `Match final` applies; values of the first one stand."""
        self._final = True

    def read(self, text: str, path: Path, depth: int = 0) -> bool:
        """Append a file's lines. Returns whether its last block applied."""
        block, applies = APPLIES, True
        self.lines.append(block)
        for raw in text.split("\n"):
            line = raw.strip()
            match = _LINE.match(line)
            keyword = match[1].lower() if match is not None else ""
            if match is None:
                if line and not line.startswith("#"):
                    self.lines.append(line)
            elif keyword in {"host", "match"}:
                if keyword == "match":
                    applies = self._matches(match[2], path)
                else:
                    applies = _any_matches(words(match[2]), self._candidates)
                block = APPLIES if applies else NEVER
                self.lines.append(block)
            elif keyword == "include" and applies:
                if depth >= MAX_INCLUDES:
                    raise CollectionError("ssh_config", f"{path}: Include is nested too deep")
                for included in _included(match[2], path):
                    self.read(read_config(included), included, depth + 1)
                    self.lines.append(block)
            elif keyword != "include":
                self._take(line, keyword, match[2], path, applies=applies)
        return applies

    def _take(self, line: str, keyword: str, value: str, path: Path, *, applies: bool) -> None:
        """A line with a value; those that later Match lines ask for are remembered."""
        if keyword in _LEFT_OUT and applies:
            self.notes.append(f"{path}: {keyword} is not read; {_LEFT_OUT[keyword]}")
        if keyword == "ignoreunknown" and applies and self._ignored is None:
            self._ignored = _first(value).split(",")
        if keyword not in KNOWN and applies and not _any_matches(self._ignored or [], (keyword,)):
            near = difflib.get_close_matches(keyword, KNOWN, n=1, cutoff=0.75)
            if near:
                shown = one_line(keyword, 40)
                self.notes.append(f"{path}: {shown!r} is no keyword of ssh_config; did you mean {KNOWN[near[0]]}?")
        if keyword in _DROPPED or "-" in keyword:
            return
        if applies and keyword == "hostname" and self._host_name is None:
            self._host_name = _first(value).replace("%h", self._host)
        elif applies and keyword == "user" and self._user is None:
            self._user = _first(value)
        if keyword == "certificatefile":  # may be given several times, which SSHConfig does not know of this one
            if applies:
                self._certificates += [each for each in words(value) if each not in self._certificates]
                joined = "|".join(self._certificates)
                self.lines[:] = [each for each in self.lines if not each.startswith("CertificateFile ")]
                self.lines.insert(1, f"CertificateFile {joined}")
            return
        self.lines.append(line)

    def _matches(self, text: str, path: Path) -> bool:
        """Whether a Match line applies. Raises CollectionError `ssh_config` where it makes no sense."""
        rest = words(text)
        if not rest:
            raise CollectionError("ssh_config", f"{path}: Match without a criterion; fix it or use -F none")
        applies = True
        while rest:
            word = rest.pop(0)
            negated = word.startswith("!")
            criterion, equals, value = word.removeprefix("!").partition("=")
            criterion = criterion.lower()
            if criterion in _ALONE and not equals:
                hit = self._alone(criterion)
            elif criterion in _WITH_VALUE and (equals or rest):
                value = value if equals else rest.pop(0)
                if criterion in _UNDECIDED:
                    shown = one_line(f"Match {text}", 80)
                    self.notes.append(f"{path}: {shown!r} does not apply: {criterion} is not decided here")
                    return False
                hit = self._meets(criterion, value)
            else:
                raise CollectionError(
                    "ssh_config", f"{path}: Match {one_line(word, 40)!r} is not understood; fix it or use -F none"
                )
            applies = applies and hit is not negated
        return applies

    def _alone(self, criterion: str) -> bool:
        if criterion == "final":
            self.has_final = True
            return self._final
        return criterion == "all"  # names are never canonicalized here

    def _meets(self, criterion: str, patterns: str) -> bool:
        if criterion == "user":
            names: tuple[str, ...] = (self._user or getpass.getuser(),)
        elif criterion == "localuser":
            names = (getpass.getuser(),)
        elif criterion == "host" and self._host_name is not None:
            names = (self._host_name,)
        else:
            names = self._candidates
        return _any_matches(patterns.split(","), names)


def read_config(path: Path) -> str:
    """A configuration file. Raises CollectionError `ssh_config`."""
    try:
        return read_named(path.expanduser(), MAX_FILE_BYTES).decode("utf-8", "replace")
    except FileTooLargeError as error:
        raise CollectionError("ssh_config", f"{path} is too large to be an SSH configuration") from error
    except UnreadableError as error:
        raise CollectionError("ssh_config", f"{error}; name another with -F") from error


def words(text: str) -> list[str]:
    """A value's words, quotes and a comment taken off."""
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _first(value: str) -> str:
    found = words(value)
    return found[0] if found else ""


def _included(patterns: str, path: Path) -> list[Path]:
    """The files that an Include names, relative to ~/.ssh, or to /etc/ssh in the system's file (ssh_config(5))."""
    base = path.parent if path.is_relative_to("/etc/ssh") else Path.home() / ".ssh"
    files: list[Path] = []
    for pattern in words(patterns):
        files += [Path(name) for name in sorted(glob.glob(os.path.join(base, os.path.expanduser(pattern))))]
    return [file for file in files if file.is_file()]


def _any_matches(patterns: list[str], names: tuple[str, ...]) -> bool:
    """Whether a pattern matches one of the names; a negated one that matches any excludes all."""
    matched = False
    for pattern in patterns:
        hit = any(fnmatch.fnmatchcase(name.lower(), pattern.lstrip("!").lower()) for name in names)
        if hit and pattern.startswith("!"):
            return False
        matched = matched or hit
    return matched
