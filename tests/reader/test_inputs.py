"""Rows for the reader: where things stand, what a text cannot forge, and offsets that stay true."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from relik.bundle import Bundle
from relik.errors import ConfigError
from relik.reader.inputs import (
    CANDIDATES,
    CAPITALISED,
    TEXT,
    UPPERCASE,
    MarkerLayout,
    ReaderInput,
    TextTokens,
    begins_line,
    build_input,
    in_batches,
    pad_inputs,
    tokenise_text,
)
from relik.types import IntArray

CLS, SEP = 2, 3
LAYOUT = MarkerLayout(vocabulary=40, n_entities=6, n_relations=3, cls=CLS, sep=SEP)
NME, E0, R0 = 40, 41, 47
TRICKY = [
    "Ada 👩‍👩‍👧 in Paris",
    "Berli\u0301n Paris\u0308s",
    "Ada\r\nLovelace\tParis",
    "\u05e4\u05e8\u05d9\u05d6 Paris \u0628\u0631\u0644\u064a\u0646",
    "日本日 Paris",
    "\ufeff\u200bParis\u00a0\u00adAda\x00Berlin",
    "\uff30\uff21 \ufb01 \xdf Paris",
]


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle: Bundle) -> Tokenizer:
    return tiny_bundle.tokenizer()


def _tokens(tokenizer: Tokenizer, text: str) -> TextTokens:
    return tokenise_text(text, tokenizer.encode(text, add_special_tokens=False))


def _folded(text: str) -> str:
    parted = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in parted if not unicodedata.category(char).startswith("M"))


def _plain(n: int) -> TextTokens:
    places = np.arange(n, dtype=np.int64)
    edge = np.ones(n, dtype=bool)
    return TextTokens(
        ids=places + 5,
        types=np.full(n, CAPITALISED, dtype=np.int64),
        starts=places,
        ends=places + 1,
        begins_word=edge,
        ends_word=edge,
    )


def _names(*lengths: int) -> list[IntArray]:
    return [np.full(n, 30 + k, dtype=np.int64) for k, n in enumerate(lengths)]


def _build(n_text: int, entities: list[int], relations: list[int], max_tokens: int) -> ReaderInput:
    return build_input(
        _plain(n_text), _names(*entities), _names(*relations), LAYOUT, max_tokens=max_tokens
    )


def test_a_row_is_laid_out_as_documented() -> None:
    row = _build(2, [1, 2], [1], 48)
    assert row.ids.tolist() == [CLS, 5, 6, SEP, NME, E0, 30, E0 + 1, 31, 31, SEP, R0, 30, SEP]
    assert row.types.tolist() == [TEXT, 2, 2, TEXT, *[CANDIDATES] * 10]
    assert row.entity_positions.tolist() == [0, 4, 5, 7]
    assert row.relation_positions.tolist() == [11]
    assert row.n_text == 2


def test_a_row_without_candidates_still_has_nil() -> None:
    row = _build(1, [], [], 48)
    assert row.ids.tolist() == [CLS, 5, SEP, NME, SEP]
    assert row.entity_positions.tolist() == [0, 3]
    assert row.relation_positions.tolist() == []


def test_a_row_without_text_is_a_row() -> None:
    assert _build(0, [1], [], 48).ids.tolist() == [CLS, SEP, NME, E0, 30, SEP]


def test_there_are_no_more_candidates_than_markers() -> None:
    row = _build(1, [1] * 9, [1] * 9, 99)
    assert len(row.entity_positions) == 2 + 6
    assert len(row.relation_positions) == 3


def test_candidates_that_do_not_fit_are_left_out_from_the_end() -> None:
    row = _build(3, [2, 2, 9, 1], [], 16)  # room for 8 tokens: two names with their markers
    assert len(row.entity_positions) == 2 + 2
    assert len(row.ids) <= 16


def test_relations_take_at_most_half_of_the_room() -> None:
    row = _build(3, [2] * 6, [2] * 3, 20)  # room for 12: two relations, two entities
    assert len(row.relation_positions) == 2
    assert len(row.entity_positions) == 2 + 2


def test_relations_without_entities_take_all_the_room() -> None:
    assert len(_build(3, [], [2] * 3, 17).relation_positions) == 3


def test_a_text_that_does_not_fit_is_refused() -> None:
    assert len(_build(11, [1], [1], 16).ids) == 15
    with pytest.raises(ConfigError, match="12 tokens of text, expected at most 11"):
        _build(12, [1], [1], 16)


@given(
    n_text=st.integers(0, 20),
    entities=st.lists(st.integers(1, 10), max_size=8),
    relations=st.lists(st.integers(1, 10), max_size=5),
    max_tokens=st.integers(25, 60),
)
def test_a_row_never_exceeds_its_limit(
    n_text: int, entities: list[int], relations: list[int], max_tokens: int
) -> None:
    row = _build(n_text, entities, relations, max_tokens)
    assert len(row.ids) == len(row.types) <= max_tokens
    n_entities, n_relations = len(row.entity_positions) - 2, len(row.relation_positions)
    assert row.ids[row.entity_positions[1:]].tolist() == list(range(NME, NME + n_entities + 1))
    assert row.ids[row.relation_positions].tolist() == list(range(R0, R0 + n_relations))
    assert (row.ids >= 40).sum() == 1 + n_entities + n_relations
    assert (row.ids[1 : n_text + 1] == np.arange(5, n_text + 5)).all()


@pytest.mark.parametrize(
    "text", ["[MASK]", "[CLS] [SEP]", "[E-3]", "--NME--", "[R-0][PAD]", "a[SEP]b [UNK]"]
)
def test_no_text_forges_a_marker_or_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    ids = _tokens(tokenizer, text).ids
    assert len(ids)
    assert set(ids.tolist()) <= {1, *range(5, 40)}  # [UNK] stands for any word not known


def test_a_special_token_in_a_text_keeps_its_place(tokenizer: Tokenizer) -> None:
    found = _tokens(tokenizer, "a [SEP] b")
    assert [(s, e) for s, e in zip(found.starts, found.ends, strict=True)] == [
        (0, 1),
        (2, 3),
        (3, 6),
        (6, 7),
        (8, 9),
    ]


def test_the_case_of_a_word_is_its_type(tokenizer: Tokenizer) -> None:
    text = "the Paris BERLIN A of iPad Ada-paris"
    found = _tokens(tokenizer, text)
    types = dict(
        zip(
            (text[s:e] for s, e in zip(found.starts, found.ends, strict=True)),
            found.types.tolist(),
            strict=True,
        )
    )
    assert types == {
        "the": TEXT,
        "Paris": CAPITALISED,
        "BERLIN": UPPERCASE,
        "A": CAPITALISED,
        "of": TEXT,
        "iPad": TEXT,
        "Ada": CAPITALISED,
        "-": TEXT,
        "paris": TEXT,
    }


def test_a_span_begins_and_ends_with_whole_words(tokenizer: Tokenizer) -> None:
    found = _tokens(tokenizer, "citys, Ada")  # city ##s , ada
    assert found.begins_word.tolist() == [True, False, True, True]
    assert found.ends_word.tolist() == [False, True, True, True]


def test_an_empty_text_has_no_tokens(tokenizer: Tokenizer) -> None:
    for text in ("", " \r\n\t", "\u200b"):
        found = _tokens(tokenizer, text)
        assert len(found.ids) == len(found.starts) == len(found.begins_word) == 0


@pytest.mark.parametrize("text", TRICKY)
def test_offsets_index_the_text_as_it_was_given(tokenizer: Tokenizer, text: str) -> None:
    found = _tokens(tokenizer, text)
    named = {tokenizer.token_to_id(word): word for word in ("paris", "ada", "berlin")}
    seen = [
        (named[token], _folded(text[start:end]))
        for token, start, end in zip(found.ids.tolist(), found.starts, found.ends, strict=True)
        if token in named
    ]
    assert seen
    assert all(word == written for word, written in seen)
    assert (found.starts <= found.ends).all()
    assert (np.diff(found.starts) >= 0).all()
    assert found.ends.max() <= len(text)


@given(text=st.text(max_size=40))
def test_any_text_has_tokens_inside_itself(tokenizer: Tokenizer, text: str) -> None:
    found = _tokens(tokenizer, text.encode("utf-8", "replace").decode())
    assert ((found.starts >= 0) & (found.ends <= len(text))).all()
    assert (found.ends > found.starts)[found.begins_word | found.ends_word].all()
    assert ((found.ids >= 5) | (found.ids == 1)).all()


def test_padding_is_masked() -> None:
    arrays = pad_inputs([_build(1, [1], [1], 48), _build(4, [], [], 48)])
    assert arrays.ids.shape == arrays.types.shape == arrays.mask.shape == (2, 10)
    assert arrays.mask.sum(axis=1).tolist() == [10, 8]
    assert arrays.entity_mask.tolist() == [[True, True, True], [True, True, False]]
    assert arrays.relation_mask.tolist() == [[True], [False]]


def test_markers_lie_behind_the_vocabulary(tokenizer: Tokenizer) -> None:
    layout = MarkerLayout.of(tokenizer, n_entities=6, n_relations=3)
    assert layout == LAYOUT
    assert layout.size == 10


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    plain = Tokenizer(models.WordLevel({"[CLS]": 0}, unk_token="[CLS]"))
    with pytest.raises(ConfigError, match=r"lacks \[CLS\] or \[SEP\]"):
        MarkerLayout.of(plain, n_entities=1, n_relations=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x y\nRESULTS\nATLANTA AT CHICAGO\nFLORIDA AT BOSTON", ["ATLANTA", "FLORIDA"]),
        ("the end\n\nBoston won", ["Boston"]),
        ("first\nthis long line of prose is wrapped right behind New\nYork and goes on", []),
        ("one line", []),
        ("", []),
        ("\n\n", []),
    ],
)
def test_lines_of_lists_begin_anew_and_those_of_prose_do_not(
    text: str, expected: list[str]
) -> None:
    words = list(re.finditer(r"\S+", text))
    begins = begins_line(text, np.array([word.start() for word in words], dtype=np.int64))
    assert [w.group() for w, begun in zip(words, begins, strict=True) if begun] == expected


def test_a_pictograph_is_no_part_of_a_name(tokenizer: Tokenizer) -> None:
    tokens = _tokens(tokenizer, "ada \U0001f600 \u2192 bob\ufe0f !")
    begins = [int(start) for start in tokens.starts[tokens.begins_word]]
    ends = [int(end) for end in tokens.ends[tokens.ends_word]]
    assert begins == [0, 8, 13]
    assert {3, 14} <= set(ends)
    assert not {5, 7} & set(ends)


def test_words_of_a_text_in_words_are_apart_by_white_space_alone(tokenizer: Tokenizer) -> None:
    text = "Ada's U.S. home , in Texas."
    encoding = tokenizer.encode(text, add_special_tokens=False)
    for pretokenised, wanted in (
        (False, ["Ada", "'", "s", "U", ".", "S", ".", "home", ",", "in", "Texas", "."]),
        (True, ["Ada's", "U.S.", "home", ",", "in", "Texas."]),
    ):
        tokens = tokenise_text(text, encoding, pretokenised=pretokenised)
        starts, ends = tokens.starts[tokens.begins_word], tokens.ends[tokens.ends_word]
        assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == wanted


@given(text=st.text(max_size=60))
def test_words_apart_by_white_space_are_some_of_those_that_are(
    tokenizer: Tokenizer, text: str
) -> None:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    fine = tokenise_text(text, encoding)
    coarse = tokenise_text(text, encoding, pretokenised=True)
    assert not (coarse.begins_word & ~fine.begins_word).any()
    assert not (coarse.ends_word & ~fine.ends_word).any()


@given(st.lists(st.integers(1, 40), max_size=20), st.integers(1, 100))
def test_batches_have_every_row_once_and_keep_to_their_size(widths: list[int], most: int) -> None:
    batches = in_batches(widths, most=most)
    flat = [i for batch in batches for i in batch]
    assert sorted(flat) == list(range(len(widths)))
    assert [widths[i] for i in flat] == sorted(widths)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(widths[i] for i in batch) <= most
