"""`relik convert`: convert a released pipeline to a bundle."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from relik_index.cli import JsonFlag, progress_bar, show

if TYPE_CHECKING:
    from relik_index.graphs.released import Weights


def convert(
    source: Annotated[
        str, typer.Argument(help="Folder of a released pipeline, or org/name on the Hub.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder to create.")],
    weights: Annotated[
        str, typer.Option(help="Format of the weights for ONNX Runtime: float32 or int8.")
    ] = "float32",
    config_file_name: Annotated[
        str, typer.Option(help="Settings file of the pipeline.")
    ] = "config.yaml",
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch on the Hub.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a converted bundle at OUT.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Convert a released ReLiK pipeline to a bundle that is served without torch."""
    from relik.upstream.checkpoint.extra import libraries_needed

    with libraries_needed():
        from relik_index.convert.pipeline import ConvertOptions, convert_pipeline
    options = ConvertOptions(
        weights=cast("Weights", weights),
        config_file_name=config_file_name,
        revision=revision,
        force=force,
    )
    started = time.monotonic()
    with progress_bar() as progress:
        made = convert_pipeline(source, out, options=options, progress=progress)
    show({**made, "seconds": round(time.monotonic() - started, 2)}, as_json=as_json)
