"""`relik train`: from data sets and a recipe to a bundle."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from relik_training.run.large_pages import ask_for_large_pages

if TYPE_CHECKING:
    from relik_training.recipes.recipe_files import Overrides
    from relik_training.run.trainer import Run

# Recipes are read, and what trains is imported, where it is used: `--help` shall not wait for
# torch, and a plain install has none.

app = typer.Typer(
    name="train",
    help="Train a retriever or a reader by a recipe, and make the bundle of what was trained.",
    no_args_is_help=True,
)

Recipe = Annotated[Path, typer.Option("--config", help="Recipe, a TOML file.", show_default=False)]
Data = Annotated[
    Path | None, typer.Option(help="Folder of the data sets, in place of the recipe's.")
]
Out = Annotated[Path | None, typer.Option(help="Folder to fill, in place of the recipe's.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Another value of a setting, a TOML value: max_steps=200, mining.negatives=0. May be "
        "given again.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def begin() -> None:
    """Train a retriever or a reader by a recipe, and make the bundle of what was trained."""
    ask_for_large_pages()


@app.command()
def knowledge(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Select the entities and relations of a bundle, by [knowledge] of a retriever's recipe."""
    from relik_training.data.knowledge import build_knowledge, check_knowledge
    from relik_training.recipes.recipe import read_retriever_recipe

    recipe = read_retriever_recipe(config, _said(data, None, settings))
    chosen = replace(recipe.knowledge, out=str(out)) if out else recipe.knowledge
    check_knowledge(chosen, Path(recipe.data))
    counts = build_knowledge(chosen, Path(recipe.data))
    _print({"knowledge": chosen.out, **counts}, as_json=as_json)


@app.command()
def retriever(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train an encoder, then build the base bundle: encoder, indexes, fitted settings.

    Entities and relations are selected first where they are absent. A run that was stopped goes
    on from its last checkpoint.
    """
    from relik_training.recipes.recipe import read_retriever_recipe
    from relik_training.retriever.retriever_run import RetrieverRun

    recipe = read_retriever_recipe(config, _said(data, out, settings))
    _train(RetrieverRun(config=recipe), as_json=as_json)


@app.command()
def reader(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train a reader on a base bundle, then make the whole bundle, calibrated and sealed.

    A run that was stopped goes on from its last checkpoint.
    """
    from relik_training.reader.reader_run import ReaderRun
    from relik_training.recipes.recipe import read_reader_recipe

    recipe = read_reader_recipe(config, _said(data, out, settings))
    _train(ReaderRun(config=recipe), as_json=as_json)


@app.command()
def schema(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    backbone: Annotated[
        str | None, typer.Option(help="Pretrained weights, in place of the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, in place of the recipe's.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Train with so many seeds, and give mean and deviation.")
    ] = 1,
    with_dev: Annotated[
        bool,
        typer.Option(
            "--with-dev", help="Train again, on dev too, with the thresholds chosen without it."
        ),
    ] = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train the reader of a closed schema: typed mentions and relations, all given, no retriever.

    Ends with a bundle for each seed, measured. Seeds that are finished are not trained again.
    """
    from relik_training.recipes.schema_settings import read_schema_recipe
    from relik_training.run.checkpoints import resumable
    from relik_training.schema.schema_seeds import train_seeds

    overrides = replace(_said(data, out, settings), backbone=backbone, seed=seed)
    recipe = read_schema_recipe(config, overrides)
    with resumable():
        report = train_seeds(replace(recipe, with_dev=with_dev or recipe.with_dev), seeds)
    _print(report, as_json=as_json)


@app.command()
def relations(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    draw: Annotated[
        int | None, typer.Option(help="Seed of the draw of unseen relations, not the recipe's.")
    ] = None,
    apart: Annotated[
        int | None,
        typer.Option(
            help="Keep so many relations more out of training, and measure on these alone."
        ),
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train an encoder that tells relations of pairs of mentions, some of them never trained on.

    Ends with a bundle of these, measured on all their texts. A run that was stopped goes on.
    """
    from relik_training.recipes.relation_settings import read_relation_recipe
    from relik_training.relations.relation_run import RelationRun

    overrides = replace(_said(data, out, settings), draw=draw, apart=apart)
    _train(RelationRun(config=read_relation_recipe(config, overrides)), as_json=as_json)


@app.command()
def plan(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Predict what a run will cost on this machine: time, memory, disk, from some of its steps.

    The steps are taken in a scratch folder. The folder of the run gets plan.json alone, which the
    run is compared with when it ends.
    """
    from relik_training.plan.plan_command import make_plan, plan_lines
    from relik_training.run.metrics import budget_table

    made = make_plan(config, _said(data, out, settings))
    if as_json:
        typer.echo(json.dumps(made.as_dict()))
        return
    _console().print(budget_table(made.budget, None))
    for line in plan_lines(made):
        typer.echo(line)


@app.command("hold-out")
def hold_out(config: Recipe, data: Data = None, out: Out = None, as_json: AsJson = False) -> None:
    """Write the split of `held_out_source` that a reader's recipe trains and measures on."""
    from relik_training.data.held_out import hold_out as split
    from relik_training.recipes.recipe import read_reader_recipe

    train, held = split(read_reader_recipe(config, _said(data, out, None)))
    _print({"train": str(train), "held_out": str(held)}, as_json=as_json)


@app.command()
def bundle(
    config: Recipe,
    data: Data = None,
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Make the bundle of a finished run again, of a retriever or of a reader, without training."""
    from relik_training.recipes.recipe import (
        is_reader_recipe,
        read_reader_recipe,
        read_retriever_recipe,
    )

    overrides = _said(data, out, settings)
    if is_reader_recipe(config):
        from relik_training.reader.reader_bundle import build_bundle

        _print(build_bundle(read_reader_recipe(config, overrides)), as_json=as_json)
    else:
        from relik_training.retriever.retriever_bundle import build_base

        _print(build_base(read_retriever_recipe(config, overrides)), as_json=as_json)


def _said(data: Path | None, out: Path | None, settings: list[str] | None) -> "Overrides":
    from relik_training.recipes.recipe_files import Overrides

    return Overrides(
        data=None if data is None else str(data),
        out=None if out is None else str(out),
        settings=tuple(settings or ()),
    )


def _console() -> Console:
    return Console(emoji=False, highlight=False, markup=False, soft_wrap=True)


def _train(run: "Run", *, as_json: bool) -> None:
    """Train a run, make its bundle, print what came out."""
    from relik_training.run.checkpoints import resumable
    from relik_training.run.metrics import budget_table, end_run
    from relik_training.run.trainer import train

    with resumable():
        folder = train(run)
        made, metrics = end_run(run.config, run.end)
    report = {"run": str(folder), **made}
    if as_json:
        typer.echo(json.dumps({**report, "metrics": metrics.as_dict()}))
        return
    _print(report, as_json=False)
    _console().print(budget_table(metrics.planned, metrics.measured))


def _print(report: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
