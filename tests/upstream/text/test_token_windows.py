"""Windows are cut as upstream cuts them: every token read, full windows, the last moved back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("spacy")

from relik.errors import InputError
from relik.upstream.dropin.outputs import window_record
from relik.upstream.text.token_windows import (
    TokenText,
    Windowing,
    char_range,
    join_words,
    split,
    tokenize,
    word_range,
)
from relik.upstream.text.word_rules import spacy_rules
from relik.upstream.text.words import SPACY, RuleTokenizer, WordTokenizer

WORDS = st.lists(st.text(alphabet="ab é日", max_size=4), max_size=120)
SIZES = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size)))


def offsets(count: int, size: int, stride: int) -> list[tuple[int, int]]:
    document = join_words([f"w{i}" for i in range(count)])
    windows = split(document, Windowing(size=size, stride=stride))
    return [(int(window.words[0][1:]), len(window.words)) for window in windows]


@pytest.fixture(scope="module", params=["spacy", "rules"])
def word_tokenizer(request: pytest.FixtureRequest) -> WordTokenizer:
    """spaCy, and its rules as data."""
    return SPACY if request.param == "spacy" else RuleTokenizer(spacy_rules()[0])


def test_windows_are_those_that_upstream_answered(
    released: Any, word_tokenizer: WordTokenizer
) -> None:
    checked = 0
    for case in released.cases:
        if "windows" not in case:
            continue
        texts = case["text"] if isinstance(case["text"], list) else [case["text"]]
        whole = case["kwargs"].get("window_size") == "none"
        windowing = Windowing(size="none") if whole else Windowing(size=32, stride=16)
        documents = [tokenize(text, word_tokenizer) for text in texts]
        windows = [
            window
            for doc_id, document in enumerate(documents)
            for window in split(document, windowing, doc_id=doc_id, word_tokenizer=word_tokenizer)
        ]
        # The topic of every window is the first token of the first text, whatever its document.
        topic = documents[0].words[0] if documents and documents[0].words else ""
        mentions = [tuple(one) for one in case["kwargs"].get("mentions", [])]
        records = [
            window_record(
                window, documents[window.doc_id], doc_topic=topic, spans=mentions
            ).to_dict()
            for window in windows
        ]
        assert [
            {key: record[key] for key in gold}
            for record, gold in zip(records, case["windows"], strict=True)
        ] == [
            {
                key: list(map(list, value)) if key == "spans" else value
                for key, value in gold.items()
            }
            for gold in case["windows"]
        ]
        checked += len(windows)
    assert checked


def test_the_last_window_is_moved_back_to_be_full() -> None:
    assert offsets(111, 32, 16) == [(s, 32) for s in (0, 16, 32, 48, 64, 79)]
    assert offsets(32, 32, 16) == [(0, 32)]
    assert offsets(33, 32, 16) == [(0, 32), (1, 32)]
    assert offsets(48, 32, 16) == [(0, 32), (16, 32)]
    assert offsets(5, 32, 16) == [(0, 5)]
    assert offsets(0, 32, 16) == []


def test_no_stride_is_the_size() -> None:
    assert offsets(10, 4, 0) == [(0, 4), (4, 4), (6, 4)]


@given(WORDS, SIZES)
def test_every_token_is_in_a_full_window_that_slices_the_text(
    words: list[str], sizes: tuple[int, int]
) -> None:
    size, stride = sizes
    document = join_words(words)
    windows = split(document, Windowing(size=size, stride=stride), doc_id=3)
    assert {len(window.words) for window in windows} <= {min(size, len(words))}
    assert [window.window_id for window in windows] == list(range(len(windows)))
    covered = np.zeros(len(words), dtype=bool)
    first_tokens = []
    for window in windows:
        assert window.doc_id == 3
        first = next(
            i
            for i in range(len(words))
            if np.array_equal(document.starts[i : i + len(window.words)], window.starts)
        )
        first_tokens.append(first)
        covered[first : first + len(window.words)] = True
        assert window.offset == document.starts[first]
        assert window.text == document.text[window.offset : window.offset + len(window.text)]
        for word, start, end in zip(window.words, window.starts, window.ends, strict=True):
            assert document.text[start:end] == word
    assert covered.all()
    if windows:
        assert first_tokens[-1] + len(windows[-1].words) == len(words)
        step = stride or size
        assert first_tokens[:-1] == [step * i for i in range(len(windows) - 1)]
        assert len(set(first_tokens)) == len(windows)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
def test_tokens_slice_the_text_and_leave_out_nothing_but_single_spaces(
    word_tokenizer: WordTokenizer, text: str
) -> None:
    document = tokenize(text, word_tokenizer)
    reached = 0
    for word, start, end in zip(document.words, document.starts, document.ends, strict=True):
        assert text[reached:start] in ("", " ")
        assert text[start:end] == word
        reached = int(end)
    assert text[reached:] in ("", " ")
    assert document.starts.dtype == document.ends.dtype == np.int64


@given(
    st.text(alphabet=st.sampled_from("Ab. !?\n"), max_size=60),
    st.sampled_from(["sentence", "none"]),
)
def test_sentences_and_whole_documents_cover_every_token_once(
    word_tokenizer: WordTokenizer, text: str, size: str
) -> None:
    document = tokenize(text, word_tokenizer)
    windows = split(document, Windowing(size=size), word_tokenizer=word_tokenizer)
    assert tuple(word for window in windows for word in window.words) == document.words


def test_sentences_are_cut_by_rule(word_tokenizer: WordTokenizer) -> None:
    document = tokenize("Rome is old. Paris is not! Is it?", word_tokenizer)
    windows = split(document, Windowing(size="sentence"), word_tokenizer=word_tokenizer)
    assert [window.text for window in windows] == ["Rome is old.", "Paris is not!", "Is it?"]
    assert [window.offset for window in windows] == [0, 13, 27]


def test_words_that_are_given_are_joined_by_spaces() -> None:
    document = join_words(["New", "", "York City", "."])
    assert document.text == "New  York City ."
    assert [document.text[s:e] for s, e in zip(document.starts, document.ends, strict=True)] == [
        "New",
        "",
        "York City",
        ".",
    ]
    assert join_words([]).text == ""
    for wrong in ("New York", ["New", 3], [["New"]]):
        with pytest.raises(InputError, match="expected a list of words"):
            join_words(wrong)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("size", "stride"), [(0, None), (-1, None), (True, None), ("words", None), (8, 9), (8, -1)]
)
def test_windows_that_would_miss_text_are_refused(size: int | str, stride: int | None) -> None:
    with pytest.raises(InputError, match="got"):
        Windowing(size=size, stride=stride)


@pytest.mark.parametrize("size", ["sentence", "none"])
def test_a_stride_without_a_number_of_tokens_is_refused(size: str) -> None:
    with pytest.raises(InputError, match="window stride 4 with the size"):
        Windowing(size=size, stride=4)
    assert Windowing(size=size, stride=0).size == size


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InputError, match="surrogate pair at character 2"):
        tokenize("a \ud800")


@pytest.fixture
def document() -> TokenText:
    return tokenize("Marie Curie, born in Warsaw")


def test_words_are_found_by_the_code_points_they_have(document: TokenText) -> None:
    assert word_range(document, 6, 11) == (1, 2)
    assert word_range(document, 8, 10) == (1, 2)
    assert word_range(document, 0, len(document.text)) == (0, 6)
    assert word_range(document, 21, 11) == (5, 2)
    assert char_range(document, 1, 3) == (6, 12)
    for first, last in ((2, 2), (-1, 2), (0, 7)):
        with pytest.raises(InputError, match="within the 6 words"):
            char_range(document, first, last)


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=3), min_size=1, max_size=9), st.data())
def test_words_and_their_code_points_name_each_other(words: list[str], data: st.DataObject) -> None:
    document = join_words(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first + 1, len(words)))
    assert word_range(document, *char_range(document, first, last)) == (first, last)
