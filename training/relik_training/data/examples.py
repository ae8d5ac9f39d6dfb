"""Training examples from annotated texts, with explicit unknown spans where labels are missing.

Wikipedia links only some mentions, so that an unlinked word may be a mention: labels are propagated
to repeated names, and other possible mentions are marked unknown.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relik.config import WindowConfig
from relik.types import Document, Span
from relik.windows import split
from relik_index.names.entity_types import is_date
from relik_training.data.json_lines import read_jsonl
from relik_training.data.knowledge_records import Records
from relik_training.data.statements import (
    Mention,
    Statement,
    place_triples,
    triples_across_sentences,
    triples_within_sentences,
    without_overlaps,
)
from relik_training.recipes.source_config import SourceConfig

_CAPITALISED = re.compile(r"\b[A-Z][\w'\-]*")
_RUN = re.compile(r"[A-Z][\w'\-]*(?: [A-Z][\w'\-]*)*")
# Names contain function words: Nobel Prize in Physics, Bank of the West.
_LONG_RUN = re.compile(
    r"[A-Z][\w'\-]*(?: (?:(?:of|in|on|at|for|the|and|de|la|le|du|van|von|der) ){0,2}[A-Z][\w'\-]*)*"
)
_SENTENCE_END = re.compile(r"(?:^|[.!?:;\n\"(\[]|\.\))\s*$")
_STOP_WORDS = frozenset(
    """
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May
    June July August September October November December I A The In On At He She It They We
    His Her Its This That These Those But And Or As If When While Mr Mrs Ms Dr
    """.split()  # noqa: SIM905  # a list of sixty strings is unreadable
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A window of text with its labels.

    Args:
        index: Position of the window in its document.
        mentions: Labelled spans, sorted and without overlaps.
        triples: (subject index, relation id, object index) of `mentions`.
        doubtful: Triples that are neither positive nor negative.
        unknown: Unlabelled spans that may be mentions: neither positive nor negative.
        relations: As `SourceConfig.relations`.
        repeat: As `SourceConfig.repeat`.
    """

    doc_id: str
    index: int
    text: str
    mentions: tuple[Mention, ...]
    triples: tuple[tuple[int, str, int], ...]
    unknown: tuple[Span, ...]
    relations: str
    doubtful: frozenset[tuple[int, str, int]] = frozenset()
    repeat: int = 1

    @property
    def document(self) -> Document:
        """The text alone."""
        return Document(doc_id=self.doc_id, text=self.text)

    def surface(self, mention: Mention) -> str:
        """Return the surface form of a mention."""
        return self.text[mention.span.start : mention.span.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleReader:
    """Reads data sets into examples.

    Args:
        known: Whether an entity id is in the knowledge base.
        title_id: Entity id of a page title, or None.
        unambiguous: Entity id of an unambiguous name, or None.
        windows: How to split documents.
        has_name: Whether a record has a name, in full or in part.
    """

    known: Callable[[str], bool]
    title_id: Callable[[str], str | None]
    unambiguous: Callable[[str], str | None]
    windows: WindowConfig
    has_name: Callable[[str], bool] = lambda _: False

    def read(self, source: SourceConfig, data: Path) -> Iterator[Example]:
        """Read one data set, in file order."""
        for number, row in enumerate(read_jsonl(data / source.path)):
            if source.limit and number >= source.limit:
                return
            if number % source.every:
                continue
            yield from self._examples(row, source)

    def _examples(self, row: dict[str, Any], source: SourceConfig) -> Iterator[Example]:
        text = row["text"]
        across_sentences = triples_across_sentences(row) if source.doubt_apart else []
        if source.one_sentence:
            row = {**row, "triples": triples_within_sentences(row, source.triggers)}
        mentions, kept = self._gold(row, source)
        triples, uncertain = (
            _statements(document_triples, source, mentions, kept)
            for document_triples in (row.get("triples", ()), across_sentences)
        )
        if source.propagate:
            mentions = mentions + self._repeats(row, mentions)
        # A token has one label: of overlapping mentions, linked ones come first, then longer ones.
        mentions.sort(key=lambda m: (not m.entity_id, m.span.start - m.span.end, m.span.start))
        labelled = without_overlaps(mentions)
        unknown = _unlabelled(text, labelled) if source.mentions != "all" else []
        by_span = {mention.span: mention for mention in labelled}
        if source.mentions == "none":
            unknown = [Span(0, len(text))] if text else []
        document = Document(doc_id=str(row["doc_id"]), text=text)
        for window in split(document, self.windows):
            inside = sorted(
                (m for m in by_span.values() if _within(m.span, window.span)),
                key=lambda m: m.span,
            )
            stated, doubtful = place_triples(triples, inside, source.inverses)
            doubtful |= frozenset().union(*place_triples(uncertain, inside)) - {*stated}
            offset = window.span.start
            cut = [
                m.span
                for m in labelled
                if m.span.overlaps(window.span) and not _within(m.span, window.span)
            ]
            yield Example(
                doc_id=document.doc_id,
                index=window.index,
                text=window.text,
                mentions=tuple(
                    replace(m, span=_moved(m.span, offset, window.span)) for m in inside
                ),
                triples=stated,
                doubtful=doubtful,
                unknown=tuple(
                    _moved(span, offset, window.span)
                    for span in (*unknown, *cut)
                    if span.overlaps(window.span)
                ),
                relations=source.relations,
                repeat=source.repeat,
            )

    def _gold(
        self, row: dict[str, Any], source: SourceConfig
    ) -> tuple[list[Mention], dict[int, Span]]:
        mentions, kept = [], {}
        linked_set = "clusters" not in row
        for number, (start, end, entity_id, *rest) in enumerate(row["spans"]):
            extra = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
            surface = row["text"][start:end]
            no_name = extra.get("type") in source.skip_types or surface.islower()
            if surface in _STOP_WORDS or is_date(surface):
                continue
            if no_name and not (entity_id and self.known(entity_id)):
                continue
            span = Span(start, end)
            kept[number] = span
            link: str | None
            if not source.links:
                link = ""
            elif entity_id and self.known(entity_id):
                link = entity_id
            elif not linked_set:
                link = self.unambiguous(surface) or ""
            elif entity_id or not self._may_be_known(surface, extra, source):
                link = None
            else:
                link = ""
            cluster = extra.get("cluster")
            group = f"cluster {cluster}" if cluster is not None else entity_id or surface
            mentions.append(Mention(span=span, entity_id=link, group=group))
        return mentions, kept

    def _may_be_known(self, surface: str, extra: dict[str, Any], source: SourceConfig) -> bool:
        """Tell whether a mention without an id may be a known entity rather than NIL.

        In partially annotated data, an id is often missing because a page was renamed or not
        looked up. If a record has that name, the label NIL would be wrong.
        """
        title = re.sub(r" \(.*\)$", "", str(extra.get("title") or ""))
        return source.mentions != "all" and (self.has_name(surface) or self.has_name(title))

    def _repeats(self, row: dict[str, Any], mentions: list[Mention]) -> list[Mention]:
        text = row["text"]
        names: dict[str, tuple[str | None, str]] = {}
        title = row.get("title")
        if title and title[:1].isupper():
            entity_id = self.title_id(title)
            if entity_id is None or self.known(entity_id):
                names[re.sub(r" \(.*\)$", "", title)] = (entity_id, entity_id or title)
        for mention in mentions:
            surface = text[mention.span.start : mention.span.end]
            names[surface] = (mention.entity_id, mention.group)
        labelled_spans = {mention.span for mention in mentions}
        found = []
        for name, (entity_id, group) in names.items():
            if len(name) < 2 or not name[0].isupper():
                continue
            for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                span = Span(*match.span())
                if span not in labelled_spans:
                    labelled_spans.add(span)
                    found.append(Mention(span=span, entity_id=entity_id, group=group))
        return found + self._unambiguous_names(text, labelled_spans)

    def _unambiguous_names(self, text: str, labelled_spans: set[Span]) -> list[Mention]:
        """Label runs of capitalised words that are unambiguous names."""
        found: list[Mention] = []

        def label(match: re.Match[str]) -> bool:
            span = Span(*match.span())
            if any(span.overlaps(other) for other in labelled_spans):
                return False
            known = self.unambiguous(match.group())
            if known:
                found.append(Mention(span=span, entity_id=known, group=known))
            return known is not None

        for match in _LONG_RUN.finditer(text):
            if not label(match):
                for part in _RUN.finditer(text, match.start(), match.end()):
                    label(part)
        return found


def read_examples(
    sources: Sequence[SourceConfig],
    *,
    data: Path,
    titles: str,
    entities: Records,
    windows: WindowConfig,
) -> list[Example]:
    """Read all data sets of a run.

    Args:
        data: Folder of the data sets.
        titles: File of {"title", "id"}; "" for none.

    Returns:
        Windows of all sets, in order.
    """
    title_ids = {row["title"]: row["id"] for row in read_jsonl(data / titles)} if titles else {}
    reader = ExampleReader(
        known=entities.__contains__,
        title_id=title_ids.get,
        unambiguous=entities.unambiguous,
        has_name=entities.has_name,
        windows=windows,
    )
    examples: list[Example] = []
    for source in sources:
        examples.extend(reader.read(source, data))
    return examples


def _statements(
    triples: Any, source: SourceConfig, mentions: list[Mention], kept: dict[int, Span]
) -> list[Statement]:
    groups = {mention.span: mention.group for mention in mentions}
    found = []
    for subject, relation, obj in triples:
        name = source.relation_names.get(relation, relation)
        if subject not in kept or obj not in kept or not name:
            continue
        ends = (kept[subject], kept[obj])
        if name.startswith("-"):
            ends, name = ends[::-1], name[1:]
        found.append(Statement(ends[0], groups[ends[0]], name, ends[1], groups[ends[1]]))
    return found


def _unlabelled(text: str, labelled: list[Mention]) -> list[Span]:
    """Return unlabelled capitalised words, which may be mentions."""
    unknown = []
    for match in _CAPITALISED.finditer(text):
        word = match.group()
        span = Span(*match.span())
        if word in _STOP_WORDS or any(span.overlaps(m.span) for m in labelled):
            continue
        before = text[max(0, span.start - 3) : span.start]
        follows = text[span.end : span.end + 2]
        begins = span.start == 0 or bool(_SENTENCE_END.search(before))
        if begins and not (follows[:1] == " " and follows[1:2].isupper()):
            # The first word of a sentence is capitalised, and mostly no name.
            continue
        unknown.append(span)
    return unknown


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _moved(span: Span, offset: int, window: Span) -> Span:
    return Span(max(span.start, window.start) - offset, min(span.end, window.end) - offset)
