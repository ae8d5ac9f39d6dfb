"""A baseline without a model: the longest alias match, linked to its most frequent entity."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path

from relik.config import WindowConfig
from relik.errors import InputError
from relik.evaluation.breakdown import Records
from relik.evaluation.counts import contains
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
# Count of a name that was never seen as a link, so that its prior is above 0.
_UNSEEN = 0.1


class AliasBaseline:
    """Links the longest aliases from left to right, each to its most frequent entity.

    It has the methods of a pipeline that evaluation calls. It does not match parts of names, such
    as surnames. An alias matches only where both the alias and the text have a capital; a single
    word must also have been seen as a link, or every "In" and "The" would match a work's title.

    Args:
        facts: Relations by (subject id, object id); a pair of linked mentions in one window gets
            all of its relations. Without it there are no triples.
        split_document: Cuts a document into windows; None uses the default settings.
    """

    def __init__(
        self,
        entities: Records,
        *,
        facts: Facts | None = None,
        split_document: Callable[[Document], list[Window]] | None = None,
    ) -> None:
        self._entities = entities
        self._names = entities.names
        self._facts = facts or {}
        self._split = split_document or partial(split, config=WindowConfig())

    def annotate(
        self, documents: Sequence[Document], *, options: AnnotateOptions
    ) -> list[Annotation]:
        """Link the aliases in documents."""
        return [
            self._annotation(document, self._link_longest(document.text), options)
            for document in documents
        ]

    def link(
        self,
        documents: Sequence[Document],
        mentions: Sequence[Sequence[Span]],
        *,
        options: AnnotateOptions,
    ) -> list[Annotation]:
        """Link each given mention whose text is an alias to its most frequent entity."""
        answer = []
        for document, spans in zip(documents, mentions, strict=True):
            linked = []
            for span in spans:
                matches = self._exact_matches(normalise(document.text[span.start : span.end]))
                if matches:
                    linked.append(self._link_span(span, matches))
            answer.append(self._annotation(document, linked, options))
        return answer

    def split(self, document: Document) -> list[Window]:
        """Cut a document into windows."""
        return self._split(document)

    def retrieve(
        self, windows: Sequence[Window], *, options: AnnotateOptions
    ) -> list[WindowCandidates]:
        """Propose every record with an alias in the window, the highest prior first.

        Args:
            options: `top_k` bounds the candidates, to 100 where it is None.
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
            triples += self._triples([f for f in linked if contains(window.span, f.span)])
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

    def _link_longest(self, text: str) -> list[EntitySpan]:
        if self._entities.policy.terms:
            terms = longest_terms(self._entities, text)
            return [
                self._link_span(span, self._exact_matches(senses[0].form)) for span, senses in terms
            ]
        tokens = tokenise_surface(text)
        found: list[EntitySpan] = []
        at = 0
        while at < len(tokens):
            name = self._longest_at(text, tokens, at)
            if name is None:
                at += 1
                continue
            length, matches = name
            found.append(self._link_span(_span(text, tokens[at : at + length]), matches))
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
        """Return the aliases that start at a token, by number of tokens, shortest first."""
        lower = text[tokens[at][1]].islower()
        found, key = [], ""
        for length, (token, _, _) in enumerate(tokens[at : at + _LONGEST_NAME], start=1):
            key = f"{key} {token}" if key else token
            matches = [m for m in self._exact_matches(key) if not (lower and m.flags & CASED)]
            if matches:
                found.append((length, matches))
            if not self._names.has_prefix(f"{key} "):
                break
        return found

    def _exact_matches(self, key: str) -> list[NameMatch]:
        return [match for match in self._names.lookup(key) if not match.flags & PARTIAL]

    def _link_span(self, span: Span, matches: Sequence[NameMatch]) -> EntitySpan:
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
    """Read known triples, lines of `{"h": id, "r": [relation id, ...], "t": id}`.

    Raises:
        InputError: The file cannot be read, or a line has another shape.
    """
    facts: dict[tuple[str, str], tuple[str, ...]] = {}
    for where, record in read_json_lines(path):
        head, relations, tail = record.get("h"), record.get("r"), record.get("t")
        if not (isinstance(head, str) and isinstance(tail, str) and isinstance(relations, list)):
            raise InputError(
                f"{where}: got {dict(record)!r}, expected "
                '{"h": id, "r": [relation id], "t": id}: correct the line'
            )
        facts[head, tail] = (*facts.get((head, tail), ()), *map(str, relations))
    return facts


def _span(text: str, tokens: Sequence[tuple[str, int, int]]) -> Span:
    """Return the span of tokens, with the last full stop of initials such as U.S."""
    start, end = tokens[0][1], tokens[-1][2]
    initials = len(tokens) > 1 and tokens[-1][2] - tokens[-1][1] == 1
    if initials and text[end - 2] == "." and text[end : end + 1] == ".":
        end += 1
    return Span(start, end)
