"""A bundle: the models, settings and knowledge indexes that make one pipeline.

Nothing in a bundle names code. It is a folder, a pinned revision on the Hugging Face Hub, or the
`default` one that ships inside the package.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from relik.config import PipelineConfig, read_pipeline
from relik.errors import (
    BundleCorruptError,
    BundleError,
    BundleNotFoundError,
    DimensionMismatchError,
)
from relik.kb import KnowledgeBase
from relik.kb.view import KnowledgeView
from relik.layout import KIND, LAYOUT
from relik.manifest import (
    MANIFEST,
    SUFFIXES,
    Manifest,
    check_files,
    read_manifest,
    verify_files,
)
from relik.names.language import DEFAULT_LANGUAGE
from relik.pipeline import Pipeline
from relik.reader.open_reader import open_reader
from relik.retriever.encoder import open_encoder
from relik.retriever.pairs import PairRelater
from relik.retriever.window_retriever import open_retriever
from relik.sources import DEFAULT, default_folder, fetch, parse_hub_id
from relik.text import open_tokenizer
from relik.types import TextEncoder


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
    def language(self) -> str:
        """Language that its models read, ISO 639; English where the bundle names none."""
        named = self.manifest.fields.get("language")
        return named if isinstance(named, str) else DEFAULT_LANGUAGE

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
        return open_tokenizer(self.path / LAYOUT.tokenizer)

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

    def encoder(self, backend: str = "onnx", *, records: bool = False) -> TextEncoder:
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
        return open_encoder(self.path, backend, records=records)

    def relater(self, backend: str = "onnx", *, relations: Path | None = None) -> PairRelater:
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
        folder = relations or self.path / LAYOUT.relations
        self.check_index(folder)
        return PairRelater(self.encoder(backend), KnowledgeBase.open(folder))

    def pipeline(
        self,
        backend: str = "auto",
        *,
        entities: Path | None = None,
        relations: Path | None = None,
    ) -> Pipeline:
        """Open the whole pipeline.

        Args:
            backend: "onnx", "torch", or "auto": torch where there is a GPU for it, else ONNX.
            entities: Knowledge index to use in place of the bundle's own.
            relations: Knowledge index of relations to use in place of the bundle's own.

        Returns:
            A pipeline that is ready to annotate; of a bundle whose reader is not trained yet, one
            that can split and retrieve.

        Raises:
            BundleError: A model or an index cannot be used.
            ConfigError: There is no such backend.
        """
        entity_folder = entities or self.path / LAYOUT.entities
        relation_folder = relations or self.path / LAYOUT.relations
        for folder in (entity_folder, relation_folder):
            self.check_index(folder)
        view = KnowledgeView(
            entities=KnowledgeBase.open(entity_folder),
            relations=KnowledgeBase.open(relation_folder),
        )
        retriever = open_retriever(self.path, backend, config=self.config.retriever, view=view)
        reader = None
        if f"{LAYOUT.reader}/{LAYOUT.config}" in self.manifest.files:
            reader = open_reader(
                self.path, backend=backend, config=self.config, tokenizer=self.tokenizer()
            )
        return Pipeline(retriever, reader, self.config, view)


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
        return _opened(default_folder(), verify=verify)
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
        config=read_pipeline(folder / LAYOUT.pipeline),
        revision=revision,
    )
    for index in (LAYOUT.entities, LAYOUT.relations):
        if f"{index}/{MANIFEST}" in manifest.files:
            bundle.check_index(folder / index)
    return bundle
