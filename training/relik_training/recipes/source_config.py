"""What a data set of a recipe annotates, and what it leaves unsaid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from relik.errors import ConfigError
from relik.toml_settings import Natural, Positive

Labelled: TypeAlias = Literal["all", "some", "none"]
"""How much of what a text says is annotated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One data set and what it annotates.

    Args:
        path: File, relative to the data folder.
        mentions: "all" where every named mention is annotated, "some" where unlabelled
            capitalised words may be mentions, "none" where spans beyond the labelled ones
            say nothing.
        relations: "all" where a pair without a triple has no relation, "some" where it may
            have one, "none" where triples are not annotated.
        limit: Most documents to take, from the first; 0 takes all.
        every: Take every n-th document, so that a sample covers the whole file.
        repeat: How often a window comes in an epoch; for small sets beside large ones.
        skip_types: Span types that are no mentions, such as dates.
        relation_names: Relation id in the file -> id in the knowledge base; a leading "-" swaps
            subject and object; ids not listed are kept as they are.
        one_sentence: Only triples that one sentence may state count (`told_in_one`); between other
            pairs there is no relation, though the set says so.
        triggers: With `one_sentence`: relation id in the file -> parts of words, of which the
            sentence must have one.
        doubt_apart: With `one_sentence`: what is said to hold between two sentences is unknown
            rather than false.
        inverses: Relation id -> relation id that often holds the other way round, which statements
            seldom have though it is true: what the set does not say of it is then unknown.
        links: Whether the links are used; a set that is measured on keeps its spans alone.
        propagate: Label repeated names and the page's title as well.
    """

    path: str
    mentions: Labelled = "some"
    relations: Labelled = "none"
    limit: Natural = 0
    every: Positive = 1
    repeat: Positive = 1
    skip_types: tuple[str, ...] = ()
    relation_names: Mapping[str, str] = field(default_factory=dict)
    one_sentence: bool = False
    triggers: Mapping[str, str] = field(default_factory=dict)
    doubt_apart: bool = False
    inverses: Mapping[str, str] = field(default_factory=dict)
    links: bool = True
    propagate: bool = False

    def __post_init__(self) -> None:
        if self.doubt_apart and not self.one_sentence:
            raise ConfigError(
                "got doubt_apart = true without one_sentence = true, expected both or neither: "
                "add it, or leave doubt_apart out"
            )
        if self.triggers and not self.one_sentence:
            raise ConfigError(
                "got triggers for sentences that are not asked for, expected one_sentence = true "
                "with them: add it, or leave triggers out"
            )
