"""`--observations FILE`: what verifications have shown, for the predictions of a command."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from vnicheck.cli.failure import UserError
from vnicheck.cli.terminal import tell
from vnicheck.model.address import parse_address
from vnicheck.model.config import Config
from vnicheck.model.observation import informed
from vnicheck.model.verification import VerificationDocument
from vnicheck.model.words import one_line
from vnicheck.system.clock import now
from vnicheck.system.files import UnreadableError, read_named

MAX_BYTES = 256 << 20


def with_observations(config: Config, files: Sequence[Path] | None) -> Config:
    """The configuration with what the files say, but for what is older than its `max-age`. Raises UserError."""
    if not files:
        return config
    today = datetime.fromisoformat(now())
    documents = []
    for file in files:
        document = read_observations(file)
        if abs(today - verified(document)) > timedelta(days=config.max_age):
            tell(f"note: {one_line(file, 200)}: what was seen at {document.verified_at} is too old to count (max-age)")
        else:
            documents.append(document)
    try:
        return informed(config, sorted(documents, key=verified))
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
    try:
        verified(document)
    except ValueError as error:
        raise UserError(f"--observations {file}: {one_line(document.verified_at, 40)!r} is no time") from error
    _require_addresses(file, document)
    return document


def verified(document: VerificationDocument) -> datetime:
    """When it was; a time without a zone is UTC. Raises ValueError."""
    at = datetime.fromisoformat(document.verified_at)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _require_addresses(file: Path, document: VerificationDocument) -> None:
    """Such files may be written by hand."""
    for each in document.verifications:
        remotes = [flow.remote for flow in each.flows] + [hop.remote for answer in each.kernel for hop in answer.hops]
        for remote in remotes:
            try:
                parse_address(remote)
            except ValueError as error:
                raise UserError(f"--observations {file}: {one_line(remote, 40)!r} is no IPv4 address") from error
