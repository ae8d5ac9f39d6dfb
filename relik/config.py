"""Settings of a bundle, as frozen dataclasses read from TOML.

Unknown keys are refused with the nearest valid name; nothing is read from the environment.
"""

import copy
import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from relik.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """How a document is split.

    Args:
        size: Words per window.
        stride: Words from the start of one window to the start of the next; at most `size`.
        max_names: A window with more capitalised names is cut in halves that overlap as windows
            do, so that lists and tables get candidates for all of theirs; 0 cuts none.
    """

    size: int = 64
    stride: int = 56
    max_names: int = 0

    def __post_init__(self) -> None:
        if self.max_names < 0:
            raise ConfigError(
                f"got max_names {self.max_names}, expected at least 0: change pipeline.toml "
                "[windows]"
            )
        if not 1 <= self.stride <= self.size:
            raise ConfigError(
                f"got windows of size {self.size} and stride {self.stride}, "
                "expected 1 <= stride <= size: change pipeline.toml [windows]"
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
        max_tokens: Tokens of a window that the query encoder reads.
        fusion: Fitted weights of cosines, names and counts.
    """

    entity_top_k: int = 32
    relation_top_k: int = 16
    max_tokens: int = 192
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

    max_tokens: int = 512
    batch_tokens: int = 4096
    threshold: float = 0.5
    relation_threshold: float = 0.5
    max_spans: int = 32
    least_candidate: float = 0.0
    look_again: bool = False
    drop_nil: bool = False
    relations_per_pair: int = 0

    def __post_init__(self) -> None:
        if self.relations_per_pair < 0:
            raise ConfigError(
                f"got relations_per_pair {self.relations_per_pair}, expected at least 0, which "
                "gives all: change pipeline.toml [reader]"
            )


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

    prior_weight: float = 0.8
    given_prior_factor: float = 1.5
    counted_prior_factor: float = 2.5
    term_prior_factor: float = 4.0
    nil_weight: float = 0.0
    unnamed_nil_weight: float = 0.0
    term_weight: float = 0.0
    unnamed_weight: float = 0.0
    whole_names: bool = False
    skip_initials: bool = False
    skip_titles: bool = False
    places_apart: bool = False
    join_overlaps: bool = False
    apart_weight: float = 0.0
    adjective_scope: bool = False
    functional: tuple[str, ...] = ()
    inverse_functional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.apart_weight >= 0:
            raise ConfigError(
                f"got apart_weight {self.apart_weight}, expected at least 0, which asks no more of "
                "two sentences than of one: change pipeline.toml [rules]"
            )
        for name in ("functional", "inverse_functional"):
            wrong = [each for each in getattr(self, name) if not isinstance(each, str)]
            if wrong:
                raise ConfigError(
                    f"got {name} with {wrong[0]!r}, expected ids of relations as strings, such as "
                    '["P19"]: change pipeline.toml [rules]'
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
    triple_ends: float = 0.0


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


def translated(values: Mapping[str, object], *, where: str) -> dict[str, object]:
    """Put the settings of a `pipeline.toml` of before 0.12 into the tables of today.

    Args:
        values: Parsed file; one of today comes back as it is.
        where: What to call the file in messages.

    Raises:
        ConfigError: A setting stands in its old table and in its new one.
    """
    result = copy.deepcopy(dict(values))
    for old, path, kind in _MOVED:
        held = result.get(old)
        if not isinstance(held, dict):
            continue
        for name in (each.name for each in dataclasses.fields(kind) if each.name in held):
            table: dict[str, Any] = result
            for part in path:
                table = table.setdefault(part, {})
            if name in table:
                raise ConfigError(
                    f"{where}: got {name} in [{old}] and in [{'.'.join(path)}], expected it once: "
                    f"take it out of [{old}]"
                )
            table[name] = held.pop(name)
    return result


def read_pipeline(path: Path) -> PipelineConfig:
    """Read a `pipeline.toml`, also one of before 0.12.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    return from_mapping(PipelineConfig, translated(_parsed(path), where=str(path)), where=str(path))


def from_mapping(kind: type[T], values: Mapping[str, object], *, where: str) -> T:
    """Build a settings dataclass from parsed TOML.

    Args:
        kind: A dataclass whose fields are scalars, lists, dicts or dataclasses of the same sort.
        values: Parsed table.
        where: What to call the table in messages.

    Returns:
        An instance, defaults filled in.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]  # T is a dataclass by contract
    unknown = next((key for key in values if key not in fields), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(fields)}"
        raise ConfigError(f"{where}: got the unknown setting {unknown!r}, {hint}")
    defaults = {name: _default(f) for name, f in fields.items()}
    ready: dict[str, object] = {}
    for key, value in values.items():
        default = defaults[key]
        if dataclasses.is_dataclass(default) and isinstance(value, Mapping):
            ready[key] = from_mapping(type(default), value, where=f"{where} [{key}]")
        else:
            ready[key] = _checked(value, default, where=f"{where} {key}")
    return kind(**ready)


def read_toml(kind: type[T], path: Path) -> T:
    """Read a settings dataclass from a TOML file.

    Args:
        kind: The dataclass, as for `from_mapping`.
        path: The file.

    Returns:
        An instance, defaults filled in.

    Raises:
        ConfigError: The file is missing, is not TOML, or has a wrong setting.
    """
    return from_mapping(kind, _parsed(path), where=str(path))


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error}): correct it") from error


def _default(f: "dataclasses.Field[object]") -> object:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return None if f.default is dataclasses.MISSING else f.default


def _checked(value: object, default: object, *, where: str) -> object:
    if default is None:
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if type(value) is not type(default):
        raise ConfigError(
            f"{where}: got {value!r}, expected a value of type {type(default).__name__}"
        )
    return value
