"""Loading of the model in the background: open, warm up, hand out, close."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from relik.find_pipeline import PipelineSource
from relik.pipeline import Pipeline
from relik.types import AnnotateOptions, Document
from relik_serve.batching.batcher import Batcher
from relik_serve.batching.pipeline_steps import Served, Stages
from relik_serve.errors import NotReadyError
from relik_serve.settings import Settings

log = logging.getLogger(__name__)

WARM_UP = Document(doc_id="warm-up", text="Ada Lovelace was born in London.")


def open_served(source: PipelineSource, *, backend: str) -> Served:
    """Open the models of a pipeline.

    Args:
        source: A bundle, or a converted or released pipeline.
        backend: "onnx", "torch", or "auto".

    Raises:
        BundleError: A model or an index cannot be used.
        ConfigError: The backend is unknown, or cannot run the pipeline.
    """
    pipeline = source.pipeline(backend)
    return Served(
        stages=pipeline,
        n_entities=len(pipeline.entities),
        n_relations=len(pipeline.relations),
        given=pipeline if isinstance(pipeline, Pipeline) else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A warm model and its batcher."""

    served: Served
    batcher: Batcher


class ModelSlot:
    """The model of the server, which a thread opens and warms up while the server is live.

    Args:
        open_model: Opens the pipeline; may take long.
        on_ready: Called from the loading thread once the model is warm.
        on_failure: Called from the loading thread if the model cannot be opened or warmed up.
    """

    def __init__(
        self,
        open_model: Callable[[], Served],
        settings: Settings,
        *,
        on_ready: Callable[[Served], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._open_model = open_model
        self._settings = settings
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._model: LoadedModel | None = None
        self._closed = False
        self._state = "the model is loading: retry in a moment"

    def start(self) -> None:
        """Open and warm up the model in a new thread."""
        threading.Thread(target=self._load, name="relik-load", daemon=True).start()

    def ready(self) -> LoadedModel:
        """Return the model.

        Raises:
            NotReadyError: It is not warm yet, or the server stops.
        """
        with self._lock:
            if self._model is None:
                raise NotReadyError(self._state)
            return self._model

    def close(self) -> None:
        """Finish the running requests and end the threads; blocks."""
        with self._lock:
            self._closed = True
            self._state = "the server is stopping"
            model = self._model
        if model is not None:
            model.batcher.close(timeout_s=self._settings.drain_s)

    def _load(self) -> None:
        try:
            served = self._open_model()
            _warm(served.stages)
            batcher = Batcher(served.stages, settings=self._settings, given=served.given)
            batcher.start()
        except Exception as error:
            log.debug("the model could not be opened", exc_info=True)
            with self._lock:
                self._state = "the model could not be opened: see the log of the server"
            self._on_failure(error)
            return
        with self._lock:
            closed = self._closed
            if not closed:
                self._model = LoadedModel(served=served, batcher=batcher)
        if closed:
            batcher.close(timeout_s=0.0)
        else:
            self._on_ready(served)


def _warm(stages: Stages) -> None:
    """Run every step once: first calls are slow, and a failure should stop the start."""
    options = AnnotateOptions()
    windows = stages.split(WARM_UP)
    for window in windows:
        stages.count_tokens(window)
    view = stages.view
    candidates = stages.retrieve(windows, options=options, view=view)
    found = stages.read(windows, candidates, options=options, view=view)
    stages.merge(WARM_UP, found, options=options, view=view)
