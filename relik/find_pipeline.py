"""Opens what `--bundle` names: a bundle, a converted pipeline or a released one."""

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

PipelineSource: TypeAlias = Union[Bundle, "OtherKnowledge", "ConvertedSource", "ReleasedFolder"]
"""What has a method `pipeline(backend)`."""

AnyPipeline: TypeAlias = Union["Pipeline", "ReleasedPipeline"]
"""What such a method gives."""

RELEASED = "config.yaml"
"""The file by which a released pipeline is known."""


@dataclass(frozen=True, slots=True)
class OtherKnowledge:
    """A bundle over a knowledge index in place of its own.

    Args:
        bundle: The bundle.
        entities: Folder of the knowledge index.
    """

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
    """Find a pipeline and check its files; models are opened by its method `pipeline`.

    Args:
        name: "default" for the bundle in the package; the folder of a bundle, of a pipeline that
            `relik convert` wrote, or of a released one; or "org/name@revision" of any of these on
            the Hugging Face Hub.

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
            f"{name}: got a knowledge index for a released pipeline, expected a bundle: a released "
            "pipeline reads what is in its own index"
        )
    found.check_index(kb)
    KnowledgeBase.open(kb, verify=True)
    return OtherKnowledge(found, kb)


def _find(name: str) -> PipelineSource:
    if name == DEFAULT:
        return open_bundle()
    folder = Path(name)
    if folder.exists():
        return _found(folder, name)
    named = parse_hub_id(name)
    if named is None or named.revision is None:
        # Has the message for either.
        return open_bundle(name)
    # What it is decides what is fetched.
    peek = fetch(named.repository, named.revision, (MANIFEST, RELEASED))
    if _kind(peek) == KIND:
        return open_bundle(name)
    if not (peek / MANIFEST).is_file():
        return _released(name, peek)
    fetched = fetch(named.repository, named.revision, [f"*{suffix}" for suffix in SUFFIXES])
    return _converted(fetched, within=fetched.parent.parent, revision=fetched.name)


def _found(folder: Path, name: str) -> PipelineSource:
    if (folder / MANIFEST).is_file():
        if _kind(folder) == KIND:
            return open_bundle(folder)
        return _converted(folder)
    return _released(name, folder)


def _kind(folder: Path) -> str | None:
    return read_manifest(folder).kind if (folder / MANIFEST).is_file() else None


def _converted(
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


def _released(name: str, folder: Path) -> "ReleasedFolder":
    if not (folder / RELEASED).is_file():
        raise BundleNotFoundError(
            f"{name}: has neither {MANIFEST} nor {RELEASED}, expected the folder of a bundle or of "
            "a released pipeline: check the path"
        )
    from relik.upstream.bundle.released import find_released

    return find_released(name)
