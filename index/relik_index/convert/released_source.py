"""Finds the parts of a released pipeline, and says where each came from."""

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
        folder: Where its files are.
        name: Its repository on the Hub, or the name of its folder, without what leads there.
        revision: Commit on the Hub, or None.
    """

    folder: Path
    name: str
    revision: str | None

    def source(self, part: str) -> dict[str, str]:
        """Say in a manifest where it came from.

        Args:
            part: What it is of the pipeline.

        Returns:
            Names and values.
        """
        told = {"part": part, "name": self.name}
        return told if self.revision is None else {**told, "revision": self.revision}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedSource:
    """The parts of a pipeline.

    Args:
        pipeline: The pipeline itself.
        settings: What it says.
        encoders: Encoder of each task.
        indexes: Index of each task.
        reader: The reader.
        backbone: Folder with the settings of its backbone, where the pipeline names one.
    """

    pipeline: Part
    settings: PipelineSettings
    encoders: dict[Task, Part]
    indexes: dict[Task, Part]
    reader: Part
    backbone: Path | None

    @property
    def sources(self) -> list[dict[str, str]]:
        """Where everything came from."""
        found = [self.pipeline.source("pipeline"), self.reader.source("reader")]
        for task in self.encoders:
            found.append(self.encoders[task].source(f"encoder of {task}"))
            found.append(self.indexes[task].source(f"index of {task}"))
        return found


def find_source(
    name: str, *, config_file_name: str = CONFIG, revision: str | None = None
) -> ReleasedSource:
    """Find a released pipeline with all of its parts, fetched where they have to be.

    Args:
        name: A folder, or "org/name" or "org/name@revision" on the Hub.
        config_file_name: Its settings file.
        revision: Commit, tag or branch of the pipeline on the Hub.

    Returns:
        The parts.

    Raises:
        InputError: It is a bundle of ours already, or a folder with a revision.
        ConfigError: A setting is wrong, or a part is missing that a bundle needs.
        BundleError: A part cannot be found.
    """
    if revision is not None:
        if "@" in name or Files().local(name) is not None:
            raise InputError(
                f"got the revision {revision!r} of {name}, expected it of a repository on the "
                "Hugging Face Hub that names no other: leave one out"
            )
        name = f"{name}@{revision}"
    files = open_pipeline_folder(name)
    folder = files.folder or Path()
    if (folder / MANIFEST).is_file():
        raise InputError(
            f"{name}: is a bundle of ours already, expected a released pipeline: use it as it is"
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
                "only a whole pipeline can be converted"
            )
    reader = settings.reader
    assert reader is not None  # noqa: S101  # checked above, for mypy
    pipeline = Part(
        folder=folder, name=_plain(name, local=not files.fetched), revision=_revision(files, folder)
    )
    backbone = None if reader.backbone is None else files.resolve(reader.backbone)
    return ReleasedSource(
        pipeline=pipeline,
        settings=settings,
        encoders={task: _part(files, settings.retriever[task].question_encoder) for task in tasks},
        indexes={task: _part(files, settings.index[task].name_or_path) for task in tasks},
        reader=_part(files, reader.transformer_model),
        backbone=backbone,
    )


def _part(files: Files, name: str) -> Part:
    local = files.local(name)
    folder = files.resolve(name)
    return Part(
        folder=folder,
        name=_plain(name, local=local is not None),
        revision=folder.name if local is None else None,
    )


def _plain(name: str, *, local: bool) -> str:
    # What leads to a folder says something of this machine, and nothing of the model.
    return Path(name).resolve().name if local else name.partition("@")[0]


def _revision(files: Files, folder: Path) -> str | None:
    # The folder of a snapshot is named by its commit.
    return folder.name if files.fetched else None
