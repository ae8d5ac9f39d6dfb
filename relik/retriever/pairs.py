"""Which of some relations holds between two mentions: those whose meaning is nearest to the text.

A pair and its text are encoded as one, a relation by its name and description: so a relation that
no model has seen needs nothing but a record. Source: zero-shot relation classification by
embeddings of descriptions (ZS-BERT, Chen and Li, NAACL 2021), with one encoder for both sides.
"""

from collections.abc import Sequence

import numpy as np

from relik.errors import BundleError, InputError
from relik.kb import KnowledgeBase
from relik.types import Candidate, Document, FloatArray, IntArray, MentionPair, TextEncoder

CONTEXT = 240
"""Code points that are read before the first mention and behind the last."""
TEMPERATURE = 0.05
"""Divides cosines, in training and here."""


class PairRelater:
    """Ranks relations for pairs of mentions.

    Args:
        encoder: Encodes texts; the vectors of the relations are its own.
        relations: Knowledge base of relations, with vectors.

    Raises:
        BundleError: The relations have no vectors.
    """

    def __init__(self, encoder: TextEncoder, relations: KnowledgeBase) -> None:
        if not relations.dim:
            raise BundleError(
                f"knowledge index {relations.version}: got relations without vectors, expected "
                "vectors to rank them by: build the index with a bundle that has an encoder"
            )
        self._encoder = encoder
        self.relations = relations

    def relate(
        self,
        documents: Sequence[Document],
        pairs: Sequence[Sequence[MentionPair]],
        *,
        relations: Sequence[str] = (),
    ) -> list[list[tuple[Candidate, ...]]]:
        """Rank relations for pairs of mentions; each answer depends on its pair alone.

        Args:
            documents: Documents.
            pairs: Pairs of each document.
            relations: Ids of the relations that may hold; empty for all there are.

        Returns:
            For each document and pair, all these relations, best first. Scores are the
            probabilities of each, where one of them holds, and sum to 1.

        Raises:
            InputError: There are pairs of more or fewer documents, a mention reaches past the end
                of its text, or a relation is not in the knowledge base.
        """
        if len(documents) != len(pairs):
            raise InputError(
                f"got pairs of {len(pairs)} documents, expected {len(documents)}: give a list for "
                "each document, empty where it has none"
            )
        ids = sorted(set(relations)) or sorted(
            map(self.relations.entity_id, range(len(self.relations)))
        )
        vectors = self.relations.index.reconstruct(self._rows(ids))  # (n_relations, dim)
        texts = [
            pair_text(document, pair)
            for document, own in zip(documents, pairs, strict=True)
            for pair in own
        ]
        # Exact to the last bit for any batch: a product of matrices is not.
        scores = iter([_shares(vectors @ each) for each in self._encoder.encode(texts)])
        return [[_ranked(ids, next(scores)) for _ in own] for own in pairs]

    def _rows(self, ids: Sequence[str]) -> IntArray:
        rows = [self.relations.row_of(one) for one in ids]
        unknown = next((one for one, row in zip(ids, rows, strict=True) if row is None), None)
        if unknown is not None:
            raise InputError(
                f"got the relation {unknown!r}, expected ids of the {len(self.relations)} "
                "relations of the index: correct it, or build an index that has it"
            )
        return np.array(rows, dtype=np.int64)


def pair_text(document: Document, pair: MentionPair) -> str:
    """Write a pair as the text by which its relation is found; training shares it.

    Args:
        document: The document.
        pair: Two mentions of it.

    Returns:
        Both mentions, subject first, and the text around them, cut at spaces.

    Raises:
        InputError: A mention reaches past the end of the text.
    """
    text, (subject, object_) = document.text, (pair.subject, pair.object)
    last = max(subject.end, object_.end)
    if last > len(text):
        raise InputError(
            f"document {document.doc_id!r}: got a mention up to {last}, expected it within the "
            f"{len(text)} characters of the text: give code-point offsets"
        )
    begin = max(0, min(subject.start, object_.start) - CONTEXT)
    end = min(len(text), last + CONTEXT)
    if begin:
        begin = max(begin, text.find(" ", begin, begin + CONTEXT))
    if end < len(text):
        end = max(last, text.rfind(" ", last, end)) if " " in text[last:end] else end
    names = (text[each.start : each.end] for each in (subject, object_))
    return f"{' , '.join(names)} . {text[begin:end].strip()}"


def _shares(cosines: FloatArray) -> FloatArray:
    odds = np.exp((cosines - cosines.max()) / TEMPERATURE)
    return np.asarray(odds / odds.sum(), dtype=np.float32)


def _ranked(ids: Sequence[str], scores: FloatArray) -> tuple[Candidate, ...]:
    # Ids are sorted, and so are ties.
    return tuple(
        Candidate(entity_id=ids[i], score=float(scores[i]), rank=rank, source="dense")
        for rank, i in enumerate(np.argsort(-scores, kind="stable"))
    )
