"""Opens released and converted pipelines for the server and the commands."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from relik.backends.backend import BACKENDS
from relik.errors import BundleNotFoundError, ConfigError
from relik.upstream.bundle.converted import ConvertedBundle
from relik.upstream.bundle.engines import Engine
from relik.upstream.bundle.released_parts import (
    LoadOptions,
    Opener,
    Stated,
    check_parts,
    read_stated,
)
from relik.upstream.bundle.released_pipeline import (
    ReleasedConfig,
    ReleasedParts,
    ReleasedPipeline,
    ReleasedView,
)
from relik.upstream.checkpoint.extra import lacking
from relik.upstream.checkpoint.files import Files, open_pipeline_folder
from relik.upstream.checkpoint.settings import TASKS, PipelineSettings, Task, parse_settings

_TORCH = ("torch", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFolder:
    """A released pipeline whose settings were read. Models are opened when asked for.

    Args:
        name: What it is called in answers.
        files: Finds its parts.
        stated: What it says of itself.
        settings: The same, checked.
    """

    name: str
    files: Files
    stated: Stated
    settings: PipelineSettings

    def pipeline(self, backend: str = "auto") -> ReleasedPipeline:
        """Open the pipeline.

        Args:
            backend: "torch", or "auto", which is torch too: on a GPU where there is one.

        Raises:
            BundleError: A part cannot be used.
            ConfigError: The backend is another, or a library is not installed.
        """
        if backend == "onnx":
            raise ConfigError(
                "got the backend 'onnx' for a released pipeline, expected 'torch' or 'auto': run "
                "`relik convert` to run it on ONNX Runtime"
            )
        engine, device = _engine(backend)
        options = LoadOptions(engine=engine, device=device)
        opener = Opener(self.settings.task, self.files, options)
        config = ReleasedConfig(model=self.name, settings=self.settings)
        return _opened(opener, self.stated, config)


def find_released(name: str | Path) -> ReleasedFolder:
    """Find a released pipeline, and read what it says of itself.

    Args:
        name: A folder, or "org/name@revision" on the Hub.

    Raises:
        BundleError: It cannot be found or fetched.
        ConfigError: A setting is wrong, or a library is not installed.
    """
    for library in (*_TORCH, "spacy", "yaml"):
        if importlib.util.find_spec(library) is None:
            raise lacking(library)
    files = open_pipeline_folder(name)
    if files.fetched and "@" not in str(name):
        raise BundleNotFoundError(
            f"{name}: names no revision, expected one, so that the name keeps its meaning: give "
            f"{name}@<commit>"
        )
    stated = read_stated(files)
    settings = parse_settings(stated.values, where=stated.where)
    model = str(name) if files.fetched else Path(name).resolve().name
    return ReleasedFolder(name=model, files=files, stated=stated, settings=settings)


@dataclass(frozen=True, slots=True)
class ConvertedSource:
    """A converted bundle whose files were checked. Models are opened when asked for.

    Args:
        bundle: The bundle.
    """

    bundle: ConvertedBundle

    def pipeline(self, backend: str = "auto") -> ReleasedPipeline:
        """Open the pipeline.

        Args:
            backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.

        Raises:
            BundleError: A model or an index cannot be used.
            ConfigError: There is no such backend, or it is not installed or cannot run the bundle.
        """
        bundle = self.bundle
        if bundle.manifest.fields.get("weights") == "int8":
            if backend == "torch":
                raise ConfigError(
                    f"{bundle.path}: got the backend 'torch' for int8 weights, expected 'onnx': "
                    "use that, or convert with --weights float32"
                )
            backend = "onnx" if backend == "auto" else backend
        engine, device = _engine(backend)
        settings = bundle.settings()
        reader = bundle.config.reader
        options = LoadOptions(engine=engine, device=device)
        return _opened(
            Opener(settings.task, Files(folder=bundle.path), options),
            Stated(values=bundle.stated(), where=str(bundle.path), cutter=bundle.cutter()),
            ReleasedConfig(
                model=bundle.config.model,
                settings=settings,
                max_length=reader.max_length,
                threshold=reader.threshold,
                relation_threshold=reader.relation_threshold,
            ),
        )


def _opened(opener: Opener, stated: Stated, config: ReleasedConfig) -> ReleasedPipeline:
    parts = opener.open(stated.values, {})
    task = config.settings.task
    tasks: tuple[Task, ...] = TASKS if task == "both" else (task,)
    check_parts(parts, task)
    for one in tasks:
        if parts.reader is None or one not in parts.retriever or one not in parts.index:
            raise ConfigError(
                f"{config.model}: lacks a retriever or an index for {one!r}, or a reader, "
                "expected a whole pipeline: only that can be served"
            )
    assert parts.reader is not None  # noqa: S101  # checked above, for mypy
    return ReleasedPipeline(
        ReleasedParts(
            encoders={one: parts.retriever[one].value for one in tasks},
            reader=parts.reader.value,
            cutter=stated.cutter,
        ),
        config,
        ReleasedView(indexes={one: parts.index[one].value for one in tasks}),
    )


def _engine(backend: str) -> tuple[Engine, str]:
    """Choose what runs the models, and where."""
    if backend not in BACKENDS:
        raise ConfigError(
            f"got the backend {backend!r}, expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}"
        )
    installed = all(importlib.util.find_spec(name) for name in _TORCH)
    if backend == "onnx" or not (installed or backend == "torch"):
        return "onnx", "cpu"
    if not installed:
        raise lacking("torch")
    from relik.backends.torch_backend import has_gpu

    if has_gpu():
        return "torch", "cuda"
    return ("torch" if backend == "torch" else "auto"), "cpu"
