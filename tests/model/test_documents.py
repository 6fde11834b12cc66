"""Documents that are shown: what of a server's name could steer a terminal is written as an escape."""

import pytest

from vnicheck.model.diff import DIFF_SCHEMA, Diff, ServerChange, Side, Summary, encode_diff
from vnicheck.model.rehearsal import REHEARSAL_SCHEMA, Rehearsal, RehearsalDocument, encode_rehearsal
from vnicheck.model.report import TOOL
from vnicheck.model.verification import (
    VERIFICATION_SCHEMA,
    Verification,
    VerificationDocument,
    encode_verification,
)

NAME, AT = "web\u202e-1", "2026-01-01T00:00:00Z"
DIFF = Diff(
    schema=DIFF_SCHEMA,
    tool=TOOL,
    old=Side(read_at={}),
    new=Side(read_at={}),
    complete=True,
    summary=Summary(
        same=0, changed=0, only_old=1, only_new=0, uncertain=0, new_findings={}, gone_findings={}, changed_flows=0
    ),
    servers=(ServerChange(id="1", name=NAME, crn="", presence="only_old", certain=True),),
)
VERIFICATION = VerificationDocument(
    schema=VERIFICATION_SCHEMA, tool=TOOL, verified_at=AT, verifications=(Verification(id="1", name=NAME),)
)
REHEARSAL = RehearsalDocument(
    schema=REHEARSAL_SCHEMA,
    tool=TOOL,
    collected_at=AT,
    rehearsal=Rehearsal(id="1", name=NAME, kernel="6.1", told=(), phases=()),
)


@pytest.mark.parametrize(
    "document", [encode_diff(DIFF), encode_verification(VERIFICATION), encode_rehearsal(REHEARSAL)]
)
def test_what_turns_text_around_is_escaped(document: bytes) -> None:
    assert document.isascii()
    assert b"web\\u202e-1" in document
