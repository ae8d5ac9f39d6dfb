"""Folders of the parts of a released pipeline: its own, another, or a repository on the Hub.

Only data is fetched. The settings file of a pipeline may name a part in its own folder or on the
Hub, never another path on this machine.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from relik.errors import BundleError, BundleNotFoundError, ConfigError
from relik.manifest import SUFFIXES
from relik.upstream.checkpoint.extra import INSTALL

PATTERNS = ("json", "yaml", "safetensors", "bin", "pt", "jsonl", "txt", "model", "faiss")
"""Endings of the data files of released parts: weights, tokenizers, settings, indexes; no code."""

FETCHED = tuple(dict.fromkeys([*PATTERNS, *(suffix.removeprefix(".") for suffix in SUFFIXES)]))
"""Endings of the files to fetch of a released or a converted pipeline."""

_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Finds the parts of a pipeline.

    Args:
        folder: Folder of the pipeline; None where the caller names the parts.
        fetched: The pipeline is from the Hub, so that it must not name absolute paths.
        cache_dir: Cache of the Hub's files; None uses the Hub's default.
        force_download: Fetch files again even if they are in the cache.
    """

    folder: Path | None = None
    fetched: bool = False
    cache_dir: Path | None = None
    force_download: bool = False

    def resolve(self, name: str) -> Path:
        """Return the folder of a part, and fetch it if it is on the Hub.

        Args:
            name: A path relative to the pipeline's folder, an absolute folder, or "org/name" or
                "org/name@revision" on the Hub. Without a pipeline's folder, any folder.

        Raises:
            BundleError: A pipeline names a path outside its folder.
            BundleNotFoundError: There is nothing of that name, it cannot be fetched, or
                huggingface_hub is not installed.
        """
        local = self.local(name)
        if local is not None:
            return local
        named = _HUB_ID.fullmatch(name)
        if named is None:
            raise BundleNotFoundError(
                f"{name}: there is no such folder{f' in {self.folder}' if self.folder else ''}, "
                "expected a folder or a name on the Hugging Face Hub such as org/name@revision: "
                "check the path"
            )
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise BundleNotFoundError(
                f"{name}: got a name on the Hugging Face Hub, expected huggingface_hub to "
                f"be installed: run `{INSTALL}`, or use a folder"
            ) from error
        try:
            snapshot = snapshot_download(
                named["repository"],
                revision=named["revision"],
                allow_patterns=[f"*.{ending}" for ending in FETCHED],
                cache_dir=self.cache_dir,
                force_download=self.force_download,
            )
        except (OSError, ValueError) as error:
            raise BundleNotFoundError(
                f"{name}: cannot be fetched from the Hugging Face Hub ({error}): check the "
                "name, the revision and the connection, or give a folder"
            ) from error
        return Path(snapshot)

    def local(self, name: str) -> Path | None:
        """Return the existing folder of a part, or None where the name may be one on the Hub.

        Raises:
            BundleError: A pipeline names a path outside its folder.
        """
        path = Path(name)
        if self.folder is None:
            path = path.expanduser() if path.parts[:1] == ("~",) else path
        elif not path.is_absolute():
            path = _check_inside(self.folder, path)
        elif self.fetched:
            raise BundleError(
                f"{self.folder}: got the absolute path {name}, expected a path in its folder or a "
                "repository on the Hub, since a fetched pipeline must not read other files: "
                "correct its settings"
            )
        return path if path.is_dir() else None


def open_pipeline_folder(
    name: str | Path, *, cache_dir: Path | None = None, force: bool = False
) -> Files:
    """Find a pipeline.

    Args:
        name: A folder, or "org/name" or "org/name@revision" on the Hub.
        cache_dir: Cache of the Hub's files; None uses the Hub's default.
        force: Fetch files again even if they are in the cache.

    Raises:
        BundleNotFoundError: There is nothing of that name, or it cannot be fetched.
    """
    hub = Files(cache_dir=cache_dir, force_download=force)
    return replace(hub, folder=hub.resolve(str(name)), fetched=hub.local(str(name)) is None)


def file_within(folder: Path, name: str) -> Path:
    """Return the path of a file that settings name.

    Raises:
        ConfigError: The name is not a plain file name.
    """
    if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
        raise ConfigError(
            f"{folder}: got the file name {name!r}, expected a name without folders: correct it"
        )
    return folder / name


def _check_inside(folder: Path, path: Path) -> Path:
    # In a Hub snapshot only files are links, into the Hub's store; folders are not.
    joined = folder / path
    if ".." in path.parts or not joined.resolve().is_relative_to(folder.resolve()):
        raise BundleError(
            f"{folder}: got the part {path}, expected one in its own folder: move the part there, "
            "or pass its path as an argument"
        )
    return joined
