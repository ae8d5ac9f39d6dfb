"""The settings files of released pipelines: YAML read as data, and the names it may hold.

They name classes under `_target_`. Here such a name only says which section it heads: it is looked
up in a table and nothing is ever imported by it, nor is any `${...}` in a value expanded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.extra import lacking

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
        raise lacking("PyYAML") from error
    try:
        if path.stat().st_size > _LONGEST_FILE:
            raise BundleCorruptError(
                f"{path}: got {path.stat().st_size} bytes, expected the settings of a pipeline, "
                f"at most {_LONGEST_FILE}: check what was downloaded"
            )
        text = path.read_text(encoding="utf-8")
        # A few lines of references to references can stand for more than fits the memory.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise yaml.YAMLError("has a reference to another value")
        values = yaml.safe_load(text)
    except OSError as error:
        raise BundleNotFoundError(
            f"{path}: cannot be read ({error.strerror}), expected the settings of a released "
            "pipeline or index: check the folder, or give config_file_name"
        ) from error
    # Dates and numbers that there are not are a ValueError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BundleCorruptError(
            f"{path}: got what is not plain YAML ({_first_line(error)}), expected settings "
            "without tags or references: fetch it again, and do not trust who wrote it"
        ) from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise BundleCorruptError(
            f"{path}: got {type(values).__name__}, expected named settings: fetch it again"
        )
    return values


def check_target(
    values: Mapping[str, Any], expected: tuple[Section, ...], *, where: str
) -> Section:
    """Look up what a section says it is; the name is never imported.

    Raises:
        ConfigError: Its `_target_` is another.
    """
    target = values.get("_target_")
    if target is None:
        return expected[0]
    known = {name: kind for kind in expected for name in _spellings(kind)}
    if not isinstance(target, str) or target not in known:
        raise ConfigError(
            f"{where}: got the _target_ {target!r}, expected one of "
            f"{', '.join('.'.join(_CLASSES[kind]) for kind in expected)}: a settings file may "
            "name only these, and no code is run by its name"
        )
    return known[target]


def target_of(section: str) -> str:
    """Return the `_target_` that heads a section, as upstream spells it."""
    module, name = next(names for kind, names in _CLASSES.items() if kind == section)
    return f"{module}.{name}.from_pretrained" if section == "index" else f"{module}.{name}"


def _spellings(kind: Section) -> set[str]:
    module, name = _CLASSES[kind]
    package = ".".join(module.split(".")[:2])
    plain = {f"{module}.{name}", f"{package}.{name}", f"relik.{name}", name}
    return plain | {f"{spelled}.from_pretrained" for spelled in plain}


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
