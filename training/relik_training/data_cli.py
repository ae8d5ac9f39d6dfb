"""`relik data`: annotated texts between our shape and those of others."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from relik.errors import InputError
from relik_training.data.distant import DistantConfig, distant_documents, functionalities
from relik_training.formats.conversion_report import Report, Tell
from relik_training.formats.convert import Conversion, convert
from relik_training.formats.split import counted, split_documents
from relik_training.formats.table import FORMATS

_NAMES = ", ".join(FORMATS)

app = typer.Typer(
    name="data",
    help="Convert data sets to the shape that training and evaluation read, and split them.",
    no_args_is_help=True,
)


@app.command("convert")
def convert_file(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="File to read, .gz or plain.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to make, .gz or plain.")],
    source_format: Annotated[
        str, typer.Option("--from", help=f"Format of INPUT: {_NAMES}.", show_default=False)
    ],
    target_format: Annotated[
        str, typer.Option("--to", help="Format of OUTPUT, one of the same.", show_default=False)
    ],
    entities: Annotated[
        Path | None,
        typer.Option(metavar="MAP", help='Lines of {"title", "id"}: Wikipedia titles to ids.'),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 2, and make no file, if anything is dropped.")
    ] = False,
) -> None:
    """Convert annotated texts, check every offset, and report what was dropped.

    OUTPUT is written aside and there when it is whole.
    """
    conversion = Conversion(
        source=source,
        target=target,
        source_format=source_format,
        target_format=target_format,
        entities=entities,
        strict=strict,
    )
    report: Report | None = None
    try:
        with _progress_bar() as tell:
            report = Report() if tell is None else Report(tell)
            convert(conversion, report)
    except InputError:
        if strict and report is not None and report.dropped:
            _show(conversion, report, as_json=as_json)
        raise
    _show(conversion, report, as_json=as_json)


@app.command("split")
def split_file(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Documents, .gz or plain.")],
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Gets train.jsonl, dev.jsonl, test.jsonl.")
    ],
    dev: Annotated[float, typer.Option(help="Share to choose settings by, 0 to 1.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share to measure on, 0 to 1.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same parts.")] = 13,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw which documents to train on; documents with the same text stay together."""
    counts = counted(split_documents(source, out, dev=dev, test=test, seed=seed))
    if as_json:
        typer.echo(json.dumps({"output": str(out), **counts}))
        return
    for name, held in counts.items():
        typer.echo(f"{name}: " + ", ".join(f"{number} {what}" for what, number in held.items()))


@app.command("distant")
def distant_file(
    kb: Annotated[
        Path, typer.Argument(metavar="KB", help="Entities with long_description, .gz or plain.")
    ],
    statements: Annotated[
        Path, typer.Argument(metavar="STATEMENTS", help='Lines of {"h", "r", "t"}: two ids of KB.')
    ],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to make, .gz or plain.")],
    relations: Annotated[
        Path | None, typer.Option(help="Lines with the id of each relation to keep; else all.")
    ] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Documents to measure on, kept out by subject and text; more than once."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="Id of a relation to leave out; more than once.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make training documents of a knowledge base: its descriptions, labelled by its statements.

    Nobody checks the labels: name OUTPUT in a recipe with mentions = "some", relations = "some".
    """
    config = DistantConfig(
        kb=kb,
        statements=statements,
        relations=relations,
        without=tuple(without or ()),
        skip=tuple(skip or ()),
    )
    with _progress_bar("read") as tell:
        report = distant_documents(config, target, Report() if tell is None else Report(tell))
    _print({"output": str(target), **report.as_dict(), "not_held": ""}, as_json=as_json)


@app.command("functional")
def functional_relations(
    statements: Annotated[
        Path, typer.Argument(metavar="STATEMENTS", help='Lines of {"h", "r", "t"}, .gz or plain.')
    ],
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Least share with one.")] = 0.9,
    least_statements: Annotated[
        int, typer.Option(min=1, help="Relations with fewer statements are left out.")
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell which relations have one object for each subject, or one subject for each object.

    Lists for `functional` and `inverse_functional`, in [pipeline.rules] of a recipe.
    """
    with _progress_bar("read") as tell:
        report = Report() if tell is None else Report(tell)
        found = [
            one for one in functionalities(statements, report) if one.statements >= least_statements
        ]
    values = {
        "functional": [one.relation_id for one in found if one.functionality >= at_least],
        "inverse_functional": [
            one.relation_id for one in found if one.inverse_functionality >= at_least
        ],
    }
    if as_json:
        rows = [asdict(one) for one in found]
        typer.echo(json.dumps({**values, "relations": rows}, ensure_ascii=False))
        return
    for name, ids in values.items():
        typer.echo(f"{name} = {json.dumps(ids, ensure_ascii=False)}")


@contextmanager
def _progress_bar(what: str = "convert") -> Iterator[Tell | None]:
    """Show progress at a terminal, on the error stream; nowhere else."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(conversion: Conversion, report: Report, *, as_json: bool) -> None:
    values = {
        "input": str(conversion.source),
        "output": str(conversion.target),
        **report.as_dict(),
        "not_held": FORMATS[conversion.target_format].loses,
    }
    _print(values, as_json=as_json, name=conversion.target_format)


def _print(values: Mapping[str, Any], *, as_json: bool, name: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(values, ensure_ascii=False))
        return
    console = Console(emoji=False, highlight=False, markup=False, soft_wrap=True)
    counts = ("documents", "spans", "linked", "triples")
    console.print(", ".join(f"{values[name]} {name}" for name in counts))
    _counted(console, "dropped", cast(Mapping[str, int], values["dropped"]))
    for example in cast(list[dict[str, Any]], values["examples"]):
        place = "" if example["span"] is None else " {}-{}".format(*example["span"])
        console.print(f"  {example['doc_id']}{place}: {example['reason']}")
    _counted(console, "changed", cast(Mapping[str, int], values["notes"]))
    if values["not_held"]:
        held = f"{name} does not hold: {values['not_held']}"
        console.print(held, style="dim")


def _counted(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    table = Table(title, "", box=None)
    for reason, count in counts.items():
        table.add_row(str(count), reason)
    console.print(table)
