"""Conversion of a released pipeline to a bundle: write to a draft folder, check it, publish it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from relik.errors import ConfigError
from relik.manifest import write_manifest
from relik.upstream.bundle.converted import (
    INDEXES,
    KIND,
    LAYOUT,
    ConvertedConfig,
    ConvertedReader,
    ConvertedWindows,
    fingerprint_of,
    open_converted,
)
from relik.upstream.bundle.engines import Engine
from relik.upstream.bundle.released_parts import LoadOptions, Opener, check_parts
from relik.upstream.checkpoint.files import Files
from relik.upstream.checkpoint.reader_config import CheckpointSettings
from relik.upstream.checkpoint.settings import CONFIG, ReaderSettings, Task
from relik.upstream.text.subwords import ReaderTokenizer
from relik.upstream.text.word_rules import spacy_rules
from relik_index.convert.documents import IndexOptions, sample_texts, write_knowledge_index
from relik_index.convert.models import write_encoder, write_reader
from relik_index.convert.released_source import ReleasedSource, find_source
from relik_index.graphs.released import Weights
from relik_index.parts import Progress, aside, check_target, no_progress, now

WEIGHTS: tuple[Weights, ...] = ("float32", "int8")

# Texts to which the scales of int8 are fitted.
_SAMPLES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """Options of a conversion.

    Args:
        weights: float32 as released; or int8, which is smaller, faster and less exact, and runs on
            ONNX Runtime only.
        revision: Commit, tag or branch of the pipeline on the Hub; None where its name has one.
        force: Replace an existing converted bundle.

    Raises:
        ConfigError: The weights are neither float32 nor int8.
    """

    weights: Weights = "float32"
    config_file_name: str = CONFIG
    revision: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise ConfigError(
                f"got the weights {self.weights!r}, expected {' or '.join(WEIGHTS)}: choose one"
            )


def convert_pipeline(
    source: str,
    out: Path,
    *,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Convert a released pipeline to a bundle.

    Args:
        source: A folder, or "org/name" or "org/name@revision" on the Hugging Face Hub.

    Returns:
        The fields of the manifest, without the files.

    Raises:
        InputError: `out` exists, or `source` is already a bundle.
        ConfigError: A setting of the pipeline is wrong, or it lacks a part.
        BundleError: A part cannot be read, or the bundle cannot be written.
    """
    chosen = ConvertOptions() if options is None else options
    check_target(out, kind=KIND, force=chosen.force)
    found = find_source(source, config_file_name=chosen.config_file_name, revision=chosen.revision)
    with aside(out, replace=chosen.force) as folder:
        return _write(found, folder, chosen, progress or no_progress)


def _write(
    found: ReleasedSource, folder: Path, options: ConvertOptions, progress: Progress
) -> dict[str, object]:
    tasks = list(found.encoders)
    reader = found.settings.reader
    assert reader is not None  # noqa: S101  # `find_source` refuses a pipeline without one
    rules, version = spacy_rules()
    n_models = 1 + len(tasks)
    progress("models", 0, n_models)
    texts = sample_texts(found.indexes[tasks[0]].folder, count=_SAMPLES)
    checkpoint = write_reader(
        found.reader.folder,
        folder / LAYOUT.reader,
        kind=reader.kind,
        backbone=found.backbone,
        weights=options.weights,
        texts=texts,
    )
    progress("models", 1, n_models)
    fingerprints = _write_encoders(found, folder, options, texts)
    progress("models", n_models, n_models)
    indexes = {}
    for task in tasks:
        indexes[INDEXES[task]] = write_knowledge_index(
            found.indexes[task].folder,
            folder / INDEXES[task],
            options=IndexOptions(
                tokenizer=ReaderTokenizer.open(folder / LAYOUT.reader, quirks=False),
                fingerprint=fingerprints[task],
                metadata_fields=found.settings.metadata_fields,
                skip_metadata=found.settings.index[task].skip_metadata,
                sources=(found.indexes[task].name,),
            ),
            progress=lambda stage, done, total, name=INDEXES[task]: progress(  # type: ignore[misc]  # a default binds the name of this round
                f"{name}: {stage}", done, total
            ),
        )
    config = _config(found, reader, checkpoint)
    _write_toml(config, folder / LAYOUT.pipeline)
    rules.write(folder / LAYOUT.words)
    words = {"part": "words", "name": "spaCy", "version": version, "license": "MIT"}
    fields: dict[str, object] = {
        "model": config.model,
        "task": config.task,
        "weights": options.weights,
        "sources": [*found.sources, words],
        "needs_spacy": not rules.is_known,
        "rows": {name: index["rows"] for name, index in indexes.items()},
        "created_at": now(),
    }
    progress("check", 0, 1)
    write_manifest(folder, kind=KIND, fields=fields)
    _check(folder, options.weights)
    progress("check", 1, 1)
    return fields


def _write_encoders(
    found: ReleasedSource, folder: Path, options: ConvertOptions, texts: Sequence[str]
) -> dict[Task, str]:
    """Write the encoder of each task, a common one once; return their fingerprints."""
    fingerprints: dict[Task, str] = {}
    for task, part in found.encoders.items():
        name = LAYOUT.query_encoder if not fingerprints else LAYOUT.relation_encoder
        write_encoder(part.folder, folder / name, weights=options.weights, texts=texts)
        sums = {file: _sha256(folder / name / file) for file in LAYOUT.model_files}
        if fingerprint_of(sums) in fingerprints.values():
            for path in (folder / name).iterdir():
                path.unlink()
            (folder / name).rmdir()
        fingerprints[task] = fingerprint_of(sums)
    return fingerprints


def _config(
    found: ReleasedSource, reader: ReaderSettings, checkpoint: CheckpointSettings
) -> ConvertedConfig:
    settings = found.settings
    narrow = []
    for task, index in settings.index.items():
        # The name of an encoder may show that its index is a Matryoshka one.
        names = (index.name_or_path, settings.retriever[task].question_encoder)
        implied = any("matryoshka" in name.lower() for name in names)
        if index.matryoshka or (index.matryoshka is None and implied):
            narrow.append(task)
    return ConvertedConfig(
        model=found.pipeline.name,
        task=settings.task,
        top_k=settings.top_k,
        metadata_fields=settings.metadata_fields,
        matryoshka=tuple(narrow),
        windows=ConvertedWindows(size=settings.window_size, stride=settings.window_stride),
        reader=ConvertedReader(
            kind=reader.kind,
            use_nme=reader.kind == "span" if reader.use_nme is None else reader.use_nme,
            relation_threshold=checkpoint.threshold,
        ),
    )


def _check(folder: Path, weights: Weights) -> None:
    """Open the bundle with each backend, so that a broken one is never published."""
    bundle = open_converted(folder, verify=False)
    settings = bundle.settings()
    engines: tuple[Engine, ...] = ("onnx", "torch") if weights == "float32" else ("onnx",)
    for engine in engines:
        opener = Opener(settings.task, Files(folder=folder), LoadOptions(engine=engine))
        check_parts(opener.open(bundle.raw_settings(), {}), settings.task)


def _write_toml(config: ConvertedConfig, path: Path) -> None:
    values = asdict(config)
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    lines = _lines(plain)
    for name, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *_lines(table)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(values: dict[str, object]) -> list[str]:
    # JSON scalars and lists of scalars are valid TOML, but for DEL, which TOML strings escape.
    return [
        f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for name, value in values.items()
        if value is not None
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
