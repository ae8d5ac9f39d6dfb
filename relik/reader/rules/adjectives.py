"""What the adjective of a place tells of, in the triples of a document.

"A German chemist, born in Paris": the adjective names Germany, as the reader finds, and says
something of the chemist. It says nothing of Paris. Readers that learn from distant labels believe
otherwise, since what stands near an adjective is so often of its place.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from relik.names.resolve import Knowledge, resolve
from relik.reader.rules.sentences import Sentences
from relik.types import Annotation, Span

# "German state of Hesse", "American folk singer Paul Simon": a phrase without a verb.
_LONGEST_PHRASE = 60
_PHRASE = re.compile(r"[\w /&'\u2019-]*")
_ENDS_PHRASE = re.compile(
    r"\b(?:and|are|as|at|born|but|by|for|from|in|is|near|on|or|that|to|was|were|when|where|which|who|with)\b"
)
# "Pavel Demidov (1798-1840), Russian nobleman".
_APPOSITION = re.compile(r"(?: ?\([^()]*\))?,? (?:an? |the )?")


def in_scope(annotation: Annotation, text: str, kb: Knowledge) -> Annotation:
    """Drop triples between the adjective of a place and what it does not tell of.

    An adjective tells of the noun phrase that it stands in ("the German state of Hesse"), of what
    stands right before it ("Pavel Demidov (1798-1840), Russian nobleman"), and of what its
    sentence is about: the first mention, outside brackets ("Ada Lovelace, born in London, was an
    English writer"). Adjectives are English ones that are formed from a name of their record.

    Args:
        annotation: What was found in a document, with mentions that are linked to nothing.
        text: Its text.
        kb: Knowledge base of the entities.

    Returns:
        The same, without those triples.
    """
    ends = {end for triple in annotation.triples for end in (triple.subject, triple.object)}
    adjectives = {
        found.span
        for found in annotation.spans
        if found.span in ends and _is_adjective(text, found.span, found.entity_id, kb)
    }
    if not adjectives:
        return annotation
    subjects = _Subjects(text, [found.span for found in annotation.spans])
    kept = tuple(
        triple
        for triple in annotation.triples
        if all(
            adjective not in adjectives or _tells_of(adjective, other, text, subjects)
            for adjective, other in (
                (triple.subject, triple.object),
                (triple.object, triple.subject),
            )
        )
    )
    return annotation if len(kept) == len(annotation.triples) else replace(annotation, triples=kept)


def _is_adjective(text: str, span: Span, entity_id: str | None, kb: Knowledge) -> bool:
    surface = text[span.start : span.end]
    row = None if entity_id is None or surface.islower() else kb.row_of(entity_id)
    # "Japan", which has the alias "JAP", is not formed from it.
    return row is not None and any(
        sense.row == row and sense.derived and not sense.preferred for sense in resolve(kb, surface)
    )


class _Subjects:
    """Tells what sentences are about.

    Args:
        text: A document.
        mentions: All that it mentions.
    """

    def __init__(self, text: str, mentions: Sequence[Span]) -> None:
        self._sentences = Sentences(text)
        first: dict[int, Span] = {}
        for mention in sorted(mentions):
            first.setdefault(self._sentences.of(mention), mention)
        begins = self._sentences.begins
        self._subjects = {
            number: mention
            for number, mention in first.items()
            if text.count("(", begins[number], mention.start)
            <= text.count(")", begins[number], mention.start)
        }

    def is_subject(self, mention: Span, adjective: Span) -> bool:
        """Tell whether the sentence of an adjective is about a mention before it."""
        return mention < adjective and self._subjects.get(self._sentences.of(adjective)) == mention


def _tells_of(adjective: Span, other: Span, text: str, subjects: _Subjects) -> bool:
    if other.start >= adjective.end:
        between = text[adjective.end : other.start]
        return (
            len(between) <= _LONGEST_PHRASE
            and bool(_PHRASE.fullmatch(between))
            and between == between.lower()
            and not _ENDS_PHRASE.search(between)
        )
    if adjective.start >= other.end and _APPOSITION.fullmatch(text, other.end, adjective.start):
        return True
    return subjects.is_subject(other, adjective)
