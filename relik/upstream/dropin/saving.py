"""Saving a pipeline in upstream's layout: settings, and on request the files of its parts.

Only data is copied, never the code beside it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relik.errors import BundleError, ConfigError
from relik.upstream.bundle.released_parts import FOLDER_SETTINGS, OpenPart, Parts
from relik.upstream.checkpoint.backbone_settings import CONFIG, KNOWN, read_config
from relik.upstream.checkpoint.extra import missing_library
from relik.upstream.checkpoint.files import PATTERNS, file_within
from relik.upstream.checkpoint.settings import PipelineSettings
from relik.upstream.checkpoint.targets import target_of


def save_pipeline(
    parts: Parts,
    settings: PipelineSettings,
    folder: Path,
    *,
    weights: bool,
    config_file_name: str,
) -> None:
    """Write a pipeline.

    Raises:
        ConfigError: A part was passed open and has no folder.
        BundleError: A file cannot be read or written.
    """
    import yaml

    path = file_within(folder, config_file_name)
    values: dict[str, Any] = {"_target_": target_of("pipeline")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("retriever", "index"):
            values[part] = {
                name: _section(part, f"{part}-{name}", opened, folder, weights=weights)
                for name, opened in getattr(parts, part).items()
            } or None
        values["reader"] = None
        if parts.reader is not None:
            values["reader"] = _section("reader", "reader", parts.reader, folder, weights=weights)
        values["task"] = settings.task.upper()
        values["metadata_fields"] = list(settings.metadata_fields)
        values["top_k"] = settings.top_k
        values["window_size"] = settings.window_size
        values["window_stride"] = settings.window_stride
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise BundleError(
            f"{folder}: cannot be written ({error}): check the free space and the permissions"
        ) from error


def push_pipeline(
    save: Callable[[Path], None],
    repo_id: str,
    *,
    private: bool,
    token: str | None,
    message: str,
) -> str:
    """Write a pipeline to a repository of the Hub.

    Args:
        save: Writes the pipeline to a folder.
        repo_id: "org/name"; created if it does not exist.

    Raises:
        ConfigError: huggingface_hub is not installed.
        BundleError: The Hub refused the upload.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise missing_library("huggingface_hub") from error
    with TemporaryDirectory() as folder:
        save(Path(folder))
        api = HfApi(token=token)
        try:
            api.create_repo(repo_id, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{repo_id}: cannot be written to the Hugging Face Hub ({error}): check the "
                "name, the token and the connection"
            ) from error
    return str(getattr(commit, "commit_url", commit))


def _section(
    part: str, name: str, opened: OpenPart, folder: Path, *, weights: bool
) -> dict[str, Any]:
    """Write one part, and return its section of the settings."""
    settings, folder_setting = opened.settings, FOLDER_SETTINGS[part]
    section: dict[str, Any] = {}
    if settings is not None:
        section = {
            "_target_": target_of(f"{settings.kind} reader" if part == "reader" else part),
            folder_setting: getattr(settings, folder_setting),
            "use_nme": getattr(settings, "use_nme", None),
            "backbone": getattr(settings, "backbone", None),
            # Upstream has no such setting.
            "matryoshka": getattr(settings, "matryoshka", None),
        }
    if part == "index" and weights and getattr(opened.value, "changed", False):
        opened.value.save(folder / name)
        section = {**section, "_target_": target_of("index"), folder_setting: name}
    elif opened.folder is None:
        raise ConfigError(
            f"got an open {part}, expected one that has a folder: open the pipeline with "
            "from_pretrained, or pass the settings of the part"
        )
    elif weights:
        copy_data(opened.folder, folder / name)
        if part == "reader" and settings is not None and settings.backbone is not None:
            copy_data(Path(settings.backbone), folder / "backbone", only=("config.json",))
            section["backbone"] = "backbone"
        elif part == "reader":
            _copy_backbone(opened.folder, folder)
        section[folder_setting] = name
    return {key: value for key, value in section.items() if value is not None}


def copy_data(source: Path, target: Path, *, only: tuple[str, ...] = ()) -> None:
    """Copy the data files of a model or an index; with `only`, those names alone."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        data = path.is_file() and path.suffix.removeprefix(".") in PATTERNS
        if data and (not only or path.name in only):
            shutil.copyfile(path, target / path.name)


def _copy_backbone(reader: Path, folder: Path) -> None:
    """Copy the settings of a backbone in a folder beside its reader, under the same name."""
    name = str(read_config(reader / CONFIG).get("transformer_model", ""))
    if not name or name in KNOWN or Path(name).is_absolute() or ".." in Path(name).parts:
        return
    if (reader.parent / name / CONFIG).is_file():
        copy_data(reader.parent / name, folder / name, only=(CONFIG,))
