"""The longest terms of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.gazetteer import likely_terms, longest_terms, variants_at
from relik.names.normalise import normalise, tokenise_surface
from relik.names.trie import NameMatch
from relik.names.variants import reduced_words, variant_key
from relik.testing import FakeKnowledgeBase, FakeNames
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
        text[span.start : span.end]: [KB.entity_id(sense.row) for sense in senses]
        for span, senses in longest_terms(KB, text)
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
    assert longest_terms(kb, text)[0][0] == Span(21, 34)
    told = likely_terms(kb, text)
    assert [(text[s.start : s.end], [m.row for m in found]) for s, found in told] == [
        ("diabetic", [0]),
        ("diabetic foot", [1]),
    ]


def with_variants(*names: str) -> FakeKnowledgeBase:
    """Terms of one record each, and their variants."""
    kb = FakeKnowledgeBase([Entity(entity_id=name, name=name) for name in names], any_case=True)
    keys: dict[str, list[NameMatch]] = {}
    for row, name in enumerate(names):
        key = normalise(name)
        for one in (key, variant_key(reduced_words(key.split(), kb.policy.language))):
            keys.setdefault(one, []).append(NameMatch(row, 1, 0))
    kb.names = FakeNames(keys)
    return kb


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a cancer of the breast and", {"cancer of the breast": [0]}),
        ("breast tumours, cancer", {"cancer": [1]}),
        ("cancer. Breast", {"cancer": [1]}),
        ("cancer (breast", {"cancer": [1]}),
        ("oedemas", {"oedemas": [2]}),
        ("4 edema", {"edema": [2]}),
        ("and the", {}),
    ],
)
def test_likely_terms_are_variants_within_a_phrase(text: str, terms: dict[str, list[int]]) -> None:
    kb = with_variants("Breast Cancer", "Cancer", "Edema", "Edema 4")
    told = {
        text[span.start : span.end]: [match.row for match in matches]
        for span, matches in likely_terms(kb, text)
    }
    assert told == terms
    assert not any(longest == "cancer of the breast" for longest in found(text))


def test_all_variants_from_a_word_on_are_given() -> None:
    text = "cancers of the breast"
    kb = with_variants("Breast Cancer", "Cancer")
    told = variants_at(kb, text, tokenise_surface(text))
    assert [(length, [match.row for match in matches]) for length, matches in told] == [
        (1, [1]),
        (4, [0]),
    ]
    assert variants_at(kb, text, []) == []


@given(
    st.lists(st.sampled_from(["familial", "Mediterranean", "fever", "FMF", "as", "'s", ",", "é"]))
)
def test_terms_do_not_overlap_and_lie_in_the_text(words: list[str]) -> None:
    text = " ".join(words)
    last = 0
    for span, senses in longest_terms(KB, text):
        assert senses
        assert last <= span.start < span.end <= len(text)
        last = span.end
