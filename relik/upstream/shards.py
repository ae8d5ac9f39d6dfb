"""Weights that were cut into several files, put together by the index that lies beside them."""

from collections.abc import Callable
from pathlib import Path

import torch

from relik.errors import BundleCorruptError, ConfigError
from relik.upstream.backbone_settings import read_config
from relik.upstream.files import file_within

SUFFIX = ".index.json"
"""What the name of the index has behind the name that the whole file would have."""


def read_shards(
    index: Path, read: Callable[[Path], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Read the tensors that an index lists.

    Args:
        index: A JSON object whose `weight_map` says for each tensor which file has it.
        read: Reads one of the files.

    Returns:
        The tensors by name.

    Raises:
        BundleCorruptError: The index is no such object or names anything but a file beside it, a
            file is missing, or index and files differ about the tensors they have.
    """
    listed: dict[Path, set[str]] = {}
    for name, path in _weight_map(index).items():
        listed.setdefault(path, set()).add(name)
    # Before any is read: they are large.
    for path in listed:
        if not path.is_file():
            raise BundleCorruptError(
                f"{index}: names {path.name!r}, which is missing: fetch the model again"
            )
    tensors: dict[str, torch.Tensor] = {}
    for path, names in sorted(listed.items()):
        found = read(path)
        differing = sorted(names ^ found.keys())
        if differing:
            got, expected = ("one", "none") if differing[0] in found else ("none", "one")
            raise BundleCorruptError(
                f"{path}: got {got} of the name {differing[0]!r}, expected {expected} as "
                f"{index.name} says: fetch the model again"
            )
        tensors.update(found)
    return tensors


def _weight_map(index: Path) -> dict[str, Path]:
    listed = read_config(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BundleCorruptError(
            f"{index}: got the weight_map {str(listed)[:80]}, expected names of files by names of "
            "tensors: fetch the model again"
        )
    try:
        return {name: file_within(index.parent, str(file)) for name, file in listed.items()}
    except ConfigError as error:
        raise BundleCorruptError(f"{index}: {error}: fetch the model from a place you trust") from (
            error
        )
