"""Abbreviations that a text defines, and what they mean from then on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.document.abbreviations import abbreviations, with_abbreviations
from relik.types import Annotation, Coverage, EntitySpan, Span, Triple


@pytest.mark.parametrize(
    ("text", "defined"),
    [
        ("of familial Mediterranean fever (FMF).", {"FMF": "familial Mediterranean fever"}),
        ("ataxia-telangiectasia (A-T)", {"A-T": "ataxia-telangiectasia"}),
        ("the World Health Organization [WHO]", {"WHO": "World Health Organization"}),
        ("shown before (Fig) and (1999)", {}),
        ("(FMF) alone", {}),
        ("nothing like it (XYZ)", {}),
        ("", {}),
    ],
)
def test_the_long_form_has_the_characters_of_the_short(text: str, defined: dict[str, str]) -> None:
    found = {short: text[span.start : span.end] for short, span in abbreviations(text).items()}
    assert found == defined


@given(st.text(alphabet="aA bB(c)C[-]. é😀", max_size=60))
def test_long_forms_end_before_their_brackets(text: str) -> None:
    for short, span in abbreviations(text).items():
        assert 0 <= span.start < span.end <= text.index(f"{short}", span.end)
        assert short[0].lower() in text[span.start : span.end].lower()


def _annotation(text: str, links: dict[str, str | None], *, last: bool = False) -> Annotation:
    places = {
        surface: Span(at, at + len(surface))
        for surface in links
        for at in [text.rindex(surface) if last else text.index(surface)]
    }
    return Annotation(
        doc_id="d",
        spans=tuple(
            EntitySpan(span=places[surface], entity_id=key, score=0.7)
            for surface, key in sorted(links.items(), key=lambda item: places[item[0]])
        ),
        triples=(),
        coverage=Coverage(characters=len(text), windows=1, truncated=False),
    )


def _linked(annotation: Annotation, text: str) -> list[tuple[str, str | None]]:
    return [(text[one.span.start : one.span.end], one.entity_id) for one in annotation.spans]


def test_each_use_means_what_the_long_form_does() -> None:
    text = "Familial fever (FF) is rare. FF is not FFA."
    told = with_abbreviations(_annotation(text, {"Familial fever": "D1"}), text)
    assert _linked(told, text) == [("Familial fever", "D1"), ("FF", "D1"), ("FF", "D1")]
    assert {one.score for one in told.spans} == {0.7}


def test_a_namesake_gives_way_to_the_definition() -> None:
    text = "Familial fever (FF) is rare. FF remains."
    links = {"Familial fever": "D1", "FF": "D9"}
    told = with_abbreviations(_annotation(text, links, last=True), text)
    assert ("FF", "D9") not in _linked(told, text)


def test_a_short_form_of_something_unknown_is_no_mention_and_has_no_triples() -> None:
    text = "They gave diethyl stilbestrol (DS). DS is old."
    plain = _annotation(text, {"DS": "D9", "They": "D2"})
    one, other = plain.spans[1].span, plain.spans[0].span
    triple = Triple(subject=one, relation_id="P1", object=other, score=0.5)
    told = with_abbreviations(replace(plain, triples=(triple,)), text)
    assert _linked(told, text) == [("They", "D2")]
    assert told.triples == ()


def test_the_last_word_of_a_long_form_does_not_stand_for_it() -> None:
    text = "In non-small cell lung carcinoma (NSCLC) cells. NSCLC grows."
    told = with_abbreviations(_annotation(text, {"carcinoma": "D1", "NSCLC": "D9"}), text)
    assert _linked(told, text) == [("carcinoma", "D1")]
    told = with_abbreviations(_annotation(text, {"lung carcinoma": "D1"}), text)
    assert _linked(told, text) == [("lung carcinoma", "D1")]
    told = with_abbreviations(_annotation(text, {"cell lung carcinoma": "D1"}), text)
    assert [key for _, key in _linked(told, text)] == ["D1", "D1", "D1"]


def test_a_document_of_nothing_but_brackets_takes_no_longer_than_it_is() -> None:
    text = "Aa bb (AB) " * 20_000 + " ".join(f"Xx yy zz (X{at}z)" for at in range(20_000))
    plain = _annotation(text, {"Aa bb": "D1"})
    assert len(with_abbreviations(plain, text).spans) == 20_001


def test_longer_mentions_keep_their_place() -> None:
    text = "Familial fever (FF) and FF syndrome."
    plain = _annotation(text, {"Familial fever": "D1", "FF syndrome": "D5"})
    assert ("FF syndrome", "D5") in _linked(with_abbreviations(plain, text), text)
