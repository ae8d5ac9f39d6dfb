"""Where the parts of a released pipeline lie: in its folder, elsewhere, or on the Hub.

Only data is fetched. A settings file that came with a pipeline may name a part inside its own
folder or on the Hub, never a place elsewhere on this machine.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from relik.errors import BundleError, BundleNotFoundError, ConfigError
from relik.manifest import SUFFIXES
from relik.upstream.checkpoint.extra import INSTALL

PATTERNS = ("json", "yaml", "safetensors", "bin", "pt", "jsonl", "txt", "model", "faiss")
"""Endings of the data files of released parts: weights, tokenizers, settings, indexes. No code."""

FETCHED = tuple(dict.fromkeys([*PATTERNS, *(suffix.removeprefix(".") for suffix in SUFFIXES)]))
"""Endings of the files that are fetched: a pipeline may be a released one or a converted one."""

_HUB_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Finds parts of a pipeline.

    Args:
        folder: That of the pipeline; None where the caller names the parts.
        fetched: The pipeline came from the Hub: it may name no absolute path.
        cache_dir: Where the Hub's files are kept, or None for its own default.
        force_download: Fetch files again that are kept.
    """

    folder: Path | None = None
    fetched: bool = False
    cache_dir: Path | None = None
    force_download: bool = False

    def resolve(self, name: str) -> Path:
        """Return the folder of a part, fetched where it has to be.

        Args:
            name: A path relative to the pipeline's folder, an absolute folder, or "org/name" or
                "org/name@revision" on the Hub. Without a pipeline's folder, any folder.

        Raises:
            BundleError: A pipeline names a place outside its folder.
            BundleNotFoundError: There is nothing of that name, or it cannot be fetched.
        """
        local = self.local(name)
        if local is not None:
            return local
        named = _HUB_ID.fullmatch(name)
        if named is None:
            raise BundleNotFoundError(
                f"{name}: there is no such folder{f' in {self.folder}' if self.folder else ''}: "
                "check the path, or name a repository on the Hugging Face Hub as in "
                "org/name@revision"
            )
        return self.fetch(named["repository"], named["revision"])

    def local(self, name: str) -> Path | None:
        """Return the folder of a part that lies on this machine.

        Returns:
            A folder that exists, or None: the name may be one of the Hub.

        Raises:
            BundleError: A pipeline names a place outside its folder.
        """
        path = Path(name)
        if self.folder is None:
            path = path.expanduser() if path.parts[:1] == ("~",) else path
        elif not path.is_absolute():
            path = _inside(self.folder, path)
        elif self.fetched:
            raise BundleError(
                f"{self.folder}: names the absolute path {name}, expected a part of itself or "
                "a repository on the Hub: a fetched pipeline may not read this machine"
            )
        return path if path.is_dir() else None

    def fetch(self, repository: str, revision: str | None = None) -> Path:
        """Fetch the data files of a repository on the Hub.

        Args:
            repository: "org/name".
            revision: Commit, tag or branch; None for the newest.

        Raises:
            BundleNotFoundError: It cannot be fetched, or huggingface_hub is not installed.
        """
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise BundleNotFoundError(
                f"{repository}: is on the Hugging Face Hub, which needs one more package: run "
                f"`{INSTALL}`, or give a folder"
            ) from error
        named = f"{repository}@{revision}" if revision else repository
        try:
            snapshot = snapshot_download(
                repository,
                revision=revision,
                allow_patterns=[f"*.{ending}" for ending in FETCHED],
                cache_dir=self.cache_dir,
                force_download=self.force_download,
            )
        except (OSError, ValueError) as error:
            raise BundleNotFoundError(
                f"{named}: cannot be fetched from the Hugging Face Hub ({error}): check the "
                "name, the revision and the connection, or give a folder"
            ) from error
        return Path(snapshot)


def open_pipeline_folder(
    name: str | Path, *, cache_dir: Path | None = None, force: bool = False
) -> Files:
    """Find a pipeline.

    Args:
        name: A folder, or "org/name" or "org/name@revision" on the Hub.
        cache_dir: Where the Hub's files are kept, or None for its own default.

    Raises:
        BundleNotFoundError: There is nothing of that name, or it cannot be fetched.
    """
    hub = Files(cache_dir=cache_dir, force_download=force)
    return replace(hub, folder=hub.resolve(str(name)), fetched=hub.local(str(name)) is None)


def file_within(folder: Path, name: str) -> Path:
    """Return a file that settings name in a folder.

    Raises:
        ConfigError: The name has a folder in it.
    """
    if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
        raise ConfigError(f"{folder}: got the file name {name!r}, expected a name without folders")
    return folder / name


def _inside(folder: Path, path: Path) -> Path:
    # The files of a Hub snapshot are links to its store of contents; its folders are not.
    joined = folder / path
    if ".." in path.parts or not joined.resolve().is_relative_to(folder.resolve()):
        raise BundleError(
            f"{folder}: names the part {path}, expected one in its own folder: put the part "
            "there, or give its path as an argument"
        )
    return joined
