"""The plain baseline: the longest name in the text, linked to what that name mostly means.

It has no model, so a figure beside its own says what the models earn.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Protocol

from relik.config import WindowConfig
from relik.errors import InputError
from relik.evaluation.gold import read_json_lines
from relik.names.gazetteer import longest_terms
from relik.names.normalise import normalise, tokenise_surface
from relik.names.trie import CASED, PARTIAL, NameMatch
from relik.types import (
    AnnotateOptions,
    Annotation,
    Candidate,
    Document,
    EntitySpan,
    Span,
    Triple,
    Window,
    WindowAnnotation,
    WindowCandidates,
)
from relik.windows import merge, split

Facts = Mapping[tuple[str, str], tuple[str, ...]]

_LONGEST_NAME = 12
# What a name that was never seen as a link counts, so that it has a share of its uses at all.
_UNSEEN = 0.1


class Names(Protocol):
    """What the baseline needs of a name trie."""

    def lookup(self, key: str) -> list[NameMatch]:
        """Return the records that have a normalised name."""

    def has_prefix(self, prefix: str) -> bool:
        """Tell whether some normalised name begins so."""


class NamedEntities(Protocol):
    """What the baseline needs of a knowledge base."""

    @property
    def names(self) -> Names:
        """Names and what they name."""

    def entity_id(self, row: int) -> str:
        """Return the id of a row."""

    def count(self, row: int) -> int:
        """Return how often a record is linked."""

    @property
    def any_case(self) -> bool:
        """Tell whether its names are terms, which text has in lower case."""


class AliasBaseline:
    """Links the longest names from left to right, each to its most frequent meaning.

    It has the methods of a pipeline that evaluation calls. Parts of names, such as surnames, are
    not names here. To be found in text a name must be written with a capital in both; one word
    must also have been seen as a link, or every "In" and "The" is a work of that name.

    Args:
        entities: The knowledge base.
        facts: Relations by (subject id, object id); a pair of linked mentions in one window is
            given all of its relations. None are predicted without it.
        split_document: Cuts a document into windows; those of the default settings if None.
    """

    def __init__(
        self,
        entities: NamedEntities,
        *,
        facts: Facts | None = None,
        split_document: Callable[[Document], list[Window]] | None = None,
    ) -> None:
        self._entities = entities
        self._names = entities.names
        self._facts = facts or {}
        self._split = split_document or _default_split

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        """Link the names in documents.

        Returns:
            One annotation a document, same order.
        """
        return [
            self._annotation(document, self._longest(document.text), options)
            for document in documents
        ]

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        """Link given mentions to the most frequent meaning of their whole text.

        Returns:
            One annotation a document, same order, without the mentions whose text is no name.
        """
        answer = []
        for document, spans in zip(documents, mentions, strict=True):
            linked = []
            for span in spans:
                matches = self._whole(normalise(document.text[span.start : span.end]))
                if matches:
                    linked.append(self._linked(span, matches))
            answer.append(self._annotation(document, linked, options))
        return answer

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows.

        Returns:
            Its windows, in order.
        """
        return self._split(document)

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose every record that has a name in the window, the likeliest by that name first.

        Args:
            options: `top_k` bounds the candidates, to 100 where it is None.

        Returns:
            Candidates of each window, same order.
        """
        return [
            WindowCandidates(entities=self._candidates(window.text, options.top_k or 100))
            for window in windows
        ]

    def _annotation(
        self, document: Document, linked: Sequence[EntitySpan], options: AnnotateOptions
    ) -> Annotation:
        if not document.text:
            return merge(document, [])
        triples: list[Triple] = []
        for window in self.split(document) if options.relations and self._facts else ():
            triples += self._triples([f for f in linked if _holds(window.span, f.span)])
        whole = Span(0, len(document.text))
        read = WindowAnnotation(
            window=Window(doc_id=document.doc_id, index=0, span=whole, text=document.text),
            spans=tuple(linked),
            triples=tuple(triples),
        )
        return merge(document, [read])

    def _triples(self, spans: Sequence[EntitySpan]) -> list[Triple]:
        return [
            Triple(subject=one.span, relation_id=relation_id, object=other.span, score=1.0)
            for one, other in permutations(spans, 2)
            if one.entity_id is not None and other.entity_id is not None
            for relation_id in self._facts.get((one.entity_id, other.entity_id), ())
        ]

    def _longest(self, text: str) -> list[EntitySpan]:
        if self._entities.any_case:
            return [self._linked(*each) for each in longest_terms(self._names, text)]
        tokens = tokenise_surface(text)
        found: list[EntitySpan] = []
        at = 0
        while at < len(tokens):
            name = self._longest_at(text, tokens, at)
            if name is None:
                at += 1
                continue
            length, matches = name
            found.append(self._linked(_span(text, tokens[at : at + length]), matches))
            at += length
        return found

    def _longest_at(
        self, text: str, tokens: Sequence[tuple[str, int, int]], at: int
    ) -> tuple[int, list[NameMatch]] | None:
        if not text[tokens[at][1]].isupper():
            return None
        for length, matches in reversed(self._matches_at(text, tokens, at)):
            cased = [match for match in matches if match.flags & CASED]
            if cased and (length > 1 or any(match.count for match in cased)):
                return length, cased
        return None

    def _matches_at(
        self, text: str, tokens: Sequence[tuple[str, int, int]], at: int
    ) -> list[tuple[int, list[NameMatch]]]:
        """Return the names that begin at a token, as numbers of tokens, shortest first."""
        lower = text[tokens[at][1]].islower()
        found, key = [], ""
        for length, (token, _, _) in enumerate(tokens[at : at + _LONGEST_NAME], start=1):
            key = f"{key} {token}" if key else token
            matches = [m for m in self._whole(key) if not (lower and m.flags & CASED)]
            if matches:
                found.append((length, matches))
            if not self._names.has_prefix(f"{key} "):
                break
        return found

    def _whole(self, key: str) -> list[NameMatch]:
        return [match for match in self._names.lookup(key) if not match.flags & PARTIAL]

    def _linked(self, span: Span, matches: Sequence[NameMatch]) -> EntitySpan:
        best = min(matches, key=self._preference)
        total = sum(match.count for match in matches)
        return EntitySpan(
            span=span,
            entity_id=self._entities.entity_id(best.row),
            score=best.count / total if total else 1.0 / len(matches),
        )

    def _preference(self, match: NameMatch) -> tuple[int, int, str]:
        row = match.row
        return -match.count, -self._entities.count(row), self._entities.entity_id(row)

    def _candidates(self, text: str, top_k: int) -> tuple[Candidate, ...]:
        tokens = tokenise_surface(text)
        share_of: dict[str, float] = {}
        for at in range(len(tokens)):
            for _, matches in self._matches_at(text, tokens, at):
                total = sum(match.count + _UNSEEN for match in matches)
                for match in matches:
                    entity_id = self._entities.entity_id(match.row)
                    share = (match.count + _UNSEEN) / total
                    share_of[entity_id] = max(share, share_of.get(entity_id, 0.0))
        best = sorted(share_of.items(), key=lambda item: (-item[1], item[0]))[:top_k]
        return tuple(
            Candidate(entity_id=entity_id, score=share, rank=rank, source="lexical")
            for rank, (entity_id, share) in enumerate(best)
        )


def read_triples(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """Read known facts, lines of `{"h": id, "r": [relation id, ...], "t": id}`.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    facts: dict[tuple[str, str], tuple[str, ...]] = {}
    for where, record in read_json_lines(path):
        head, relations, tail = record.get("h"), record.get("r"), record.get("t")
        if not (isinstance(head, str) and isinstance(tail, str) and isinstance(relations, list)):
            raise InputError(
                f'{where}: got {dict(record)!r}, expected {{"h": id, "r": [relation id], "t": id}}'
            )
        facts[head, tail] = (*facts.get((head, tail), ()), *map(str, relations))
    return facts


def _default_split(document: Document) -> list[Window]:
    return split(document, WindowConfig())


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _span(text: str, tokens: Sequence[tuple[str, int, int]]) -> Span:
    """Return the stretch of tokens, with the last full stop of initials such as U.S."""
    start, end = tokens[0][1], tokens[-1][2]
    initials = len(tokens) > 1 and tokens[-1][2] - tokens[-1][1] == 1
    if initials and text[end - 2] == "." and text[end : end + 1] == ".":
        end += 1
    return Span(start, end)
