"""Sources of bundles besides folders: the package and the Hugging Face Hub."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from relik.errors import BundleNotFoundError
from relik.manifest import MANIFEST

DEFAULT = "default"

_HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository "org/name" on the Hugging Face Hub, at a commit, tag or branch if it has one."""

    repository: str
    revision: str | None


def parse_hub_id(name: str) -> HubId | None:
    """Parse "org/name" or "org/name@revision"; return None for anything else."""
    found = _HUB_ID.fullmatch(name)
    return None if found is None else HubId(found["repository"], found["revision"])


def default_folder() -> Path:
    """Return the folder of the default bundle in the package.

    Raises:
        BundleNotFoundError: The installation has none.
    """
    folder = Path(str(files("relik").joinpath("data", DEFAULT)))
    if not (folder / MANIFEST).is_file():
        raise BundleNotFoundError(
            f"{folder}: is missing, expected the default bundle: install a release of "
            "relik-server, name the folder of another bundle, or make one with `relik train` and "
            "`relik index build`"
        )
    return folder


def fetch(repository: str, revision: str, patterns: Sequence[str]) -> Path:
    """Fetch files of a repository on the Hugging Face Hub; return the folder of the snapshot.

    Args:
        repository: "org/name".
        patterns: File names, with wildcards.

    Raises:
        BundleNotFoundError: They cannot be fetched, or huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BundleNotFoundError(
            f"{repository}: got a name on the Hugging Face Hub, expected huggingface_hub to be "
            "installed: run `pip install huggingface_hub`, or use a folder"
        ) from error
    try:
        fetched = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(patterns),
        )
    except (OSError, ValueError) as error:
        raise BundleNotFoundError(
            f"{repository}@{revision}: cannot be fetched from the Hugging Face Hub ({error}): "
            "check the name, the revision and the connection"
        ) from error
    return Path(fetched)
