"""A baseline, `vnicheck.baseline/2` (`/1` is still read): what is known, so that `lint` fails on what is new.

It holds fingerprints, and what is needed to tell of a finding whose server can no longer be checked. It holds no time:
the same findings give the same bytes.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vnicheck.model.finding import Severity
from vnicheck.model.flow import Direction, Protocol
from vnicheck.model.snapshot import why_no_document
from vnicheck.model.words import shown_json

BASELINE_SCHEMA: Literal["vnicheck.baseline/2"] = "vnicheck.baseline/2"

_FIRST = "vnicheck.baseline/1"


class BaselineError(ValueError):
    """A file that is not a baseline which this version reads. The message is one line for the user."""


class Known(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Flows that a finding was about: all `remotes` (prefixes) with all `ports` (`"1-65535"`; none for icmp)."""

    direction: Direction
    protocol: Protocol
    local: str
    local_prefixes: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    remotes: tuple[str, ...]


class Earlier(Struct, frozen=True, kw_only=True):
    """A finding of an earlier run: what it was, and on which server of which region (both as they were named then)."""

    fingerprint: str
    rule: str
    severity: Severity
    message: str
    region: str
    id: str
    name: str
    crn: str
    flows: tuple[Known, ...] | UnsetType = UNSET
    """What it was about. Absent in `/1`: then whatever it is about now is known."""


class Baseline(Struct, frozen=True, kw_only=True):
    """The file. `findings` are in the order of region, server and fingerprint."""

    schema: Literal["vnicheck.baseline/1", "vnicheck.baseline/2"]
    findings: tuple[Earlier, ...]


_decoder = msgspec.json.Decoder(Baseline)


def baseline_of(findings: Iterable[Earlier]) -> Baseline:
    """The baseline of these findings, each once."""
    unique = {(each.region, each.name, each.id, each.fingerprint): each for each in findings}
    return Baseline(schema=BASELINE_SCHEMA, findings=tuple(unique[key] for key in sorted(unique)))


def encode_baseline(baseline: Baseline) -> bytes:
    """The file's bytes: indented JSON with a final newline."""
    return shown_json(msgspec.json.format(msgspec.json.encode(baseline), indent=1)) + b"\n"


def decode_baseline(data: bytes) -> Baseline:
    """The baseline that `data` holds. Raises BaselineError with one line that says what is wrong and what to do."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        schema = _FIRST if _FIRST.encode() in data[:200] else BASELINE_SCHEMA
        told = why_no_document(data, error, schema=schema, document="baseline", made_with="--write-baseline")
        raise BaselineError(told) from error
