"""Begin a run with the weights of a reader that was trained before."""

import json
from pathlib import Path

import torch

from relik.backends.embeddings import MARKERS
from relik.backends.tensors import TensorFile
from relik.bundle import DEFAULT, LAYOUT, open_bundle
from relik.errors import ConfigError
from relik.reader.inputs import MarkerLayout
from relik.reader.model import ReaderModel
from relik_training.export.files import LEFT_OUT
from relik_training.reader_run import TOKEN_TYPES


def begin_with(model: ReaderModel, start: str, layout: MarkerLayout) -> None:
    """Give a reader the weights of another one.

    The first markers of the other one become those of this one.

    Args:
        model: The reader, of the same backbone and heads.
        start: Folder of a reader run or of a bundle, or "default".
        layout: Markers of `model`.

    Raises:
        BundleError: There is no bundle, or it has no weights.
        ConfigError: There is no reader, or it is of another backbone, or has too few markers.
    """
    folder = _folder(start)
    held = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))["markers"]
    n_entities, n_relations = int(held["n_entities"]), int(held["n_relations"])
    if layout.n_entities > n_entities or layout.n_relations > n_relations:
        raise ConfigError(
            f"{folder}: got a reader with {n_entities} entity and {n_relations} relation markers, "
            f"expected at least {layout.n_entities} and {layout.n_relations}: begin with another"
        )
    weights = {
        name: torch.from_numpy(value.copy())
        for name, value in TensorFile.open(folder / LAYOUT.weights).weights().items()
        if not name.endswith(LEFT_OUT)
    }
    markers = weights[MARKERS]
    of_relations = 1 + n_entities
    weights[MARKERS] = torch.cat(
        (
            markers[: 1 + layout.n_entities],
            markers[of_relations : of_relations + layout.n_relations],
        )
    )
    own = {name for name in model.state_dict() if not name.endswith(LEFT_OUT)}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(model.state_dict()[name].shape) for name in own}
    if shapes != expected:
        other = sorted(
            name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)
        )
        raise ConfigError(
            f"{folder}: got {other[0]} of shape {shapes.get(other[0])}, expected "
            f"{expected.get(other[0])} ({TOKEN_TYPES} token types): begin with a reader of the "
            "same backbone and linears_hidden_size"
        )
    model.load_state_dict(weights, strict=False)


def _folder(start: str) -> Path:
    folder = open_bundle(verify=False).path if start == DEFAULT else Path(start)
    for found in (folder / LAYOUT.reader, folder):
        if (found / LAYOUT.weights).is_file() and (found / LAYOUT.config).is_file():
            return found
    raise ConfigError(
        f"{folder}: has no reader ({LAYOUT.weights} and {LAYOUT.config}), expected a finished run "
        "or a bundle: check start"
    )
