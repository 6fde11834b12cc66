"""Credentials as people have them: a key in the environment, in a file, from a command, or the session of the CLI.

Nothing is read of the current folder: whoever may write there could have a command run, or a key sent elsewhere.
"""

import base64
import binascii
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from vnicheck.cloud.errors import CloudError
from vnicheck.cloud.key_command import key_of_command
from vnicheck.model.words import one_line
from vnicheck.system.clock import as_time
from vnicheck.system.files import UnreadableError, read_again, read_file

NO_CREDENTIALS = (
    "no credentials for the VPC API: set IBMCLOUD_API_KEY (with --region or IBMCLOUD_REGION); "
    "or give --api-key-file FILE or --api-key-command COMMAND; or run 'ibmcloud login'; "
    "or set VPC_AUTH_TYPE, VPC_APIKEY and VPC_URL, in the environment or in a file that IBM_CREDENTIALS_FILE names; "
    "or, on an instance with a trusted profile, pass --auth instance"
)
_LIMIT = 1 << 20
_LONGEST_KEY, _LONGEST_TOKEN = 1024, 1 << 15
_SOON = 30
"""Seconds before its end in which a session is of no use any more."""
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)
_LATEST = 1 << 33
"""The year 2242, in seconds since the epoch."""
_SETTINGS = ("api-key-file", "api-key-command")


class Access(Struct, frozen=True):
    """What the command line says of credentials. `auth`: `instance`, which skips the other ways."""

    auth: str | None = None
    api_key_file: Path | None = None
    api_key_command: str | None = None

    @property
    def names_key(self) -> bool:
        return self.api_key_file is not None or self.api_key_command is not None


class Credential(Struct, frozen=True):
    """An API key, or the access token of a session (`is_token`). `origin` says where it came from; `region`: the one
    that the session is in.
    """

    secret: str
    origin: str
    is_token: bool = False
    region: str | None = None

    def __repr__(self) -> str:
        return f"Credential({self.origin!r})"


def named_credential(access: Access) -> Credential | None:
    """That which an option names. Raises CloudError `bad_credentials_file` or `bad_credentials`."""
    if access.api_key_file is not None:
        return _of_file(access.api_key_file, "--api-key-file")
    if access.api_key_command is not None:
        return _of_command(access.api_key_command, "--api-key-command")
    return None


def find_credential(environ: Mapping[str, str]) -> Credential:
    """The first that there is: of IBMCLOUD_API_KEY or IC_API_KEY, VNICHECK_API_KEY_FILE, VNICHECK_API_KEY_COMMAND, the
    user's own credentials.toml, the session of `ibmcloud login`.

    Raises CloudError: `no_credentials`, and those of `named_credential` where what is named is of no use.
    """
    for name in ("IBMCLOUD_API_KEY", "IC_API_KEY"):
        if environ.get(name, "").strip():
            return Credential(environ[name].strip(), f"the API key of {name}")
    if environ.get("VNICHECK_API_KEY_FILE"):
        return _of_file(Path(environ["VNICHECK_API_KEY_FILE"]), "VNICHECK_API_KEY_FILE")
    if environ.get("VNICHECK_API_KEY_COMMAND"):
        return _of_command(environ["VNICHECK_API_KEY_COMMAND"], "VNICHECK_API_KEY_COMMAND")
    found = _of_configuration(environ) or _of_session(environ)
    if found is None:
        raise CloudError("no_credentials", NO_CREDENTIALS)
    return found


def _of_file(path: Path, named_by: str) -> Credential:
    """A key file: JSON as the console downloads it, or the key alone."""
    try:
        data = read_again(path.expanduser(), _LIMIT)  # each region asks for it
    except (UnreadableError, RuntimeError) as error:
        raise CloudError("bad_credentials_file", f"{named_by}: {error}") from None
    text = data.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            document = json.loads(text)
            text = str(document.get("apikey") or document.get("apiKey") or "")
        except (ValueError, RecursionError):
            text = ""
    return Credential(_checked(text, f"{named_by}: {path}"), f"the API key in the file of {named_by}")


def _of_command(command: str | list[str], named_by: str) -> Credential:
    key, program = key_of_command(command, named_by)
    return Credential(_checked(key, f"{named_by}: what {program} prints"), f"the API key of {program} ({named_by})")


def _checked(key: str, where: str, *, longest: int = _LONGEST_KEY) -> str:
    """The key. Raises CloudError where it can be none; the message does not quote it."""
    if len(key) > longest or _SECRET.fullmatch(key) is None:
        raise CloudError("bad_credentials", f"{one_line(where, 200)} is no API key, nor a file of one as downloaded")
    return key


def _of_configuration(environ: Mapping[str, str]) -> Credential | None:
    """`api-key-file` or `api-key-command` of vnicheck/credentials.toml in the user's own configuration folder."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    home = environ.get("HOME", "")
    if not folder.startswith("/"):
        if not home.startswith("/"):
            return None
        folder = f"{home}/.config"
    path = Path(folder) / "vnicheck" / "credentials.toml"
    text = _own_file(path, "bad_credentials_file", forbidden=0o022)
    if text is None:
        return None
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise CloudError("bad_credentials_file", f"{path} is not valid TOML") from None
    command, file = settings.get("api-key-command"), settings.get("api-key-file")
    known = set(settings) <= set(_SETTINGS) and len(settings) == 1
    if known and isinstance(file, str):
        return _of_file(Path(file) if file.startswith(("/", "~")) else path.parent / file, str(path))
    if known and isinstance(command, str):
        return _of_command(command, str(path))
    if known and isinstance(command, list) and all(isinstance(word, str) for word in command):
        return _of_command(command, str(path))
    raise CloudError(
        "bad_credentials_file",
        f'{path}: write one line, api-key-command = ["pass", "show", "ibmcloud"] or api-key-file = "/path/to/it.json"',
    )


def _of_session(environ: Mapping[str, str]) -> Credential | None:
    """That of `ibmcloud login`, where nobody else could have read or written it."""
    home = environ.get("IBMCLOUD_HOME") or environ.get("HOME") or ""
    if not home.startswith("/"):
        return None
    path = Path(home) / ".bluemix" / "config.json"
    text = _own_file(path, "bad_session", forbidden=0o077)
    if text is None:
        return None
    try:
        document = json.loads(text)
        kind, _, token = str(document.get("IAMToken") or "").partition(" ")
        region = document.get("Region")
    except (ValueError, RecursionError, AttributeError):
        return None  # of another version of the CLI, or cut off: no session of ours to speak of
    if kind.lower() != "bearer" or not token:
        return None
    ends = _expiry(token)
    if ends is None or ends <= time.time() + _SOON:
        when = f" at {as_time(ends)}" if ends is not None else ""
        raise CloudError(
            "session_expired",
            f"the session of 'ibmcloud login' ended{when}: run 'ibmcloud iam oauth-tokens', which renews it, or "
            "'ibmcloud login'; or set IBMCLOUD_API_KEY",
        )
    return Credential(
        _checked(token, str(path), longest=_LONGEST_TOKEN),
        "the session of 'ibmcloud login'",
        is_token=True,
        region=region if isinstance(region, str) and region else None,
    )


def _own_file(path: Path, code: str, *, forbidden: int) -> str | None:
    """The text of a file that is this user's (or root's), and that nobody else may touch as `forbidden` says.

    None where there is none. Raises CloudError of this code.
    """

    def check(told: os.stat_result) -> None:
        if told.st_uid not in (0, os.geteuid()):
            raise CloudError(code, f"{path} is user {told.st_uid}'s, not yours: it is not used")
        if stat.S_IMODE(told.st_mode) & forbidden:
            who = "write" if forbidden == 0o022 else "read or write"
            raise CloudError(code, f"others may {who} {path}: it is not used until you 'chmod go-rwx {path}'")

    try:
        data = read_file(path, _LIMIT, check=check)
        folder = path.parent.stat()
        if folder.st_uid not in (0, os.geteuid()) or stat.S_IMODE(folder.st_mode) & 0o022:
            raise CloudError(code, f"others may put a file into {path.parent}: {path} is not used")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CloudError(code, f"cannot read {path}: {error.strerror}") from None
    except UnreadableError as error:
        raise CloudError(code, str(error)) from None
    return data.decode("utf-8", "replace")


def _expiry(token: str) -> float | None:
    """When a JSON Web Token ends, seconds since the epoch; None where it does not say."""
    part = [*token.split("."), ""][1]
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        ends = float(claims["exp"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, binascii.Error):
        return None
    return ends if 0 <= ends < _LATEST else None
