"""Everything upstream takes is taken, in one form or a clear refusal."""

from typing import Any

import pytest

pytest.importorskip("spacy")

from relik.errors import InputError
from relik.upstream.dropin.caller_input import (
    read_candidates,
    read_mentions,
    read_texts,
    read_windows,
    texts_of_windows,
)
from relik.upstream.dropin.outputs import Span, window_record
from relik.upstream.index.documents import Document
from relik.upstream.text.token_windows import Windowing, split

TEXT = "Marie Curie was born in Warsaw."


def test_one_text_and_a_list_of_one_are_told_apart() -> None:
    assert read_texts(TEXT).single
    assert not read_texts([TEXT]).single
    assert len(read_texts([TEXT, ""]).documents) == 2
    assert read_texts([]).documents == ()


def test_words_are_one_text_and_lists_of_words_several() -> None:
    one = read_texts(["New York", "."], is_split_into_words=True)
    assert (one.single, one.documents[0].text) == (True, "New York .")
    several = read_texts([["New York"], [], ("a", "b")], is_split_into_words=True)
    assert not several.single
    assert [document.text for document in several.documents] == ["New York", "", "a b"]


@pytest.mark.parametrize("text", [3, None, [3], ["a", ["b"]], {"a": 1}, b"bytes"])
def test_what_is_no_text_is_refused(text: object) -> None:
    for split_ in (False, True):
        with pytest.raises(InputError, match="got"):
            read_texts(text, is_split_into_words=split_)


def test_a_text_is_not_taken_for_words() -> None:
    with pytest.raises(InputError, match="expected a list of words"):
        read_texts(TEXT, is_split_into_words=True)


@pytest.mark.parametrize(
    "mentions",
    [
        [[0, 11], (24, 30)],
        [[[0, 11], [24, 30]]],
        [Span(0, 11, "", ""), Span(24, 30, "", "")],
    ],
)
def test_mentions_of_one_text_come_with_or_without_a_list_around(mentions: Any) -> None:
    assert read_mentions(mentions, read_texts(TEXT), words=False) == [[(0, 11), (24, 30)]]


def test_mentions_of_several_texts_are_a_list_for_each() -> None:
    texts = read_texts([TEXT, "", TEXT])
    read = read_mentions([[[0, 11]], [], [(24, 30)]], texts, words=False)
    assert read == [[(0, 11)], [], [(24, 30)]]
    assert read_mentions([], read_texts(TEXT), words=False) == [[]]
    with pytest.raises(InputError, match="got mentions for 1 texts, expected 3"):
        read_mentions([[[0, 11]]], texts, words=False)


def test_mentions_in_words_are_put_into_code_points() -> None:
    read = read_mentions([[0, 2], [5, 6]], read_texts(TEXT), words=True)
    assert read == [[(0, 11), (24, 30)]]


@pytest.mark.parametrize("pair", [[5, 5], [6, 5], [-1, 5], [0, 99], [0, "5"], [0], "ab", 5])
def test_a_mention_that_is_none_is_refused(pair: Any) -> None:
    for words in (False, True):
        with pytest.raises(InputError, match="got"):
            read_mentions([pair], read_texts(TEXT), words=words)


def test_candidates_are_texts_documents_or_objects_for_one_text_or_each() -> None:
    one = read_texts(TEXT)
    expected = {"span": [[Document("Warsaw"), Document("Paris", 5), Document("Ulm", "Q1")]]}
    given: list[Any] = ["Warsaw", Document("Paris", 5), {"text": "Ulm", "id": "Q1"}]
    assert read_candidates(given, one, task="span") == expected
    assert read_candidates([given], one, task="span") == expected
    assert read_candidates({"SPAN": given}, one, task="both") == expected
    assert read_candidates(None, one, task="both") == {}
    assert read_candidates([], one, task="span") == {"span": [[]]}
    several = read_candidates([["Warsaw"], []], read_texts([TEXT, TEXT]), task="triplet")
    assert several == {"triplet": [[Document("Warsaw")], []]}


def test_candidates_that_do_not_fit_are_refused() -> None:
    one, two = read_texts(TEXT), read_texts([TEXT, TEXT])
    with pytest.raises(InputError, match="expected a dict by span and triplet"):
        read_candidates(["Warsaw"], one, task="both")
    with pytest.raises(InputError, match="got candidates for 'triplet', expected span"):
        read_candidates({"triplet": ["Warsaw"]}, one, task="span")
    with pytest.raises(InputError, match="one of the candidates of a text"):
        read_candidates(["Warsaw", "Paris"], two, task="span")
    with pytest.raises(InputError, match="for 1 texts, expected 2"):
        read_candidates([["Warsaw"]], two, task="span")
    with pytest.raises(InputError, match="expected a list of candidates"):
        read_candidates("Warsaw", one, task="span")


def test_windows_come_back_as_they_were_written() -> None:
    texts = read_texts([TEXT, "", "Ulm  is old. " * 9])
    windows = [
        window
        for doc_id, document in enumerate(texts.documents)
        for window in split(document, Windowing(size=8, stride=5), doc_id=doc_id)
    ]
    records = [window_record(window, texts.documents[window.doc_id]) for window in windows]
    for given in (windows, records, [record.to_dict() for record in records]):
        read = read_windows(given)
        for one, other in zip(read, windows, strict=True):
            assert (one.doc_id, one.window_id, one.text) == (
                other.doc_id,
                other.window_id,
                other.text,
            )
            assert one.words == other.words
            assert (one.starts == other.starts).all()
            assert (one.ends == other.ends).all()
    again = texts_of_windows(read_windows(records))
    assert [document.text for document in again.documents] == [
        document.text.rstrip() if document.text.endswith(" ") else document.text
        for document in texts.documents
    ]
    assert [document.words for document in again.documents] == [
        document.words for document in texts.documents
    ]


def test_a_window_of_a_text_alone_is_completed() -> None:
    plain, worded = read_windows(
        [
            {"text": "in Ulm", "offset": 7},
            {"text": "born  in", "offset": 20, "words": ["born", "in"]},
        ]
    )
    assert (plain.words, plain.starts.tolist(), plain.ends.tolist()) == (
        ("in", "Ulm"),
        [7, 10],
        [9, 13],
    )
    assert (worded.starts.tolist(), worded.ends.tolist()) == ([20, 26], [24, 28])
    assert (plain.window_id, worded.window_id) == (0, 1)
    assert texts_of_windows([plain, worded]).documents[0].text == "       in Ulm       born  in"


@pytest.mark.parametrize(
    "window",
    [
        {},
        {"text": 3},
        {"text": "Ulm", "offset": "7"},
        {"text": "Ulm", "words": ["Rome"]},
        {"text": "Ulm", "words": ["Ulm"], "token2char_start": {"0": 3}, "token2char_end": {"0": 6}},
        {
            "text": "Ulm",
            "words": ["Ulm"],
            "token2char_start": {"0": "0"},
            "token2char_end": {"0": 3},
        },
        {"text": "Ulm", "words": ["Ulm"], "token2char_start": {"1": 0}, "token2char_end": {"0": 3}},
        3,
    ],
)
def test_a_window_that_is_none_is_refused(window: Any) -> None:
    with pytest.raises(InputError, match="got a window"):
        read_windows([window])
    with pytest.raises(InputError, match="expected a list of windows"):
        read_windows("Ulm")
