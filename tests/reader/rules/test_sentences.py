"""Which sentence a mention begins in."""

import pytest

from relik.reader.rules.sentences import Sentences
from relik.types import Span


@pytest.mark.parametrize(
    ("text", "words", "numbers"),
    [
        ("Ada met Bob. Cy slept.", ("Ada", "Bob", "Cy"), (0, 0, 1)),
        ("Dr. J. R. Smith of the U.S. Army.", ("Dr", "Smith", "Army"), (0, 0, 0)),
        ('"Ada left." Bob stayed!', ("Ada", "Bob"), (0, 1)),
        ("Ada\nBob", ("Ada", "Bob"), (0, 1)),
        ("Ada, e.g. in may. and so on", ("Ada", "so"), (0, 0)),
    ],
)
def test_sentences_are_told_apart(
    text: str, words: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    sentences = Sentences(text)
    places = (Span(text.index(word), text.index(word) + len(word)) for word in words)
    assert tuple(sentences.of(place) for place in places) == numbers
