"""What the adjective of a place tells of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.config import PipelineConfig, RulesConfig
from relik.document.consistency import refined
from relik.reader.rules.adjectives import in_scope
from relik.testing import FakeKnowledgeBase
from relik.types import Annotation, Coverage, Entity, EntitySpan, Span, Triple

KB = FakeKnowledgeBase(
    [
        Entity(entity_id="Germany", name="Germany"),
        Entity(entity_id="US", name="United States of America", aliases=("America",)),
        Entity(entity_id="Paris", name="Paris"),
        Entity(entity_id="Hesse", name="Hesse"),
        Entity(entity_id="Japan", name="Japan", aliases=("JAP",)),
    ]
)


def annotation(text: str, mentions: list[str], triples: list[tuple[int, int]]) -> Annotation:
    """Relate mentions by their numbers; each is the next place of its words in the text."""
    linked = {
        "German": "Germany",
        "Germany": "Germany",
        "American": "US",
        "Paris": "Paris",
        "Japan": "Japan",
    }
    spans, at = [], 0
    for surface in mentions:
        start = text.index(surface, at)
        at = start + len(surface)
        spans.append(EntitySpan(span=Span(start, at), entity_id=linked.get(surface), score=0.5))
    return Annotation(
        doc_id="d",
        spans=tuple(spans),
        triples=tuple(
            Triple(subject=spans[a].span, relation_id="P17", object=spans[b].span, score=0.5)
            for a, b in triples
        ),
        coverage=Coverage(characters=len(text), windows=1, truncated=False),
    )


@pytest.mark.parametrize(
    ("text", "mentions", "pair"),
    [
        ("Rudolf Boehm (born 1928 in Paris) is a German chemist.", ["Rudolf Boehm", "German"], 0),
        ("It lies in the German state of Hesse.", ["German", "Hesse"], 1),
        (
            "It is by the American folk rock singer-songwriter Paul Simon.",
            ["American", "Paul Simon"],
            1,
        ),
        (
            "Here are two. * Pavel Demidov (1798-1840), American nobleman",
            ["two", "Pavel Demidov", "American"],
            1,
        ),
        ("He was born in Paris, Germany.", ["Paris", "Germany"], 0),
        ("Hesse was left in 1990. Paris has a German name.", ["Hesse", "Paris", "German"], 2),
        ("Hesse (now large). Paris has a German name.", ["Hesse", "Paris", "German"], 2),
        ("Hesse, as of J. R. R. German saw it.", ["Hesse", "German"], 0),
    ],
)
def test_it_tells_of_its_phrase_of_its_sentence_and_of_what_it_stands_behind(
    text: str, mentions: list[str], pair: int
) -> None:
    other = len(mentions) - 1 if pair == 0 else pair - 1
    for triple in ((pair, other), (other, pair)):
        found = annotation(text, mentions, [triple])
        assert in_scope(found, text, KB) == found


@pytest.mark.parametrize(
    ("text", "mentions", "pair"),
    [
        # The place of birth is neither its noun nor what the sentence is about.
        (
            "Rudolf Boehm (born 1928 in Paris) is a German chemist.",
            ["Rudolf Boehm", "Paris", "German"],
            (1, 2),
        ),
        # Nobody found the chemist, so that the first mention stands in brackets.
        ("He (born 1928 in Paris) is a German chemist.", ["Paris", "German"], (0, 1)),
        ("An American actress lived in Paris.", ["American", "Paris"], (1, 0)),
        ("Hesse is a state. Paris has a German school.", ["Hesse", "Paris", "German"], (0, 2)),
        ("An American actor. Paris is a city.", ["American", "Paris"], (0, 1)),
    ],
)
def test_it_tells_of_nothing_else(text: str, mentions: list[str], pair: tuple[int, int]) -> None:
    found = annotation(text, mentions, [pair])
    assert in_scope(found, text, KB).triples == ()
    assert in_scope(found, text, KB).spans == found.spans


def test_only_what_is_formed_from_a_name_of_its_record_is_an_adjective() -> None:
    text = "He (born 1928 in Paris) is a Texan chemist."
    found = annotation(text, ["Paris", "Texan"], [(0, 1)])
    assert in_scope(found, text, KB) == found  # linked to nothing


def test_a_name_is_no_adjective_of_a_shorter_one() -> None:
    text = "Paris is far from Hesse, and Japan too."
    found = annotation(text, ["Paris", "Hesse", "Japan"], [(1, 2)])
    assert in_scope(found, text, KB) == found


def test_the_setting_turns_it_on() -> None:
    text = "An American actress lived in Paris."
    found = annotation(text, ["American", "Paris"], [(1, 0)])
    assert refined(found, text, kb=KB, config=PipelineConfig()) == found
    config = PipelineConfig(rules=RulesConfig(adjective_scope=True))
    assert refined(found, text, kb=KB, config=config).triples == ()


WORDS = st.lists(
    st.sampled_from(
        ["German", "American", "Paris", "Germany", "is", "a", "(", ")", ".", ",", "é\u0301", "ה"]
    ),
    min_size=1,
    max_size=12,
)


@given(WORDS, st.data())
def test_triples_alone_are_dropped_and_once(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words)
    mentions = [word for word in words if word[:1].isupper()]
    numbers = st.integers(0, max(0, len(mentions) - 1))
    pairs = st.lists(st.tuples(numbers, numbers).filter(lambda p: p[0] != p[1]), unique=True)
    found = annotation(text, mentions, data.draw(pairs) if len(mentions) > 1 else [])
    once = in_scope(found, text, KB)
    assert once.spans == found.spans
    kept = iter(found.triples)
    assert all(triple in kept for triple in once.triples)
    assert in_scope(once, text, KB) == once
    adjectives = {
        s.span for s in found.spans if text[s.span.start : s.span.end] in ("German", "American")
    }
    dropped = set(found.triples) - set(once.triples)
    assert all(adjectives & {triple.subject, triple.object} for triple in dropped)
