"""Opening released and converted pipelines for the server and the commands."""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from relik.backends.open_backend import BACKENDS
from relik.errors import BundleNotFoundError, ConfigError
from relik.upstream.bundle.converted import ConvertedBundle
from relik.upstream.bundle.engines import Engine
from relik.upstream.bundle.released_parts import (
    LoadOptions,
    Opener,
    RawSettings,
    check_parts,
    read_raw_settings,
)
from relik.upstream.bundle.released_pipeline import (
    ReleasedConfig,
    ReleasedPipeline,
    ReleasedView,
)
from relik.upstream.checkpoint.extra import missing_library
from relik.upstream.checkpoint.files import Files, open_pipeline_folder
from relik.upstream.checkpoint.settings import TASKS, PipelineSettings, Task, parse_settings

_TORCH = ("torch", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedFolder:
    """A released pipeline whose settings were read, before its models are opened.

    Args:
        name: Name of the model in answers.
        files: Finds its parts.
        raw: Settings as in its file.
        settings: Checked settings.
    """

    name: str
    files: Files
    raw: RawSettings
    settings: PipelineSettings

    def pipeline(self, backend: str = "auto") -> ReleasedPipeline:
        """Open the pipeline.

        Args:
            backend: "torch" or "auto": torch on a GPU where there is one, else on the CPU.

        Raises:
            BundleError: A part cannot be used.
            ConfigError: The backend is another, or a library is not installed.
        """
        if backend == "onnx":
            raise ConfigError(
                "got the backend 'onnx' for a released pipeline, expected 'torch' or 'auto': run "
                "`relik convert` to run it on ONNX Runtime"
            )
        engine, device = _choose_engine(backend)
        options = LoadOptions(engine=engine, device=device)
        opener = Opener(self.settings.task, self.files, options)
        config = ReleasedConfig(model=self.name, settings=self.settings)
        return _build_pipeline(opener, self.raw, config)


def find_released(name: str | Path) -> ReleasedFolder:
    """Find a released pipeline and read its settings.

    Args:
        name: A folder, or "org/name@revision" on the Hub.

    Raises:
        BundleError: It cannot be found or fetched.
        ConfigError: A setting is wrong, or a library is not installed.
    """
    for library in (*_TORCH, "spacy", "yaml"):
        if importlib.util.find_spec(library) is None:
            raise missing_library(library)
    files = open_pipeline_folder(name)
    if files.fetched and "@" not in str(name):
        raise BundleNotFoundError(
            f"{name}: got no revision, expected one, so that the name always means the same model: "
            f"use {name}@<commit>"
        )
    raw = read_raw_settings(files)
    settings = parse_settings(raw.values, where=raw.where)
    model = str(name) if files.fetched else Path(name).resolve().name
    return ReleasedFolder(name=model, files=files, raw=raw, settings=settings)


@dataclass(frozen=True, slots=True)
class ConvertedSource:
    """A converted bundle whose files were checked, before its models are opened."""

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
                    "use 'onnx', or convert with --weights float32"
                )
            backend = "onnx" if backend == "auto" else backend
        engine, device = _choose_engine(backend)
        settings = bundle.settings()
        reader = bundle.config.reader
        options = LoadOptions(engine=engine, device=device)
        return _build_pipeline(
            Opener(settings.task, Files(folder=bundle.path), options),
            RawSettings(
                values=bundle.raw_settings(),
                where=str(bundle.path),
                word_tokenizer=bundle.word_tokenizer(),
            ),
            ReleasedConfig(
                model=bundle.config.model,
                settings=settings,
                max_length=reader.max_length,
                threshold=reader.threshold,
                relation_threshold=reader.relation_threshold,
            ),
        )


def _build_pipeline(opener: Opener, raw: RawSettings, config: ReleasedConfig) -> ReleasedPipeline:
    parts = opener.open(raw.values, {})
    task = config.settings.task
    tasks: tuple[Task, ...] = TASKS if task == "both" else (task,)
    check_parts(parts, task)
    for one in tasks:
        if parts.reader is None or one not in parts.retriever or one not in parts.index:
            raise ConfigError(
                f"{config.model}: got no retriever, no index for {one!r} or no reader, expected "
                "a whole pipeline: add what is missing to its settings"
            )
    view = ReleasedView(indexes={one: parts.index[one].value for one in tasks})
    return ReleasedPipeline(replace(parts, word_tokenizer=raw.word_tokenizer), config, view)


def _choose_engine(backend: str) -> tuple[Engine, str]:
    """Return the engine and the device of a backend."""
    if backend not in BACKENDS:
        raise ConfigError(
            f"got the backend {backend!r}, expected {', '.join(BACKENDS[:-1])} or {BACKENDS[-1]}: "
            "choose one of them"
        )
    installed = all(importlib.util.find_spec(name) for name in _TORCH)
    if backend == "onnx" or not (installed or backend == "torch"):
        return "onnx", "cpu"
    if not installed:
        raise missing_library("torch")
    from relik.backends.torch_backend import has_gpu

    if has_gpu():
        return "torch", "cuda"
    return ("torch" if backend == "torch" else "auto"), "cpu"
