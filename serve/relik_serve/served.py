"""Opens the models of a pipeline for the server."""

from relik.opening import PipelineSource
from relik.pipeline import Pipeline
from relik_serve.stages import Served


def open_served(source: PipelineSource, *, backend: str) -> Served:
    """Open the models of a pipeline.

    Args:
        source: A bundle, or a converted or released pipeline.
        backend: "onnx", "torch", or "auto".

    Returns:
        The pipeline, and how much it knows.

    Raises:
        BundleError: A model or an index cannot be used.
        ConfigError: There is no such backend, or it cannot run the pipeline.
    """
    pipeline = source.pipeline(backend)
    return Served(
        stages=pipeline,
        n_entities=len(pipeline.entities),
        n_relations=len(pipeline.relations),
        given=pipeline if isinstance(pipeline, Pipeline) else None,
    )
