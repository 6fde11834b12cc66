"""The commands, registered in the order in which help lists them."""

from typing import Annotated

import typer

from vnicheck import __version__
from vnicheck.cli import (
    analyze,
    assumptions,
    collect_script,
    demo,
    diff,
    fix,
    lint,
    rollback,
    rules,
    schema,
    snapshot,
    trace,
)

app = typer.Typer(
    name="vnicheck",
    help="Predicts which flows of a multi-homed IBM Cloud VPC server are dropped, says why, and what to do.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"vnicheck {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("analyze")(analyze.analyze)
app.command("trace")(trace.trace)
app.command("fix")(fix.fix)
app.command("rollback")(rollback.rollback)
app.command("ledger")(rollback.ledger)
app.command("lint")(lint.lint)
app.command("snapshot")(snapshot.snapshot)
app.command("diff")(diff.diff)
app.command("demo")(demo.demo)
app.command("collect-script")(collect_script.collect_script)
app.command("rules")(rules.rules)
app.command("explain")(rules.explain)
app.command("assumptions")(assumptions.assumptions)
app.command("schema")(schema.schema)
