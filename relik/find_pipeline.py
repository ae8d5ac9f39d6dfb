"""Lookup of the pipeline that `--bundle` names: a bundle, a converted or a released pipeline."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from relik.bundle import Bundle, open_bundle
from relik.errors import BundleError, BundleNotFoundError, ConfigError
from relik.kb import KnowledgeBase
from relik.layout import KIND
from relik.manifest import MANIFEST, SUFFIXES, read_manifest
from relik.sources import DEFAULT, fetch, parse_hub_id

if TYPE_CHECKING:
    from relik.pipeline import Pipeline
    from relik.upstream.bundle.released import ConvertedSource, ReleasedFolder
    from relik.upstream.bundle.released_pipeline import ReleasedPipeline

PipelineSource: TypeAlias = Union[Bundle, "BundleWithIndex", "ConvertedSource", "ReleasedFolder"]
"""A pipeline whose files were checked; its method `pipeline(backend)` opens it."""

AnyPipeline: TypeAlias = Union["Pipeline", "ReleasedPipeline"]
"""An open pipeline."""

RELEASED = "config.yaml"
"""The file that marks the folder of a released pipeline."""


@dataclass(frozen=True, slots=True)
class BundleWithIndex:
    """A bundle with another knowledge index of entities in place of its own."""

    bundle: Bundle
    entities: Path

    def pipeline(self, backend: str = "auto") -> "Pipeline":
        """Open the pipeline.

        Args:
            backend: "onnx", "torch" or "auto".

        Raises:
            BundleError: A file is missing or altered.
            ConfigError: There is no such backend, or it cannot run the bundle.
        """
        return self.bundle.pipeline(backend, entities=self.entities)


def find_pipeline(name: str = DEFAULT, *, kb: Path | None = None) -> PipelineSource:
    """Find a pipeline and check its files, without opening its models.

    Args:
        name: "default" for the bundle in the package; the folder of a bundle, of a pipeline that
            `relik convert` wrote, or of a released one; or "org/name@revision" of any of these on
            the Hugging Face Hub.
        kb: Folder of a knowledge index of entities in place of the bundle's own.

    Raises:
        BundleNotFoundError: Nothing is there, or it cannot be fetched.
        BundleError: A file is missing, altered or of a newer format, or the index is of another
            encoder.
        ConfigError: A setting is wrong, or a library is not installed.
    """
    found = _find(name)
    if kb is None:
        return found
    if not isinstance(found, Bundle):
        raise ConfigError(
            f"{name}: got a knowledge index for a released pipeline, expected a bundle, since a "
            "released pipeline reads only its own index: leave the knowledge index out"
        )
    found.check_index(kb)
    KnowledgeBase.open(kb, verify=True)
    return BundleWithIndex(found, kb)


def _find(name: str) -> PipelineSource:
    if name == DEFAULT:
        return open_bundle()
    folder = Path(name)
    if folder.exists():
        return _open_folder(folder, name)
    named = parse_hub_id(name)
    if named is None or named.revision is None:
        # Raises the error for a missing folder, or for a Hub id without a revision.
        return open_bundle(name)
    # The kind of pipeline decides which files to fetch.
    peek = fetch(named.repository, named.revision, (MANIFEST, RELEASED))
    if _kind(peek) == KIND:
        return open_bundle(name)
    if not (peek / MANIFEST).is_file():
        return _find_released(name, peek)
    fetched = fetch(named.repository, named.revision, [f"*{suffix}" for suffix in SUFFIXES])
    return _open_converted(fetched, within=fetched.parent.parent, revision=fetched.name)


def _open_folder(folder: Path, name: str) -> PipelineSource:
    if (folder / MANIFEST).is_file():
        if _kind(folder) == KIND:
            return open_bundle(folder)
        return _open_converted(folder)
    return _find_released(name, folder)


def _kind(folder: Path) -> str | None:
    return read_manifest(folder).kind if (folder / MANIFEST).is_file() else None


def _open_converted(
    folder: Path, *, within: Path | None = None, revision: str | None = None
) -> "ConvertedSource":
    from relik.upstream.bundle.converted import KIND as CONVERTED
    from relik.upstream.bundle.converted import open_converted
    from relik.upstream.bundle.released import ConvertedSource

    kind = _kind(folder)
    if kind != CONVERTED:
        raise BundleError(
            f"{folder}: got a folder of kind {kind}, expected kind {KIND} or {CONVERTED}: check "
            "the path"
        )
    return ConvertedSource(open_converted(folder, within=within, revision=revision))


def _find_released(name: str, folder: Path) -> "ReleasedFolder":
    if not (folder / RELEASED).is_file():
        raise BundleNotFoundError(
            f"{name}: has neither {MANIFEST} nor {RELEASED}, expected the folder of a bundle or a "
            "released pipeline: check the path"
        )
    from relik.upstream.bundle.released import find_released

    return find_released(name)
