"""Names in windows: which are found, how they are told apart, and what other windows may change."""

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.language import open_language
from relik.names.resolve import NamePolicy
from relik.names.trie import CASED, PARTIAL, PRIMARY, NameMatch
from relik.names.variants import variant_key
from relik.retriever.lexical import NameHit, match_names
from relik.testing import FakeNames
from relik.types import Span, Window

PARIS, HILTON, TEXAS, ADA, BANK = range(5)
FULL = PRIMARY | CASED
NAMES: dict[str, list[NameMatch]] = {
    "paris": [NameMatch(PARIS, 90, FULL), NameMatch(HILTON, 4, PARTIAL | CASED)],
    "paris hilton": [NameMatch(HILTON, 30, FULL)],
    "hilton": [NameMatch(HILTON, 9, PARTIAL | CASED)],
    "paris texas": [NameMatch(TEXAS, 5, FULL)],
    "ada lovelace": [NameMatch(ADA, 7, FULL)],
    "ada": [NameMatch(ADA, 2, CASED)],
    "bank": [NameMatch(BANK, 3, PRIMARY)],
    "bank of paris and texas": [NameMatch(TEXAS, 1, FULL)],
}


class Kb:
    """Names and link counts in dictionaries."""

    def __init__(
        self,
        names: Mapping[str, Sequence[NameMatch]] = NAMES,
        *,
        counts: Mapping[int, int] | None = None,
        terms: bool = False,
    ) -> None:
        self.names = FakeNames(names)
        self.policy = NamePolicy(language=open_language("en"), terms=terms)
        self._counts = counts or {}

    def count(self, row: int) -> int:
        return self._counts.get(row, 0)

    def row_of(self, entity_id: str) -> int | None:
        raise AssertionError("ids are not asked for")


def _window(text: str, *, doc_id: str = "d", index: int = 0) -> Window:
    return Window(doc_id=doc_id, index=index, span=Span(0, max(1, len(text))), text=text)


def _match(*texts: str, names: Mapping[str, list[NameMatch]] = NAMES) -> list[dict[int, NameHit]]:
    """Match windows of one document."""
    windows = [_window(text, index=index) for index, text in enumerate(texts)]
    found = match_names(Kb(names), windows)
    assert all([hit.row for hit in hits] == sorted({hit.row for hit in hits}) for hits in found)
    return [{hit.row: hit for hit in hits} for hits in found]


def test_a_name_is_found_whatever_stands_around_it() -> None:
    (hits,) = _match('(see "Ada-Lovelace", 1843)')
    assert set(hits) == {ADA}
    assert not hits[ADA].partial
    assert not hits[ADA].nested


def test_a_name_is_found_whole_words_only() -> None:
    assert _match("Parisienne bankers adapt") == [{}]


def test_a_plural_or_an_adjective_of_a_place_is_found_as_a_part() -> None:
    (hits,) = _match("Parisian cafes")
    assert hits[PARIS].partial
    assert _match("Did Bob like parisian cafes") == [{}]


def test_a_name_inside_a_longer_one_is_nested() -> None:
    (hits,) = _match("Paris Hilton")
    assert hits[PARIS].nested
    assert not hits[HILTON].nested
    assert not hits[HILTON].partial


def test_a_name_that_also_stands_alone_is_not_nested() -> None:
    (hits,) = _match("Paris Hilton in Paris")
    assert not hits[PARIS].nested


def test_a_name_may_begin_within_another() -> None:
    (hits,) = _match("bank of Paris Hilton", names=NAMES)
    assert not hits[HILTON].nested
    assert not hits[BANK].nested


def test_the_longest_name_wins_over_all_it_holds() -> None:
    (hits,) = _match("the Bank of Paris and Texas")
    assert (hits[TEXAS].nested, hits[PARIS].nested, hits[BANK].nested) == (False, True, True)


def test_part_of_a_name_is_told_from_a_whole_one() -> None:
    (hits,) = _match("Hilton")
    assert hits[HILTON].partial


def test_the_full_name_elsewhere_makes_a_part_known() -> None:
    first, second = _match("Paris Hilton came", "then Hilton left")
    assert second[HILTON].partial
    assert first[HILTON].known
    assert second[HILTON].known


def test_a_name_of_one_word_makes_nothing_known() -> None:
    assert not _match("Paris")[0][PARIS].known


def test_a_cased_name_is_not_found_in_lower_case() -> None:
    assert _match("Did Bob like paris and ada") == [{}]
    assert BANK in _match("The bank")[0]


def test_a_plural_in_lower_case_is_found_beside_a_proper_name() -> None:
    names = {"joules": [NameMatch(PARIS, 1, PRIMARY)], "joule": [NameMatch(BANK, 0, PRIMARY)]}
    (hits,) = _match("Some joules", names=names)
    assert (hits[PARIS].partial, hits[BANK].partial) == (False, True)
    assert set(_match("Joules", names=names)[0]) == {PARIS}


@pytest.mark.parametrize(
    "text",
    [
        "i like paris",
        "I like paris, LOL",
        'Just saw paris. Was it lovely? "Sure."',
        "... Why paris",
        "my iPhone is in paris",
    ],
)
def test_text_that_gives_names_no_capitals_has_its_names_found(text: str) -> None:
    assert PARIS in _match(text)[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ada's, p.s.", False),
        ("P.S. Mr. S. Ada", False),
        ("team S won", True),
        ("3, 10 of 24", False),
        ("\u0663 of Ada", False),
        ("by 007", True),
    ],
)
def test_digits_and_initials_name_nothing(text: str, found: bool) -> None:
    names = {key: [NameMatch(BANK, 3, PRIMARY)] for key in ("s", "3", "10", "\u0663", "007")}
    assert (BANK in _match(text, names=names)[0]) is found


def test_names_of_several_words_may_have_them() -> None:
    names = {"7 s": [NameMatch(PARIS, 3, PRIMARY)]}
    assert set(_match("at 7 s", names=names)[0]) == {PARIS}


def test_a_long_lower_case_name_is_found_beside_capitals() -> None:
    assert TEXAS in _match("The bank of paris and texas")[0]


def test_the_prior_is_the_share_of_uses() -> None:
    names = {"paris": [NameMatch(PARIS, 90, FULL), NameMatch(TEXAS, 10, CASED)]}
    (hits,) = _match("Paris", names=names)
    assert math.isclose(sum(math.exp(hit.log_prior) for hit in hits.values()), 1.0)
    assert math.isclose(math.exp(hits[PARIS].log_prior), 0.9, abs_tol=0.01)


def test_names_without_counts_share_evenly_and_links_decide() -> None:
    names = {"x": [NameMatch(0, 0, FULL), NameMatch(1, 0, FULL)]}
    first, second = match_names(Kb(names, counts={1: 500}), [_window("X")])[0]
    assert second.log_prior > first.log_prior


def test_one_name_of_many_records_gives_only_its_most_frequent() -> None:
    names = {"x": [NameMatch(row, row, FULL) for row in range(200)]}
    (hits,) = _match("X", names=names)
    assert set(hits) == set(range(200 - len(hits), 200))
    assert len(hits) < 50


def test_documents_are_kept_apart_even_with_equal_ids() -> None:
    windows = [_window("Paris Hilton"), _window("Hilton"), _window("Hilton", index=1)]
    hits = match_names(Kb(), windows)
    assert [{hit.row: hit.known for hit in found}.get(HILTON) for found in hits] == [
        True,
        False,
        False,
    ]


def test_no_text_has_no_names() -> None:
    assert _match("") == [{}]
    assert match_names(Kb(), []) == []


TEXTS = st.lists(
    st.lists(
        st.sampled_from(["Paris", "Hilton", "paris", "Ada", "Lovelace", "bank", "of", "and", "日"]),
        max_size=8,
    ).map(" ".join),
    min_size=1,
    max_size=3,
)


@given(documents=st.lists(TEXTS, min_size=1, max_size=4))
def test_a_document_is_matched_as_if_it_were_alone(documents: Sequence[Sequence[str]]) -> None:
    split = [[_window(text, index=i) for i, text in enumerate(texts)] for texts in documents]
    together = match_names(Kb(), [window for windows in split for window in windows])
    assert together == [hits for windows in split for hits in match_names(Kb(), windows)]
    assert all(hit.log_prior <= 0 for hits in together for hit in hits)


def test_adjectives_of_terms_propose_their_record_where_names_are_terms() -> None:
    names = {"hypotension": [NameMatch(row=4, count=0, flags=PRIMARY)]}
    window = [_window("She was hypotensive.")]
    assert match_names(Kb(names), window) == [[]]
    (hits,) = match_names(Kb(names, terms=True), window)
    assert [hit.row for hit in hits] == [4]


def test_what_a_name_is_an_adjective_of_is_proposed_too_by_its_whole_names_alone() -> None:
    names = {
        "palestinian": [NameMatch(row=0, count=1, flags=CASED)],
        "palestine": [
            NameMatch(row=1, count=5, flags=PRIMARY | CASED),
            NameMatch(row=2, count=0, flags=PARTIAL | CASED),
        ],
    }
    (hits,) = _match("A Palestinian poet", names=names)
    assert [(row, hit.partial) for row, hit in hits.items()] == [(0, False), (1, True)]


def test_people_of_a_place_propose_it_though_their_word_is_a_name() -> None:
    names = {
        "palestinian": [NameMatch(row=0, count=1, flags=CASED)],
        "palestine": [
            NameMatch(row=1, count=5, flags=PRIMARY | CASED),
            NameMatch(row=0, count=0, flags=CASED),
            NameMatch(row=2, count=0, flags=PARTIAL | CASED),
        ],
    }
    (hits,) = _match("the Palestinians", names=names)
    assert [(row, hit.partial) for row, hit in hits.items()] == [(0, True), (1, True)]
    assert hits[0].name == "palestinian"


def test_terms_in_other_words_are_proposed_as_parts_where_names_are_terms() -> None:
    names = {
        "kidney cancer": [NameMatch(ADA, 0, PRIMARY)],
        variant_key(("cancer", "kidney")): [NameMatch(ADA, 0, PRIMARY)],
    }
    window = _window("a kidney cancer", index=0), _window("cancers of the kidney", index=1)
    told = match_names(Kb(names, terms=True), window)
    assert [[(hit.row, hit.partial, hit.name) for hit in hits] for hits in told] == [
        [(ADA, False, "kidney cancer")],
        [(ADA, True, "cancers of the kidney")],
    ]
    assert match_names(Kb(names), window)[1] == []
