"""A bundle: the models, settings and knowledge indexes that make one pipeline, opened as data.

Nothing in a bundle names code. It is a folder, a pinned revision on the Hugging Face Hub, or the
`default` one that ships inside the package.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from relik.config import PipelineConfig, read_toml
from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    DimensionMismatchError,
)
from relik.manifest import (
    MANIFEST,
    SUFFIXES,
    Manifest,
    check_files,
    read_manifest,
    verify_files,
)

if TYPE_CHECKING:
    from relik.pipeline import Pipeline
    from relik.retriever.pairs import PairRelater
    from relik.types import TextEncoder

KIND = "bundle"
DEFAULT = "default"

_HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLayout:
    """Where things lie in a bundle, as paths relative to it, with forward slashes.

    Encoder and reader share one tokenizer and, unless the reader is of another backbone, one frozen
    table of word embeddings. Model files come as ONNX graphs, as safetensors, or both.

    Args:
        manifest: Sizes, checksums, sources, recipe and figures.
        pipeline: Settings, read as `PipelineConfig`.
        tokenizer: The tokenizer of encoder and reader.
        word_embeddings: The table of encoder and reader.
        query_encoder: Folder of the model that encodes windows and records.
        reader: Folder of the model that reads windows with their candidates.
        reader_embeddings: The reader's own table, where it does not share the encoder's.
        config: Settings of a model, in its folder.
        weights: Weights for the torch backend, in the folder of a model.
        encoder_graph: Graph of the query encoder, in its folder.
        reader_graphs: Graphs of the reader's stages, in its folder.
        entities: Knowledge index of entities.
        relations: Knowledge index of relations.
    """

    manifest: str = MANIFEST
    pipeline: str = "pipeline.toml"
    tokenizer: str = "shared/tokenizer.json"
    word_embeddings: str = "shared/word_embeddings.safetensors"
    query_encoder: str = "query_encoder"
    reader: str = "reader"
    reader_embeddings: str = "reader/word_embeddings.safetensors"
    config: str = "config.json"
    weights: str = "model.safetensors"
    encoder_graph: str = "encoder.onnx"
    reader_graphs: tuple[str, ...] = ("encode.onnx", "ends.onnx", "link.onnx", "relate.onnx")
    entities: str = "entities"
    relations: str = "relations"


LAYOUT = BundleLayout()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An opened bundle. Models are opened when asked for.

    Args:
        path: Its folder.
        manifest: What it says of itself.
        config: Its settings.
        revision: Commit on the Hub that it came from, or None.
    """

    path: Path
    manifest: Manifest
    config: PipelineConfig
    revision: str | None = None

    @property
    def encoder_fingerprint(self) -> str:
        """Name the query encoder by its content: vectors of two fingerprints do not compare."""
        shared = (LAYOUT.tokenizer, LAYOUT.word_embeddings)
        digest = hashlib.sha256()
        for name, entry in sorted(self.manifest.files.items()):
            if name.startswith(f"{LAYOUT.query_encoder}/") or name in shared:
                digest.update(f"{name}\0{entry.sha256}\n".encode())
        return digest.hexdigest()

    @property
    def dim(self) -> int | None:
        """Width of the query encoder's vectors, or None where the bundle has no encoder."""
        name = f"{LAYOUT.query_encoder}/{LAYOUT.config}"
        if name not in self.manifest.files:
            return None
        try:
            config = json.loads((self.path / name).read_text(encoding="utf-8"))
            dim = config.get("dim", config.get("hidden_size"))
        except (OSError, ValueError, AttributeError) as error:
            raise BundleCorruptError(
                f"{self.path / name}: is not a JSON object ({error}): fetch or build it again"
            ) from error
        if not isinstance(dim, int):
            raise BundleCorruptError(
                f"{self.path / name}: got dim {dim!r}, expected a whole number: build it again"
            )
        return dim

    def tokenizer(self) -> Tokenizer:
        """Open the tokenizer that encoder and reader share.

        Returns:
            A tokenizer of the caller's own: truncation and padding set on it affect no other.
            Special tokens that stand in a text are ordinary text to it.

        Raises:
            BundleCorruptError: The file is not a tokenizer.
        """
        path = self.path / LAYOUT.tokenizer
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        # The tokenizers library raises bare Exception for every malformed file.
        except Exception as error:
            raise BundleCorruptError(
                f"{path}: is not a tokenizer ({error}): fetch or build the bundle again"
            ) from error
        tokenizer.encode_special_tokens = True
        return tokenizer

    def check_index(self, folder: Path) -> Manifest:
        """Check that the vectors of a knowledge index were made by this bundle's encoder.

        Args:
            folder: The knowledge index.

        Returns:
            The manifest of the index.

        Raises:
            BundleNotFoundError: There is no index.
            BundleVersionError: The index has a newer format.
            BundleCorruptError: Its manifest is malformed.
            DimensionMismatchError: Its vectors have another width.
            BundleError: Its vectors are of another encoder.
        """
        index = read_manifest(folder)
        # An index whose records are all given to every window has no vectors: its width is 0.
        dim = index.fields.get("dim")
        if dim and self.dim is not None and dim != self.dim:
            raise DimensionMismatchError(
                f"{folder}: got an index of dimension {dim}, expected {self.dim} as the encoder "
                f"of {self.path} makes: build the index with this bundle"
            )
        made_by = index.fields.get("encoder_fingerprint")
        if made_by and made_by != self.encoder_fingerprint:
            raise BundleError(
                f"{folder}: got an index made by the encoder {str(made_by)[:12]}, expected "
                f"{self.encoder_fingerprint[:12]}, that of {self.path}: "
                "build the index with this bundle"
            )
        return index

    def encoder(self, backend: str = "onnx", *, records: bool = False) -> "TextEncoder":
        """Open the query encoder.

        Args:
            backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
            records: It is to encode records for an index, and not windows.

        Returns:
            The encoder.

        Raises:
            BundleError: The bundle has no encoder for that backend.
            ConfigError: There is no such backend.
        """
        from relik.retriever.encoder import open_encoder

        return open_encoder(self.path, backend, records=records)

    def relater(self, backend: str = "onnx", *, relations: Path | None = None) -> "PairRelater":
        """Open what ranks relations for pairs of mentions, by the query encoder.

        Args:
            backend: "onnx" or "torch".
            relations: Knowledge index of relations to use in place of the bundle's own.

        Returns:
            The relater.

        Raises:
            BundleError: The bundle has no encoder, or the index no vectors or those of another.
            ConfigError: There is no such backend.
        """
        from relik.kb import KnowledgeBase
        from relik.retriever.pairs import PairRelater

        folder = relations or self.path / LAYOUT.relations
        self.check_index(folder)
        return PairRelater(self.encoder(backend), KnowledgeBase.open(folder))

    def pipeline(
        self,
        backend: str = "auto",
        *,
        entities: Path | None = None,
        relations: Path | None = None,
    ) -> "Pipeline":
        """Open the whole pipeline.

        Args:
            backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
            entities: Knowledge index to use in place of the bundle's own.
            relations: Knowledge index of relations to use in place of the bundle's own.

        Returns:
            A pipeline that is ready to annotate.

        Raises:
            BundleError: A model or an index cannot be used.
            ConfigError: There is no such backend.
        """
        from relik.pipeline import open_pipeline

        return open_pipeline(self, backend=backend, entities=entities, relations=relations)


def open_bundle(
    name_or_path: str | Path = DEFAULT, *, verify: bool = True, revision: str | None = None
) -> Bundle:
    """Open a bundle by name or path.

    Args:
        name_or_path: "default" for the one in the package, a folder, or "org/name" or
            "org/name@revision" on the Hugging Face Hub.
        verify: Compare every file with its checksum; links, sizes and settings are always
            checked.
        revision: Commit or tag on the Hub. Needed there, so that a name keeps its meaning.

    Returns:
        The bundle.

    Raises:
        BundleNotFoundError: Nothing is there, or it cannot be fetched.
        BundleVersionError: It was written in a newer format.
        BundleCorruptError: A file is missing, truncated or altered; the message names it.
        DimensionMismatchError: An index does not fit the encoder.
        BundleError: It is not a bundle, or an index is of another encoder.
        ConfigError: `pipeline.toml` has a wrong setting.
    """
    if name_or_path == DEFAULT:
        return _opened(_default_folder(), verify=verify)
    folder = Path(name_or_path)
    named = parse_hub_id(name_or_path) if isinstance(name_or_path, str) else None
    if folder.exists() or named is None:
        return _opened(folder, verify=verify)
    pinned = revision or named.revision
    if pinned is None:
        raise BundleNotFoundError(
            f"{folder}: there is no such folder: check the path, or name a commit of that "
            f"repository on the Hugging Face Hub, as in {name_or_path}@<commit>"
        )
    snapshot = fetch(named.repository, pinned, [f"*{suffix}" for suffix in SUFFIXES])
    # The files of a snapshot are links to its repository's store of contents, two levels up.
    return _opened(snapshot, verify=verify, within=snapshot.parent.parent, revision=snapshot.name)


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository on the Hugging Face Hub.

    Args:
        repository: "org/name".
        revision: Commit, tag or branch, or None where the name has none.
    """

    repository: str
    revision: str | None


def parse_hub_id(name: str) -> HubId | None:
    """Read the name of a repository on the Hub.

    Args:
        name: "org/name" or "org/name@revision".

    Returns:
        Its parts; None for anything else.
    """
    found = _HUB_ID.fullmatch(name)
    return None if found is None else HubId(found["repository"], found["revision"])


def _opened(
    folder: Path, *, verify: bool, within: Path | None = None, revision: str | None = None
) -> Bundle:
    manifest = read_manifest(folder, kind=KIND)
    (verify_files if verify else check_files)(folder, manifest, within=within)
    for name in (LAYOUT.pipeline, LAYOUT.tokenizer):
        if name not in manifest.files:
            raise BundleCorruptError(
                f"{folder / MANIFEST}: does not list {name}, which every bundle has: build it again"
            )
    bundle = Bundle(
        path=folder,
        manifest=manifest,
        config=read_toml(PipelineConfig, folder / LAYOUT.pipeline),
        revision=revision,
    )
    for index in (LAYOUT.entities, LAYOUT.relations):
        if f"{index}/{MANIFEST}" in manifest.files:
            bundle.check_index(folder / index)
    return bundle


def _default_folder() -> Path:
    folder = Path(str(files("relik").joinpath("data", DEFAULT)))
    if not (folder / MANIFEST).is_file():
        raise BundleNotFoundError(
            f"{folder}: this installation has no default bundle: install a release of "
            "relik-server, make one with `relik train` and `relik index build`, or name a folder"
        )
    return folder


def fetch(repository: str, revision: str, patterns: Sequence[str]) -> Path:
    """Fetch files of a repository on the Hugging Face Hub.

    Args:
        repository: "org/name".
        revision: Commit, tag or branch.
        patterns: Names of the files, with wildcards.

    Returns:
        The folder of the snapshot; it is named by its commit.

    Raises:
        BundleNotFoundError: They cannot be fetched, or huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BundleNotFoundError(
            f"{repository}: is on the Hugging Face Hub, which needs one more package: "
            "run `pip install huggingface_hub`, or give a folder"
        ) from error
    try:
        fetched = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(patterns),
        )
    except (OSError, ValueError) as error:
        raise BundleNotFoundError(
            f"{repository}@{revision}: cannot be fetched from the Hugging Face Hub ({error}): "
            "check the name, the revision and the connection"
        ) from error
    return Path(fetched)
