"""What the mentions of a document say of each other."""

import re

from hypothesis import given
from hypothesis import strategies as st

from relik.document.term_consistency import with_document
from relik.names.trie import NameMatch
from relik.names.variants import HEAD, KIND
from relik.testing import FakeKnowledgeBase, FakeNames
from relik.types import Annotation, Coverage, Entity, EntitySpan, Span, Triple

RECORDS = {
    "D1": ("Disease",),
    "D2": ("Hemorrhage",),
    "D3": ("Cystitis",),
    "D4": ("Angelman Syndrome", "AS", "AGS"),
    "D5": ("Tumor", "Neoplasm"),
    "D6": ("Liver Tumor",),
}


class Knowledge(FakeKnowledgeBase):
    """A knowledge base where "disease" is a kind and "tumor" heads names."""

    def __init__(self) -> None:
        entities = [
            Entity(entity_id=key, name=names[0], aliases=names[1:])
            for key, names in RECORDS.items()
        ]
        super().__init__(entities, any_case=True)
        keys = {key: self.names.lookup(key) for key in ("disease", "hemorrhage", "cystitis", "as")}
        others = ("angelman syndrome", "tumor", "neoplasm", "liver tumor")
        more = {key: self.names.lookup(key) for key in others}
        kinds = {KIND + "diseas": [NameMatch(0, 900, 0)], HEAD + "tumor": [NameMatch(0, 90, 0)]}
        self.names = FakeNames({**keys, **more, **kinds})


KB = Knowledge()


def annotation(text: str, *mentions: tuple[str, str | None]) -> Annotation:
    """Link the next place of each surface."""
    spans, at = [], 0
    for surface, entity_id in mentions:
        start = text.index(surface, at)
        at = start + len(surface)
        spans.append(EntitySpan(span=Span(start, at), entity_id=entity_id, score=0.5))
    triples = tuple(
        Triple(subject=spans[0].span, relation_id="R", object=one.span, score=0.5)
        for one in spans[1:]
    )
    covered = Coverage(characters=len(text), windows=1, truncated=False)
    return Annotation(doc_id="d", spans=tuple(spans), triples=triples, coverage=covered)


def judged(text: str, *mentions: tuple[str, str | None]) -> list[tuple[str, str | None]]:
    told = with_document(annotation(text, *mentions), text, KB)
    places = {one.span for one in told.spans}
    assert all(one.subject in places and one.object in places for one in told.triples)
    return [(text[one.span.start : one.span.end], one.entity_id) for one in told.spans]


def test_the_word_for_a_kind_is_no_mention() -> None:
    assert judged("the Diseases", ("Diseases", "D1")) == []
    assert judged("the cystitis", ("cystitis", "D3")) == [("cystitis", "D3")]


def test_an_adjective_belongs_to_the_mention_behind_it() -> None:
    linked = ("hemorrhagic", "D2"), ("cystitis", "D3")
    assert judged("hemorrhagic cystitis", *linked) == [linked[1]]
    assert judged("hemorrhagic, cystitis", *linked) == list(linked)
    named = ("hemorrhage", "D2"), ("cystitis", "D3")
    assert judged("hemorrhage cystitis", *named) == list(named)


def test_short_capitals_need_their_meaning_in_the_document() -> None:
    assert judged("with AS now", ("AS", "D4")) == []
    defined = ("Angelman syndrome", "D4"), ("AS", "D4")
    assert judged("Angelman syndrome (AS)", *defined) == list(defined)
    named = ("AS", "D4"), ("Angelman syndrome", "D4")
    assert judged("AS, that is Angelman syndrome", *named) == list(named)
    assert judged("the bone (AS)", ("AS", "D4")) == []
    assert judged("arterial stenosis (AS)", ("AS", "D4")) == [("AS", "D4")]
    assert judged("AS and AGS", ("AS", "D4"), ("AGS", "D4")) == []


def test_a_term_that_is_linked_is_so_in_its_other_places() -> None:
    text = "A tumor, Tumors and a neoplasm"
    assert judged(text, ("tumor", "D5")) == [("tumor", "D5"), ("Tumors", "D5")]
    assert judged(text) == []


def test_a_head_is_less_than_what_a_word_of_names_before_it_means() -> None:
    text = "liver tumors, the tumor"
    assert judged(text, ("tumors", "D5")) == [("tumor", "D5")]
    assert judged("induced tumor", ("tumor", "D5")) == [("tumor", "D5")]
    assert judged("liver, tumor", ("tumor", "D5")) == [("tumor", "D5")]
    assert judged("liver cystitis", ("cystitis", "D3")) == [("cystitis", "D3")]
    assert judged("liver tumor", ("liver tumor", "D6")) == [("liver tumor", "D6")]


def test_what_was_linked_to_nothing_gives_way_to_a_term() -> None:
    text = "the tumor of a large tumor"
    told = judged(text, ("tumor", "D5"), ("large tumor", None))
    assert told == [("tumor", "D5"), ("tumor", "D5")]
    assert judged("large tumor", ("large tumor", None)) == [("large tumor", None)]


def test_what_is_linked_otherwise_stays() -> None:
    text = "a tumor, tumor cystitis"
    linked = ("tumor", "D5"), ("tumor cystitis", "D3")
    assert judged(text, *linked) == list(linked)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tumor", "Tumors", "AS", "disease", "cystitis", "é", "large tumor"]),
            st.sampled_from([None, "D1", "D3", "D4", "D5", ""]),
        ),
        max_size=8,
    )
)
def test_mentions_stay_in_order_and_apart(words: list[tuple[str, str | None]]) -> None:
    text = " ".join(word for word, _ in words)
    mentions = [(word, entity_id) for word, entity_id in words if entity_id != ""]
    at = [match.start() for match in re.finditer(r"\S+", text)]
    told = with_document(annotation(text, *mentions), text, KB).spans
    assert len(at) >= len(words)
    last = 0
    for one in told:
        assert last <= one.span.start < one.span.end <= len(text)
        last = one.span.end
