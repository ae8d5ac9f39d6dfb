"""Writes a pipeline in upstream's layout: settings, and where asked for the files of its parts.

Only data is copied, never code that lies beside it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relik.errors import BundleError, ConfigError
from relik.upstream.bundle.released_parts import Opened, Parts
from relik.upstream.checkpoint.extra import lacking
from relik.upstream.checkpoint.files import PATTERNS, file_within
from relik.upstream.checkpoint.settings import PipelineSettings
from relik.upstream.checkpoint.targets import target_of

# What a part's own settings are called, and the folder that it is written to.
_PLACES = {"retriever": "question_encoder", "index": "name_or_path", "reader": "transformer_model"}


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
        ConfigError: A part was given open, and has no files to be copied or named.
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
        repo_id: "org/name"; made where it is missing.
        token: Token of the Hub, or None.

    Raises:
        ConfigError: huggingface_hub is not installed.
        BundleError: The Hub refused it.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise lacking("huggingface_hub") from error
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
    part: str, name: str, opened: Opened, folder: Path, *, weights: bool
) -> dict[str, Any]:
    """Write one part, and say in settings where it is."""
    settings, place = opened.settings, _PLACES[part]
    section: dict[str, Any] = {}
    if settings is not None:
        section = {
            "_target_": target_of(f"{settings.kind} reader" if part == "reader" else part),
            place: getattr(settings, place),
            "use_nme": getattr(settings, "use_nme", None),
            "backbone": getattr(settings, "backbone", None),
            # Upstream has no such setting; it goes without saying there.
            "matryoshka": getattr(settings, "matryoshka", None),
        }
    if part == "index" and weights and getattr(opened.value, "changed", False):
        opened.value.save(folder / name)
        section = {**section, "_target_": target_of("index"), place: name}
    elif opened.folder is None:
        raise ConfigError(
            f"got a {part} that was given open, expected one opened from its folder: open the "
            "pipeline with from_pretrained, or give the settings of the part"
        )
    elif weights:
        copy_data(opened.folder, folder / name)
        if part == "reader" and settings is not None and settings.backbone is not None:
            copy_data(Path(settings.backbone), folder / "backbone", only=("config.json",))
            section["backbone"] = "backbone"
        elif part == "reader":
            _copy_backbone(opened.folder, folder)
        section[place] = name
    return {key: value for key, value in section.items() if value is not None}


def copy_data(source: Path, target: Path, *, only: tuple[str, ...] = ()) -> None:
    """Copy the files of a model or an index that are data."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        data = path.is_file() and path.suffix.removeprefix(".") in PATTERNS
        if data and (not only or path.name in only):
            shutil.copyfile(path, target / path.name)


def _copy_backbone(reader: Path, folder: Path) -> None:
    """Copy the settings of a backbone that lies beside its reader, under the name it has there."""
    # These bring torch.
    from relik.upstream.checkpoint.backbone_settings import CONFIG, KNOWN, read_config

    name = str(read_config(reader / CONFIG).get("transformer_model", ""))
    if not name or name in KNOWN or Path(name).is_absolute() or ".." in Path(name).parts:
        return
    if (reader.parent / name / CONFIG).is_file():
        copy_data(reader.parent / name, folder / name, only=(CONFIG,))
