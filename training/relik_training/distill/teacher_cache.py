"""What a teacher said, kept on disk under what it was asked, for all runs over the same batches."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


class AnswerCache:
    """Keeps answers in half precision. A run that was stopped finds those it had.

    Args:
        folder: Where; made where absent. None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, question: bytes, ask: Callable[[], Tensors], device: torch.device) -> Tensors:
        """Give the answer to a question: the kept one, or a new one, which is then kept.

        Args:
            question: All that the answer depends on.
            ask: Gives the answer.
            device: Where the answer shall lie.

        Returns:
            Tensors by name. Numbers are rounded to half precision whether kept or not, so that
            runs with and without a cache are the same.
        """
        if self._folder is None:
            return {name: _widened(_halved(each)).to(device) for name, each in ask().items()}
        digest = hashlib.sha256(question).hexdigest()
        path = self._folder / digest[:2] / f"{digest}.safetensors"
        held = _read(path)
        if held is None:
            held = {name: _halved(each).cpu().contiguous() for name, each in ask().items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            save_file(held, partial)
            partial.replace(path)
        return {name: _widened(each).to(device) for name, each in held.items()}


def _read(path: Path) -> Tensors | None:
    if not path.is_file():
        return None
    try:
        found: Tensors = load_file(path)
    except SafetensorError:
        return None
    return found


def _halved(values: torch.Tensor) -> torch.Tensor:
    if not values.is_floating_point():
        return values
    limit = torch.finfo(torch.float16).max
    return values.detach().clamp(-limit, limit).half()


def _widened(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.is_floating_point() else values
