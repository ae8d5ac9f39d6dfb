"""Opening the parts of a released pipeline from their settings: encoders, indexes, reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from relik.errors import ConfigError
from relik.manifest import MANIFEST
from relik.upstream.bundle.converted import LAYOUT, open_converted
from relik.upstream.bundle.engines import Engine, open_encoder, open_index, open_reader
from relik.upstream.checkpoint.files import Files, file_within
from relik.upstream.checkpoint.settings import (
    CONFIG,
    PipelineTask,
    Precision,
    Task,
    by_task,
    parse_precision,
    parse_section,
    sections_of,
)
from relik.upstream.checkpoint.targets import read_yaml
from relik.upstream.text.words import SPACY, WordTokenizer

EMPTY: Mapping[str, Any] = MappingProxyType({})

# The setting of each part that names its folder.
FOLDER_SETTINGS = {
    "retriever": "question_encoder",
    "index": "name_or_path",
    "reader": "transformer_model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """The caller's options for opening parts; None leaves an option to the settings.

    Args:
        device: "cpu", "cuda", the number of a GPU, or a torch device.
        precision: See `parse_precision`.
        devices: Devices of "retriever", "index" and "reader" that differ.
        precisions: Precisions of them that differ.
        kwargs: Settings of them as in `config.yaml`, for every task.
        quirks: Read as upstream does, with its defects.
        engine: "auto" is ONNX Runtime on a CPU where there are graphs, and torch elsewhere.
    """

    device: object = None
    precision: object = None
    devices: Mapping[str, object] = field(default_factory=dict)
    precisions: Mapping[str, object] = field(default_factory=dict)
    kwargs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quirks: bool = False
    engine: Engine = "auto"

    def device_of(self, part: str, configured: str | None) -> str:
        """Return the device of a part: "retriever", "index" or "reader"."""
        passed = (self.devices.get(part), self.device, configured, "cpu")
        found = next(one for one in passed if one is not None)
        return f"cuda:{found}" if isinstance(found, int) else str(found)

    def precision_of(self, part: str, configured: str | int | None) -> Precision:
        """Return the precision of a part: "retriever", "index" or "reader".

        Raises:
            ConfigError: There is no such precision.
        """
        passed = (self.precisions.get(part), self.precision, configured)
        return parse_precision(next((one for one in passed if one is not None), None), where=part)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPart:
    """An open part.

    Args:
        value: The encoder, index or reader.
        settings: Its settings, with an absolute folder or a name on the Hub; None if the caller
            passed it open.
        folder: The folder of its files; None if the caller passed it open.
    """

    value: Any
    settings: Any = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The open parts of a pipeline."""

    retriever: dict[Task, OpenPart] = field(default_factory=dict)
    index: dict[Task, OpenPart] = field(default_factory=dict)
    reader: OpenPart | None = None
    word_tokenizer: WordTokenizer = SPACY


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSettings:
    """Settings of a pipeline before they are checked.

    Args:
        values: Settings by name.
        where: Name of their file in error messages.
    """

    values: dict[str, Any]
    where: str
    word_tokenizer: WordTokenizer = SPACY


def read_raw_settings(files: Files, config_file_name: str = CONFIG) -> RawSettings:
    """Read the settings of a released pipeline or a converted bundle.

    Raises:
        BundleError: There are no settings, or a file of a converted bundle was altered.
        ConfigError: The name is not a plain file name, or PyYAML is not installed; or spaCy, for
            a converted bundle without known tokenization rules.
    """
    folder = files.folder or Path()
    if config_file_name == CONFIG and (folder / MANIFEST).is_file():
        # The files of a Hub snapshot are links to a store two levels up.
        within = folder.parent.parent if files.fetched else None
        bundle = open_converted(folder, within=within)
        where = str(folder / LAYOUT.pipeline)
        return RawSettings(
            values=bundle.raw_settings(), where=where, word_tokenizer=bundle.word_tokenizer()
        )
    path = file_within(folder, config_file_name)
    return RawSettings(values=read_yaml(path), where=str(path))


class Opener:
    """Opens the parts of a pipeline.

    Args:
        files: Finds the folders that its settings name.
    """

    def __init__(self, task: PipelineTask, files: Files, options: LoadOptions) -> None:
        self._task = task
        self._files = files
        self._own = replace(files, folder=None, fetched=False)
        self._options = options
        self._opened: dict[object, OpenPart] = {}

    def open(self, configured: Mapping[str, Any], passed: Mapping[str, Any]) -> Parts:
        """Open the parts of the settings, or use those that the caller passes in their place.

        Args:
            configured: "retriever", "index" and "reader" of `config.yaml`.
            passed: The caller's, under the same names: a part, its settings, a dict of either by
                task, or None for no such part.

        Raises:
            BundleError: A part is missing or broken.
            ConfigError: A setting is wrong.
        """
        retriever = self._open_by_task("retriever", configured, passed)
        # The name of an encoder may tell that its index is a Matryoshka one.
        wider = [
            name
            for name, one in retriever.items()
            if one.settings is not None and "matryoshka" in one.settings.question_encoder.lower()
        ]
        return Parts(
            retriever=retriever,
            index=self._open_by_task("index", configured, passed, matryoshka=wider),
            reader=self._open_part("reader", configured.get("reader"), passed.get("reader", ...)),
        )

    def _open_by_task(
        self,
        part: str,
        configured: Mapping[str, Any],
        passed: Mapping[str, Any],
        *,
        matryoshka: Sequence[Task] = (),
    ) -> dict[Task, OpenPart]:
        if part in passed and passed[part] is None:
            return {}
        wanted = by_task(configured.get(part), self._task, where=part)
        instead = by_task(passed.get(part), self._task, where=part)
        opened = {
            name: self._open_part(
                part,
                wanted.get(name),
                instead.get(name, ...),
                implied={"matryoshka": True} if name in matryoshka else {},
            )
            for name in dict.fromkeys([*wanted, *instead])
        }
        return {name: found for name, found in opened.items() if found is not None}

    def _open_part(
        self, part: str, configured: Any, passed: Any, implied: Mapping[str, Any] = EMPTY
    ) -> OpenPart | None:
        """Open one part, or use it if it is open; `passed` is ... if the caller passes none."""
        if passed is None or (passed is ... and configured is None):
            return None
        if passed is not ... and not isinstance(passed, Mapping):
            return passed if isinstance(passed, OpenPart) else OpenPart(value=passed)
        extra = dict(self._options.kwargs.get(part) or {})
        instead = {
            **(passed if isinstance(passed, Mapping) else {}),
            **{name: value for name, value in extra.items() if value is not None},
        }
        files = self._own if FOLDER_SETTINGS[part] in instead else self._files
        merged = {**implied, **(configured if isinstance(configured, Mapping) else {}), **instead}
        settings = parse_section(merged, sections_of(part, self._task), where=part)
        if part == "reader" and settings.backbone is not None:
            found = (self._own if "backbone" in instead else self._files).resolve(settings.backbone)
            settings = replace(settings, backbone=str(found.resolve()))
        return self._open(part, settings, files)

    def _open(self, part: str, settings: Any, files: Files) -> OpenPart:
        device = self._options.device_of(part, settings.device)
        precision = self._options.precision_of(part, settings.precision)
        if device == "cpu" and precision == "float16":
            # As in upstream: a CPU does not compute in float16.
            precision = "float32"
        name = getattr(settings, FOLDER_SETTINGS[part])
        local = files.local(name)
        folder = files.resolve(name)
        # Open an encoder of both tasks once.
        key = part, folder, replace(settings, device=device, precision=precision)
        if key not in self._opened:
            engine = self._options.engine
            value: Any
            if part == "retriever":
                value = open_encoder(folder, device=device, precision=precision, engine=engine)
            elif part == "index":
                value = open_index(folder, settings=settings, device=device, precision=precision)
            else:
                value = open_reader(
                    folder,
                    settings=settings,
                    device=device,
                    precision=precision,
                    engine=engine,
                    quirks=self._options.quirks,
                )
            if local is not None:
                settings = replace(settings, **{FOLDER_SETTINGS[part]: str(local.resolve())})
            self._opened[key] = OpenPart(value=value, settings=settings, folder=folder)
        return self._opened[key]


def check_parts(parts: Parts, task: PipelineTask) -> None:
    """Refuse parts that do not fit the task.

    Raises:
        ConfigError: An encoder lacks its index, or the reader is of the other kind.
    """
    without = sorted(parts.retriever.keys() ^ parts.index.keys())
    if without and parts.retriever and parts.index:
        raise ConfigError(
            f"got a retriever or an index for {without[0]!r} without the other, expected both: "
            "add the other, or leave both out and pass candidates"
        )
    kind = None if parts.reader is None else getattr(parts.reader.value, "kind", None)
    if task != "span" and kind == "span":
        raise ConfigError(
            f"got the task {task.upper()} with a reader of spans, expected one of triplets: "
            "choose the task SPAN or another reader"
        )
