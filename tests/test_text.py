"""What a tokenizer gets of a text."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from relik.text import TextTokenizer, prepared

ANY = st.text(st.characters(codec=None))


@given(ANY)
def test_a_prepared_text_is_valid_and_keeps_its_length(text: str) -> None:
    whole = prepared(text)
    assert len(whole) == len(text)
    whole.encode("utf-8")
    assert prepared(whole) == whole


def test_half_of_a_surrogate_pair_is_a_question_mark() -> None:
    assert prepared("Ada \ud83d in \ude00Paris") == "Ada ? in ?Paris"


@given(ANY)
def test_tokens_lie_in_the_text_as_it_was_given(bert_tokenizer: Tokenizer, text: str) -> None:
    (encoding,) = TextTokenizer(bert_tokenizer).tokenise([text])
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)
    assert not {2, 3} & set(encoding.ids)


def test_a_divided_word_is_one_word_over_all_its_characters(bert_tokenizer: Tokenizer) -> None:
    (encoding,) = TextTokenizer(bert_tokenizer).tokenise(["in Ber-\nlin"])
    whole = bert_tokenizer.token_to_id("berlin")
    assert encoding.ids[-1] == whole
    assert encoding.offsets[-1] == (3, 11)


@pytest.mark.parametrize("set_already", [False, True])
def test_what_is_set_on_the_tokenizer_stays_and_has_no_effect(
    bert_tokenizer: Tokenizer, set_already: bool
) -> None:
    given = Tokenizer.from_str(bert_tokenizer.to_str())
    given.enable_truncation(3)
    given.enable_padding(length=40)
    given.encode_special_tokens = set_already
    entrance = TextTokenizer(given)
    (encoding,) = entrance.tokenise(["a b c [SEP] d"])
    assert len(encoding.ids) == 7
    assert entrance.rows(["a b"], max_tokens=9) == [[2, *entrance.tokenise(["a b"])[0].ids, 3]]
    assert (given.truncation or {})["max_length"] == 3
    assert (given.padding or {})["length"] == 40
    assert given.encode_special_tokens is set_already


def test_copies_take_special_tokens_for_text_too(bert_tokenizer: Tokenizer) -> None:
    entrance, text = TextTokenizer(bert_tokenizer), "a [SEP] Ber-\nlin"
    expected = entrance.tokenise([text])[0].ids
    sent = pickle.loads(pickle.dumps(entrance))
    for copied in (copy.deepcopy(entrance), sent):
        assert copied.tokenise([text])[0].ids == expected
    assert 3 not in expected


def test_a_row_that_is_cut_ends_as_a_whole_one_does(bert_tokenizer: Tokenizer) -> None:
    entrance = TextTokenizer(bert_tokenizer)
    long, short = entrance.rows(["a a a a a a [SEP]", "a"], max_tokens=4)
    assert len(long) == 4
    assert (long[0], long[-1]) == (2, 3)
    assert len(short) == 3
    assert entrance.rows([], max_tokens=4) == []
    assert entrance.rows([""], max_tokens=4) == [[2, 3]]
