"""Labels of the reader: starts, ends, links and relations, and negative spans and pairs."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
import torch

from relik.reader.inputs import ReaderInput, TextTokens
from relik.types import Span
from relik_training.data.examples import Example
from relik_training.recipes.reader_settings import ReaderSampling

_MAX_WORDS = 6
_MAX_SHIFT = 2

IGNORED = -100
NIL_CLASS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTargets:
    """Labels of a batch; tokens are positions in a row.

    Args:
        starts: Int64, (batch, n_tokens), 1 at the start of a span, `IGNORED` where unknown.
        rows: Int64, (n_spans,).
        first: Int64, (n_spans,), first token.
        last: Int64, (n_spans,), last token.
        links: Int64, (n_spans,), class of the entity, `IGNORED` where not annotated.
        subjects: Int64, (n_pairs,), indices of spans, and after these of negative spans.
        objects: Int64, (n_pairs,), likewise.
        relations: Int64, (n_pairs, n_relations), 1 where the relation holds.
        weights: Float32, (n_pairs, n_relations), 0 on padding and for doubtful triples.
        end_mask: Bool, (batch, n_tokens), True where a span may end.
        wrong: Int64, (n_wrong, 3), row, first and last token of negative spans.
    """

    starts: torch.Tensor
    rows: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    links: torch.Tensor
    subjects: torch.Tensor
    objects: torch.Tensor
    relations: torch.Tensor
    weights: torch.Tensor
    end_mask: torch.Tensor
    wrong: torch.Tensor = field(default_factory=lambda: torch.zeros((0, 3), dtype=torch.int64))


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """A window with its candidates.

    Args:
        built: The row as the reader gets it.
        entity_ids: Entity candidates; the row may have room only for the first of them.
        relation_ids: Relation candidates, likewise.
    """

    example: Example
    text: TextTokens
    built: ReaderInput
    entity_ids: list[str]
    relation_ids: list[str]


def targets_of(
    rows: Sequence[ReaderRow], sampling: ReaderSampling, rng: np.random.Generator
) -> ReaderTargets:
    """Make the labels of a batch.

    Args:
        rng: Draws negative spans.
    """
    width = max(len(row.built.ids) for row in rows)
    n_relations = max(len(row.built.relation_positions) for row in rows)
    starts = np.full((len(rows), width), IGNORED, dtype=np.int64)
    end_mask = np.zeros((len(rows), width), dtype=bool)
    spans: list[tuple[int, int, int, int]] = []
    wrong: list[tuple[int, int, int]] = []
    pairs: list[tuple[tuple[int, int], np.ndarray, np.ndarray]] = []
    for number, row in enumerate(rows):
        starts[number, 1 : row.built.n_text + 1] = _start_labels(row)
        end_mask[number, 1 : row.built.n_text + 1] = row.text.ends_word
        first_span = len(spans)
        span_index: dict[int, int] = {}
        for index, (start, end, link) in _span_labels(row).items():
            span_index[index] = len(spans)
            spans.append((number, start, end, link))
        # With unknown spans in a window, no span is a sure negative.
        if sampling.wrong_spans and not row.example.unknown:
            right = {(first - 1, last - 1) for _, first, last, _ in spans[first_span:]}
            drawn = wrong_spans(row.text, right, sampling.wrong_spans, rng)
            wrong += [(number, first + 1, last + 1) for first, last in drawn]
        if row.example.relations != "none":
            row_spans = range(first_span, len(spans))
            for pair in permutations(row_spans, 2):
                pairs.append((pair, *_pair_labels(row, span_index, pair, n_relations, sampling)))
    if sampling.wrong_pairs:
        pairs += _negative_pairs(rows, [s[0] for s in spans], [w[0] for w in wrong], sampling)
    span_rows, first, last, links = torch.tensor(spans).long().reshape(-1, 4).T.contiguous()
    subjects, objects = (
        torch.tensor([pair for pair, _, _ in pairs]).long().reshape(-1, 2).T.contiguous()
    )
    return ReaderTargets(
        starts=torch.from_numpy(starts),
        rows=span_rows,
        first=first,
        last=last,
        links=links,
        subjects=subjects,
        objects=objects,
        relations=torch.from_numpy(
            np.array([labels for _, labels, _ in pairs], dtype=np.int64).reshape(
                len(pairs), n_relations
            )
        ),
        weights=torch.from_numpy(
            np.array([w for _, _, w in pairs], dtype=np.float32).reshape(len(pairs), n_relations)
        ),
        end_mask=torch.from_numpy(end_mask),
        wrong=torch.tensor(wrong).long().reshape(-1, 3),
    )


def wrong_spans(
    text: TextTokens,
    mentions: Collection[tuple[int, int]],
    number: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Draw negative spans: whole words that are not a mention.

    Half of the draws shift a boundary of a mention; the others are random.

    Args:
        mentions: First and last token of each mention.
        number: Number of draws; mentions and repetitions are dropped, so that fewer may remain.

    Returns:
        First and last token of each span, sorted.
    """
    begins = np.flatnonzero(text.begins_word)
    ends = np.flatnonzero(text.ends_word)
    # A word that the edge of the window cuts has a beginning or an end only.
    n_words = min(len(begins), len(ends))
    if not n_words:
        return []
    words = [
        (int(np.searchsorted(begins, first)), int(np.searchsorted(ends, last)))
        for first, last in sorted(mentions)
    ]
    drawn = set()
    for draw in range(number):
        if words and draw % 2:
            first, last = _shift_boundary(words[int(rng.integers(len(words)))], rng)
        else:
            first = int(rng.integers(n_words))
            last = first + int(rng.integers(_MAX_WORDS))
        if 0 <= first <= last < n_words:
            drawn.add((int(begins[first]), int(ends[last])))
    return sorted(span for span in drawn - set(mentions) if span[0] <= span[1])


def wrong_pairs(mentions: Sequence[int], wrong: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Pair each negative span with the mentions of its row, in both directions.

    Args:
        mentions: Row of each mention.
        wrong: Row of each negative span; their numbers follow those of the mentions.

    Yields:
        Number of the subject, number of the object, and row.
    """
    for k, row in enumerate(wrong, len(mentions)):
        for i, row_spans in enumerate(mentions):
            if row_spans == row:
                yield i, k, row
                yield k, i, row


def _shift_boundary(word: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Shift one boundary of a mention by up to two words."""
    moved = list(word)
    moved[int(rng.integers(2))] += int(rng.choice([-1, 1])) * int(rng.integers(1, _MAX_SHIFT + 1))
    return moved[0], moved[1]


def _negative_pairs(
    rows: Sequence[ReaderRow], spans: list[int], wrong: list[int], sampling: ReaderSampling
) -> Iterator[tuple[tuple[int, int], np.ndarray, np.ndarray]]:
    """Yield pairs of a mention and a negative span, with labels and weights."""
    n_relations = max(len(row.built.relation_positions) for row in rows)
    for subject, object_, number in wrong_pairs(spans, wrong):
        known = np.arange(n_relations) < len(rows[number].built.relation_positions)
        none = np.zeros(n_relations, dtype=np.int64)
        yield (subject, object_), none, sampling.wrong_pairs * known


def _token_range(text: TextTokens, span: Span) -> tuple[int, int] | None:
    """Return the first and last token of a span, or None if it splits a word."""
    first = np.flatnonzero((text.starts == span.start) & text.begins_word)
    last = np.flatnonzero((text.ends == span.end) & text.ends_word)
    if len(first) and len(last) and last[-1] >= first[0]:
        return int(first[0]), int(last[-1])
    return None


def _start_labels(row: ReaderRow) -> np.ndarray:
    labels = np.where(row.text.begins_word, 0, IGNORED)
    for span in row.example.unknown:
        labels[(row.text.starts < span.end) & (row.text.ends > span.start)] = IGNORED
    for mention in row.example.mentions:
        inside = (row.text.starts < mention.span.end) & (row.text.ends > mention.span.start)
        labels[inside] = np.where(row.text.begins_word[inside], 0, IGNORED)
        token_range = _token_range(row.text, mention.span)
        if token_range is None:
            labels[inside] = IGNORED
        else:
            labels[token_range[0]] = 1
    return labels


def _span_labels(row: ReaderRow) -> dict[int, tuple[int, int, int]]:
    """Return first token, last token and class of each mention of whole words, by its index."""
    n_entities = len(row.built.entity_positions) - 2
    classes = {key: 2 + k for k, key in enumerate(row.entity_ids[:n_entities])}
    found = {}
    for index, mention in enumerate(row.example.mentions):
        token_range = _token_range(row.text, mention.span)
        if token_range is None:
            continue
        linked = classes.get(mention.entity_id or "", NIL_CLASS)
        link = IGNORED if mention.entity_id == "" else linked
        found[index] = (token_range[0] + 1, token_range[1] + 1, link)
    return found


def _pair_labels(
    row: ReaderRow,
    span_index: dict[int, int],
    pair: tuple[int, int],
    n_relations: int,
    sampling: ReaderSampling,
) -> tuple[np.ndarray, np.ndarray]:
    known = len(row.built.relation_positions)
    column = {key: k for k, key in enumerate(row.relation_ids[:known])}

    def columns(triples: Iterable[tuple[int, str, int]]) -> list[int]:
        return [
            column[relation]
            for subject, relation, obj in triples
            if (span_index.get(subject), span_index.get(obj)) == pair and relation in column
        ]

    label = np.zeros(n_relations, dtype=np.int64)
    label[columns(row.example.triples)] = 1
    weight = np.zeros(n_relations, dtype=np.float32)
    is_annotated = row.example.relations == "all" or label.any()
    weight[:known] = 1.0 if is_annotated else sampling.unlabelled_weight
    weight[columns(row.example.doubtful)] = 0.0
    return label, weight
