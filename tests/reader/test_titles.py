"""Titles before names: where they are, and that none is a mention by itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import LAYOUT, Bundle
from relik.kb import KnowledgeBase
from relik.reader.opening import open_reader
from relik.reader.titles import titles
from relik.types import AnnotateOptions, Candidate, Span, Window, WindowCandidates


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("President Obama met Prime Minister Netanyahu", ["President", "Prime Minister"]),
        ("Mr. Smith, Mr Jones and Sen. McCain", ["Mr.", "Mr", "Sen."]),
        ("Vice President\nGore", ["Vice President"]),
        ("Lord  Byron and Sir \u00c9tienne", ["Lord", "Sir"]),
        ("the President of France", []),
        ("president Obama, Presidential Medal, Kings Cross", []),
        ("Mr. 7 and General 'X'", []),
        ("President", []),
        ("", []),
    ],
)
def test_titles_before_names_are_found(text: str, found: list[str]) -> None:
    assert [text[first:last] for first, last in titles(text)] == found


@given(text=st.text(alphabet="PresidntMKg. \n\u00c9", max_size=40))
def test_a_name_follows_each_title(text: str) -> None:
    for first, last in titles(text):
        assert text[first].isupper()
        assert text[last:].lstrip()[0].isupper()


def test_the_reader_finds_no_title_before_a_name(tiny_bundle: Bundle) -> None:
    text = "King Ada Lovelace was born in Paris"
    knowledge = (
        KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities),
        KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations),
    )
    window = Window(doc_id="d", index=0, span=Span(0, len(text)), text=text)
    candidate = Candidate(entity_id="Q1", score=1.0, rank=0, source="given")
    candidates = [WindowCandidates(entities=(candidate,), relations=())]
    options = AnnotateOptions(threshold=0.0, nil=True)

    def read(*, skip_titles: bool, given: Span | None = None) -> set[str]:
        settings = replace(tiny_bundle.config.reader, skip_titles=skip_titles)
        reader = open_reader(
            tiny_bundle.path,
            backend="onnx",
            config=replace(tiny_bundle.config, reader=settings),
            tokenizer=tiny_bundle.tokenizer(),
            knowledge=knowledge,
        )
        if given is None:
            (told,) = reader.read([window], candidates, options=options)
        else:
            (told,) = reader.link([window], candidates, [[given]], options=options)
        return {text[one.span.start : one.span.end] for one in told.spans}

    # The model is random, and finds the title where it may.
    assert "King" in read(skip_titles=False)
    assert "King" not in read(skip_titles=True)
    assert read(skip_titles=True, given=Span(0, 4)) == {"King"}
