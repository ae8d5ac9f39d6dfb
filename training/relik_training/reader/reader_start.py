"""Begin a run with a reader that was trained before: its weights, or its backbone as well."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from relik.backends.tensors import TensorFile
from relik.backends.word_embeddings import MARKERS, WordEmbeddings
from relik.bundle import open_bundle
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.models.reader_module import ReaderModel
from relik.reader.inputs import MarkerLayout
from relik.sources import DEFAULT
from relik_training.export.files import LEFT_OUT
from relik_training.run.backbone import READER_TYPES, Backbone

_BETWEEN = "re_between."


def begin_with(
    model: ReaderModel, start: str, layout: MarkerLayout, *, trained_relations: int = 0
) -> None:
    """Give a reader the weights of another one.

    The first markers of the other one become those of this one. A head for the words between two
    spans stays as it was drawn where the other one has none.

    Args:
        model: The reader, of the same backbone and heads.
        start: Folder of a reader run or of a bundle, or "default".
        layout: Markers of `model`.
        trained_relations: How many relation markers the other one was trained with; those behind
            them are moved by what these have in common. 0 where all of them were.

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
            _alike(markers[of_relations : of_relations + layout.n_relations], trained_relations),
        )
    )
    own = {name for name in model.state_dict() if not name.endswith(LEFT_OUT)}
    if not any(name.startswith(_BETWEEN) for name in weights):
        own = {name for name in own if not name.startswith(_BETWEEN)}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(model.state_dict()[name].shape) for name in own}
    if shapes != expected:
        other = sorted(
            name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)
        )
        raise ConfigError(
            f"{folder}: got {other[0]} of shape {shapes.get(other[0])}, expected "
            f"{expected.get(other[0])} ({READER_TYPES} token types): begin with a reader of the "
            "same backbone, linears_hidden_size and between"
        )
    model.load_state_dict(weights, strict=False)


def _alike(markers: torch.Tensor, n_trained: int) -> torch.Tensor:
    """Move the markers behind the first ones by the mean of these: (n_relations, d)."""
    if not n_trained:
        return markers
    told, untold = markers[:n_trained], markers[n_trained:]
    return torch.cat((told, untold + told.mean(dim=0)))


def backbone_of(start: str, *, hidden_dropout: float) -> Backbone:
    """Open the backbone of the reader of a bundle, which needs no pretrained weights then.

    Args:
        start: Folder of a bundle, or "default".
        hidden_dropout: Dropout of hidden states, 0..1.

    Returns:
        The backbone; its layers get their weights from `begin_with`.

    Raises:
        BundleError: There is no bundle.
        ConfigError: There is no reader, or it stands on no BERT.
    """
    folder = _folder(start)
    bundle = folder.parent
    about = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))["backbone"]
    own = (bundle / LAYOUT.reader_embeddings).is_file()
    if about.get("model_type") != "bert" or own or not (bundle / LAYOUT.tokenizer).is_file():
        raise ConfigError(
            f"{folder}: got a reader whose backbone is not that of a bundle's encoder, expected "
            "such a one where a recipe names no backbone: add backbone"
        )
    config = BertConfig.from_dict({**about, "hidden_dropout_prob": hidden_dropout})
    layers = BertModel(config, add_pooling_layer=False)
    # The layers only ever see looked-up embeddings.
    row = torch.zeros(1, config.hidden_size)
    layers.set_input_embeddings(nn.Embedding.from_pretrained(row, freeze=False))
    tokenizer = Tokenizer.from_file(str(bundle / LAYOUT.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    table = WordEmbeddings.open(bundle / LAYOUT.word_embeddings).dense()
    return Backbone(
        layers=layers, embeddings=torch.from_numpy(table), tokenizer=tokenizer, name=start
    )


def _folder(start: str) -> Path:
    folder = open_bundle(verify=False).path if start == DEFAULT else Path(start)
    for found in (folder / LAYOUT.reader, folder):
        if (found / LAYOUT.weights).is_file() and (found / LAYOUT.config).is_file():
            return found
    raise ConfigError(
        f"{folder}: has no reader ({LAYOUT.weights} and {LAYOUT.config}), expected a finished run "
        "or a bundle: check start"
    )
