"""`vnicheck schema`: the JSON Schemas of the documents that vnicheck writes."""

import json
from typing import Annotated

import msgspec
import typer

from vnicheck.cli.failure import UserError
from vnicheck.model.baseline import Baseline
from vnicheck.model.diff import Diff
from vnicheck.model.plan_document import PlanDocument
from vnicheck.model.report import Report
from vnicheck.model.snapshot import Snapshot

DOCUMENTS = ("report", "snapshot", "plan", "diff", "baseline")


def schema(document: Annotated[str, typer.Argument(metavar="report|snapshot|plan|diff|baseline")]) -> None:
    """Print a document's JSON Schema (draft 2020-12)."""
    if document not in DOCUMENTS:
        raise UserError(f"no schema {document!r}: there are {', '.join(DOCUMENTS)}")
    models = {"report": Report, "snapshot": Snapshot, "plan": PlanDocument, "diff": Diff, "baseline": Baseline}
    model = models[document]
    print(
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(model)}, indent=2)
    )
