"""Shares of surface forms among records: hand-counted, and bounded for any counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.names.resolve import resolve
from relik.names.trie import PRIMARY, NameMatch
from relik.names.variants import variant_key
from relik.reader.rules.priors import (
    FLOOR,
    NIL_PRIOR,
    SOLE_FLOOR,
    SOLE_NIL_PRIOR,
    log_priors,
)
from relik.testing import FakeKnowledgeBase, FakeNames
from relik.types import Entity


def knowledge(counts: dict[tuple[str, str], int]) -> FakeKnowledgeBase:
    entities = [
        Entity(entity_id="Q1", name="Paris"),
        Entity(entity_id="Q2", name="Paris Hilton", aliases=("Paris",)),
        Entity(entity_id="Q3", name="Lyon"),
    ]
    return FakeKnowledgeBase(entities, counts=counts)


def name_shares(kb: FakeKnowledgeBase, surface: str) -> dict[int, float]:
    return {sense.row: sense.share for sense in resolve(kb, surface)}


def test_a_more_frequent_meaning_has_the_larger_share() -> None:
    shares = name_shares(knowledge({("Paris", "Q1"): 90, ("Paris", "Q2"): 10}), "Paris")
    assert set(shares) == {0, 1}
    assert shares[0] == pytest.approx(0.9, abs=0.02)


def test_case_and_spacing_do_not_matter() -> None:
    kb = knowledge({})
    assert name_shares(kb, "  PARIS\n") == name_shares(kb, "Paris")


def test_an_unknown_surface_says_nothing() -> None:
    assert log_priors(knowledge({}), "Atlantis", [0, 1, 2]).of_rows.tolist() == [0.0, 0.0, 0.0]


def test_a_candidate_without_the_name_gets_the_floor() -> None:
    told = log_priors(knowledge({}), "Paris", [0, 2])
    priors, nil = told.of_rows, told.of_nil
    assert nil == NIL_PRIOR
    assert priors[1] == pytest.approx(np.log(FLOOR))
    assert priors[0] > priors[1]


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_shares_sum_to_one_and_priors_stay_in_range(one: int, other: int) -> None:
    kb = knowledge({("Paris", "Q1"): one, ("Paris", "Q2"): other})
    assert sum(name_shares(kb, "Paris").values()) == pytest.approx(1.0)
    priors = log_priors(kb, "Paris", [0, 1, 2]).of_rows
    assert (priors <= 0).all()
    assert (priors >= np.log(FLOOR) - 1e-6).all()


def test_a_name_with_a_capital_counts_little_in_lower_case() -> None:
    entities = [
        Entity(entity_id="Q1", name="Sugar", description="company"),
        Entity(entity_id="Q2", name="sucrose", aliases=("sugar",)),
    ]
    kb = FakeKnowledgeBase(entities, counts={})
    shares = {form: name_shares(kb, form) for form in ("Sugar", "sugar")}
    assert shares["Sugar"][0] > shares["Sugar"][1]
    assert shares["sugar"][0] < shares["sugar"][1]


def test_a_plural_has_the_names_of_its_stem() -> None:
    entities = [Entity(entity_id="Q1", name="Joules"), Entity(entity_id="Q2", name="joule")]
    kb = FakeKnowledgeBase(entities, counts={})
    assert set(name_shares(kb, "joules")) == {0, 1}
    assert set(name_shares(kb, "Joules")) == {0}
    assert set(name_shares(FakeKnowledgeBase(entities[1:], counts={}), "Joules")) == {0}


def test_a_name_that_is_an_adjective_of_a_place_may_mean_the_place_less_often() -> None:
    entities = [Entity(entity_id="Q1", name="Bosnian"), Entity(entity_id="Q2", name="Bosnia")]
    shares = name_shares(FakeKnowledgeBase(entities, counts={}), "Bosnian")
    assert set(shares) == {0, 1}
    assert shares[0] > shares[1]


def test_people_of_a_place_may_mean_the_place_though_their_word_is_a_name() -> None:
    entities = [Entity(entity_id="Q1", name="Bosnian"), Entity(entity_id="Q2", name="Bosnia")]
    assert set(name_shares(FakeKnowledgeBase(entities, counts={}), "Bosnians")) == {0, 1}


def test_a_name_of_one_record_alone_leaves_the_others_less() -> None:
    priors = log_priors(knowledge({}), "Lyon", [0, 2]).of_rows
    assert priors.tolist() == pytest.approx([np.log(SOLE_FLOOR), 0.0])


def test_a_long_name_of_one_candidate_seldom_means_something_unknown() -> None:
    kb = knowledge({})
    assert log_priors(kb, "Paris Hilton", [1, 2]).of_nil == SOLE_NIL_PRIOR
    # Who has the name is no candidate: whatever else is one, nothing may be meant.
    assert log_priors(kb, "Paris Hilton", [2]).of_nil == NIL_PRIOR
    assert log_priors(kb, "Lyon", [1, 2]).of_nil == NIL_PRIOR
    assert log_priors(kb, "Atlantis", [1, 2]).of_nil == 0.0


def test_a_term_in_other_words_has_the_share_of_its_name() -> None:
    entities = [
        Entity(entity_id="A", name="Breast Cancer"),
        Entity(entity_id="B", name="\x1f breast cancer"),
    ]
    kb = FakeKnowledgeBase(entities, any_case=True)
    kb.names = FakeNames({variant_key(("breast", "cancer")): [NameMatch(0, 1, PRIMARY)]})
    assert name_shares(kb, "cancer of the breast") == {0: 1.0}
    proper = FakeKnowledgeBase(entities)
    proper.names = kb.names
    assert name_shares(proper, "cancer of the breast") == {}
