"""Letters that are words or initials: which tokens are no mention by themselves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.bundle import LAYOUT, Bundle
from relik.kb import KnowledgeBase
from relik.reader.initials import bare_letters
from relik.reader.inputs import tokenise_text
from relik.reader.opening import open_reader
from relik.types import AnnotateOptions, Candidate, Span, Window, WindowCandidates


def _bare(bundle: Bundle, text: str) -> list[str]:
    tokens = tokenise_text(text, bundle.tokenizer().encode(text, add_special_tokens=False))
    told = bare_letters(text, tokens)
    return [text[tokens.starts[k] : tokens.ends[k]] for k in np.flatnonzero(told)]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("A new bridge", ["A"]),
        ("An Italian met the king", ["An", "the"]),
        ("J. Smith and P.J. Smith", ["J", "P", "J"]),
        ("D'Artagnan, L\u2019Oreal", ["D", "L"]),
        ("X-ray of a 4-H club", ["X", "a", "H"]),
        ("in c and C#", ["c", "C"]),
        ("Bank X, (C) and R", []),
        ("X", []),
        ("漢 の", []),
        ("", []),
    ],
)
def test_articles_and_initials_are_told_from_names(
    tiny_bundle: Bundle, text: str, bare: list[str]
) -> None:
    assert _bare(tiny_bundle, text) == bare


@given(text=st.text(alphabet="aAiIxX .-'é漢1\U0001f30d", max_size=30))
def test_nothing_longer_than_a_letter_but_an_article_is_bare(
    tiny_bundle: Bundle, text: str
) -> None:
    assert all(len(word) == 1 or word.lower() in {"an", "the"} for word in _bare(tiny_bundle, text))


def test_the_reader_finds_no_article(tiny_bundle: Bundle) -> None:
    text = "A bridge in Paris"
    knowledge = (
        KnowledgeBase.open(tiny_bundle.path / LAYOUT.entities),
        KnowledgeBase.open(tiny_bundle.path / LAYOUT.relations),
    )
    window = Window(doc_id="d", index=0, span=Span(0, len(text)), text=text)
    candidate = Candidate(entity_id="Q1", score=1.0, rank=0, source="given")
    candidates = [WindowCandidates(entities=(candidate,), relations=())]
    options = AnnotateOptions(threshold=0.0, nil=True)

    def read(*, skip_initials: bool, given: Span | None = None) -> set[str]:
        settings = replace(tiny_bundle.config.reader, skip_initials=skip_initials)
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

    # The model is random, and finds the article where it may.
    assert "A" in read(skip_initials=False)
    assert "A" not in read(skip_initials=True)
    assert read(skip_initials=True, given=Span(0, 1)) == {"A"}
