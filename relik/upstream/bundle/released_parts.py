"""Opens the parts of a released pipeline, each from its settings: encoders, indexes, the reader."""

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
)
from relik.upstream.checkpoint.targets import Section, read_yaml
from relik.upstream.text.words import SPACY, WordCutter

EMPTY: Mapping[str, Any] = MappingProxyType({})

# The setting of each part that says where it lies.
_PLACES = {"retriever": "question_encoder", "index": "name_or_path", "reader": "transformer_model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How parts are opened, as the caller says; what is None is left to the settings.

    Args:
        device: Where everything runs: "cpu", "cuda", a number of a GPU, or a torch device.
        precision: The numbers that everything computes with: 32, 16, "bf16" and the like.
        devices: Devices of "retriever", "index" and "reader" that differ.
        precisions: Precisions of them that differ.
        kwargs: Settings of them, by their names in `config.yaml`, for every task.
        quirks: Read as upstream does, defects and all.
        engine: What runs the models: "onnx", "torch", or "auto", which is ONNX Runtime on a CPU
            wherever the graphs for it lie beside the weights, and torch elsewhere.
    """

    device: object = None
    precision: object = None
    devices: Mapping[str, object] = field(default_factory=dict)
    precisions: Mapping[str, object] = field(default_factory=dict)
    kwargs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    quirks: bool = False
    engine: Engine = "auto"

    def device_of(self, part: str, stated: str | None) -> str:
        """Return where a part runs.

        Args:
            part: "retriever", "index" or "reader".
        """
        for one in (self.devices.get(part), self.device, stated, "cpu"):
            if one is not None:
                return f"cuda:{one}" if isinstance(one, int) else str(one)
        raise AssertionError("a device is always found")

    def precision_of(self, part: str, stated: str | int | None) -> Precision:
        """Return what numbers a part computes with.

        Args:
            part: "retriever", "index" or "reader".

        Raises:
            ConfigError: There is no such precision.
        """
        given = (self.precisions.get(part), self.precision, stated)
        return parse_precision(next((one for one in given if one is not None), None), where=part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A part that is open.

    Args:
        value: The part.
        settings: What it was opened from, its place absolute or on the Hub; None where the
            caller gave it open.
        folder: Where its files are; None where the caller gave it open.
    """

    value: Any
    settings: Any = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a pipeline is made of.

    Args:
        retriever: Encoder of each task.
        index: Index of each task.
        reader: The reader, or None.
        cutter: What cuts texts into words.
    """

    retriever: dict[Task, Opened] = field(default_factory=dict)
    index: dict[Task, Opened] = field(default_factory=dict)
    reader: Opened | None = None
    cutter: WordCutter = SPACY


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a pipeline says of itself.

    Args:
        values: Its settings by name.
        where: What to call them in messages.
        cutter: What cuts texts into words.
    """

    values: dict[str, Any]
    where: str
    cutter: WordCutter = SPACY


def read_stated(files: Files, config_file_name: str = CONFIG) -> Stated:
    """Read what a pipeline says of itself: a released one, or a bundle that was converted.

    Raises:
        BundleError: There are no settings, or a file of a converted bundle was altered.
        ConfigError: The name has a folder in it, or PyYAML is not installed; or spaCy, which a
            converted bundle without known rules for words needs.
    """
    folder = files.folder or Path()
    if config_file_name == CONFIG and (folder / MANIFEST).is_file():
        # The files of a snapshot of the Hub are links to a store two levels up.
        within = folder.parent.parent if files.fetched else None
        bundle = open_converted(folder, within=within)
        where = str(folder / LAYOUT.pipeline)
        return Stated(values=bundle.stated(), where=where, cutter=bundle.cutter())
    path = file_within(folder, config_file_name)
    return Stated(values=read_yaml(path), where=str(path))


class Opener:
    """Opens parts.

    Args:
        task: What the pipeline is for.
        files: Finds what its settings name.
        options: What the caller says.
    """

    def __init__(self, task: PipelineTask, files: Files, options: LoadOptions) -> None:
        self._task = task
        self._files = files
        self._own = replace(files, folder=None, fetched=False)
        self._options = options
        self._opened: dict[object, Opened] = {}

    def open(self, stated: Mapping[str, Any], given: Mapping[str, Any]) -> Parts:
        """Open what the settings name, or take what the caller gives in its place.

        Args:
            stated: "retriever", "index" and "reader" of `config.yaml`.
            given: What the caller gives under these names: a part, its settings, either of these
                by task, or None for no such part.

        Raises:
            BundleError: A part is missing or broken.
            ConfigError: A setting is wrong.
        """
        retriever = self._by_task("retriever", stated, given)
        # The name of an encoder may say of its index what that of the index does not.
        wider = [
            name
            for name, one in retriever.items()
            if one.settings is not None and "matryoshka" in one.settings.question_encoder.lower()
        ]
        return Parts(
            retriever=retriever,
            index=self._by_task("index", stated, given, matryoshka=wider),
            reader=self._part("reader", stated.get("reader"), given.get("reader", ...)),
        )

    def _by_task(
        self,
        part: str,
        stated: Mapping[str, Any],
        given: Mapping[str, Any],
        *,
        matryoshka: Sequence[Task] = (),
    ) -> dict[Task, Opened]:
        if part in given and given[part] is None:
            return {}
        wanted = by_task(stated.get(part), self._task, where=part)
        instead = by_task(given.get(part), self._task, where=part)
        opened = {
            name: self._part(
                part,
                wanted.get(name),
                instead.get(name, ...),
                implied={"matryoshka": True} if name in matryoshka else {},
            )
            for name in dict.fromkeys([*wanted, *instead])
        }
        return {name: found for name, found in opened.items() if found is not None}

    def _part(
        self, part: str, stated: Any, given: Any, implied: Mapping[str, Any] = EMPTY
    ) -> Opened | None:
        """Open one part, or take it as it is; `given` is ... where the caller says nothing."""
        if given is None or (given is ... and stated is None):
            return None
        if given is not ... and not isinstance(given, Mapping):
            return given if isinstance(given, Opened) else Opened(value=given)
        instead = {**(given if isinstance(given, Mapping) else {}), **self._extra(part)}
        files = self._own if _PLACES[part] in instead else self._files
        merged = {**implied, **(stated if isinstance(stated, Mapping) else {}), **instead}
        settings = parse_section(merged, _sections(part, self._task), where=part)
        if part == "reader" and settings.backbone is not None:
            found = (self._own if "backbone" in instead else self._files).resolve(settings.backbone)
            settings = replace(settings, backbone=str(found.resolve()))
        return self._open(part, settings, files)

    def _extra(self, part: str) -> dict[str, Any]:
        extra = dict(self._options.kwargs.get(part) or {})
        return {name: value for name, value in extra.items() if value is not None}

    def _open(self, part: str, settings: Any, files: Files) -> Opened:
        device = self._options.device_of(part, settings.device)
        precision = self._options.precision_of(part, settings.precision)
        if device == "cpu" and precision == "float16":
            # As upstream: a CPU has no arithmetic for it.
            precision = "float32"
        name = getattr(settings, _PLACES[part])
        local = files.local(name)
        folder = files.resolve(name)
        # One encoder that serves both tasks is opened once.
        key = part, folder, replace(settings, device=device, precision=precision)
        if key not in self._opened:
            value = self._fresh(part, settings, folder, device, precision)
            if local is not None:
                settings = replace(settings, **{_PLACES[part]: str(local.resolve())})
            self._opened[key] = Opened(value=value, settings=settings, folder=folder)
        return self._opened[key]

    def _fresh(
        self,
        part: str,
        settings: Any,
        folder: Path,
        device: str,
        precision: Precision,
    ) -> Any:
        engine = self._options.engine
        if part == "retriever":
            return open_encoder(folder, device=device, precision=precision, engine=engine)
        if part == "index":
            return open_index(folder, settings=settings, device=device, precision=precision)
        return open_reader(
            folder,
            settings=settings,
            device=device,
            precision=precision,
            engine=engine,
            quirks=self._options.quirks,
        )


def check_parts(parts: Parts, task: PipelineTask) -> None:
    """Refuse parts that cannot do the task.

    Raises:
        ConfigError: An encoder lacks its index, or the reader is of the other kind.
    """
    without = sorted(parts.retriever.keys() ^ parts.index.keys())
    if without and parts.retriever and parts.index:
        raise ConfigError(
            f"got a retriever or an index for {without[0]!r} without the other, expected both: "
            "add what is missing, or leave both out and give candidates"
        )
    kind = None if parts.reader is None else getattr(parts.reader.value, "kind", None)
    if task != "span" and kind == "span":
        raise ConfigError(
            f"got the task {task.upper()} with a reader of spans, expected one of triplets: "
            "choose the task SPAN or another reader"
        )


def _sections(part: str, task: PipelineTask) -> tuple[Section, ...]:
    if part == "retriever":
        return ("retriever",)
    if part == "index":
        return ("index",)
    return (
        ("span reader", "triplet reader") if task == "span" else ("triplet reader", "span reader")
    )
