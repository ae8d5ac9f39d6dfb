"""Settings of a bundle: what `pipeline.toml` says, as frozen dataclasses.

Rules of single settings stand in their annotations and are checked where settings are read.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relik.errors import ConfigError
from relik.toml_settings import (
    Natural,
    Positive,
    Share,
    TomlFile,
    Weight,
    from_mapping,
    open_toml,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """How a document is split.

    Args:
        size: Words per window.
        stride: Words from the start of one window to the start of the next; at most `size`.
        max_names: A window with more capitalised names is cut in halves that overlap as windows
            do, so that lists and tables get candidates for all of theirs; 0 cuts none.
    """

    size: Positive = 64
    stride: Positive = 56
    max_names: Natural = 0

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.size:
            raise ConfigError(
                f"got windows of size {self.size} and stride {self.stride}, "
                "expected 1 <= stride <= size: change one of them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionWeights:
    """Weights of what speaks for a candidate; `relik train retriever` fits them.

    The score of a candidate is the logistic function of
    `bias + dense_weight * cosine + popularity_weight * log1p(links)`, and where a name of the
    record stands in the window `+ exact_weight + prior_weight * log_prior`, with
    `+ partial_weight`, `+ nested_weight`, `+ known_weight` where these hold.

    Args:
        dense_weight: Weight of the cosine of window and record.
        exact_weight: Weight of a name or alias that stands in the window.
        prior_weight: Weight of the log share of uses of that name that mean this record.
        partial_weight: Added for a name that is only a part of the record's name (a surname).
        nested_weight: Added for a name that stands inside a longer one.
        known_weight: Added where the document has the record's full name elsewhere.
        popularity_weight: Weight of the log of the links to the record in the training text.
        bias: Added to the weighted sum.
        rival_weight: Subtracted once per log1p of the better bearers of the same name, so that
            one name with many bearers does not crowd out the others.
        leader_weight: Added for the best bearer of a name, if the name is whole and not nested:
            what a text calls by name is proposed, however little the encoder makes of it.
    """

    dense_weight: float = 8.0
    exact_weight: float = 3.0
    prior_weight: float = 1.0
    partial_weight: float = -1.0
    nested_weight: float = -2.0
    known_weight: float = 1.5
    popularity_weight: float = 0.2
    bias: float = -4.0
    rival_weight: float = 0.0
    leader_weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverConfig:
    """How candidates are found and ranked.

    Args:
        entity_top_k: Entity candidates per window.
        relation_top_k: Relation candidates per window.
        fusion: Fitted weights of cosines, names and counts.
    """

    entity_top_k: Positive = 32
    relation_top_k: Positive = 16
    fusion: FusionWeights = field(default_factory=FusionWeights)

    def dense_only(self) -> "RetrieverConfig":
        """Rank candidates by their cosine with the window alone."""
        kept = ("dense_weight", "bias")
        zeros = {
            each.name: 0.0 for each in dataclasses.fields(FusionWeights) if each.name not in kept
        }
        return dataclasses.replace(self, fusion=dataclasses.replace(self.fusion, **zeros))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """How windows are read and decoded.

    Args:
        max_tokens: Tokens of text and candidates in one forward pass; at most the positions
            of the backbone.
        batch_tokens: Padded tokens per batch.
        threshold: Least calibrated score of a span that is returned, 0..1.
        relation_threshold: Least calibrated score of a triple that is returned, 0..1.
        max_spans: Most spans of a window that are paired for relations; the best are kept.
        least_candidate: Candidates of a lower score, 0..1, are not read, but for the first eight:
            what fills a list up costs time and lends doubt to what is plain. Where mentions are
            given all are read.
        look_again: A window is read once more with the bearers of the names of mentions that reach
            `threshold` and were linked to nothing because no candidate had these names.
        drop_nil: A span that is linked to nothing is no mention: where the candidates are all
            types that there are, and the reader was trained to refuse what has none.
        relations_per_pair: Most relations of one subject and one object, the best; 0 gives all that
            pass the threshold.
    """

    max_tokens: Positive = 512
    batch_tokens: Positive = 4096
    threshold: Share = 0.5
    relation_threshold: Share = 0.5
    max_spans: Positive = 32
    least_candidate: Share = 0.0
    look_again: bool = False
    drop_nil: bool = False
    relations_per_pair: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesConfig:
    """The rules and priors that are applied to what the model of the reader scores.

    Args:
        prior_weight: Weight of the log share of uses of a mention's surface form that mean a
            candidate, added to the link logits; 0 leaves it out.
        given_prior_factor: Multiplies `prior_weight` where mentions are given: dates and common
            words come too, about which a reader of names knows less than what has their name.
        counted_prior_factor: The same over an index whose names were counted in linked text of the
            user's own (`relik index build --linked-text`): what a name means there is known better.
        term_prior_factor: Multiplies `prior_weight` over an index built for names in any case, as
            of a list of diseases.
        nil_weight: Added to the link logit of NIL; below 0 more mentions are linked.
        unnamed_nil_weight: Added to it besides where no candidate has the mention as a name: texts
            are full of what no knowledge base has, and what it has mostly goes by a known name.
        term_weight: Over an index built for names in any case: added to the log-odds of a span that
            has a name of the record it means; 0 reads such an index as any other.
        unnamed_weight: Taken there from the log-odds of a span that has no name of the record it
            means.
        whole_names: Where a text has the whole name of a record around a mention, such as American
            football around American, the name is the mention if the reader links it so.
        skip_initials: An article or an initial alone is no mention, though a record has such a
            name: "A new bridge", "J. Smith".
        skip_titles: A title alone is no mention where a name follows: "President Macron".
        places_apart: "Dearborn, Michigan" is two mentions where a record has such a name and the
            knowledge base knows each part alone.
        join_overlaps: Of spans that overlap and mean the same, such as "The Beatles" and "Beatles",
            the best has the probability of all: only one can stand, and that one does is surer.
        apart_weight: Taken from the log-odds of a triple whose ends stand in different sentences.
        adjective_scope: The adjective of a place is related to what its phrase or its sentence is
            about alone: "a German chemist, born in Paris" places nothing in Germany.
        functional: Ids of relations of which a subject has one object, such as a place of birth:
            the best is given.
        inverse_functional: Ids of relations of which an object has one subject.
    """

    prior_weight: Weight = 0.8
    given_prior_factor: Weight = 1.5
    counted_prior_factor: Weight = 2.5
    term_prior_factor: Weight = 4.0
    nil_weight: float = 0.0
    unnamed_nil_weight: float = 0.0
    term_weight: Weight = 0.0
    unnamed_weight: Weight = 0.0
    whole_names: bool = False
    skip_initials: bool = False
    skip_titles: bool = False
    places_apart: bool = False
    join_overlaps: bool = False
    apart_weight: Weight = 0.0
    adjective_scope: bool = False
    functional: tuple[str, ...] = ()
    inverse_functional: tuple[str, ...] = ()

    def for_language(self, code: str) -> "RulesConfig":
        """Return the rules for names of a language: those of English words hold for English alone.

        Args:
            code: ISO 639, such as "en".
        """
        if code == "en":
            return self
        return dataclasses.replace(
            self,
            skip_initials=False,
            skip_titles=False,
            places_apart=False,
            adjective_scope=False,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationConfig:
    """Platt scaling of raw log-odds: `sigmoid(scale * logit(raw) + shift)` (Platt 1999).

    Args:
        span_scale: Scale for spans.
        span_shift: Shift for spans.
        triple_scale: Scale for triples.
        triple_shift: Shift for triples.
        triple_ends: Weight of the log probabilities of both ends beside a triple's raw log-odds,
            not negative: a triple holds only where both ends are what they are said to be.
    """

    span_scale: float = 1.0
    span_shift: float = 0.0
    triple_scale: float = 1.0
    triple_shift: float = 0.0
    triple_ends: Weight = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """Everything `pipeline.toml` says.

    Args:
        model: Name of the model, given back in every answer.
        windows: How a document is split.
        retriever: How candidates are found.
        reader: How windows are read.
        rules: What is applied to the scores of the reader's model.
        calibration: How raw scores become probabilities.
    """

    model: str = "unnamed"
    windows: WindowConfig = field(default_factory=WindowConfig)
    retriever: RetrieverConfig = field(default_factory=RetrieverConfig)
    reader: ReaderConfig = field(default_factory=ReaderConfig)
    rules: RulesConfig = field(default_factory=RulesConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)


# Until 0.11 the fields of each class stood in the first table; now they stand in the second.
_MOVED: tuple[tuple[str, tuple[str, ...], type], ...] = (
    ("reader", ("rules",), RulesConfig),
    ("retriever", ("retriever", "fusion"), FusionWeights),
)


def read_pipeline(path: Path) -> PipelineConfig:
    """Read a `pipeline.toml`, also one of before 0.12.

    Raises:
        ConfigError: The file is missing, is not TOML, or has wrong settings.
    """
    file = open_toml(path)
    translate(file)
    return file.read(PipelineConfig)


def translate(file: TomlFile) -> None:
    """Put the settings of a `pipeline.toml` of before 0.12 into the tables of today.

    Raises:
        ConfigError: A setting stands in its old table and in its new one.
    """
    for old, new, kind in _MOVED:
        for each in dataclasses.fields(kind):
            file.move((old, each.name), (*new, each.name))
    # Nothing has read it: how much of a window is read is the encoder's own setting.
    retriever = file.values.get("retriever")
    if isinstance(retriever, dict):
        retriever.pop("max_tokens", None)


def changed(config: PipelineConfig, table: Mapping[str, object], *, where: str) -> PipelineConfig:
    """Put some settings in the place of others.

    Args:
        config: All settings.
        table: Some, in tables as `pipeline.toml` has them.
        where: Names the table in messages.

    Raises:
        ConfigError: A setting is wrong, or two do not go together.
    """
    return from_mapping(PipelineConfig, _merged(dataclasses.asdict(config), table), where=where)


def _merged(values: dict[str, Any], table: Mapping[str, object]) -> dict[str, Any]:
    return values | {
        name: _merged(values[name], value)
        if isinstance(value, Mapping) and isinstance(values.get(name), dict)
        else value
        for name, value in table.items()
    }
