"""Words of one tokenizer are found among the pieces of another, by their characters."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

pytest.importorskip("torch")

from relik.reader.inputs import (
    MarkerLayout,
    TextTokens,
    build_input,
    tokenise_text,
)
from relik.text import TextTokenizer
from relik_training.distill.token_alignment import (
    NONE,
    RowMaker,
    align_words,
    candidates_of,
)

TEXT = "Ada and Bob met Fay in Rome"


def _tokens(tokenizer: Tokenizer, text: str) -> TextTokens:
    return tokenise_text(text, tokenizer.encode(text, add_special_tokens=False))


def test_a_word_begins_and_ends_at_the_same_characters(
    word_tokenizer: Tokenizer, piece_tokenizer: Tokenizer
) -> None:
    words, pieces = _tokens(word_tokenizer, TEXT), _tokens(piece_tokenizer, TEXT)
    first, last = align_words(words, pieces)
    # Ada and Bob met: three letters each, so words begin at pieces 0, 3, 6, 9.
    assert first[:4].tolist() == [0, 3, 6, 9]
    assert last[:4].tolist() == [2, 5, 8, 11]
    assert pieces.starts[first].tolist() == words.starts.tolist()
    assert pieces.ends[last].tolist() == words.ends.tolist()


def test_pieces_inside_a_word_match_nothing(
    word_tokenizer: Tokenizer, piece_tokenizer: Tokenizer
) -> None:
    words, pieces = _tokens(word_tokenizer, TEXT), _tokens(piece_tokenizer, TEXT)
    first, last = align_words(pieces, words)
    assert first[:6].tolist() == [0, NONE, NONE, 1, NONE, NONE]
    assert last[:6].tolist() == [NONE, NONE, 0, NONE, NONE, 1]


@given(text=st.text(alphabet="abz .,-é日", max_size=30))
def test_what_matches_has_the_same_characters(
    word_tokenizer: Tokenizer, piece_tokenizer: Tokenizer, text: str
) -> None:
    words, pieces = _tokens(word_tokenizer, text), _tokens(piece_tokenizer, text)
    for ours, theirs in ((words, pieces), (pieces, words), (words, words)):
        first, last = align_words(ours, theirs)
        for k in np.flatnonzero(first != NONE):
            assert ours.starts[k] == theirs.starts[first[k]]
            assert ours.begins_word[k]
            assert theirs.begins_word[first[k]]
        for k in np.flatnonzero(last != NONE):
            assert ours.ends[k] == theirs.ends[last[k]]
            assert ours.ends_word[k]
            assert theirs.ends_word[last[k]]
    assert (align_words(words, words)[0] != NONE).tolist() == words.begins_word.tolist()


@given(sizes=st.tuples(*[st.lists(st.integers(0, 4), max_size=5)] * 2), room=st.integers(0, 40))
def test_candidates_are_taken_out_as_they_were_put_in(
    word_tokenizer: Tokenizer, layout: MarkerLayout, sizes: tuple[list[int], list[int]], room: int
) -> None:
    given_ids = [[np.arange(4, 4 + size) for size in each] for each in sizes]
    text = _tokens(word_tokenizer, "Ada met Bob")
    built = build_input(text, *given_ids, layout, max_tokens=8 + room)
    for taken, put, fitted in zip(
        candidates_of(built),
        given_ids,
        (len(built.entity_positions) - 2, len(built.relation_positions)),
        strict=True,
    ):
        assert [each.tolist() for each in taken] == [each.tolist() for each in put[:fitted]]


def test_a_teacher_with_the_same_words_reads_the_very_rows(  # type: ignore[no-untyped-def]
    batch_of, examples, word_tokenizer, layout
):
    batch = batch_of(*examples)
    maker = RowMaker(tokenizer=TextTokenizer(word_tokenizer), layout=layout, max_tokens=60)
    rows = maker.rows(batch.rows, batch.arrays.ids.shape[1])
    for name in ("ids", "types", "mask", "entity_positions", "relation_positions"):
        assert np.array_equal(getattr(rows.arrays, name), getattr(batch.arrays, name))
    begins = rows.first != NONE
    assert (rows.first[begins] == np.nonzero(begins)[1]).all()


def test_a_teacher_reads_the_case_that_its_student_does_not_see(  # type: ignore[no-untyped-def]
    batch_of, examples, word_tokenizer, layout
):
    maker = RowMaker(tokenizer=TextTokenizer(word_tokenizer), layout=layout, max_tokens=60)
    noisy, plain = batch_of(*examples, case_noise=0.5), batch_of(*examples)
    assert not np.array_equal(noisy.arrays.types, plain.arrays.types)
    rows = maker.rows(noisy.rows, noisy.arrays.ids.shape[1])
    assert np.array_equal(rows.arrays.types, plain.arrays.types)


def test_markers_of_a_teacher_have_numbers_of_their_own(  # type: ignore[no-untyped-def]
    batch_of, examples, word_tokenizer, layout
):
    batch = batch_of(*examples)
    more = dataclasses.replace(layout, n_entities=layout.n_entities + 3)
    maker = RowMaker(tokenizer=TextTokenizer(word_tokenizer), layout=more, max_tokens=60)
    rows = maker.rows(batch.rows, batch.arrays.ids.shape[1])
    first = batch.arrays.relation_positions[0, 0]
    assert rows.arrays.ids[0, first] == batch.arrays.ids[0, first] + 3
