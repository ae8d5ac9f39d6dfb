"""Weights of a released checkpoint: reading them, and loading them into a model.

A checkpoint is data: code beside it is ignored, and a pickled file is read by a loader that
accepts only tensors.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.backbone_settings import read_config
from relik.upstream.checkpoint.files import file_within

INDEX_SUFFIX = ".index.json"
"""Follows the name of the weights in the name of the file that lists their shards."""

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

_UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint, mapped where the file allows it.

    Args:
        folder: Has model.safetensors or pytorch_model.bin, whole or in shards that an
            `INDEX_SUFFIX` file lists.

    Raises:
        BundleNotFoundError: It has none of them.
        BundleCorruptError: A file is not a state dict, or the shards do not fit their index.
    """
    for name, read in ((SAFETENSORS, _read_safetensors), (PICKLED, _read_pickled)):
        if (folder / name).is_file():
            return read(folder / name)
        if (folder / f"{name}{INDEX_SUFFIX}").is_file():
            return read_shards(folder / f"{name}{INDEX_SUFFIX}", read)
    raise BundleNotFoundError(
        f"{folder}: got neither {SAFETENSORS} nor {PICKLED}, whole or with {INDEX_SUFFIX}, "
        "expected the weights of a model: fetch the model again"
    )


def read_shards(
    index: Path, read: Callable[[Path], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Read the tensors of several files.

    Args:
        index: JSON with a `weight_map` from names of tensors to files beside it.

    Raises:
        BundleCorruptError: The index is malformed or names a file elsewhere, a file is missing,
            or the files do not have the tensors of the index.
    """
    listed: dict[Path, set[str]] = {}
    for name, path in _weight_map(index).items():
        listed.setdefault(path, set()).add(name)
    # Checked before reading the first file, since they are large.
    for path in listed:
        if not path.is_file():
            raise BundleCorruptError(
                f"{index}: got no file {path.name!r}, expected all that it names: fetch the model "
                "again"
            )
    tensors: dict[str, torch.Tensor] = {}
    for path, names in sorted(listed.items()):
        found = read(path)
        differing = sorted(names ^ found.keys())
        if differing:
            got, expected = ("one", "none") if differing[0] in found else ("none", "one")
            raise BundleCorruptError(
                f"{path}: got {got} of the name {differing[0]!r}, expected {expected} as in "
                f"{index.name}: fetch the model again"
            )
        tensors.update(found)
    return tensors


def read_torch_file(path: Path) -> object:
    """Read a file that torch saved, with the loader that accepts only tensors.

    Raises:
        BundleCorruptError: It has anything else, or is broken.
    """
    try:
        # Only the zip format can be mapped.
        mapped = zipfile.is_zipfile(path)
        value: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        return value
    # A broken file can raise anything, and code in it raises no exception of torch.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: is broken or has more than tensors ({error}), expected tensors alone: get "
            "the model as safetensors"
        ) from error


def fill(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    *,
    name_of: Callable[[str], str],
    source: Path,
) -> None:
    """Load weights into a model on the meta device, in float32.

    Args:
        weights: Tensors by name in the checkpoint; a pooler and position tables are ignored.
        name_of: Maps the name of a weight of the model to its name in the checkpoint.

    Raises:
        BundleCorruptError: A tensor is missing, unknown, or has another shape.
    """
    wanted = {name: name_of(name) for name in model.state_dict()}
    unexpected = set(weights) - set(wanted.values())
    surplus = sorted(name for name in unexpected if not name.endswith(_UNUSED))
    filled = {}
    for name, tensor in model.state_dict().items():
        found = weights.get(wanted[name])
        if found is None or found.shape != tensor.shape:
            got = "no such tensor" if found is None else f"shape {tuple(found.shape)}"
            raise BundleCorruptError(
                f"{source}: got {got} for {wanted[name]!r}, expected shape {tuple(tensor.shape)} "
                "as in its config.json: fetch the model again"
            )
        filled[name] = found.to(torch.float32)
    if surplus:
        raise BundleCorruptError(
            f"{source}: got the tensor {surplus[0]!r}, expected only those of its config.json: "
            "fetch the model again"
        )
    model.load_state_dict(filled, assign=True)
    _fill_buffers(model)
    model.requires_grad_(False)


def place(model: nn.Module, *, device: str, precision: str) -> torch.device:
    """Move a model to a device such as "cpu" or "cuda", in evaluation mode.

    Raises:
        ConfigError: There is no such device or precision.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"got the precision {precision!r}, expected one of {', '.join(PRECISIONS)}: correct it"
        )
    with checked_device(device):
        where = torch.device(device)
        model.eval().to(device=where, dtype=PRECISIONS[precision])
    return where


@contextmanager
def checked_device(device: str) -> Iterator[None]:
    """Convert the errors of torch on a device.

    Raises:
        ConfigError: torch cannot use the device.
    """
    try:
        yield
    # A torch without CUDA raises AssertionError.
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"got the device {device!r}, expected one that torch can use ({error}): use cpu"
        ) from error


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleCorruptError(
            f"{path}: is not a safetensors file ({error}): fetch the model again"
        ) from error
    return tensors


def _read_pickled(path: Path) -> dict[str, torch.Tensor]:
    state = read_torch_file(path)
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise BundleCorruptError(
            f"{path}: got {type(state).__name__}, expected tensors by name: fetch the model again"
        )
    return dict(state)


def _weight_map(index: Path) -> dict[str, Path]:
    listed = read_config(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BundleCorruptError(
            f"{index}: got the weight_map {str(listed)[:80]}, expected file names by tensor name: "
            "fetch the model again"
        )
    try:
        return {name: file_within(index.parent, str(file)) for name, file in listed.items()}
    except ConfigError as error:
        raise BundleCorruptError(f"{index}: {error}: fetch the model from a place you trust") from (
            error
        )


def _fill_buffers(model: nn.Module) -> None:
    """Compute the position tables, which checkpoints lack."""
    buffers = [
        (module, *named)
        for module in model.modules()
        for named in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in buffers:
        if not buffer.is_meta:
            continue
        if name == "position_ids":
            value = torch.arange(buffer.shape[-1]).expand(1, -1).to(buffer.dtype)
        elif name == "token_type_ids":
            value = torch.zeros(buffer.shape, dtype=buffer.dtype)
        else:
            raise BundleCorruptError(
                f"got a {type(module).__name__} with the table {name!r}, expected only tables of "
                "positions: use a version of transformers in the range of the extra `upstream`"
            )
        module.register_buffer(name, value, persistent=False)
