"""Settings files of released pipelines: YAML read as data, and the `_target_` names they may have.

A `_target_` names a class of upstream. Here it only tells the kind of a section: it is looked up
in a table and never imported, and no `${...}` in a value is expanded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.extra import missing_library

Section: TypeAlias = Literal["pipeline", "retriever", "index", "span reader", "triplet reader"]

_LONGEST_FILE = 1 << 16
_CLASSES: dict[Section, tuple[str, str]] = {
    "pipeline": ("relik.inference.annotator", "Relik"),
    "retriever": ("relik.retriever.pytorch_modules.model", "GoldenRetriever"),
    "index": ("relik.retriever.indexers.inmemory", "InMemoryDocumentIndex"),
    "span reader": ("relik.reader.pytorch_modules.span", "RelikReaderForSpanExtraction"),
    "triplet reader": ("relik.reader.pytorch_modules.triplet", "RelikReaderForTripletExtraction"),
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of settings: plain values only, no tags.

    Raises:
        BundleNotFoundError: There is no such file.
        BundleCorruptError: It is not YAML, has a tag that names code, or is not a mapping.
        ConfigError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise missing_library("PyYAML") from error
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise BundleCorruptError(
                f"{path}: got {path.stat().st_size} bytes, expected the settings of a pipeline, "
                f"at most {_LONGEST_FILE}: check the download"
            )
        text = path.read_text(encoding="utf-8")
        # References to references can expand to more than fits into memory.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise yaml.YAMLError("has a reference to another value")
        values = yaml.safe_load(text)
    except OSError as error:
        raise BundleNotFoundError(
            f"{path}: cannot be read ({error.strerror}), expected the settings of a released "
            "pipeline or index: check the folder, or pass config_file_name"
        ) from error
    # Impossible dates and numbers raise a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleCorruptError(
            f"{path}: is not plain YAML ({reason}), expected settings without tags "
            "or references: fetch it from a source you trust"
        ) from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise BundleCorruptError(
            f"{path}: got {type(values).__name__}, expected a mapping of settings by name: fetch "
            "it again"
        )
    return values


def check_target(
    values: Mapping[str, Any], expected: tuple[Section, ...], *, where: str
) -> Section:
    """Return the kind of a section by its `_target_`, which is never imported.

    Raises:
        ConfigError: It is not of an expected kind.
    """
    target = values.get("_target_")
    if target is None:
        return expected[0]
    known = {name: kind for kind in expected for name in _spellings(kind)}
    if not isinstance(target, str) or target not in known:
        raise ConfigError(
            f"{where}: got the _target_ {target!r}, expected one of "
            f"{', '.join('.'.join(_CLASSES[kind]) for kind in expected)}: correct it; no code is "
            "imported by this name"
        )
    return known[target]


def target_of(section: str) -> str:
    """Return the `_target_` of a kind of section, as upstream spells it."""
    module, name = next(names for kind, names in _CLASSES.items() if kind == section)
    return f"{module}.{name}.from_pretrained" if section == "index" else f"{module}.{name}"


def _spellings(kind: Section) -> set[str]:
    module, name = _CLASSES[kind]
    package = ".".join(module.split(".")[:2])
    plain = {f"{module}.{name}", f"{package}.{name}", f"relik.{name}", name}
    return plain | {f"{spelled}.from_pretrained" for spelled in plain}
