"""A cache of teacher outputs on disk, for all runs over the same batches."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


class AnswerCache:
    """Stores the outputs of a teacher in half precision; a resumed run finds them again.

    Args:
        folder: Created when needed; None for no cache.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, question: bytes, ask: Callable[[], Tensors], device: torch.device) -> Tensors:
        """Return the cached outputs, or compute and cache them.

        Args:
            question: Key: bytes of everything that the outputs depend on.
            ask: Computes the outputs.

        Returns:
            Tensors by name, on the device. They are rounded to half precision also without a
            cache, so that runs with and without one are equal.
        """
        if self._folder is None:
            return {name: _to_float(_to_half(each)).to(device) for name, each in ask().items()}
        digest = hashlib.sha256(question).hexdigest()
        path = self._folder / digest[:2] / f"{digest}.safetensors"
        stored = _read(path)
        if stored is None:
            stored = {name: _to_half(each).cpu().contiguous() for name, each in ask().items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            save_file(stored, partial)
            partial.replace(path)
        return {name: _to_float(each).to(device) for name, each in stored.items()}


def _read(path: Path) -> Tensors | None:
    if not path.is_file():
        return None
    try:
        found: Tensors = load_file(path)
    except SafetensorError:
        return None
    return found


def _to_half(values: torch.Tensor) -> torch.Tensor:
    if not values.is_floating_point():
        return values
    limit = torch.finfo(torch.float16).max
    return values.detach().clamp(-limit, limit).half()


def _to_float(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.is_floating_point() else values
