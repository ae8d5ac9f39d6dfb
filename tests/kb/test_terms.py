"""The longest terms of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.kb.terms import longest_terms
from relik.testing import FakeKnowledgeBase
from relik.types import Entity, Span

KB = FakeKnowledgeBase(
    [
        Entity(entity_id="D1", name="Fever"),
        Entity(entity_id="D2", name="Familial Mediterranean Fever", aliases=("FMF",)),
        Entity(entity_id="D3", name="Parkinson Disease"),
        Entity(entity_id="D4", name="Crohn's Disease"),
        Entity(entity_id="D5", name="AS"),
    ],
    any_case=True,
)


def found(text: str) -> dict[str, list[str]]:
    return {
        text[span.start : span.end]: [KB.entity_id(match.row) for match in matches]
        for span, matches in longest_terms(KB.names, text)
    }


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a fever", {"fever": ["D1"]}),
        (
            "FEVERS of familial mediterranean fever",
            {"FEVERS": ["D1"], "familial mediterranean fever": ["D2"]},
        ),
        ("Parkinson's disease", {"Parkinson's disease": ["D3"]}),
        ("crohn\u2019s disease", {"crohn\u2019s disease": ["D4"]}),
        ("as AS was, so FMF", {"AS": ["D5"], "FMF": ["D2"]}),
        ("", {}),
        ("\u0645\u062f\u064a\u0646\u0629 😀", {}),
    ],
)
def test_the_longest_terms_are_found_in_any_case(text: str, terms: dict[str, list[str]]) -> None:
    assert found(text) == terms


def test_adjectives_are_terms_where_asked() -> None:
    kb = FakeKnowledgeBase(
        [Entity(entity_id="D1", name="Diabetes"), Entity(entity_id="D2", name="Diabetic Foot")],
        any_case=True,
    )
    text = "diabetic patients, a diabetic foot"
    assert longest_terms(kb.names, text)[0][0] == Span(21, 34)
    told = longest_terms(kb.names, text, adjectives=True)
    assert [(text[s.start : s.end], [m.row for m in found]) for s, found in told] == [
        ("diabetic", [0]),
        ("diabetic foot", [1]),
    ]


@given(
    st.lists(st.sampled_from(["familial", "Mediterranean", "fever", "FMF", "as", "'s", ",", "é"]))
)
def test_terms_do_not_overlap_and_lie_in_the_text(words: list[str]) -> None:
    text = " ".join(words)
    last = 0
    for span, matches in longest_terms(KB.names, text):
        assert matches
        assert last <= span.start < span.end <= len(text)
        last = span.end
