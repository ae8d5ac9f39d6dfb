"""Settings of a released pipeline: names, types, defaults and their checks."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from relik.errors import ConfigError
from relik.upstream.checkpoint.targets import Section, check_target

Task: TypeAlias = Literal["span", "triplet"]
TASKS: tuple[Task, ...] = get_args(Task)
PipelineTask: TypeAlias = Literal["span", "triplet", "both"]
Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]

CONFIG = "config.yaml"
DEFAULT_TOP_K = 100

_PRECISIONS: dict[object, Precision] = {
    **dict.fromkeys((None, 32, "32", "fp32", "float32"), "float32"),
    **dict.fromkeys((16, "16", "fp16", "half", "float16"), "float16"),
    **dict.fromkeys(("bf16", "bfloat16"), "bfloat16"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverSettings:
    """The encoder of one task.

    Args:
        question_encoder: Folder or Hub id of the encoder of windows.
        passage_encoder: Folder or Hub id of another encoder of documents; kept, not opened.
        device: None for the default of the pipeline.
        precision: None for float32.
    """

    question_encoder: str
    passage_encoder: str | None = None
    device: str | None = None
    precision: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The document index of one task.

    Args:
        name_or_path: Folder or Hub id.
        device: None for the default of the pipeline.
        precision: Precision of the vectors on a GPU; the CPU computes in float32.
        use_faiss: Search `index.faiss` if there is one.
        skip_metadata: Leave out the metadata of documents.
        matryoshka: Use the first dimensions of queries that are wider than the vectors; None for
            yes where `name_or_path` names a Matryoshka index.
    """

    name_or_path: str
    device: str | None = None
    precision: str | int | None = None
    use_faiss: bool = False
    skip_metadata: bool = False
    matryoshka: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """The reader.

    Args:
        transformer_model: Folder or Hub id.
        kind: "span" for entity linking, "triplet" for relations and both.
        use_nme: Add NIL ("--NME--") as a candidate; None for yes in entity linking and no
            elsewhere.
        backbone: Folder or Hub id with the `config.json` of the backbone; None for the one that
            the reader names.
        device: None for the default of the pipeline.
        precision: None for float32.
    """

    transformer_model: str
    kind: Task
    use_nme: bool | None = None
    backbone: str | None = None
    device: str | None = None
    precision: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """The content of `config.yaml`.

    Args:
        metadata_fields: Metadata to append to the text of a candidate.
        top_k: Candidates per window.
        window_size: Tokens per window, "sentence" or "none"; None is "none".
        window_stride: Tokens from one window to the next; None or 0 is `window_size`.
    """

    retriever: Mapping[Task, RetrieverSettings] = field(default_factory=dict)
    index: Mapping[Task, IndexSettings] = field(default_factory=dict)
    reader: ReaderSettings | None = None
    task: PipelineTask = "span"
    metadata_fields: tuple[str, ...] = ()
    top_k: int = DEFAULT_TOP_K
    window_size: int | str | None = None
    window_stride: int | None = None


# Types of a field besides None, by its name: people write these files by hand.
_TYPES: dict[str, tuple[type, ...]] = {
    "use_faiss": (bool,),
    "skip_metadata": (bool,),
    "matryoshka": (bool,),
    "use_nme": (bool,),
    "top_k": (int,),
    "window_size": (int, str),
    "window_stride": (int,),
    "metadata_fields": (list, tuple),
    "precision": (str, int),
    "separator": (str,),
    "documents": (str,),
}
_KINDS: dict[Section, type] = {
    "retriever": RetrieverSettings,
    "index": IndexSettings,
    "span reader": ReaderSettings,
    "triplet reader": ReaderSettings,
}


def parse_settings(values: Mapping[str, Any], *, where: str) -> PipelineSettings:
    """Check the settings of a pipeline and fill in defaults.

    Raises:
        ConfigError: A `_target_` or a name is unknown, or a value is of the wrong type.
    """
    check_target(values, ("pipeline",), where=where)
    ready = known_values(values, _names(PipelineSettings), where=where)
    task = parse_task(ready.pop("task", None) or "span", where=where)
    for name in ("retriever", "index"):
        parts = by_task(ready.pop(name, None) or {}, task, where=f"{where} {name}")
        ready[name] = {
            key: parse_section(part, sections_of(name, task), where=f"{where} {name}")
            for key, part in parts.items()
            if part is not None
        }
    reader = ready.pop("reader", None)
    if reader is not None:
        ready["reader"] = parse_section(
            reader, sections_of("reader", task), where=f"{where} reader"
        )
    ready["metadata_fields"] = tuple(map(str, ready.get("metadata_fields") or ()))
    given = {name: value for name, value in ready.items() if value is not None}
    return PipelineSettings(task=task, **given)


def sections_of(part: str, task: PipelineTask) -> tuple[Section, ...]:
    """Return the sections that may describe a part, first the one without a `_target_`."""
    if part != "reader":
        return ("retriever",) if part == "retriever" else ("index",)
    kinds: tuple[Section, ...] = ("triplet reader", "span reader")
    return kinds[::-1] if task == "span" else kinds


def parse_section(values: object, expected: tuple[Section, ...], *, where: str) -> Any:
    """Check one section.

    Raises:
        ConfigError: It is another section, or a setting is wrong.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: got {values!r}, expected a mapping of settings: correct it")
    section = check_target(values, expected, where=where)
    kind = _KINDS[section]
    ready = known_values(values, _names(kind) - {"kind"}, where=where)
    ready = {name: value for name, value in ready.items() if value is not None}
    if section.endswith("reader"):
        ready["kind"] = section.split()[0]
    needed = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
    missing = next((name for name in needed if name not in ready), None)
    if missing is not None:
        raise ConfigError(f"{where}: got no {missing}, expected a folder or Hub id: add it")
    return kind(**ready)


def by_task(values: object, task: PipelineTask, *, where: str) -> dict[Task, Any]:
    """Return parts by task; a single part serves every task.

    Raises:
        ConfigError: A name is not that of a task.
    """
    tasks = TASKS if task == "both" else (task,)
    if not isinstance(values, Mapping):
        return {} if values is None else dict.fromkeys(tasks, values)
    if not values:
        return {}
    names = {str(key).lower(): key for key in values}
    if not any(name in TASKS for name in names):
        return dict.fromkeys(tasks, values)
    unknown = [key for name, key in names.items() if name not in TASKS]
    if unknown:
        raise ConfigError(
            f"{where}: got the task {unknown[0]!r}, expected span or triplet: correct it"
        )
    return {name: values[names[name]] for name in TASKS if name in names}


def parse_task(value: object, *, where: str) -> PipelineTask:
    """Read the name of a task, in any case.

    Raises:
        ConfigError: There is no such task.
    """
    name = str(getattr(value, "value", value)).lower()
    if name not in get_args(PipelineTask):
        raise ConfigError(
            f"{where}: got the task {value!r}, expected SPAN, TRIPLET or BOTH: correct it"
        )
    return cast("PipelineTask", name)


def parse_precision(value: object, *, where: str) -> Precision:
    """Read a precision as upstream spells it.

    Args:
        value: 32, 16, "fp32", "bf16" and the like, or a torch dtype; None is float32.

    Raises:
        ConfigError: There is no such precision.
    """
    spelled = value
    if not isinstance(value, int | None):
        spelled = str(value).lower().removeprefix("torch.")
    if spelled not in _PRECISIONS or isinstance(spelled, bool):
        raise ConfigError(
            f"{where}: got the precision {value!r}, expected 32, 16 or bf16: correct it"
        )
    return _PRECISIONS[spelled]


def known_values(values: Mapping[str, Any], names: frozenset[str], *, where: str) -> dict[str, Any]:
    """Keep the settings with a known name, and check their types.

    Args:
        values: Parsed settings; `_target_`, and unknown settings without a value, are skipped.

    Raises:
        ConfigError: A name is unknown, or a value is of the wrong type.
    """
    known: dict[str, Any] = {}
    for name, value in values.items():
        if name == "_target_" or (value is None and name not in names):
            continue
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(sorted(names))}"
            )
            raise ConfigError(f"{where}: got the setting {name!r}, expected a known one: {hint}")
        known[name] = _check_type(name, value, where=where)
    return known


def _check_type(name: str, value: Any, *, where: str) -> Any:
    if value is None or name in ("retriever", "index", "reader", "task"):
        return value
    if name == "device":
        return str(value)
    if name == "precision":
        return parse_precision(value, where=where)
    kinds = _TYPES.get(name, (str, Path))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(f"{where} {name}: got {value!r}, expected {expected}: correct it")
    return str(value) if isinstance(value, Path) else value


def _names(kind: type) -> frozenset[str]:
    return frozenset(f.name for f in dataclasses.fields(kind))
