"""The parts of a released pipeline: where their files are, and their names and revisions."""

from dataclasses import dataclass
from pathlib import Path

from relik.errors import ConfigError, InputError
from relik.manifest import MANIFEST
from relik.upstream.checkpoint.files import Files, file_within, open_pipeline_folder
from relik.upstream.checkpoint.settings import CONFIG, TASKS, PipelineSettings, Task, parse_settings
from relik.upstream.checkpoint.targets import read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a pipeline on this machine.

    Args:
        folder: Folder of its files.
        name: Its repository on the Hub, or the last component of its local folder.
        revision: Commit on the Hub; None for a local folder.
    """

    folder: Path
    name: str
    revision: str | None

    def source(self, part: str) -> dict[str, str]:
        """Return its entry in the sources of a manifest."""
        entry = {"part": part, "name": self.name}
        return entry if self.revision is None else {**entry, "revision": self.revision}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedSource:
    """The parts of a pipeline.

    Args:
        encoders: Encoder of each task.
        indexes: Index of each task.
        backbone: Folder with the settings of the reader's backbone; None if the pipeline names
            none.
    """

    pipeline: Part
    settings: PipelineSettings
    encoders: dict[Task, Part]
    indexes: dict[Task, Part]
    reader: Part
    backbone: Path | None

    @property
    def sources(self) -> list[dict[str, str]]:
        """The sources of all parts, for a manifest."""
        found = [self.pipeline.source("pipeline"), self.reader.source("reader")]
        for task in self.encoders:
            found.append(self.encoders[task].source(f"encoder of {task}"))
            found.append(self.indexes[task].source(f"index of {task}"))
        return found


def find_source(
    name: str, *, config_file_name: str = CONFIG, revision: str | None = None
) -> ReleasedSource:
    """Find a released pipeline and all of its parts; download those on the Hub.

    Args:
        name: A folder, or "org/name" or "org/name@revision" on the Hub.
        revision: Commit, tag or branch of the pipeline on the Hub.

    Raises:
        InputError: It is already a bundle, or a folder with a revision.
        ConfigError: A setting is wrong, or the pipeline lacks a part that a bundle needs.
        BundleError: A part cannot be found.
    """
    if revision is not None:
        if "@" in name or Files().local(name) is not None:
            raise InputError(
                f"got the revision {revision!r} of {name}, expected a repository on the Hugging "
                "Face Hub whose name has no revision: leave one out"
            )
        name = f"{name}@{revision}"
    files = open_pipeline_folder(name)
    folder = files.folder or Path()
    if (folder / MANIFEST).is_file():
        raise InputError(
            f"{name}: is already a bundle, expected a released pipeline: use it unconverted"
        )
    path = file_within(folder, config_file_name)
    settings = parse_settings(read_yaml(path), where=str(path))
    tasks = TASKS if settings.task == "both" else (settings.task,)
    for task in tasks:
        missing = next((n for n in ("retriever", "index") if task not in getattr(settings, n)), "")
        missing = missing or ("" if settings.reader else "reader")
        if missing:
            raise ConfigError(
                f"{path}: names no {missing} for {task!r}, expected retriever, index and reader: "
                "give a complete pipeline"
            )
    reader = settings.reader
    assert reader is not None  # noqa: S101  # checked above, for mypy
    return ReleasedSource(
        pipeline=_part(name, folder, fetched=files.fetched),
        settings=settings,
        encoders={
            task: _find_part(files, settings.retriever[task].question_encoder) for task in tasks
        },
        indexes={task: _find_part(files, settings.index[task].name_or_path) for task in tasks},
        reader=_find_part(files, reader.transformer_model),
        backbone=None if reader.backbone is None else files.resolve(reader.backbone),
    )


def _find_part(files: Files, name: str) -> Part:
    fetched = files.local(name) is None
    return _part(name, files.resolve(name), fetched=fetched)


def _part(name: str, folder: Path, *, fetched: bool) -> Part:
    # A manifest must not contain paths of this machine. The Hub's cache names the folder of a
    # snapshot by its commit.
    return Part(
        folder=folder,
        name=name.partition("@")[0] if fetched else Path(name).resolve().name,
        revision=folder.name if fetched else None,
    )
