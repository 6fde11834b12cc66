"""`--observations FILE`: what verifications have shown, for the predictions of a command."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import UnsetType

from vnicheck.analysis.observations import informed, verified
from vnicheck.cli.failure import UserError
from vnicheck.cli.terminal import tell
from vnicheck.engine.partition import parse_ports
from vnicheck.model.address import parse_address, parse_prefix
from vnicheck.model.config import Config
from vnicheck.model.verification import VerificationDocument
from vnicheck.model.words import one_line
from vnicheck.system.clock import now
from vnicheck.system.files import UnreadableError, read_named

MAX_BYTES = 256 << 20
MOST_PORT = 65535
CLOCKS_DIFFER = timedelta(hours=1)


def with_observations(config: Config, files: Sequence[Path] | None) -> Config:
    """The configuration with what the files say, but for what is older than its `max-age`. Raises UserError."""
    if not files:
        return config
    today = datetime.fromisoformat(now())
    documents = []
    for file in files:
        document = read_observations(file)
        seen = _when(file, document)
        if seen > today + CLOCKS_DIFFER:
            tell(f"note: {one_line(file, 200)}: what was seen at {document.verified_at}, in the future, does not count")
        elif today - seen > timedelta(days=config.max_age):
            tell(f"note: {one_line(file, 200)}: what was seen at {document.verified_at} is too old to count (max-age)")
        else:
            documents.append(document)
    try:
        return informed(config, documents)
    except ValueError as error:
        raise UserError(f"--observations: a value is none for its assumption: {one_line(error, 200)}") from error


def read_observations(file: Path) -> VerificationDocument:
    """What `verify -o` has written. Raises UserError."""
    try:
        data = read_named(file, MAX_BYTES)
        document = msgspec.json.decode(data, type=VerificationDocument)
    except UnreadableError as error:
        raise UserError(f"--observations: {error}") from error
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise UserError(
            f"--observations {file}: not what 'vnicheck verify -o' writes: {one_line(error, 200)}"
        ) from error
    _when(file, document)
    _require_addresses(file, document)
    return document


def _when(file: Path, document: VerificationDocument) -> datetime:
    try:
        return verified(document)
    except ValueError as error:
        raise UserError(f"--observations {file}: {one_line(document.verified_at, 40)!r} is no time") from error


def _require_addresses(file: Path, document: VerificationDocument) -> None:
    """Such files may be written by hand."""
    for each in document.verifications:
        for flow in each.flows:
            _require(file, parse_address, flow.remote)
        for answer in each.kernel:
            _require(file, parse_address, *([answer.says.gateway] if answer.says and answer.says.gateway else []))
            for hop in answer.hops:
                _require(file, parse_address, hop.local, hop.remote)
                _require(file, parse_prefix, *([] if isinstance(hop.remotes, UnsetType) else hop.remotes))
                _require(file, _require_ports, *([] if isinstance(hop.ports, UnsetType) else hop.ports))


def _require(file: Path, read: Callable[[str], object], *texts: str) -> None:
    for text in texts:
        try:
            read(text)
        except ValueError as error:
            kind = "IPv4 address" if read is parse_address else "IPv4 prefix" if read is parse_prefix else "port"
            raise UserError(f"--observations {file}: {one_line(text, 40)!r} is no {kind}") from error


def _require_ports(text: str) -> None:
    first, last = parse_ports(text)
    if not 0 <= first <= last <= MOST_PORT:
        raise ValueError(text)
