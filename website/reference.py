"""Pages that are made of the program, so that they cannot say anything else: commands, assumptions, schemas."""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from vnicheck.cli.app import COMMANDS, app
from vnicheck.cli.config import EXAMPLES
from vnicheck.cli.given import SchemaOptions
from vnicheck.cli.schema import DOCUMENTS, schema
from vnicheck.fabric.assumptions import ASSUMPTIONS, Assumption

GUIDES = {
    "analyze": "../../start.md",
    "collect-script": "../../guides/without-ssh.md",
    "diff": "../../snapshots.md#compared",
    "fix": "../../fixes.md",
    "ledger": "../../fixes.md#the-ledger",
    "lint": "../../lint.md",
    "rehearse": "../../rehearse.md",
    "rollback": "../../fixes.md#the-ledger",
    "snapshot": "../../snapshots.md",
    "verify": "../../verify.md",
}
"""Where a command is told of at length, seen from its page."""
_CELL = re.compile(r"([|\\`*_<>\[\]{}])")


def pages() -> dict[str, str]:
    """The text of every such file, by its path below docs/."""
    return dict(_commands()) | {"reference/assumptions.md": _assumptions()} | dict(_schemas())


def _commands() -> Iterator[tuple[str, str]]:
    rows = []
    for name in COMMANDS:
        said = _help(name)
        first = " ".join(said.split("\n\n")[1].split())
        rows.append(f"| [`{name}`]({name}.md) | {_in_cell(first)} |")
        more = f"\n[More about it]({GUIDES[name]}).\n" if name in GUIDES else ""
        yield f"reference/commands/{name}.md", f"# vnicheck {name}\n\n```text\n{said}```\n{more}"
    table = "\n".join(["| command | does |", "|---|---|", *rows])
    yield (
        "reference/commands/index.md",
        f"# Commands\n\nEach page is what `vnicheck COMMAND --help` prints.\n\n{table}\n",
    )


def _help(command: str) -> str:
    """What `--help` prints, on a terminal of 80 columns."""
    page = io.StringIO()
    with redirect_stdout(page), _set("COLUMNS", "80"):
        app(args=[command, "--help"], prog_name="vnicheck", standalone_mode=False)
    return page.getvalue()


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _assumptions() -> str:
    head = (
        "# Assumptions\n\nWhat verdicts take for granted, on what evidence, and how to override it in "
        "[vnicheck.toml](../configuration.md). `vnicheck assumptions` shows the same, with what your configuration "
        "overrides; the [fabric model](../fabric-model.md) says where each counts.\n"
    )
    return "\n".join([head, *map(_assumption, ASSUMPTIONS)])


def _assumption(it: Assumption) -> str:
    example = EXAMPLES.get(it.id)
    override = f"Override it below `[assumptions]`: `{example}`" if example else "It cannot be overridden."
    marks = [it.basis, *(["open: unknown until you say"] if it.open else []), *(["told once"] if it.shared else [])]
    return f"## {it.id}\n\n*{', '.join(marks)}*\n\n{it.statement}\n\nSource: {it.source}.\n\n{override}\n"


def _schemas() -> Iterator[tuple[str, str]]:
    head = (
        "# JSON documents\n\nWhat `-f json` and the files of vnicheck hold, as JSON Schema (draft 2020-12). "
        "`vnicheck schema DOCUMENT` prints the same. Names do not change without a new number; fields may be added.\n"
    )
    parts = [head]
    for document in DOCUMENTS:
        page = io.StringIO()
        with redirect_stdout(page):
            schema(SchemaOptions(document=document))
        yield f"reference/schemas/{document}.json", page.getvalue()
        parts.append(_document(document, json.loads(page.getvalue())))
    yield "reference/documents.md", "\n".join(parts)


def _document(name: str, whole: Mapping[str, Any]) -> str:
    """The fields of the document itself; those of what it holds are in the schema."""
    top = whole["$defs"][whole["$ref"].rpartition("/")[2]]
    required = set(top.get("required", ()))
    rows = [
        f"| `{field}` | {_in_cell(_type(said))} | {'always' if field in required else 'may be absent'} |"
        for field, said in top["properties"].items()
    ]
    table = "\n".join(["| field | type | |", "|---|---|---|", *rows])
    described = f"{top['description']}\n\n" if "description" in top else ""
    return f"## {name}\n\n{described}[{name}.json](schemas/{name}.json): the whole schema.\n\n{table}\n"


def _type(said: Mapping[str, Any]) -> str:
    if "$ref" in said:
        return str(said["$ref"].rpartition("/")[2])
    if "enum" in said:
        return ", ".join(json.dumps(value) for value in said["enum"])
    if "const" in said:
        return json.dumps(said["const"])
    if "anyOf" in said:
        return " or ".join(map(_type, said["anyOf"]))
    if said.get("type") == "array":
        return f"array of {_type(said['items'])}" if said.get("items") else "array"
    return str(said.get("type", "any"))


def _in_cell(text: str) -> str:
    return _CELL.sub(r"\\\1", text)
