"""The parts of a retriever's recipe: how negatives are mined, evidence fused, records indexed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias, get_args

from annotated_types import Interval

from relik.toml_settings import Natural, Positive, Weight
from relik.vectors.faiss_index import VectorKind
from relik_index import BuildOptions
from relik_training.recipes.source_config import SourceConfig

Fused: TypeAlias = Literal[
    "dense_weight",
    "exact_weight",
    "prior_weight",
    "partial_weight",
    "nested_weight",
    "known_weight",
    "popularity_weight",
]
FUSED: tuple[Fused, ...] = get_args(Fused)
"""Weights of `FusionWeights` that are fitted, in the order of the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """How wrong records that the encoder being trained likes best are made negatives.

    Args:
        negatives: Mined records per window; 0 mines nothing.
        every: Steps between two minings.
        records: Records that are searched: those that are right somewhere, and others drawn up
            to this number; 0 for all.
        margin: By how much the cosine of a negative is at least below that of the best right
            record of the window; -1 lets every wrong record in.
    """

    negatives: Natural = 0
    every: Positive = 200
    records: Natural = 0
    margin: Annotated[float, Interval(ge=-1, le=1)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionTraining:
    """What the weights of dense and lexical evidence are fitted on.

    Args:
        sources: Training sets.
        factors: Factor on a fitted weight by its name, chosen on development sets: what is measured
            is seldom like what the fit was on.
    """

    sources: tuple[SourceConfig, ...] = ()
    factors: Mapping[Fused, Weight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexTraining:
    """How the knowledge indexes of a bundle are built.

    Args:
        vectors: How vectors of entities are kept; those of relations are kept exactly.
        opq: Rotate vectors before product quantisation.
        compression: Of the records of entities: none or zstd.
        candidate_tokens: Tokens of an entity that the reader sees.
        relation_tokens: Tokens of a relation that the reader sees.
        batch: Texts encoded at once.
        batch_rows: Records that are compressed together.
        record_tokens: Tokens of a record that are encoded, special tokens included; 0 for as many
            as were trained, `passage_tokens`.
        dim: Length to which vectors of windows and records are cut; 0 leaves them whole.
        sources: Where the entities come from, for the manifest.
    """

    vectors: VectorKind = "exact"
    opq: bool = False
    compression: Literal["none", "zstd"] = "none"
    candidate_tokens: Positive = 10
    relation_tokens: Positive = 8
    batch: Positive = 1024
    batch_rows: Positive = 1024
    record_tokens: Natural = 0
    dim: Natural = 0
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.entities()  # refuses what no index can have before hours of training

    def entities(self) -> BuildOptions:
        """Give the options of the index of entities.

        Returns:
            Options that replace what is there.

        Raises:
            ConfigError: Two settings do not go together.
        """
        return BuildOptions(
            vectors=self.vectors,
            opq=self.opq,
            compression=self.compression,
            candidate_tokens=self.candidate_tokens,
            batch=self.batch,
            batch_rows=self.batch_rows,
            sources=self.sources,
            force=True,
        )

    def relations(self) -> BuildOptions:
        """Give the options of the index of relations.

        Returns:
            Options that replace what is there.
        """
        return BuildOptions(candidate_tokens=self.relation_tokens, force=True)
