"""Where bundles come from: the package, a folder, or the Hugging Face Hub."""

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
    """A repository on the Hugging Face Hub.

    Args:
        repository: "org/name".
        revision: Commit, tag or branch, or None where the name has none.
    """

    repository: str
    revision: str | None


def parse_hub_id(name: str) -> HubId | None:
    """Read the name of a repository on the Hub.

    Args:
        name: "org/name" or "org/name@revision".

    Returns:
        Its parts; None for anything else.
    """
    found = _HUB_ID.fullmatch(name)
    return None if found is None else HubId(found["repository"], found["revision"])


def default_folder() -> Path:
    """Return the folder of the bundle in the package.

    Raises:
        BundleNotFoundError: The installation has none.
    """
    folder = Path(str(files("relik").joinpath("data", DEFAULT)))
    if not (folder / MANIFEST).is_file():
        raise BundleNotFoundError(
            f"{folder}: this installation has no default bundle: install a release of "
            "relik-server, make one with `relik train` and `relik index build`, or name a folder"
        )
    return folder


def fetch(repository: str, revision: str, patterns: Sequence[str]) -> Path:
    """Fetch files of a repository on the Hugging Face Hub.

    Args:
        repository: "org/name".

    Raises:
        BundleNotFoundError: They cannot be fetched, or huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BundleNotFoundError(
            f"{repository}: is on the Hugging Face Hub, which needs one more package: "
            "run `pip install huggingface_hub`, or give a folder"
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
