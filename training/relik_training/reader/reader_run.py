"""`relik train reader`: from annotated text and a retriever to a reader."""

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

from relik.bundle import open_bundle
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.manifest import MANIFEST
from relik.models.packed_bert import PackedBert
from relik.reader.inputs import MarkerLayout
from relik_training.data.candidates import open_candidate_source
from relik_training.data.examples import Example
from relik_training.reader.curriculum import EasyFirst
from relik_training.reader.own_base import standing, standing_already
from relik_training.reader.reader_bundle import (
    annotating_seconds,
    build_bundle,
    serving_settings,
)
from relik_training.reader.reader_data import ReaderBatch, ReaderData
from relik_training.reader.reader_module import ReaderModule
from relik_training.reader.reader_scores import Served, open_reader_f1
from relik_training.reader.reader_start import backbone_of, reader_of
from relik_training.reader.reader_windows import read_development, read_windows
from relik_training.reader.reader_words import reader_words, words_of_run
from relik_training.recipes.recipe import CalibrationTraining, ReaderTraining
from relik_training.run.backbone import READER_TYPES, Backbone, open_backbone
from relik_training.run.batches import BatchSource
from relik_training.run.best_weights import (
    BEST,
    CHECKPOINTS,
    Best,
    KeepBest,
    Measure,
    Part,
    keep_apart,
    split_apart,
)
from relik_training.run.costs import EndCost
from relik_training.run.metrics import folder_bytes
from relik_training.run.trainer import OpenRun


def arranged(layers: nn.Module, *, packed: bool, checkpointed: bool) -> nn.Module:
    """Change how layers compute: to the same result, with the same names of weights.

    Args:
        layers: A backbone; parts of it are shared with what comes back.
        packed: Compute no padding.
        checkpointed: Compute states again for the gradients instead of keeping them.

    Raises:
        ConfigError: Layers of this kind cannot do so.
    """
    kind = layers.config.model_type
    if packed:
        if kind != "bert":
            raise ConfigError(
                f"packing: got a backbone of type {kind}, expected bert: leave it out"
            )
        return PackedBert(layers, checkpointed=checkpointed)
    if checkpointed:
        # The second is its name in transformers before version 5.
        names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
        enable = next((getattr(layers, name) for name in names if hasattr(layers, name)), None)
        if enable is None:
            raise ConfigError(
                f"gradient_checkpointing: a backbone of type {kind} has none: leave it out"
            )
        # Only decoders have a cache; transformers would warn of one all the same.
        layers.config.use_cache = False
        enable({"use_reentrant": False})
    return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderRun:
    """A run of the reader: from annotated text and a base bundle to a whole bundle."""

    config: ReaderTraining

    def open(self) -> OpenRun:
        """Open weights and annotated windows.

        The split of `held_out_source` goes to `config.out`, and so do the base, where the recipe
        names none, and the candidates of the windows once they are ready.

        Raises:
            ConfigError: The backbone or a file is missing.
        """
        config = standing(self.config)
        # Heads and markers are drawn: the same way each time.
        torch.manual_seed(config.seed)
        backbone = _backbone(config)
        layout = MarkerLayout.of(
            backbone.tokenizer, n_entities=config.n_entities, n_relations=config.n_relations
        )
        base = Path(config.base)
        table = reader_words(backbone, base=base, run=Path(config.out))
        module, about = reader_of(config, backbone, layout, table, base)
        examples, apart = split_apart(read_windows(config), config.evaluation.share, config.seed)

        def ready(chosen: Sequence[Example]) -> BatchSource:
            return _source(config, module, _data(config, layout, backbone.tokenizer, chosen))

        def evaluation() -> Measure | None:
            texts = apart or _development(config, examples)
            return _measure(config, module, backbone, layout, texts) if texts else None

        return OpenRun(
            module=module, examples=examples, ready=ready, about=about, evaluation=evaluation
        )

    def end(self) -> dict[str, object]:
        """Make the bundle: export, calibrate, seal."""
        return build_bundle(self.config)

    def aside(self, folder: Path) -> "ReaderRun":
        """Give the same run in a scratch folder."""
        # A base that the run made before is not made again: that takes minutes.
        standing_run = standing_already(self.config)
        return ReaderRun(config=dataclasses.replace(standing_run, out=str(folder / "run")))

    def end_cost(self) -> EndCost:
        """Export the reader; annotate some development texts."""
        began = time.monotonic()
        calibration = self.config.calibration
        made = build_bundle(dataclasses.replace(self.config, calibration=CalibrationTraining()))
        bundle = Path(str(made["bundle"]))
        size = folder_bytes(bundle)
        if not calibration.sources:
            return EndCost(seconds=time.monotonic() - began, bundle_bytes=size)
        examples = read_development(self.config)
        pipeline = open_bundle(bundle, verify=False).pipeline()
        fixed = time.monotonic() - began
        return EndCost(seconds=fixed + annotating_seconds(pipeline, examples), bundle_bytes=size)


def _measure(
    config: ReaderTraining,
    module: ReaderModule,
    backbone: Backbone,
    layout: MarkerLayout,
    texts: Sequence[Example],
) -> Measure:
    base = Path(config.base)
    served = Served(
        source=open_candidate_source(base, "auto"),
        tokenizer=backbone.tokenizer,
        layout=layout,
        embeddings=words_of_run(Path(config.out), base),
        config=serving_settings(config, backbone.layers.config.to_diff_dict()),
    )
    return open_reader_f1(module, texts, served, most=config.evaluation.windows)


def _development(config: ReaderTraining, examples: Sequence[Example]) -> Sequence[Example]:
    """Give the texts of the calibration; else those that early stopping keeps apart."""
    if config.calibration.sources:
        return read_development(config)
    stopping = config.early_stopping
    return split_apart(examples, stopping.share if stopping.patience else 0.0, config.seed)[1]


def _backbone(config: ReaderTraining) -> Backbone:
    backbone = (
        open_backbone(
            config.backbone, token_types=READER_TYPES, hidden_dropout=config.hidden_dropout
        )
        if config.backbone
        else backbone_of(config.start, hidden_dropout=config.hidden_dropout)
    )
    layers = arranged(
        backbone.layers, packed=config.packing, checkpointed=config.gradient_checkpointing
    )
    # Pretrained layers come without dropout, as they are used.
    return dataclasses.replace(backbone, layers=layers.train())


def _data(
    config: ReaderTraining,
    layout: MarkerLayout,
    tokenizer: Tokenizer,
    examples: Sequence[Example],
) -> ReaderData:
    base = Path(config.base)
    return ReaderData(
        examples,
        tokenizer=tokenizer,
        layout=layout,
        source=open_candidate_source(base, "auto"),
        sampling=config.sampling,
        cache=Path(config.out) / f"candidates-{_fingerprint(base, examples)}.safetensors",
        opener=partial(open_candidate_source, base, "onnx", threads=1),
    )


def _source(config: ReaderTraining, module: ReaderModule, data: ReaderData) -> BatchSource:
    """Give the order in which windows are trained on, and keep those apart to measure on."""
    source: BatchSource = data
    trained = list(range(len(data.lengths)))
    if config.early_stopping.patience:
        watcher, trained = watch_apart(module, data, config)
        module.watch(watcher)
        source = Part(data, trained)
    if not config.curriculum.share:
        return source
    difficulties = data.difficulties
    return EasyFirst(
        source,
        [difficulties[i] for i in trained],
        config.curriculum,
        batch_size=config.batch_size,
        max_steps=config.max_steps,
        seed=config.seed,
    )


def watch_apart(
    module: ReaderModule, data: ReaderData, config: ReaderTraining
) -> tuple[KeepBest, list[int]]:
    """Keep windows apart, and stop where their loss no longer falls.

    Returns:
        What measures and stops, and the positions of the windows that are left to train on.
    """
    apart = keep_apart(data.documents, config.early_stopping.share, config.seed)
    size = config.batch_size
    # Steps that no training has: candidates are drawn for these windows once and for all.
    batches = [
        data.batch(apart[first : first + size], config.max_steps + first)
        for first in range(0, len(apart), size)
    ]
    held = set(apart)
    best = Best(
        figure="held_back_loss",
        lowest=True,
        every=config.early_stopping.steps,
        max_steps=config.max_steps,
        patience=config.early_stopping.patience,
        restore=True,
    )
    watcher = KeepBest(_loss_on(module, batches), best, Path(config.out) / CHECKPOINTS / BEST)
    return watcher, [i for i in range(len(data.lengths)) if i not in held]


def _loss_on(module: ReaderModule, batches: Sequence[ReaderBatch]) -> Measure:
    def measure() -> dict[str, float]:
        total = 0.0
        for batch in batches:
            moved = module.transfer_batch_to_device(batch, module.device, 0)
            total += float(torch.stack(list(module.losses(moved).values())).sum())
        return {"held_back_loss": total / len(batches)}

    return measure


def _fingerprint(base: Path, examples: Sequence[Example]) -> str:
    """Tell one base, and one text, from another: candidates of one are not another's."""
    digest = hashlib.sha256()
    for name in (MANIFEST, LAYOUT.pipeline, f"{LAYOUT.entities}/{MANIFEST}"):
        path = base / name
        digest.update(path.read_bytes() if path.is_file() else b"")
    for example in examples:
        window = (example.doc_id, example.index, example.text, example.relations)
        digest.update(repr(window).encode())
    return digest.hexdigest()[:12]
