"""Rows, candidates and labels for the reader, made the way serving makes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer

from relik.kb import KnowledgeBase
from relik.reader.inputs import (
    TEXT,
    UPPERCASE,
    MarkerLayout,
    ReaderArrays,
    ReaderInput,
    TextTokens,
    build_input,
    pad_inputs,
    tokenise_text,
)
from relik.types import IntArray, Span
from relik_training.candidates import SharedRetriever, find_candidates
from relik_training.difficulty import difficulty
from relik_training.examples import Example
from relik_training.reader_settings import ReaderSampling
from relik_training.typos import mistyped
from relik_training.wrong_spans import wrong_spans

IGNORED = -100
NIL_CLASS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTargets:
    """Labels of a batch, in row positions.

    Args:
        starts: Int64, (batch, n_tokens), 1 where a span starts, `IGNORED` where unknown.
        rows: Int64, (n_spans,).
        first: Int64, (n_spans,), first token.
        last: Int64, (n_spans,), last token.
        links: Int64, (n_spans,), class, `IGNORED` where not annotated.
        subjects: Int64, (n_pairs,), into the spans.
        objects: Int64, (n_pairs,), into the spans.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderBatch:
    """A batch with its labels.

    Args:
        arrays: Tokens and markers.
        targets: Labels.
        step: Step of the run, seeds dropout.
        rows: What the rows are made of, for a teacher to read.
    """

    arrays: ReaderArrays
    targets: ReaderTargets
    step: int
    rows: tuple["ReaderRow", ...] = ()


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


class ReaderData:
    """Makes the batch of a step.

    Args:
        examples: Windows with labels; those whose text does not fit are left out.
        tokenizer: Subwords.
        layout: Marker ids.
        entities: Knowledge base of entities and its retriever.
        relations: Knowledge base of relations and its retriever.
        sampling: How candidates are drawn.
        cache: File to keep the candidates of the windows in, for a run that is resumed.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        tokenizer: Tokenizer,
        layout: MarkerLayout,
        entities: tuple[KnowledgeBase, SharedRetriever],
        relations: tuple[KnowledgeBase, SharedRetriever],
        sampling: ReaderSampling,
        cache: Path | None = None,
    ) -> None:
        self._layout, self._tokenizer = layout, tokenizer
        self._entities, self._relations = entities[0], relations[0]
        self._sampling = sampling
        self._examples: list[Example] = []
        self._texts: list[TextTokens] = []
        for first in range(0, len(examples), 1024):
            part = examples[first : first + 1024]
            encodings = tokenizer.encode_batch([e.text for e in part], add_special_tokens=False)
            for example, encoding in zip(part, encodings, strict=True):
                if 0 < len(encoding.ids) <= sampling.max_tokens // 2:
                    self._examples.append(example)
                    self._texts.append(self._tokens_of(example.text, encoding))
        self._found = find_candidates(
            self._examples,
            entities=entities,
            relations=relations,
            top_k=(max(sampling.entity_candidates), max(sampling.relation_candidates)),
            cache=cache,
        )

    @property
    def lengths(self) -> list[int]:
        """Return the tokens of text of each window; relation windows count a little more."""
        return [
            len(text.ids) + (60 if example.relations != "none" else 0)
            for text, example in zip(self._texts, self._examples, strict=True)
        ]

    @property
    def repeats(self) -> list[int]:
        """Return how often each window comes in an epoch."""
        return [example.repeat for example in self._examples]

    @property
    def documents(self) -> list[str]:
        """Return the document of each window."""
        return [example.doc_id for example in self._examples]

    @property
    def difficulties(self) -> list[float]:
        """Return how hard each window is to link, 0..1."""
        return [difficulty(example, self._entities) for example in self._examples]

    def batch(self, chosen: Sequence[int], step: int) -> ReaderBatch:
        """Make the batch of a step.

        Args:
            chosen: Positions of the windows.
            step: Step of the run.

        Returns:
            The batch.
        """
        rng = np.random.default_rng([self._sampling.seed, step])
        n_entities = int(rng.choice(self._sampling.entity_candidates))
        n_relations = int(rng.choice(self._sampling.relation_candidates))
        rows = []
        for number, i in enumerate(chosen):
            example, text = self._mistyped(i, [step, number])
            entity_ids = self._entity_candidates(
                example, _ids(self._entities, self._found.entities[i]), n_entities, rng
            )
            relation_ids = self._relation_candidates(
                example, _ids(self._relations, self._found.relations[i]), n_relations, rng
            )
            text = self._noisy(text, rng)
            built = build_input(
                text,
                [self._tokens(self._entities, key) for key in entity_ids],
                [self._tokens(self._relations, key) for key in relation_ids],
                self._layout,
                max_tokens=self._sampling.max_tokens,
            )
            rows.append(ReaderRow(example, text, built, entity_ids, relation_ids))
        return ReaderBatch(
            arrays=pad_inputs([row.built for row in rows]),
            targets=_targets(rows, self._sampling, rng),
            step=step,
            rows=tuple(rows),
        )

    def _tokens(self, kb: KnowledgeBase, key: str) -> np.ndarray:
        row = kb.row_of(key)
        if row is None:
            raise KeyError(key)
        return kb.token_ids(row)

    def _mistyped(self, i: int, where: list[int]) -> tuple[Example, TextTokens]:
        example, text, sampling = self._examples[i], self._texts[i], self._sampling
        if not sampling.typos:
            return example, text
        # Draws of its own: candidates are drawn as without typos.
        rng = np.random.default_rng([sampling.seed, *where])
        if rng.random() >= sampling.typos:
            return example, text
        changed = mistyped(example, sampling.typo_words, rng)
        encoding = self._tokenizer.encode(changed.text, add_special_tokens=False)
        # A mistyped word has more tokens: the window may no longer fit.
        if len(encoding.ids) > sampling.max_tokens // 2:
            return example, text
        return changed, self._tokens_of(changed.text, encoding)

    def _tokens_of(self, text: str, encoding: Encoding) -> TextTokens:
        return tokenise_text(text, encoding, pretokenised=self._sampling.pretokenised)

    def _noisy(self, text: TextTokens, rng: np.random.Generator) -> TextTokens:
        draw = rng.random()
        if draw >= 2 * self._sampling.case_noise:
            return text
        case = UPPERCASE if draw < self._sampling.case_noise else TEXT
        return TextTokens(
            ids=text.ids,
            types=np.full_like(text.types, case),
            starts=text.starts,
            ends=text.ends,
            begins_word=text.begins_word,
            ends_word=text.ends_word,
        )

    def _entity_candidates(
        self, example: Example, found: list[str], wanted: int, rng: np.random.Generator
    ) -> list[str]:
        sampling = self._sampling
        found = found[:wanted]
        gold = sorted({m.entity_id for m in example.mentions if m.entity_id})
        gold = [key for key in gold if key in self._entities]
        dropped = {key for key in gold if rng.random() < sampling.gold_drop}
        kept = [key for key in found if key not in dropped]
        for key in gold:
            if key not in found and key not in dropped and rng.random() < sampling.gold_insert:
                # Where it would have stood is unknown: anywhere in the weaker half.
                half = len(kept) // 2
                kept.insert(int(rng.integers(half, len(kept) + 1)), key)
        kept = kept[: wanted + 4]
        if rng.random() < sampling.shuffle:
            kept = [kept[i] for i in rng.permutation(len(kept))]
        return kept

    def _relation_candidates(
        self, example: Example, found: list[str], wanted: int, rng: np.random.Generator
    ) -> list[str]:
        if example.relations == "none":
            return []
        if self._sampling.given:
            return found[:wanted]
        gold = sorted({r for _, r, _ in example.triples if r in self._relations})
        others = [key for key in found if key not in gold]
        room = max(wanted - len(gold), 2)
        kept = gold + others[:room]
        return [kept[i] for i in rng.permutation(len(kept))]


def _ids(kb: KnowledgeBase, rows: IntArray) -> list[str]:
    return [kb.entity_id(int(row)) for row in rows if row >= 0]


def _targets(
    rows: list[ReaderRow], sampling: ReaderSampling, rng: np.random.Generator
) -> ReaderTargets:
    width = max(len(row.built.ids) for row in rows)
    n_relations = max(len(row.built.relation_positions) for row in rows)
    starts = np.full((len(rows), width), IGNORED, dtype=np.int64)
    end_mask = np.zeros((len(rows), width), dtype=bool)
    spans: list[tuple[int, int, int, int]] = []
    wrong: list[tuple[int, int, int]] = []
    pairs: list[tuple[int, int]] = []
    labels: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for number, row in enumerate(rows):
        starts[number, 1 : row.built.n_text + 1] = _start_labels(row)
        end_mask[number, 1 : row.built.n_text + 1] = row.text.ends_word
        first_span = len(spans)
        placed: dict[int, int] = {}
        for index, (start, end, link) in _span_labels(row).items():
            placed[index] = len(spans)
            spans.append((number, start, end, link))
        if sampling.wrong_spans:
            right = {(first - 1, last - 1) for _, first, last, _ in spans[first_span:]}
            drawn = wrong_spans(row.text, right, sampling.wrong_spans, rng)
            wrong += [(number, first + 1, last + 1) for first, last in drawn]
        if row.example.relations == "none":
            continue
        for subject in range(first_span, len(spans)):
            for obj in range(first_span, len(spans)):
                if subject != obj:
                    pairs.append((subject, obj))
                    label, weight = _pair_labels(
                        row, placed, (subject, obj), n_relations, sampling.unlabelled_weight
                    )
                    labels.append(label)
                    weights.append(weight)
    columns = np.array(spans, dtype=np.int64).reshape(-1, 4).T
    pair_columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return ReaderTargets(
        starts=torch.from_numpy(starts),
        rows=torch.from_numpy(columns[0].copy()),
        first=torch.from_numpy(columns[1].copy()),
        last=torch.from_numpy(columns[2].copy()),
        links=torch.from_numpy(columns[3].copy()),
        subjects=torch.from_numpy(pair_columns[0].copy()),
        objects=torch.from_numpy(pair_columns[1].copy()),
        relations=torch.from_numpy(
            np.array(labels, dtype=np.int64).reshape(len(labels), n_relations)
        ),
        weights=torch.from_numpy(
            np.array(weights, dtype=np.float32).reshape(len(weights), n_relations)
        ),
        end_mask=torch.from_numpy(end_mask),
        wrong=torch.from_numpy(np.array(wrong, dtype=np.int64).reshape(-1, 3)),
    )


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
        if mention.entity_id == "":
            link = IGNORED
        else:
            link = classes.get(mention.entity_id or "", NIL_CLASS)
        found[index] = (place[0] + 1, place[1] + 1, link)
    return found


def _pair_labels(
    row: ReaderRow,
    placed: dict[int, int],
    pair: tuple[int, int],
    n_relations: int,
    unlabelled_weight: float,
) -> tuple[np.ndarray, np.ndarray]:
    known = len(row.built.relation_positions)
    column = {key: k for k, key in enumerate(row.relation_ids[:known])}
    label = np.zeros(n_relations, dtype=np.int64)
    for subject, relation, obj in row.example.triples:
        if (placed.get(subject), placed.get(obj)) == pair and relation in column:
            label[column[relation]] = 1
    weight = np.zeros(n_relations, dtype=np.float32)
    sure = row.example.relations == "all" or label.any()
    weight[:known] = 1.0 if sure else unlabelled_weight
    for subject, relation, obj in row.example.doubtful:
        if (placed.get(subject), placed.get(obj)) == pair and relation in column:
            weight[column[relation]] = 0.0
    return label, weight
