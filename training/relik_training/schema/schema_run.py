"""Training of the reader of a closed schema: types in the place of entities, all of them given."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from tokenizers import Tokenizer

from relik.backends import WordEmbeddings
from relik.bundle import open_bundle
from relik.config import (
    PipelineConfig,
    ReaderConfig,
    RetrieverConfig,
    RulesConfig,
    read_pipeline,
)
from relik.errors import ConfigError
from relik.layout import LAYOUT
from relik.reader.inputs import MarkerLayout
from relik.reader.open_reader import row_tokens
from relik.retriever.window_retriever import WindowRetriever
from relik_index import BuildOptions, build_index
from relik_training.augment.schema_swap import with_swaps
from relik_training.data.candidates import source_with
from relik_training.data.examples import Example
from relik_training.data.json_lines import read_jsonl, write_jsonl
from relik_training.export import export_shared
from relik_training.reader.reader_bundle import annotating_seconds
from relik_training.reader.reader_data import ReaderData
from relik_training.reader.reader_scores import Served, open_reader_f1
from relik_training.reader.reader_start import reader_of
from relik_training.recipes.bundle_settings import write_changed
from relik_training.recipes.reader_settings import ReaderSampling
from relik_training.recipes.schema_settings import SchemaTraining
from relik_training.run.backbone import READER_TYPES, Backbone, open_backbone
from relik_training.run.best_weights import Measure, split_apart
from relik_training.run.costs import EndCost
from relik_training.run.metrics import folder_bytes
from relik_training.run.run_files import BASE
from relik_training.run.trainer import OpenRun
from relik_training.schema.schema_bundle import build_schema_bundle
from relik_training.schema.schema_data import read_typed_examples, write_splits

_CANDIDATE_TOKENS = 16


class Averaging(EMAWeightAveraging):
    """Ends a run with the moving average of its weights; part of every checkpoint.

    Args:
        decay: What a step leaves of the average before it, 0..1: 0.995 averages about 200 steps.
    """

    def __init__(self, decay: float) -> None:
        # The table of words is a buffer, and is never trained.
        super().__init__(use_buffers=False, decay=decay)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Put the average into the module, also where no step was left to train."""
        self.on_train_end(trainer, pl_module)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaRun:
    """A run of the reader of a closed schema: from typed texts to a measured bundle.

    Args:
        config: Settings; `out` is the folder of this run.
        splits: Files by name, as of `write_splits`.
        fitted_by: Bundle whose thresholds are taken over; None fits them on `dev`.
    """

    config: SchemaTraining
    splits: Mapping[str, Path] = field(default_factory=dict)
    fitted_by: Path | None = None

    def open(self) -> OpenRun:
        """Open weights and annotated texts; write a bundle that lacks the reader to `out/base`.

        Raises:
            ConfigError: The backbone is missing, or a text does not fit.
        """
        config, base = self.config, Path(self.config.out) / BASE
        # Heads and markers are drawn: the same way each time.
        torch.manual_seed(config.seed)
        backbone = open_backbone(
            config.backbone, token_types=READER_TYPES, hidden_dropout=config.hidden_dropout
        )
        # Pretrained layers come without dropout, as they are used.
        backbone.layers.train()
        _write_base(config, backbone, base)
        layout = MarkerLayout.of(
            backbone.tokenizer, n_entities=len(config.types), n_relations=len(config.relations)
        )
        table = WordEmbeddings.open(base / LAYOUT.word_embeddings)
        module, about = reader_of(config, backbone, layout, table.dense(), base)
        if config.average:
            module.watch(Averaging(config.average))
        files = [self.splits["train"], *([self.splits["dev"]] if config.with_dev else [])]
        share = config.evaluation.share
        trained, apart = split_apart(read_typed_examples(files), share, config.seed)

        def evaluation() -> Measure | None:
            texts = apart or ([] if config.with_dev else read_typed_examples([self.splits["dev"]]))
            served = Served(
                source=source_with(base, WindowRetriever(None, RetrieverConfig())),
                tokenizer=backbone.tokenizer,
                layout=layout,
                embeddings=table,
                config=read_pipeline(base / LAYOUT.pipeline),
                typed=True,
                pretokenised=config.pretokenised,
            )
            most = config.evaluation.windows
            return open_reader_f1(module, texts, served, most=most) if texts else None

        return OpenRun(
            module=module,
            examples=with_swaps(trained, config.swaps, config.seed),
            ready=lambda examples: _data(config, layout, backbone.tokenizer, examples),
            evaluation=evaluation,
            about=about,
        )

    def end(self) -> dict[str, object]:
        """Make the bundle: export, calibrate, measure, seal."""
        return build_schema_bundle(self.config, self.splits, fitted_by=self.fitted_by)

    def aside(self, folder: Path) -> "SchemaRun":
        """Give the same run in a scratch folder, which gets the splits too."""
        splits = write_splits(dataclasses.replace(self.config, out=str(folder / "splits")))
        config = dataclasses.replace(self.config, out=str(folder / "run"))
        return SchemaRun(config=config, splits=splits)

    def end_cost(self) -> EndCost:
        """Make the bundle, with one text for each split; annotate some more."""
        few = {}
        for name, path in self.splits.items():
            few[name] = path.with_name(f"one-{path.name}")
            write_jsonl(few[name], [next(iter(read_jsonl(path)))])
        began = time.monotonic()
        bundle = Path(str(build_schema_bundle(self.config, few)["bundle"]))
        fixed = time.monotonic() - began
        files = [path for name, path in self.splits.items() if name != "train"]
        pipeline = open_bundle(bundle, verify=False).pipeline()
        return EndCost(
            seconds=fixed + annotating_seconds(pipeline, read_typed_examples(files)),
            bundle_bytes=folder_bytes(bundle),
        )


def _write_base(config: SchemaTraining, backbone: Backbone, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    export_shared(backbone.tokenizer, backbone.embeddings.numpy(), out)
    options = BuildOptions(candidate_tokens=_CANDIDATE_TOKENS, force=True)
    counts = []
    for name, records in ((LAYOUT.entities, config.types), (LAYOUT.relations, config.relations)):
        counts.append(len(records))
        source = out.parent / f"{name}.jsonl"
        # Its id is its type too, by which a caller can ask for some alone.
        write_jsonl(source, ({**dataclasses.asdict(r), "types": [r.id]} for r in records))
        build_index(source, out / name, encoder=None, tokenizer=backbone.tokenizer, options=options)
    longest = min(config.max_tokens, row_tokens(backbone.layers.config.to_dict()))
    settings = PipelineConfig(
        model=config.model,
        windows=config.windows,
        retriever=RetrieverConfig(entity_top_k=counts[0], relation_top_k=counts[1]),
        reader=ReaderConfig(max_tokens=longest, drop_nil=config.wrong_spans > 0),
        # The name of a type is no name of its mentions.
        rules=RulesConfig(prior_weight=0.0),
    )
    write_changed(settings, config, out / LAYOUT.pipeline)


def _data(
    config: SchemaTraining, layout: MarkerLayout, tokenizer: Tokenizer, examples: Sequence[Example]
) -> ReaderData:
    base = Path(config.out) / BASE
    longest = read_pipeline(base / LAYOUT.pipeline).reader.max_tokens
    data = ReaderData(
        examples,
        tokenizer=tokenizer,
        layout=layout,
        source=source_with(base, WindowRetriever(None, RetrieverConfig())),
        sampling=ReaderSampling(
            entity_candidates=(len(config.types),),
            relation_candidates=(len(config.relations),),
            gold_drop=0.0,
            gold_insert=0.0,
            shuffle=0.0,
            given=True,
            case_noise=config.case_noise,
            pretokenised=config.pretokenised,
            wrong_spans=config.wrong_spans,
            wrong_pairs=config.wrong_pairs,
            max_tokens=longest,
            seed=config.seed,
        ),
    )
    if len(data.lengths) < len(examples):
        raise ConfigError(
            f"got {len(examples) - len(data.lengths)} texts that are blank or have more than "
            f"{longest // 2} tokens, expected none: cut them, or raise max_tokens"
        )
    return data
