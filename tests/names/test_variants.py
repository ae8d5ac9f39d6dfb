"""Words reduced to what their forms share, and names found in other words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.language import open_language
from relik.names.normalise import normalise
from relik.names.trie import NameMatch
from relik.names.variants import (
    HEAD,
    KIND,
    SWAP,
    heads_names,
    is_content,
    is_name,
    names_kind,
    reduced,
    reduced_words,
    variant_key,
    variants,
)
from relik.testing import FakeNames

ENGLISH = open_language("en")
KIDNEY, BREAST, LIVER = range(3)


def names(**words: str) -> FakeNames:
    """Names of three records, and what is told of words."""
    called = {"kidney necrosis": KIDNEY, "breast cancer": BREAST, "cirrhosis": LIVER}
    keys = {variant_key(reduced_words(name.split(), ENGLISH)): row for name, row in called.items()}
    told = {f"{SWAP}{one} {other}": 0 for one, other in words.items()}
    return FakeNames({key: [NameMatch(row, 1, 0)] for key, row in {**keys, **told}.items()})


def rows(text: str, **words: str) -> list[int]:
    return [match.row for match in variants(names(**words), normalise(text).split(), ENGLISH)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tumour", "tumor"),
        ("tumours", "tumor"),
        ("anaemia", "anemia"),
        ("oedema", "edema"),
        ("diseases", "disease"),
        ("metastases", "metastasis"),
        ("dermatitides", "dermatitis"),
        ("carcinomata", "carcinoma"),
        ("neuropathies", "neuropathy"),
        ("reflexes", "reflex"),
        ("cancers", "cancer"),
    ],
)
def test_forms_of_a_word_are_reduced_alike(one: str, other: str) -> None:
    assert reduced(one, ENGLISH) == reduced(other, ENGLISH)


@pytest.mark.parametrize("word", ["as", "gas", "abscess", "virus", "ataxia", ""])
def test_what_is_no_plural_keeps_its_end(word: str) -> None:
    assert reduced(word, ENGLISH) == word


@given(st.lists(st.sampled_from(["cancer", "of", "the", "breast", "tumours", "2"])))
def test_order_does_not_matter(words: list[str]) -> None:
    assert variant_key(reduced_words(words, ENGLISH)) == variant_key(
        reduced_words(words[::-1], ENGLISH)
    )


@given(st.text(max_size=20))
def test_no_name_has_a_key_of_variants(name: str) -> None:
    assert is_name(normalise(name))
    assert not is_name(variant_key(reduced_words(normalise(name).split(), ENGLISH)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cancer of the breast", [BREAST]),
        ("Breast Cancers", [BREAST]),
        ("cirrhoses", [LIVER]),
        ("breast", []),
        ("of the", []),
        ("", []),
    ],
)
def test_a_name_is_found_in_another_order_and_number(text: str, found: list[int]) -> None:
    assert rows(text) == found


def test_one_word_may_be_another_that_means_the_same() -> None:
    assert rows("renal necrosis") == []
    assert rows("renal necroses", renal="kidney") == [KIDNEY]
    assert rows("renal", renal="kidney") == []
    assert rows("breast cancer", cancer="necrosis") == [BREAST]


def test_a_short_word_alone_is_no_variant() -> None:
    short = FakeNames({variant_key(("cas",)): [NameMatch(0, 1, 0)]})
    assert variants(short, ["cas"], ENGLISH) == []


def test_words_for_kinds_and_heads_are_told_in_any_number() -> None:
    kinds = FakeNames(
        {
            KIND + reduced("disease", ENGLISH): [NameMatch(0, 800, 0)],
            HEAD + "tumor": [NameMatch(0, 90, 0)],
        }
    )
    assert names_kind(kinds, "diseases", ENGLISH)
    assert not names_kind(kinds, "tumors", ENGLISH)
    assert heads_names(kinds, "tumours", ENGLISH)
    assert not heads_names(kinds, "fever", ENGLISH)


def test_a_language_without_a_file_reduces_no_word() -> None:
    german = open_language("de")
    assert reduced_words(["tumours", "of", "the", "breast"], german) == (
        "breast",
        "of",
        "the",
        "tumours",
    )
    assert is_content("of", german)
