"""Training batches of the reader: rows, candidates and labels, built as in serving."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from relik.kb import KnowledgeBase
from relik.names.normalise import normalise
from relik.reader.inputs import (
    TEXT,
    UPPERCASE,
    MarkerLayout,
    ReaderArrays,
    TextTokens,
    build_input,
    pad_inputs,
    tokenise_text,
)
from relik.text import TextTokenizer
from relik.types import IntArray
from relik_training.augment.edits import mistyped
from relik_training.data.candidates import CandidateSource, Opener, find_candidates
from relik_training.data.examples import Example
from relik_training.data.statements import Mention
from relik_training.reader.reader_targets import ReaderRow, ReaderTargets, targets_of
from relik_training.recipes.reader_settings import ReaderSampling


def difficulty(example: Example, kb: KnowledgeBase) -> float:
    """Return the ambiguity of a window: the mean over mentions of 1 - prior of the gold entity.

    Args:
        kb: Knowledge base with counts.

    Returns:
        0..1; 0 for a window without linked and NIL mentions.
    """
    ambiguities = [
        1.0 - _share(example.surface(m), m, kb) for m in example.mentions if m.entity_id != ""
    ]
    return sum(ambiguities) / len(ambiguities) if ambiguities else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderBatch:
    """A batch with its labels.

    Args:
        arrays: Tokens and markers.
        step: Step of the run, which seeds dropout.
        rows: Content of the rows, for a teacher.
    """

    arrays: ReaderArrays
    targets: ReaderTargets
    step: int
    rows: tuple[ReaderRow, ...] = ()


class ReaderData:
    """Makes the batch of a step.

    Args:
        examples: Windows with labels; those with more than half of `max_tokens` are left out.
        source: Knowledge view and its retriever.
        cache: File for the candidates of the windows, for a resumed run.
        opener: Opens the source in worker processes (`find_candidates`).
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        tokenizer: Tokenizer,
        layout: MarkerLayout,
        source: CandidateSource,
        sampling: ReaderSampling,
        cache: Path | None = None,
        opener: Opener | None = None,
    ) -> None:
        self._layout, self._tokenizer = layout, TextTokenizer(tokenizer)
        self._entities, self._relations = source.view.entities, source.view.relations
        self._sampling = sampling
        self._examples: list[Example] = []
        self._texts: list[TextTokens] = []
        for first in range(0, len(examples), 1024):
            part = examples[first : first + 1024]
            encodings = self._tokenizer.tokenise([e.text for e in part])
            for example, encoding in zip(part, encodings, strict=True):
                if 0 < len(encoding.ids) <= sampling.max_tokens // 2:
                    self._examples.append(example)
                    self._texts.append(self._tokens_of(example.text, encoding))
        # A surcharge for relations.
        self.lengths = [
            len(text.ids) + (60 if example.relations != "none" else 0)
            for text, example in zip(self._texts, self._examples, strict=True)
        ]
        self.repeats = [example.repeat for example in self._examples]
        self.documents = [example.doc_id for example in self._examples]
        self._found = find_candidates(
            self._examples,
            source,
            top_k=(max(sampling.entity_candidates), max(sampling.relation_candidates)),
            cache=cache,
            opener=opener,
        )

    @property
    def difficulties(self) -> list[float]:
        """Difficulty of each window, 0..1."""
        return [difficulty(example, self._entities) for example in self._examples]

    def batch(self, chosen: Sequence[int], step: int) -> ReaderBatch:
        """Make the batch of a step."""
        rng = np.random.default_rng([self._sampling.seed, step])
        n_entities = int(rng.choice(self._sampling.entity_candidates))
        n_relations = int(rng.choice(self._sampling.relation_candidates))
        rows = []
        for number, i in enumerate(chosen):
            example, text = self._with_typos(i, [step, number])
            entity_ids = self._entity_candidates(
                example, _ids(self._entities, self._found.entities[i]), n_entities, rng
            )
            relation_ids = self._relation_candidates(
                example, _ids(self._relations, self._found.relations[i]), n_relations, rng
            )
            text = self._with_case_noise(text, rng)
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
            targets=targets_of(rows, self._sampling, rng),
            step=step,
            rows=tuple(rows),
        )

    def _tokens(self, kb: KnowledgeBase, key: str) -> np.ndarray:
        row = kb.row_of(key)
        if row is None:
            raise KeyError(key)
        return kb.token_ids(row)

    def _with_typos(self, i: int, where: list[int]) -> tuple[Example, TextTokens]:
        example, text, sampling = self._examples[i], self._texts[i], self._sampling
        if not sampling.typos:
            return example, text
        # A separate generator, so that typing errors do not change the draw of candidates.
        rng = np.random.default_rng([sampling.seed, *where])
        if rng.random() >= sampling.typos:
            return example, text
        changed = mistyped(example, sampling.typo_words, rng)
        (encoding,) = self._tokenizer.tokenise([changed.text])
        # A mistyped word has more tokens, so that the window may not fit any more.
        if len(encoding.ids) > sampling.max_tokens // 2:
            return example, text
        return changed, self._tokens_of(changed.text, encoding)

    def _tokens_of(self, text: str, encoding: Encoding) -> TextTokens:
        return tokenise_text(text, encoding, pretokenised=self._sampling.pretokenised)

    def _with_case_noise(self, text: TextTokens, rng: np.random.Generator) -> TextTokens:
        draw = rng.random()
        if draw >= 2 * self._sampling.case_noise:
            return text
        case = UPPERCASE if draw < self._sampling.case_noise else TEXT
        return replace(text, types=np.full_like(text.types, case))

    def _entity_candidates(
        self, example: Example, retrieved: list[str], limit: int, rng: np.random.Generator
    ) -> list[str]:
        sampling = self._sampling
        retrieved = retrieved[:limit]
        gold = sorted({m.entity_id for m in example.mentions if m.entity_id})
        gold = [key for key in gold if key in self._entities]
        dropped = {key for key in gold if rng.random() < sampling.gold_drop}
        kept = [key for key in retrieved if key not in dropped]
        for key in gold:
            if key not in retrieved and key not in dropped and rng.random() < sampling.gold_insert:
                # Its rank is unknown: a random position in the lower half.
                half = len(kept) // 2
                kept.insert(int(rng.integers(half, len(kept) + 1)), key)
        kept = kept[: limit + 4]
        shuffled = rng.random() < sampling.shuffle
        return [kept[i] for i in rng.permutation(len(kept))] if shuffled else kept

    def _relation_candidates(
        self, example: Example, retrieved: list[str], limit: int, rng: np.random.Generator
    ) -> list[str]:
        if example.relations == "none":
            return []
        if self._sampling.given:
            return retrieved[:limit]
        gold = sorted({r for _, r, _ in example.triples if r in self._relations})
        others = [key for key in retrieved if key not in gold]
        room = max(limit - len(gold), 2)
        kept = gold + others[:room]
        return [kept[i] for i in rng.permutation(len(kept))]


def _ids(kb: KnowledgeBase, rows: IntArray) -> list[str]:
    return [kb.entity_id(int(row)) for row in rows if row >= 0]


def _share(surface: str, mention: Mention, kb: KnowledgeBase) -> float:
    matches = kb.names.lookup(normalise(surface))
    # Add-one smoothing, over the records with this name and NIL.
    total = sum(match.count + 1 for match in matches) + 1
    if mention.entity_id is None:
        return 1 / total
    row = kb.row_of(mention.entity_id)
    return sum(match.count + 1 for match in matches if match.row == row) / total
