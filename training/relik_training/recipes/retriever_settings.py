"""The parts of a retriever's recipe: how negatives are mined, evidence fused, records indexed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relik.config import from_mapping
from relik.errors import ConfigError
from relik_index import BuildOptions

FUSED = (
    "dense_weight",
    "exact_weight",
    "prior_weight",
    "partial_weight",
    "nested_weight",
    "known_weight",
    "popularity_weight",
)
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

    negatives: int = 0
    every: int = 200
    records: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("negatives", 0), ("every", 1), ("records", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"[mining]: got {name} {getattr(self, name)}, expected at least {least}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionTraining:
    """What the weights of dense and lexical evidence are fitted on.

    Args:
        sources: Training sets, tables as `SourceConfig`.
        factors: Factor on a fitted weight by its name in `FusionWeights`, 0 or more, chosen on
            development sets: what is measured is seldom like what the fit was on.
        rivals: `FusionWeights.rival_weight`, chosen on development sets, not fitted.
        leaders: Likewise `FusionWeights.leader_weight`.
    """

    sources: tuple[dict[str, object], ...] = ()
    factors: Mapping[str, float] = field(default_factory=dict)
    rivals: float = 0.0
    leaders: float = 0.0

    def __post_init__(self) -> None:
        for name, factor in self.factors.items():
            if name not in FUSED or factor < 0:
                raise ConfigError(
                    f"[fusion.factors]: got {name} = {factor}, expected 0 or more for one of "
                    f"{', '.join(FUSED)}"
                )
        for name in ("rivals", "leaders"):
            if getattr(self, name) < 0:
                raise ConfigError(f"[fusion]: got {name} {getattr(self, name)}, expected 0 or more")


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

    vectors: str = "exact"
    opq: bool = False
    compression: str = "none"
    candidate_tokens: int = 10
    relation_tokens: int = 8
    batch: int = 1024
    batch_rows: int = 1024
    record_tokens: int = 0
    dim: int = 0
    sources: tuple[str, ...] = ()

    def entities(self) -> BuildOptions:
        """Give the options of the index of entities.

        Returns:
            Options that replace what is there.

        Raises:
            ConfigError: A setting has no such value.
        """
        return from_mapping(
            BuildOptions,
            {
                "vectors": self.vectors,
                "opq": self.opq,
                "compression": self.compression,
                "candidate_tokens": self.candidate_tokens,
                "batch": self.batch,
                "batch_rows": self.batch_rows,
                "sources": self.sources,
                "force": True,
            },
            where="[index]",
        )

    def relations(self) -> BuildOptions:
        """Give the options of the index of relations.

        Returns:
            Options that replace what is there.
        """
        return BuildOptions(candidate_tokens=self.relation_tokens, force=True)
