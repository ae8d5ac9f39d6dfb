"""A converted bundle: a released pipeline as data of ours, written by `relik convert`.

Its models are those of the pipeline; its documents are knowledge indexes. It opens on torch with
the same files as a released pipeline, or on ONNX Runtime with the graphs beside them.
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
from relik.upstream.text.words import SPACY, WordCutter, open_cutter

KIND = "converted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedLayout:
    """Where things lie in a converted bundle, as paths relative to it.

    Args:
        pipeline: Settings, read as `ConvertedConfig`.
        query_encoder: The encoder of windows; of both tasks where they share it.
        relation_encoder: That of relations, where it is another.
        reader: The reader.
        backbone: Settings of the transformer under the reader, which released readers lack.
        entities: Knowledge index of entities.
        relations: Knowledge index of relations.
        words: Rules by which texts are cut into words. Without them, or with others than those
            of a known release of spaCy, that has to be installed.
        model_files: What makes a model what it is, in the folder of each. Graphs for ONNX
            Runtime may lie beside them.
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
    """How texts are cut.

    Args:
        size: Tokens per window, "sentence" or "none"; "none" where it is left out.
        stride: Tokens from one window to the next; `size` where it is left out.
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
    """How windows are read.

    Args:
        kind: "span" links spans, "triplet" relates them.
        use_nme: Offer "no entity of the index" as a candidate.
        max_length: Subwords of text and candidates that the server reads at once.
        threshold: Least probability of a mention that the server answers with, 0..1.
        relation_threshold: Probability above which a triple holds, 0..1.
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
    """Everything that `pipeline.toml` of a converted bundle says.

    Args:
        model: Name of the pipeline, given back in every answer of the server.
        task: "span", "triplet" or "both".
        top_k: Candidates per window.
        metadata_fields: Metadata that follow the text of a candidate.
        matryoshka: Tasks whose index has the first dimensions of its encoder's vectors only.
        windows: How texts are cut.
        reader: How windows are read.
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
    """A converted bundle whose files were checked. Models are opened when asked for.

    Args:
        path: Its folder.
        manifest: What it says of itself.
        config: Its settings.
        revision: Commit on the Hub that it came from, or None.
    """

    path: Path
    manifest: Manifest
    config: ConvertedConfig
    revision: str | None = None

    def has(self, folder: str) -> bool:
        """Tell whether it has a part."""
        return any(name.startswith(f"{folder}/") for name in self.manifest.files)

    def encoder_of(self, task: Task) -> str:
        """Name the folder of a task's encoder."""
        own = task == "triplet" and self.has(LAYOUT.relation_encoder)
        return LAYOUT.relation_encoder if own else LAYOUT.query_encoder

    def stated(self) -> dict[str, Any]:
        """Say what `config.yaml` of the released pipeline said, of the parts in this bundle.

        Returns:
            Settings for `relik.upstream.checkpoint.settings.parse_settings`; parts are named by
            their folders.
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

    def cutter(self) -> WordCutter:
        """Return what cuts texts into words: the bundle's rules, or else spaCy.

        Raises:
            BundleError: The rules cannot be read.
            ConfigError: Rules that are known are not there, and spaCy is not installed.
        """
        has_rules = LAYOUT.words in self.manifest.files
        cutter = open_cutter(self.path / LAYOUT.words) if has_rules else None
        if cutter is None and importlib.util.find_spec("spacy") is None:
            raise ConfigError(
                f"{self.path}: got no {LAYOUT.words} with rules that are known here, and no spaCy, "
                "expected either: convert the pipeline again, or run "
                "`pip install 'relik-server[words]'`"
            )
        return SPACY if cutter is None else cutter

    def settings(self) -> PipelineSettings:
        """Return the settings as those of a released pipeline.

        Raises:
            ConfigError: `pipeline.toml` has a wrong one.
        """
        return parse_settings(self.stated(), where=str(self.path / LAYOUT.pipeline))


def open_converted(
    folder: Path, *, verify: bool = True, within: Path | None = None, revision: str | None = None
) -> ConvertedBundle:
    """Open a converted bundle.

    Args:
        verify: Compare every file with its checksum; links, sizes and settings are always
            checked.
        within: What links may not leave; None is the folder itself.

    Raises:
        BundleNotFoundError: Nothing is there.
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
                f"{folder / MANIFEST}: does not list {name}, which it has to have: convert the "
                "pipeline again"
            )
    for one in tasks:
        _check_index(bundle, one)
    return bundle


def fingerprint_of(sums: dict[str, str]) -> str:
    """Name an encoder by its content: vectors of two fingerprints do not compare.

    Args:
        sums: SHA-256 of each of the model's files, by its name.
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
            f"{bundle.path / folder}: got an index made for the encoder {str(made_by)[:12]}, "
            f"expected {fingerprint_of(sums)[:12]}, that of {encoder}: convert the pipeline again"
        )
