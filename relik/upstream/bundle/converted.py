"""Converted bundles: released pipelines in our format, which `relik convert` writes.

They have the models of the pipeline, and its documents as knowledge indexes. They open on torch
with the weights of the released pipeline, or on ONNX Runtime with graphs.
"""

import hashlib
import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relik.config import read_toml
from relik.errors import BundleCorruptError, BundleError, ConfigError
from relik.manifest import MANIFEST, Manifest, check_files, read_manifest, verify_files
from relik.upstream.checkpoint.settings import (
    DEFAULT_TOP_K,
    PipelineSettings,
    Task,
    parse_settings,
    parse_task,
)
from relik.upstream.checkpoint.targets import target_of
from relik.upstream.text.words import SPACY, WordTokenizer, open_word_tokenizer

KIND = "converted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedLayout:
    """Paths in a converted bundle, relative to it.

    Args:
        query_encoder: Encoder of windows for entities, or for both tasks.
        relation_encoder: Encoder of windows for relations, where it is another.
        backbone: Settings of the reader's backbone, which released readers lack.
        words: Tokenization rules. Without them, or with others than those of a known release of
            spaCy, spaCy must be installed.
        model_files: Files of each model, besides graphs for ONNX Runtime; they determine its
            fingerprint.
    """

    pipeline: str = "pipeline.toml"
    query_encoder: str = "query_encoder"
    relation_encoder: str = "relation_encoder"
    reader: str = "reader"
    backbone: str = "reader/backbone"
    entities: str = "entities"
    relations: str = "relations"
    words: str = "words.json"
    model_files: tuple[str, ...] = ("config.json", "model.safetensors", "tokenizer.json")


LAYOUT = ConvertedLayout()
INDEXES: dict[Task, str] = {"span": LAYOUT.entities, "triplet": LAYOUT.relations}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedWindows:
    """Size and stride of windows.

    Args:
        size: Tokens per window, "sentence" or "none"; None is "none".
        stride: Tokens from one window to the next; None is `size`.
    """

    size: int | str | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.size, int | str | None) or not isinstance(self.stride, int | None):
            raise ConfigError(
                f"got windows of size {self.size!r} and stride {self.stride!r}, expected whole "
                "numbers, sentence or none: change pipeline.toml [windows]"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedReader:
    """Settings of the reader.

    Args:
        kind: "span" links spans, "triplet" relates them.
        use_nme: Add NIL ("--NME--") as a candidate.
        max_length: Most subwords of text and candidates in a row.
        threshold: Least probability of a mention, 0..1.
        relation_threshold: Probability above which a triple is kept, 0..1.
    """

    kind: str = "span"
    use_nme: bool = False
    max_length: int = 1000
    threshold: float = 0.0
    relation_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("span", "triplet") or self.max_length < 1:
            raise ConfigError(
                f"got a reader of {self.kind!r} and max_length {self.max_length}, expected span "
                "or triplet and at least 1: change pipeline.toml [reader]"
            )
        for name in ("threshold", "relation_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"got {name} {getattr(self, name)}, expected 0 to 1: change pipeline.toml "
                    "[reader]"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedConfig:
    """The content of `pipeline.toml` of a converted bundle.

    Args:
        model: Name of the pipeline, part of every answer of the server.
        task: "span", "triplet" or "both".
        top_k: Candidates per window.
        metadata_fields: Metadata to append to the text of a candidate.
        matryoshka: Tasks whose index has only the first dimensions of the encoder's vectors.
    """

    model: str = "unnamed"
    task: str = "span"
    top_k: int = DEFAULT_TOP_K
    metadata_fields: tuple[str, ...] = ()
    matryoshka: tuple[str, ...] = ()
    windows: ConvertedWindows = field(default_factory=ConvertedWindows)
    reader: ConvertedReader = field(default_factory=ConvertedReader)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedBundle:
    """A converted bundle whose files were checked, before its models are opened.

    Args:
        revision: Commit of its repository on the Hub, or None.
    """

    path: Path
    manifest: Manifest
    config: ConvertedConfig
    revision: str | None = None

    def has(self, folder: str) -> bool:
        """Tell whether it has the folder of a part."""
        return any(name.startswith(f"{folder}/") for name in self.manifest.files)

    def encoder_of(self, task: Task) -> str:
        """Return the folder of a task's encoder."""
        own = task == "triplet" and self.has(LAYOUT.relation_encoder)
        return LAYOUT.relation_encoder if own else LAYOUT.query_encoder

    def raw_settings(self) -> dict[str, Any]:
        """Return the settings in the form of `config.yaml`, with the folders of this bundle.

        `relik.upstream.checkpoint.settings.parse_settings` checks them.
        """
        config = self.config
        tasks = [task for task, folder in INDEXES.items() if self.has(folder)]
        return {
            "task": config.task,
            "top_k": config.top_k,
            "metadata_fields": list(config.metadata_fields),
            "window_size": config.windows.size,
            "window_stride": config.windows.stride,
            "retriever": {task: {"question_encoder": self.encoder_of(task)} for task in tasks},
            "index": {
                task: {
                    "name_or_path": INDEXES[task],
                    "matryoshka": task in config.matryoshka,
                }
                for task in tasks
            },
            "reader": {
                "_target_": target_of(f"{config.reader.kind} reader"),
                "transformer_model": LAYOUT.reader,
                "backbone": LAYOUT.backbone,
                "use_nme": config.reader.use_nme,
            },
        }

    def word_tokenizer(self) -> WordTokenizer:
        """Return the tokenizer of the bundle's rules, or spaCy's without known rules.

        Raises:
            BundleError: The rules cannot be read.
            ConfigError: There are no known rules, and spaCy is not installed.
        """
        has_rules = LAYOUT.words in self.manifest.files
        word_tokenizer = open_word_tokenizer(self.path / LAYOUT.words) if has_rules else None
        if word_tokenizer is None and importlib.util.find_spec("spacy") is None:
            raise ConfigError(
                f"{self.path}: got no {LAYOUT.words} with the rules of a known release of spaCy, "
                "and no spaCy, expected one of them: convert the pipeline again, or run "
                "`pip install 'relik-server[words]'`"
            )
        return SPACY if word_tokenizer is None else word_tokenizer

    def settings(self) -> PipelineSettings:
        """Return the settings as those of a released pipeline.

        Raises:
            ConfigError: `pipeline.toml` has a wrong one.
        """
        return parse_settings(self.raw_settings(), where=str(self.path / LAYOUT.pipeline))


def open_converted(
    folder: Path, *, verify: bool = True, within: Path | None = None, revision: str | None = None
) -> ConvertedBundle:
    """Open a converted bundle.

    Args:
        verify: Compare every file with its checksum; links, sizes and settings are always
            checked.
        within: Folder that links must stay in; None is `folder`.
        revision: Commit of its repository on the Hub, if any.

    Raises:
        BundleNotFoundError: There is no bundle.
        BundleVersionError: It was written in a newer format.
        BundleCorruptError: A file is missing, truncated or altered; the message names it.
        BundleError: It is not a converted bundle, or an index is of another encoder.
        ConfigError: `pipeline.toml` has a wrong setting.
    """
    manifest = read_manifest(folder, kind=KIND)
    (verify_files if verify else check_files)(folder, manifest, within=within)
    bundle = ConvertedBundle(
        path=folder,
        manifest=manifest,
        config=read_toml(ConvertedConfig, folder / LAYOUT.pipeline),
        revision=revision,
    )
    task = parse_task(bundle.config.task, where=str(folder / LAYOUT.pipeline))
    tasks: tuple[Task, ...] = ("span", "triplet") if task == "both" else (task,)
    models = {LAYOUT.reader, *(bundle.encoder_of(one) for one in tasks)}
    needed = [f"{model}/{name}" for model in sorted(models) for name in LAYOUT.model_files]
    needed += [LAYOUT.pipeline, *(f"{INDEXES[one]}/{MANIFEST}" for one in tasks)]
    for name in needed:
        if name not in manifest.files:
            raise BundleCorruptError(
                f"{folder / MANIFEST}: got no {name}, expected it in a converted bundle: convert "
                "the pipeline again"
            )
    for one in tasks:
        _check_index(bundle, one)
    return bundle


def fingerprint_of(sums: dict[str, str]) -> str:
    """Return the fingerprint of an encoder; vectors of two fingerprints do not compare.

    Args:
        sums: SHA-256 by name of the model's files.
    """
    digest = hashlib.sha256()
    for name in sorted(LAYOUT.model_files):
        digest.update(f"{name}\0{sums[name]}\n".encode())
    return digest.hexdigest()


def _check_index(bundle: ConvertedBundle, task: Task) -> None:
    folder, encoder = INDEXES[task], bundle.encoder_of(task)
    files = bundle.manifest.files
    sums = {name: files[f"{encoder}/{name}"].sha256 for name in LAYOUT.model_files}
    made_by = read_manifest(bundle.path / folder).fields.get("encoder_fingerprint")
    if made_by and made_by != fingerprint_of(sums):
        raise BundleError(
            f"{bundle.path / folder}: got an index of the encoder {str(made_by)[:12]}, expected "
            f"{fingerprint_of(sums)[:12]}, the fingerprint of {encoder}: convert the pipeline again"
        )
