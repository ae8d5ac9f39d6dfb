"""`relik data`: convert, split and make annotated data sets."""

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
from relik_training.formats.conversion_report import Report
from relik_training.formats.convert import Conversion, convert
from relik_training.formats.split import counted, split_documents
from relik_training.formats.table import FORMATS

_NAMES = ", ".join(FORMATS)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

app = typer.Typer(
    name="data",
    help="Convert data sets to the format of training and evaluation, and split them.",
    no_args_is_help=True,
)


@app.command("convert")
def convert_file(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="File to read, .gz or plain.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write, .gz or plain.")],
    source_format: Annotated[
        str, typer.Option("--from", help=f"Format of INPUT: {_NAMES}.", show_default=False)
    ],
    target_format: Annotated[
        str, typer.Option("--to", help="Format of OUTPUT, as --from.", show_default=False)
    ],
    entities: Annotated[
        Path | None,
        typer.Option(
            metavar="MAP", help='JSON Lines of {"title", "id"}: entity ids by Wikipedia title.'
        ),
    ] = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 2, and write no file, if anything is dropped.")
    ] = False,
) -> None:
    """Convert annotated texts, check every offset, and report what was dropped.

    OUTPUT appears when it is complete.
    """
    conversion = Conversion(
        source=source,
        target=target,
        source_format=source_format,
        target_format=target_format,
        entities=entities,
        strict=strict,
    )
    report = Report()
    try:
        with _progress_bar(report):
            convert(conversion, report)
    except InputError:
        if strict and report.dropped:
            _show(conversion, report, as_json=as_json)
        raise
    _show(conversion, report, as_json=as_json)


@app.command("split")
def split_file(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Documents, .gz or plain.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder for train.jsonl, dev.jsonl and test.jsonl."),
    ],
    dev: Annotated[float, typer.Option(help="Share of the development set, 0 to 1.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the test set, 0 to 1.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random split.")] = 13,
    as_json: AsJson = False,
) -> None:
    """Split documents into train, dev and test; documents with the same text stay together."""
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
        Path,
        typer.Argument(
            metavar="STATEMENTS", help='JSON Lines of {"h", "r", "t"}; h and t are ids of KB.'
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write, .gz or plain.")],
    relations: Annotated[
        Path | None,
        typer.Option(help="JSON Lines with the ids of the relations to keep; all by default."),
    ] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(
            help="Held-out documents, whose subjects and texts are left out. May be given more "
            "than once."
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(help="Id of a relation to leave out. May be given more than once."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make training documents by distant supervision: descriptions, labelled by statements.

    The labels are incomplete: give OUTPUT to a recipe with mentions = "some", relations = "some".
    """
    config = DistantConfig(
        kb=kb,
        statements=statements,
        relations=relations,
        without=tuple(without or ()),
        skip=tuple(skip or ()),
    )
    report = Report()
    with _progress_bar(report, "read"):
        distant_documents(config, target, report)
    _print({"output": str(target), **report.as_dict(), "not_held": ""}, as_json=as_json)


@app.command("functional")
def functional_relations(
    statements: Annotated[
        Path,
        typer.Argument(metavar="STATEMENTS", help='JSON Lines of {"h", "r", "t"}, .gz or plain.'),
    ],
    at_least: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum functionality, 0 to 1.")
    ] = 0.9,
    least_statements: Annotated[
        int, typer.Option(min=1, help="Minimum statements of a relation.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """List relations with one object for each subject, or one subject for each object.

    The lists are for `functional` and `inverse_functional`, in [pipeline.rules] of a recipe.
    """
    report = Report()
    with _progress_bar(report, "read"):
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
def _progress_bar(report: Report, what: str = "convert") -> Iterator[None]:
    """Show the progress of a report on the error stream if it is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)
        report.progress = lambda done, total: bar.update(task, completed=done, total=total)
        yield


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
        console.print(f"{name} cannot represent: {values['not_held']}", style="dim")


def _counted(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    table = Table(title, "", box=None)
    for reason, count in counts.items():
        table.add_row(str(count), reason)
    console.print(table)
