"""Finding and reading `vnicheck.toml`: upward from the current folder, or as `--config` says."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnicheck.cli.failure import UserError

if TYPE_CHECKING:
    from vnicheck.model.config import Config

NAME = "vnicheck.toml"
MAX_BYTES = 1 << 20


def load_config(given: Path | None) -> "Config":
    """The configuration: of the file given, or of the nearest `vnicheck.toml` upward; without one, the defaults.

    Raises UserError for a file that cannot be read, is no TOML, or has keys or values that mean nothing.
    """
    from vnicheck.model.config import Config

    path = given if given is not None else _nearest(Path.cwd())
    if path is None:
        return Config()
    import msgspec

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES} bytes")
        document = tomllib.loads(data.decode())
        _refuse_unknown(path, document, Config)
        return msgspec.convert(document, Config)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {error}") from error


def _nearest(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        if (place / NAME).is_file():
            return place / NAME
    return None


def _refuse_unknown(path: Path, table: dict[str, Any], kind: Any, prefix: str = "") -> None:
    """Refuses keys that no one reads, with the nearest that someone does. Raises UserError."""
    import difflib

    import msgspec

    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise UserError(f"{path}: {prefix + key!r} is not a setting; {hint}")
        inner = known[key]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown(path, value, inner, f"{prefix}{key}.")
