"""The parts of a retriever's recipe: how negatives are mined, how records are indexed."""

from dataclasses import dataclass

from relik.config import from_mapping
from relik.errors import ConfigError
from relik_index import BuildOptions


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
