"""A baseline, `vnicheck.baseline/1`: the findings that are known, so that `lint` fails on new ones only.

It holds fingerprints, and what is needed to tell of a finding whose server can no longer be checked. It holds no time:
the same findings give the same bytes.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from vnicheck.model.flow import Severity
from vnicheck.model.snapshot import explain
from vnicheck.model.words import shown_json

BASELINE_SCHEMA: Literal["vnicheck.baseline/1"] = "vnicheck.baseline/1"


class BaselineError(ValueError):
    """A file that is not a baseline which this version reads. The message is one line for the user."""


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


class Baseline(Struct, frozen=True, kw_only=True):
    """The file. `findings` are in the order of region, server and fingerprint."""

    schema: Literal["vnicheck.baseline/1"]
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
        told = explain(data, error, schema=BASELINE_SCHEMA, document="baseline", made_with="--write-baseline")
        raise BaselineError(told) from error
