"""Options that several subcommands of `relik` have."""

from typing import Annotated

import typer

TopK = Annotated[int | None, typer.Option(min=1, help="Entity candidates per window.")]
Threshold = Annotated[float | None, typer.Option(min=0, max=1, help="Least score of an entity.")]
RelationThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Least score of a triple.")
]
Pretokenised = Annotated[
    bool,
    typer.Option(
        "--pretokenised",
        help="White space separates tokens, and mentions consist of whole tokens.",
    ),
]
Backend = Annotated[str, typer.Option(help="auto, onnx or torch.")]
