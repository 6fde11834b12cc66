"""Finding and reading `vnicheck.toml`: upward from the current folder, or as `--config` says."""

import difflib
import os
import re
import stat
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from vnicheck.cli.failure import UserError
from vnicheck.model.config import Config
from vnicheck.model.naming import Day
from vnicheck.rules.registry import RULES
from vnicheck.system.files import UnreadableError, read_named

NAME = "vnicheck.toml"
MAX_BYTES = 1 << 20
MAX_DEPTH = 8
"""Parts of a dotted key; the deepest setting has three."""
EXAMPLES = {
    "psf-auto": 'psf-auto = "disabled" or psf-auto = { web-1 = "disabled" }',
    "psf-opening": "psf-opening = false",
    "psf-protocols": 'psf-protocols = ["tcp", "udp"]',
    "spoofing-check": "spoofing-check = false",
    "spoofing-sibling": 'spoofing-sibling = "passed" or spoofing-sibling = { web-1 = "passed" }',
    "spoofing-arrival": 'spoofing-arrival = "passed" or spoofing-arrival = { web-1 = "dropped" }',
    "packets-unmarked": "packets-unmarked = false or packets-unmarked = { web-1 = false }",
    "fip-return": "fip-return = false",
    "sg-stateless": "sg-stateless = false",
    "client-ports": 'client-ports = "32768-60999"',
    "remote-reachable": 'remote-reachable = ["10.8.0.0/16"]',
    "networks": '[networks] on-prem = ["10.8.0.0/16"]',
}
"""A right line for each setting."""

_STRINGS = re.compile(r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*""", re.DOTALL)
_BETWEEN_KEYS = re.compile(r"[\n=,\[\]{}]")
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
_SETTING = re.compile(r"`\$\.assumptions\.([a-z-]+)")
_PLACE = re.compile(r" - at `\$\.(expect|mute)\[(\d+)\](?:\.(\w+))?`")
_CHOICES = {"direction": "inbound or outbound", "protocol": "tcp, udp or icmp", "verdict": "delivered or dropped"}


def find_config(given: Path | None) -> Path | None:
    """The configuration file: the one given, or the nearest `vnicheck.toml` upward; None where there is none."""
    return given if given is not None else _nearest(here())


def here() -> Path:
    """The current folder. Raises UserError where it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UserError("the current folder is gone: go to one that is there") from error


def load_config(given: Path | None) -> "Config":
    """The configuration: of the file given, or of the nearest `vnicheck.toml` upward; without one, the defaults.

    Raises UserError for a file that cannot be read, is no TOML, or has keys or values that mean nothing.
    """
    path = find_config(given)
    if path is None:
        return Config()
    try:
        if given is None:
            _refuse_foreign(path)
        data = read_named(path, MAX_BYTES)
        document = _parsed(path, data)
        _refuse_unknown(path, document, Config)
        config = msgspec.convert(document, Config, dec_hook=_day)
        _refuse_unknown_rules(path, config)
        return config
    except UnreadableError as error:
        raise UserError(str(error)) from error
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_placed(str(error))}") from error


def with_max_age(config: Config, days: int | None) -> Config:
    """The configuration, where an option says how old guests may be."""
    return config if days is None else msgspec.structs.replace(config, max_age=days)


def _nearest(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            return place / NAME
    return None


def _refuse_foreign(path: Path) -> None:
    """Refuses a file that was found, not named, where others than the user may have written it: it can mute findings
    and override assumptions. Raises UserError.
    """
    try:
        told = path.stat()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    named = f"if it is yours to rely on, name it: --config {path}"
    if told.st_mode & stat.S_IWOTH:
        raise UserError(f"{path} was found, and everybody may write it: chmod o-w, or {named}")
    us = os.geteuid()
    if told.st_uid not in (0, us) and not (us == 0 and _in_container()):
        raise UserError(f"{path} was found, and is user {told.st_uid}'s, not yours; {named}")


def _in_container() -> bool:
    """Where a checkout that is mounted has whatever owner it has outside."""
    return "KUBERNETES_SERVICE_HOST" in os.environ or any(Path(mark).exists() for mark in _CONTAINER_MARKS)


def _refuse_deep(path: Path, text: str) -> None:
    """Refuses a dotted key of more parts than any table is deep: the parser's memory grows with their square.

    Raises UserError.
    """
    for key in _BETWEEN_KEYS.split(_STRINGS.sub("", text)):
        if key.count(".") >= MAX_DEPTH:
            raise UserError(f"{path}: a key of more than {MAX_DEPTH} parts is no setting")


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode()
        _refuse_deep(path, text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits and deep arrays, too
        raise UserError(f"{path} is not valid TOML: {error}") from error


def _refuse_unknown(path: Path, table: dict[str, Any], kind: Any, prefix: str = "") -> None:
    """Refuses keys that no one reads, with the nearest that someone does. Raises UserError."""
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in known:
            hint = _hint(key, list(known), f"there are {', '.join(known)}")
            raise UserError(f"{path}: {_setting(prefix, key)} is not a setting; {hint}")
        inner = known[key]
        element = get_args(inner)[0] if get_origin(inner) is tuple else None
        if isinstance(element, type) and issubclass(element, msgspec.Struct):
            if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                raise UserError(f"{path}: {key!r}: write each as a table that begins with [[{key}]]")
            for number, each in enumerate(value, start=1):
                _refuse_unknown(path, each, element, f"[[{key}]] {number}: ")
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown(path, value, inner, f"{prefix}{key}.")


def _setting(prefix: str, key: str) -> str:
    """`'assumptions.psf-auto'`, or `[[expect]] 2: 'port'`."""
    return f"{prefix}{key!r}" if prefix.endswith(" ") else repr(prefix + key)


def _day(kind: type, value: Any) -> Any:
    """TOML's own dates, without a time of day, for `Day`. Raises ValueError, which msgspec gives its place."""
    if kind is not Day:
        raise NotImplementedError(kind)
    if type(value) is not date:
        raise ValueError("write a date without quotes, as 2026-12-31")
    return Day(value.isoformat())


def _example(message: str) -> str:
    """A right line for what a wrong value was meant to set."""
    found = _SETTING.search(message)
    if found is not None:
        return EXAMPLES[found[1]]
    if "`$.assumptions`" in message:  # refused by the struct as a whole, which looks at two settings
        return EXAMPLES["client-ports" if "client-ports" in message else "remote-reachable"]
    return "max-age = 30" if "max-age" in message else EXAMPLES["networks"]


def _placed(message: str) -> str:
    """msgspec's message with the place as people count: ``... - at `$.expect[1].port` `` is in [[expect]] 2."""
    match = _PLACE.search(message)
    if match is None:
        return message if message.startswith("[[") else f"{message}; as in: {_example(message)}"
    table, number, key = match.groups()
    setting = f"{key!r}: " if key is not None else ""
    what = message[: match.start()]
    choice = f"; write {_CHOICES[key]}" if key in _CHOICES and what.startswith("Invalid enum value") else ""
    return f"[[{table}]] {int(number) + 1}: {setting}{what}{choice}"


def _refuse_unknown_rules(path: Path, config: "Config") -> None:
    """Refuses mutes of rules that do not exist. Raises UserError."""
    if not config.mute:
        return
    known = [word for rule in RULES for word in (rule.id, rule.name)]
    for number, mute in enumerate(config.mute, start=1):
        if mute.rule not in known:
            hint = _hint(mute.rule, known, "'vnicheck rules' lists them")
            raise UserError(f"{path}: [[mute]] {number}: no rule {mute.rule!r}; {hint}")


def _hint(word: str, known: list[str], otherwise: str) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
