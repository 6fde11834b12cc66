"""`vnicheck schema`: the JSON Schemas of the documents that vnicheck writes."""

import json

import msgspec

from vnicheck.cli.failure import UserError
from vnicheck.cli.given import SchemaOptions
from vnicheck.model.baseline import Baseline
from vnicheck.model.diff import Diff
from vnicheck.model.listing import Listing
from vnicheck.model.plan_document import PlanDocument
from vnicheck.model.rehearsal import RehearsalDocument
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Snapshot
from vnicheck.model.verification import VerificationDocument

DOCUMENTS = ("report", "snapshot", "plan", "diff", "baseline", "rehearsal", "verification", "list")


def schema(given: SchemaOptions) -> None:
    """The work of `SchemaOptions`."""
    if given.document not in DOCUMENTS:
        raise UserError(f"no schema {given.document!r}: there are {', '.join(DOCUMENTS)}")
    models = (Report, Snapshot, PlanDocument, Diff, Baseline, RehearsalDocument, VerificationDocument, Listing)
    model = models[DOCUMENTS.index(given.document)]
    print(
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(model)}, indent=2)
    )
