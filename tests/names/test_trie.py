"""Names as keys."""

import unicodedata
from pathlib import Path

import marisa_trie
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import BundleCorruptError
from relik.names.normalise import is_cased, normalise, tokenise_surface
from relik.names.trie import CASED, MATCH_FORMAT, PRIMARY, NameMatch, NameTrie
from relik.text import rejoined


def _trie(path: Path, entries: list[tuple[str, tuple[int, int, int]]]) -> NameTrie:
    marisa_trie.RecordTrie(MATCH_FORMAT, entries).save(str(path))
    return NameTrie.open(path)


@pytest.mark.parametrize(
    ("surface", "key"),
    [
        ("New  York\tCity", "new york city"),
        ("U.S.", "u s"),
        ("US", "us"),
        ("Barack_Obama", "barack obama"),
        ("O'Brien-Smith", "o brien smith"),
        ("Straße", "strasse"),
        ("ﬁne \uff21\uff22\uff23", "fine abc"),
        ("Poincare\u0301", "poincaré"),
        ("Poincaré", "poincaré"),
        ("İstanbul", "i̇stanbul"),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("Alex¬ andria", "alexandria"),
        ("New Or¬\nleans", "new orleans"),
        ("Donau\u00addampf\u00adschiff", "donaudampfschiff"),
        ("Massa-\n  chusetts", "massachusetts"),
        ("Massa-\nchusetts and Zürich", "massachusetts and zürich"),
        ("Anglo-\nSaxon", "anglo saxon"),
        ("\u00ad¬", ""),
        ("🌍!!", ""),
        ("", ""),
    ],
)
def test_surfaces_are_folded_to_words(surface: str, key: str) -> None:
    assert normalise(surface) == key


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Na¬ tions of Gene-\nva", "Na\u00ad\u00adtions of Gene\u00ad\u00adva"),
        ("Bel\u00adgium", "Bel\u00adgium"),
        ("Anglo-\nSaxon, pre- and post-war", "Anglo-\nSaxon, pre- and post-war"),
        ("¬ not, ¬p and q¬", "¬ not, ¬p and q¬"),
        ("", ""),
    ],
)
def test_divided_words_are_joined_by_what_tokenizers_leave_out(text: str, whole: str) -> None:
    assert rejoined(text) == whole


@given(st.text(alphabet="aZé¬\u00ad- \r\n漢"))
def test_joining_moves_no_letter(text: str) -> None:
    whole = rejoined(text)
    assert len(whole) == len(text)
    assert [at for at, char in enumerate(whole) if char.isalnum()] == [
        at for at, char in enumerate(text) if char.isalnum()
    ]
    assert normalise(whole) == normalise(text)


@given(st.text())
def test_offsets_index_the_text_as_given(text: str) -> None:
    last = 0
    for token, start, end in tokenise_surface(text):
        assert last <= start < end <= len(text)
        assert normalise(text[start:end]) == token
        last = end


@given(st.text(alphabet=st.characters(categories=["L", "N", "Z", "P", "M"])))
def test_letters_and_digits_are_never_lost(text: str) -> None:
    covered = {at for _, start, end in tokenise_surface(text) for at in range(start, end)}
    assert all(at in covered for at, char in enumerate(text) if char.isalnum())


@given(st.text(alphabet="éèàñöÅçAbc .-"))
def test_composition_and_case_do_not_change_a_key(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert normalise(decomposed) == normalise(text) == normalise(text.upper())


def test_a_capital_or_a_digit_makes_a_surface_cased() -> None:
    assert is_cased("iPhone")
    assert is_cased("route 66")
    assert not is_cased("universe")


def test_lookup_gives_the_most_frequent_first(tmp_path: Path) -> None:
    trie = _trie(
        tmp_path / "t", [("paris", (2, 5, 0)), ("paris", (0, 9, CASED)), ("rome", (1, 0, PRIMARY))]
    )
    assert trie.lookup("paris") == [NameMatch(0, 9, CASED), NameMatch(2, 5, 0)]
    assert trie.lookup("rome") == [NameMatch(1, 0, PRIMARY)]
    assert trie.lookup("par") == []


def test_prefixes_tell_whether_a_longer_name_exists(tmp_path: Path) -> None:
    trie = _trie(tmp_path / "t", [("new york city", (0, 0, 0))])
    assert trie.has_prefix("new york ")
    assert not trie.has_prefix("new yorker")
    assert not trie.has_prefix("new york city ")


def test_a_trie_without_names_is_empty(tmp_path: Path) -> None:
    trie = _trie(tmp_path / "t", [])
    assert trie.lookup("a") == []
    assert not trie.has_prefix("a")


def test_what_is_no_trie_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"no trie")
    with pytest.raises(BundleCorruptError, match="not a trie"):
        NameTrie.open(tmp_path / "t")
    with pytest.raises(BundleCorruptError, match="missing"):
        NameTrie.open(tmp_path / "missing")
