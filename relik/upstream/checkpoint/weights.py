"""Reads the weights of a released checkpoint and gives them to a model, name by name.

A checkpoint is data: files of code beside it are not looked at, and a pickled one is read by a
loader that knows tensors only.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from relik.errors import BundleCorruptError, BundleNotFoundError, ConfigError
from relik.upstream.checkpoint.backbone_settings import read_config
from relik.upstream.checkpoint.files import file_within

SUFFIX = ".index.json"
"""What the name of the index has behind the name that the whole file would have."""

SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

_UNUSED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


def read_shards(
    index: Path, read: Callable[[Path], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Read the tensors that an index lists.

    Args:
        index: A JSON object whose `weight_map` says for each tensor which file has it.

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


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint, mapped where the file allows it.

    Args:
        folder: With model.safetensors or pytorch_model.bin, or with one of them cut into files
            that model.safetensors.index.json or pytorch_model.bin.index.json lists.

    Raises:
        BundleNotFoundError: None of them is there.
        BundleCorruptError: A file is not a state dict, or the files do not fit their index.
    """
    for name, read in ((SAFETENSORS, _read_safetensors), (PICKLED, _read_pickled)):
        if (folder / name).is_file():
            return read(folder / name)
        if (folder / f"{name}{SUFFIX}").is_file():
            return read_shards(folder / f"{name}{SUFFIX}", read)
    raise BundleNotFoundError(
        f"{folder}: got neither {SAFETENSORS} nor {PICKLED}, whole or with {SUFFIX}, expected the "
        "weights of a model: fetch the model again"
    )


def read_torch_file(path: Path) -> object:
    """Read a file that torch saved, by the loader that refuses everything but tensors.

    Raises:
        BundleCorruptError: It holds anything else, or is broken.
    """
    try:
        # Only the zip format can be mapped.
        mapped = zipfile.is_zipfile(path)
        value: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        return value
    # A broken file can raise anything, and what it raises for code is no exception of torch.
    except Exception as error:
        raise BundleCorruptError(
            f"{path}: holds more than tensors, or is broken ({error}): get it as safetensors"
        ) from error


def fill(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    *,
    name_of: Callable[[str], str],
    source: Path,
) -> None:
    """Give a model on the meta device its weights, in float32.

    Args:
        weights: Tensors by the names of the checkpoint; a pooler, and tables of positions that
            follow from the settings, are left aside.

    Raises:
        BundleCorruptError: A tensor is missing, is one too many or has another shape.
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
                "as its config.json says: fetch the model again"
            )
        filled[name] = found.to(torch.float32)
    if surplus:
        raise BundleCorruptError(
            f"{source}: got the tensor {surplus[0]!r}, expected none of that name as its "
            "config.json says: fetch the model again"
        )
    model.load_state_dict(filled, assign=True)
    _fill_buffers(model)
    model.requires_grad_(False)


def place(model: nn.Module, *, device: str, precision: str) -> torch.device:
    """Put a model where it is to run, ready to run.

    Args:
        device: Such as "cpu" or "cuda".

    Raises:
        ConfigError: There is no such device or precision.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"got the precision {precision!r}, expected one of {', '.join(PRECISIONS)}"
        )
    try:
        where = torch.device(device)
        model.eval().to(device=where, dtype=PRECISIONS[precision])
    # AssertionError is how a torch without CUDA says so.
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"got the device {device!r}, which torch cannot use ({error}): use cpu"
        ) from error
    return where


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleCorruptError(
            f"{path}: is not a safetensors file ({error}): fetch it again"
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


def _fill_buffers(model: nn.Module) -> None:
    """Compute the tables that no checkpoint holds."""
    for module, name, buffer in _buffers(model):
        if not buffer.is_meta:
            continue
        if name == "position_ids":
            value = torch.arange(buffer.shape[-1]).expand(1, -1).to(buffer.dtype)
        elif name == "token_type_ids":
            value = torch.zeros(buffer.shape, dtype=buffer.dtype)
        else:
            raise BundleCorruptError(
                f"got a {type(module).__name__} with the table {name!r}, expected none but of "
                "positions: use a version of transformers that this one was tested with"
            )
        module.register_buffer(name, value, persistent=False)


def _buffers(model: nn.Module) -> Iterator[tuple[nn.Module, str, torch.Tensor]]:
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            yield module, name, buffer
