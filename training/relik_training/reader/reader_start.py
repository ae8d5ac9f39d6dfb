"""Initialisation of a run from a trained reader: its weights, and optionally its backbone."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

from relik.backends.tensors import TensorFile
from relik.backends.word_embeddings import MARKERS, WordEmbeddings
from relik.bundle import open_bundle
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.models.reader_module import HeadConfig, ReaderModel
from relik.reader.inputs import MarkerLayout
from relik.sources import DEFAULT
from relik.types import FloatArray
from relik_training.distill.reader_losses import open_reader_distiller
from relik_training.export.files import LEFT_OUT
from relik_training.reader.frozen import freeze_lowest
from relik_training.reader.reader_module import ReaderModule
from relik_training.recipes.recipe import ReaderTraining
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.backbone import READER_TYPES, Backbone
from relik_training.run.lora import adapt

_BETWEEN = "re_between."


def begin_with(
    model: ReaderModel, start: str, layout: MarkerLayout, *, trained_relations: int = 0
) -> None:
    """Load the weights of a trained reader.

    The model takes as many of its first markers as it has. A head for the words between two spans
    keeps its random weights if the trained reader has none.

    Args:
        model: A reader with the same backbone and heads; changed in place.
        start: Folder of a reader run or of a bundle, or "default".
        layout: Markers of `model`.
        trained_relations: Number of relation markers that were trained; the mean of these is added
            to the others. 0 if all were trained.

    Raises:
        BundleError: The bundle does not exist, or has no weights.
        ConfigError: The folder has no reader, or one with another backbone or too few markers.
    """
    folder = _folder(start)
    markers_config = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))["markers"]
    n_entities, n_relations = int(markers_config["n_entities"]), int(markers_config["n_relations"])
    if layout.n_entities > n_entities or layout.n_relations > n_relations:
        raise ConfigError(
            f"{folder}: got a reader with {n_entities} entity and {n_relations} relation markers, "
            f"expected at least {layout.n_entities} and {layout.n_relations}: start from another "
            "reader"
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
            _fill_untrained(
                markers[of_relations : of_relations + layout.n_relations], trained_relations
            ),
        )
    )
    expected_names = {name for name in model.state_dict() if not name.endswith(LEFT_OUT)}
    if not any(name.startswith(_BETWEEN) for name in weights):
        expected_names = {name for name in expected_names if not name.startswith(_BETWEEN)}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    expected = {name: tuple(model.state_dict()[name].shape) for name in expected_names}
    if shapes != expected:
        other = sorted(
            name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name)
        )
        raise ConfigError(
            f"{folder}: got {other[0]} of shape {shapes.get(other[0])}, expected "
            f"{expected.get(other[0])} ({READER_TYPES} token types): start from a reader of the "
            "same backbone, linears_hidden_size and between"
        )
    model.load_state_dict(weights, strict=False)


def _fill_untrained(markers: torch.Tensor, n_trained: int) -> torch.Tensor:
    """Add the mean of the trained markers to the untrained ones, (n_relations, d)."""
    if not n_trained:
        return markers
    trained, untrained = markers[:n_trained], markers[n_trained:]
    return torch.cat((trained, untrained + trained.mean(dim=0)))


def backbone_of(start: str, *, hidden_dropout: float) -> Backbone:
    """Build the backbone of the reader of a bundle, without weights, which `begin_with` loads.

    Args:
        start: Folder of a bundle, or "default".
        hidden_dropout: Dropout of hidden states, 0..1.

    Raises:
        BundleError: The bundle does not exist.
        ConfigError: It has no reader, or one without a BERT that shares the encoder's embeddings.
    """
    folder = _folder(start)
    bundle = folder.parent
    backbone_config = json.loads((folder / LAYOUT.config).read_text(encoding="utf-8"))["backbone"]
    expected_names = (bundle / LAYOUT.reader_embeddings).is_file()
    if (
        backbone_config.get("model_type") != "bert"
        or expected_names
        or not (bundle / LAYOUT.tokenizer).is_file()
    ):
        raise ConfigError(
            f"{folder}: got a reader whose backbone differs from its bundle's encoder, expected "
            "the same in a recipe without backbone: add backbone"
        )
    config = BertConfig.from_dict({**backbone_config, "hidden_dropout_prob": hidden_dropout})
    layers = BertModel(config, add_pooling_layer=False)
    # The layers read embeddings, and never look them up.
    row = torch.zeros(1, config.hidden_size)
    layers.set_input_embeddings(nn.Embedding.from_pretrained(row, freeze=False))
    tokenizer = Tokenizer.from_file(str(bundle / LAYOUT.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    table = WordEmbeddings.open(bundle / LAYOUT.word_embeddings).dense()
    return Backbone(
        layers=layers, embeddings=torch.from_numpy(table), tokenizer=tokenizer, name=start
    )


def reader_of(
    config: ReaderTraining | SchemaTraining,
    backbone: Backbone,
    layout: MarkerLayout,
    table: FloatArray,
    base: Path,
) -> tuple[ReaderModule, dict[str, Any]]:
    """Build the reader that a run trains, with random heads or the weights that it begins with.

    Args:
        table: Float32, (vocabulary, hidden): its word embeddings as they will be served, so that
            training sees their rounding.
        base: Base bundle.

    Returns:
        The module, and what config.json says of its model.
    """
    about = backbone.layers.config
    heads = HeadConfig(
        hidden_size=about.hidden_size,
        linears_hidden_size=config.linears_hidden_size,
        layer_norm_eps=about.layer_norm_eps,
        between=config.between,
    )
    model = ReaderModel(backbone.layers, heads, n_markers=layout.size)
    if config.start:
        trained = config.trained_relations if isinstance(config, ReaderTraining) else 0
        begin_with(model, config.start, layout, trained_relations=trained)
    adapt(backbone.layers, config.lora)
    if isinstance(config, SchemaTraining):
        freeze_lowest(model, config.frozen_layers)
    module = ReaderModule(
        model,
        torch.from_numpy(table),
        settings=config,
        distiller=open_reader_distiller(
            model, config.distillation, layout=layout, tokenizer=backbone.tokenizer, base=base
        ),
    )
    return module, {
        "kind": "reader",
        "backbone": about.to_diff_dict(),
        "heads": dataclasses.asdict(heads),
        "markers": {"n_entities": layout.n_entities, "n_relations": layout.n_relations},
    }


def _folder(start: str) -> Path:
    folder = open_bundle(verify=False).path if start == DEFAULT else Path(start)
    for found in (folder / LAYOUT.reader, folder):
        if (found / LAYOUT.weights).is_file() and (found / LAYOUT.config).is_file():
            return found
    raise ConfigError(
        f"{folder}: has no reader ({LAYOUT.weights} and {LAYOUT.config}), expected a finished run "
        "or a bundle: correct start"
    )
