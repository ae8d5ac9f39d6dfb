"""Labels of the reader: which spans are mentions, what they mean, and what holds between them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from relik.reader.inputs import ReaderInput, TextTokens
from relik.types import Span
from relik_training.data.examples import Example
from relik_training.recipes.reader_settings import ReaderSampling

_LONGEST = 6
_MISSED = 2

IGNORED = -100
NIL_CLASS = 1


def wrong_spans(
    text: TextTokens,
    mentions: Collection[tuple[int, int]],
    number: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Draw spans of whole words that are not among the mentions.

    Args:
        text: Tokens of a window.
        mentions: First and last token of each mention, as positions in the text.
        number: How many are drawn; those that are mentions, or that were drawn before, are left
            out, so that fewer may come.
        rng: Where chance comes from.

    Returns:
        First and last token of each, by position.
    """
    begins = np.flatnonzero(text.begins_word)
    ends = np.flatnonzero(text.ends_word)
    # A word that is cut off at the edge of the window has one of the two only.
    n_words = min(len(begins), len(ends))
    if not n_words:
        return []
    words = [
        (int(np.searchsorted(begins, first)), int(np.searchsorted(ends, last)))
        for first, last in sorted(mentions)
    ]
    drawn = set()
    for turn in range(number):
        if words and turn % 2:
            first, last = _near(words[int(rng.integers(len(words)))], rng)
        else:
            first = int(rng.integers(n_words))
            last = first + int(rng.integers(_LONGEST))
        if 0 <= first <= last < n_words:
            drawn.add((int(begins[first]), int(ends[last])))
    return sorted(span for span in drawn - set(mentions) if span[0] <= span[1])


def wrong_pairs(mentions: Sequence[int], wrong: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Pair each span that is no mention with the mentions of its row, both ways.

    Args:
        mentions: Row of each mention.
        wrong: Row of each span that is none; these are numbered behind the mentions.

    Yields:
        Numbers of subject and object, and their row.
    """
    for k, row in enumerate(wrong, len(mentions)):
        for i, own in enumerate(mentions):
            if own == row:
                yield i, k, row
                yield k, i, row


def _near(word: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Move one boundary of a mention, in words."""
    moved = list(word)
    moved[int(rng.integers(2))] += int(rng.choice([-1, 1])) * int(rng.integers(1, _MISSED + 1))
    return moved[0], moved[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTargets:
    """Labels of a batch, in row positions.

    Args:
        starts: Int64, (batch, n_tokens), 1 where a span starts, `IGNORED` where unknown.
        rows: Int64, (n_spans,).
        first: Int64, (n_spans,), first token.
        last: Int64, (n_spans,), last token.
        links: Int64, (n_spans,), class, `IGNORED` where not annotated.
        subjects: Int64, (n_pairs,), into the spans, then those that are no mentions.
        objects: Int64, (n_pairs,), likewise.
        relations: Int64, (n_pairs, n_relations), 1 where the relation holds.
        weights: Float32, (n_pairs, n_relations), 0 on padding.
        end_mask: Bool, (batch, n_tokens), where a span may end.
        wrong: Int64, (n_wrong, 3), row, first and last token of spans that are no mentions.
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
        example: The window with its labels.
        text: Its tokens.
        built: The row.
        entity_ids: Entity candidates; the first of them fit into the row.
        relation_ids: Likewise relations.
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
        rows: Its windows.
        sampling: What is drawn beside what is annotated.
        rng: Where chance comes from.

    Returns:
        The labels.
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
        placed: dict[int, int] = {}
        for index, (start, end, link) in _span_labels(row).items():
            placed[index] = len(spans)
            spans.append((number, start, end, link))
        # Where anything may be a mention, nothing is known to be none.
        if sampling.wrong_spans and not row.example.unknown:
            right = {(first - 1, last - 1) for _, first, last, _ in spans[first_span:]}
            drawn = wrong_spans(row.text, right, sampling.wrong_spans, rng)
            wrong += [(number, first + 1, last + 1) for first, last in drawn]
        if row.example.relations != "none":
            own = range(first_span, len(spans))
            for pair in ((subject, obj) for subject in own for obj in own if subject != obj):
                pairs.append((pair, *_pair_labels(row, placed, pair, n_relations, sampling)))
    if sampling.wrong_pairs:
        pairs += _refused(rows, [s[0] for s in spans], [w[0] for w in wrong], sampling)
    columns = np.array(spans, dtype=np.int64).reshape(-1, 4).T
    pair_columns = np.array([pair for pair, _, _ in pairs], dtype=np.int64).reshape(-1, 2).T
    return ReaderTargets(
        starts=torch.from_numpy(starts),
        rows=torch.from_numpy(columns[0].copy()),
        first=torch.from_numpy(columns[1].copy()),
        last=torch.from_numpy(columns[2].copy()),
        links=torch.from_numpy(columns[3].copy()),
        subjects=torch.from_numpy(pair_columns[0].copy()),
        objects=torch.from_numpy(pair_columns[1].copy()),
        relations=torch.from_numpy(
            np.array([held for _, held, _ in pairs], dtype=np.int64).reshape(
                len(pairs), n_relations
            )
        ),
        weights=torch.from_numpy(
            np.array([w for _, _, w in pairs], dtype=np.float32).reshape(len(pairs), n_relations)
        ),
        end_mask=torch.from_numpy(end_mask),
        wrong=torch.from_numpy(np.array(wrong, dtype=np.int64).reshape(-1, 3)),
    )


def _refused(
    rows: Sequence[ReaderRow], spans: list[int], wrong: list[int], sampling: ReaderSampling
) -> Iterator[tuple[tuple[int, int], np.ndarray, np.ndarray]]:
    """Give pairs with a span that is no mention, by the rows of both, with labels and weights."""
    n_relations = max(len(row.built.relation_positions) for row in rows)
    for subject, object_, number in wrong_pairs(spans, wrong):
        known = np.arange(n_relations) < len(rows[number].built.relation_positions)
        none = np.zeros(n_relations, dtype=np.int64)
        yield (subject, object_), none, sampling.wrong_pairs * known


def _place(text: TextTokens, span: Span) -> tuple[int, int] | None:
    """Find the first and last token of a span, or None where it cuts a word."""
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
        place = _place(row.text, mention.span)
        if place is None:
            labels[inside] = IGNORED
        else:
            labels[place[0]] = 1
    return labels


def _span_labels(row: ReaderRow) -> dict[int, tuple[int, int, int]]:
    """Give first token, last token and class of each mention that falls on word boundaries."""
    n_entities = len(row.built.entity_positions) - 2
    classes = {key: 2 + k for k, key in enumerate(row.entity_ids[:n_entities])}
    found = {}
    for index, mention in enumerate(row.example.mentions):
        place = _place(row.text, mention.span)
        if place is None:
            continue
        linked = classes.get(mention.entity_id or "", NIL_CLASS)
        link = IGNORED if mention.entity_id == "" else linked
        found[index] = (place[0] + 1, place[1] + 1, link)
    return found


def _pair_labels(
    row: ReaderRow,
    placed: dict[int, int],
    pair: tuple[int, int],
    n_relations: int,
    sampling: ReaderSampling,
) -> tuple[np.ndarray, np.ndarray]:
    known = len(row.built.relation_positions)
    column = {key: k for k, key in enumerate(row.relation_ids[:known])}
    label = np.zeros(n_relations, dtype=np.int64)
    for subject, relation, obj in row.example.triples:
        if (placed.get(subject), placed.get(obj)) == pair and relation in column:
            label[column[relation]] = 1
    weight = np.zeros(n_relations, dtype=np.float32)
    sure = row.example.relations == "all" or label.any()
    weight[:known] = 1.0 if sure else sampling.unlabelled_weight
    for subject, relation, obj in row.example.doubtful:
        if (placed.get(subject), placed.get(obj)) == pair and relation in column:
            weight[column[relation]] = 0.0
    return label, weight
