"""Input rows of a released reader: token ids of a window and its candidates.

Linking reads `[CLS] text [SEP] NME [E-0] name ... [SEP]`, in several rows where the candidates do
not fit one; relations `[CLS] text [SEP] [R-0] name ... [SEP]`; both together entities, [SEP],
relations. With quirks the budget, the truncation and the positions are those of upstream 1.0.7.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from relik.errors import TextTooLongError
from relik.reader.inputs import ReaderInput
from relik.types import IntArray
from relik.upstream.text.subwords import NME, Markers, WordTokens

MAX_CANDIDATE_TOKENS = 22
"""Most tokens of a candidate in linking, its marker included."""

RESERVED = 20
"""Tokens of the budget that upstream leaves unused."""

MAX_ENTITIES, MAX_RELATIONS = 100, 50
"""Most candidates of a relation reader in upstream, NME included."""

Candidate = tuple[str, tuple[int, ...]]
"""A candidate and its token ids, without its marker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderShape:
    """The form of a reader's rows.

    Args:
        links: Rows of entities, for linking; else rows of relations.
        closed: Rows of entities and relations, for closed information extraction.
        use_nme: NME is the first entity.
        n_symbols: Number of markers for linking in the reader's settings.
    """

    links: bool
    closed: bool
    use_nme: bool
    n_symbols: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderRow:
    """One row of a reader.

    Args:
        window: Position of its window in the batch.
        tokens: Tokens with special tokens and markers; the text is at 1..n_text. Entity positions
            are those of the entity markers, after [CLS] for linking; relation positions those of
            the relation markers.
        entities: Candidates of the entity markers, `NME` included.
        relations: Candidates of the relation markers.
        left_out: Number of candidates in no row of the window.
    """

    window: int
    tokens: ReaderInput
    entities: tuple[str, ...]
    relations: tuple[str, ...]
    left_out: int


class InputBuilder:
    """Builds the rows of one reader.

    Args:
        max_length: Most tokens of a row.
        quirks: As in upstream; see the module.
    """

    def __init__(
        self, markers: Markers, shape: ReaderShape, *, max_length: int, quirks: bool
    ) -> None:
        self._markers = markers
        self._shape = shape
        self._max_length = max_length
        self._quirks = quirks

    def build(
        self,
        window: int,
        text: WordTokens,
        entities: Sequence[Candidate],
        relations: Sequence[Candidate],
    ) -> list[ReaderRow]:
        """Build the rows of a window.

        Args:
            entities: Entity candidates, best first; ignored by a relation reader.
            relations: Relation candidates, best first; ignored by a linking reader.

        Raises:
            TextTooLongError: The text leaves no room for a candidate.
        """
        if self._shape.links:
            return list(self._link_rows(window, text, entities))
        return [self._relation_row(window, text, entities, relations)]

    def _link_rows(
        self, window: int, text: WordTokens, entities: Sequence[Candidate]
    ) -> Iterator[ReaderRow]:
        markers = self._markers.entities
        cut = MAX_CANDIDATE_TOKENS - 1
        rest = [(name, ids[:cut]) for name, ids in entities[: len(markers)]]
        left_out = len(entities) - len(rest)
        while True:
            fit = self._count_fitting(text, _lengths(rest))
            block, names = self._with_nme(rest[:fit], markers)
            yield self._row(window, text, [block], names, (), left_out)
            # The next row continues with the next markers.
            rest, markers = rest[fit:], markers[fit:]
            if not rest:
                return

    def _count_fitting(self, text: WordTokens, lengths: Sequence[int]) -> int:
        """Count the first candidates that fit one row of a linking reader."""
        n_text, n_nme = len(text.ids), int(self._shape.use_nme)
        room = self._max_length - n_text - 3 - n_nme
        if self._quirks and n_text + n_nme + sum(lengths) + RESERVED > self._max_length:
            room = self._max_length - RESERVED - n_text - n_nme - 1
        fit = _count_prefix(lengths, room)
        if room < 0 or (lengths and not fit):
            raise self._too_long_error(text)
        return fit

    def _relation_row(
        self,
        window: int,
        text: WordTokens,
        entities: Sequence[Candidate],
        relations: Sequence[Candidate],
    ) -> ReaderRow:
        markers = self._markers
        shown = entities if self._shape.closed else ()
        n_nme = int(self._shape.use_nme)
        most = min(len(markers.entities) + n_nme, MAX_ENTITIES) - n_nme
        kept = shown[:most]
        related = relations[: min(len(markers.relations), MAX_RELATIONS)]
        n_entities, n_relations = self._count_fitting_both(text, _lengths(kept), _lengths(related))
        kept, related = kept[:n_entities], related[:n_relations]
        left_out = len(shown) + len(relations) - len(kept) - len(related)
        second, relation_names = _with_markers(related, markers.relations)
        if not self._shape.closed:
            return self._row(window, text, [second], (), relation_names, left_out)
        first, names = self._with_nme(kept, markers.entities)
        return self._row(window, text, [first, second], names, relation_names, left_out)

    def _count_fitting_both(
        self, text: WordTokens, entities: Sequence[int], relations: Sequence[int]
    ) -> tuple[int, int]:
        """Count the first entities and relations that together fit one row."""
        n_text, closed = len(text.ids), self._shape.closed
        n_nme = int(closed and self._shape.use_nme)
        total = sum(entities) + sum(relations)
        room = self._max_length - n_text - 3 - int(closed) - n_nme
        if not self._quirks:
            fit = _count_in_proportion(entities, relations, room)
        elif n_text + n_nme + total + RESERVED <= self._max_length:
            fit = len(entities), len(relations)
        else:
            room = self._max_length - RESERVED - n_text - 1
            fit = 0, _count_prefix(relations, room)
            if closed:
                # Upstream counts pairs of an entity and a relation, the first of which is NME and
                # the separator, and then loses all relations.
                first, second = [1] * n_nme + list(entities), [1, *relations]
                pairs = [a + b for a, b in zip_longest(first, second, fillvalue=0)]
                fit = max(0, min(_count_prefix(pairs, room), len(first)) - n_nme), 0
        if room < 0 or (total and not any(fit)):
            raise self._too_long_error(text)
        return fit

    def _with_nme(
        self, entities: Sequence[Candidate], markers: Sequence[int]
    ) -> tuple[list[int], tuple[str, ...]]:
        ids, names = _with_markers(entities, markers)
        if not self._shape.use_nme or self._markers.nme is None:
            return ids, names
        return [self._markers.nme, *ids], (NME, *names)

    def _row(
        self,
        window: int,
        text: WordTokens,
        blocks: Sequence[list[int]],
        entities: tuple[str, ...],
        relations: tuple[str, ...],
        left_out: int,
    ) -> ReaderRow:
        markers, links = self._markers, self._shape.links
        row = [markers.cls, *text.ids.tolist(), markers.sep, *blocks[0], markers.sep]
        for block in blocks[1:]:
            row += [*block, markers.sep] if block else []
        ids = np.asarray(row, dtype=np.int64)
        special = self._marker_positions(ids)
        second = len(text.ids) + 2
        if self._quirks and not links and len(special):
            # In upstream the text ends before the first marker, even one inside the text.
            second = max(2, int(special[0]))
        n_entities = len(special) if links else len(entities)
        first = np.zeros(int(links), dtype=np.int64)  # [CLS]
        tokens = ReaderInput(
            ids=ids,
            types=(np.arange(len(ids)) >= second).astype(np.int64),
            n_text=second - 2,
            entity_positions=np.concatenate((first, special[:n_entities])),
            relation_positions=special[n_entities:],
        )
        return ReaderRow(
            window=window,
            tokens=tokens,
            entities=entities,
            relations=relations,
            left_out=left_out,
        )

    def _marker_positions(self, ids: IntArray) -> IntArray:
        """Return the positions of the markers in a row."""
        markers = self._markers
        if not self._quirks:
            every = (markers.nme, *markers.entities, *markers.relations)
            found = np.isin(ids, [k for k in every if k is not None])
        elif self._shape.links:
            # Upstream counts one too many: the last word of the vocabulary is a marker too.
            found = ids >= markers.n_all - self._shape.n_symbols - 1
        else:
            found = ids >= markers.n_base
        return np.flatnonzero(found).astype(np.int64)

    def _too_long_error(self, text: WordTokens) -> TextTooLongError:
        return TextTooLongError(
            f"got a window of {len(text.ids)} subwords, expected room for candidates in rows of "
            f"{self._max_length}: use smaller windows or a larger max_length"
        )


def _with_markers(
    candidates: Sequence[Candidate], markers: Sequence[int]
) -> tuple[list[int], tuple[str, ...]]:
    """Return token ids of candidates, each after its marker, and their names."""
    ids = [
        k
        for (_, tokens), marker in zip(candidates, markers, strict=False)
        for k in (marker, *tokens)
    ]
    return ids, tuple(name for name, _ in candidates)


def _lengths(candidates: Sequence[Candidate]) -> list[int]:
    return [len(ids) + 1 for _, ids in candidates]


def _count_prefix(lengths: Sequence[int], room: int) -> int:
    """Count the first lengths whose sum is at most the room."""
    for count, length in enumerate(lengths):
        room -= length
        if room < 0:
            return count
    return len(lengths)


def _count_in_proportion(
    entities: Sequence[int], relations: Sequence[int], room: int
) -> tuple[int, int]:
    """Count the first entities and relations that fit, with about the same share of both."""
    order = sorted(
        [((k + 1) / len(entities), 0, length) for k, length in enumerate(entities)]
        + [((k + 1) / len(relations), 1, length) for k, length in enumerate(relations)]
    )
    fit = _count_prefix([length for _, _, length in order], room)
    n_relations = sum(kind for _, kind, _ in order[:fit])
    return fit - n_relations, n_relations
