import json
from pathlib import Path

import pytest

from relik.errors import InputError
from relik.evaluation import AliasBaseline, read_triples
from relik.testing import FakeKnowledgeBase
from relik.types import AnnotateOptions, Document, Entity, Span

OPTIONS = AnnotateOptions()
ENTITIES = FakeKnowledgeBase(
    [
        Entity(entity_id="Q90", name="Paris"),
        Entity(entity_id="Q167646", name="Paris"),
        Entity(entity_id="Q60", name="New York City", aliases=("New York",)),
        Entity(entity_id="Q1384", name="New York"),
        Entity(entity_id="Q7781", name="exponent"),
        Entity(entity_id="Q30", name="United States", aliases=("U.S.",)),
        Entity(entity_id="Q7275", name="State"),
    ],
    counts={
        ("State", "Q7275"): 0,
        ("Paris", "Q90"): 90,
        ("Paris", "Q167646"): 3,
        ("New York", "Q60"): 5,
    },
)


def links(text: str) -> dict[str, str | None]:
    (annotation,) = AliasBaseline(ENTITIES).annotate(
        [Document(doc_id="d", text=text)], options=OPTIONS
    )
    return {text[f.span.start : f.span.end]: f.entity_id for f in annotation.spans}


def test_the_longest_name_is_linked_to_its_most_frequent_meaning() -> None:
    assert links("From Paris to New York City by New York.") == {
        "Paris": "Q90",
        "New York City": "Q60",
        "New York": "Q60",
    }


def test_a_name_is_found_only_where_it_has_a_capital_in_both() -> None:
    assert links("the paris of new york, Exponent") == {}


def test_one_word_that_was_never_a_link_is_not_found() -> None:
    assert links("The State of The United States") == {"United States": "Q30"}


def test_initials_keep_their_last_full_stop() -> None:
    assert links("In the U.S. today") == {"U.S.": "Q30"}
    assert links("the US") == {}


def test_terms_are_found_in_any_case_where_the_index_is_one_of_terms() -> None:
    terms = FakeKnowledgeBase(
        [Entity(entity_id="D1", name="Myopathy"), Entity(entity_id="D2", name="AS")], any_case=True
    )
    text = "as myopathies and AS"
    (annotation,) = AliasBaseline(terms).annotate(
        [Document(doc_id="d", text=text)], options=OPTIONS
    )
    found = {text[one.span.start : one.span.end]: one.entity_id for one in annotation.spans}
    assert found == {"myopathies": "D1", "AS": "D2"}


def test_blank_text_has_no_links() -> None:
    assert links("") == links(" \n") == {}


def test_given_mentions_are_linked_by_their_whole_text() -> None:
    text = "paris and New York and nowhere"
    (annotation,) = AliasBaseline(ENTITIES).link(
        [Document(doc_id="d", text=text)],
        [[Span(0, 5), Span(10, 18), Span(23, 30)]],
        options=OPTIONS,
    )
    assert [f.entity_id for f in annotation.spans] == ["Q90", "Q60"]
    assert annotation.spans[0].score == pytest.approx(90 / 93)


def test_known_facts_become_triples_of_pairs_in_one_window() -> None:
    text = "Paris wrote to New York. " + "word " * 100 + "United States"
    baseline = AliasBaseline(ENTITIES, facts={("Q90", "Q60"): ("P190",), ("Q90", "Q30"): ("P17",)})
    (annotation,) = baseline.annotate([Document(doc_id="d", text=text)], options=OPTIONS)
    assert [(t.subject, t.relation_id, t.object) for t in annotation.triples] == [
        (Span(0, 5), "P190", Span(15, 23))
    ]


def test_candidates_are_every_name_in_the_window_by_prior() -> None:
    baseline = AliasBaseline(ENTITIES)
    windows = baseline.split(Document(doc_id="d", text="New York City and Paris"))
    (candidates,) = baseline.retrieve(windows, options=AnnotateOptions(top_k=3))
    assert [c.entity_id for c in candidates.entities] == ["Q60", "Q90", "Q1384"]
    assert [c.rank for c in candidates.entities] == [0, 1, 2]


def test_triples_are_read_by_pair(tmp_path: Path) -> None:
    path = tmp_path / "triples.jsonl"
    path.write_text(json.dumps({"h": "Q1", "r": ["P1", "P2"], "t": "Q2"}))
    assert read_triples(path) == {("Q1", "Q2"): ("P1", "P2")}
    path.write_text(json.dumps({"h": "Q1", "r": "P1", "t": "Q2"}))
    with pytest.raises(InputError, match="line 1: got"):
        read_triples(path)
