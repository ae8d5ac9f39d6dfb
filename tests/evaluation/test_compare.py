import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik.errors import InputError
from relik.evaluation.compare import (
    Ratios,
    accuracy_ratios,
    compare,
    differences,
    match_ratios,
    recall_ratios,
)
from relik.evaluation.metrics import Bootstrap, Counts, accuracy, precision_recall_f1, recall_at

QUICK = Bootstrap(resamples=60, seed=1)
COUNTS = st.builds(
    Counts, right=st.integers(0, 4), wrong=st.integers(0, 4), missed=st.integers(0, 4)
)
PAIRS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=12)


def totals(ratios: Ratios) -> dict[str, float]:
    parts, wholes = ratios.parts.sum(axis=0), ratios.wholes.sum(axis=0)
    return {
        name: round(float(part / whole), 4) if whole else 0.0
        for name, part, whole in zip(ratios.names, parts, wholes, strict=True)
    }


def rows(found: dict[str, object]) -> dict[str, tuple[float, float, float, float]]:
    return {each.name: (each.delta, each.low, each.high, each.p) for each in differences(found)}


@given(documents=st.lists(COUNTS, min_size=1, max_size=12))
def test_a_system_does_not_differ_from_itself(documents: list[Counts]) -> None:
    ratios = match_ratios(documents)
    assert set(rows(compare(ratios, ratios, bootstrap=QUICK)).values()) == {(0.0, 0.0, 0.0, 1.0)}


@given(pairs=PAIRS)
def test_swapping_the_systems_flips_the_sign(pairs: list[tuple[Counts, Counts]]) -> None:
    a, b = (match_ratios([pair[i] for pair in pairs]) for i in range(2))
    one, other = (rows(compare(*pair, bootstrap=QUICK)) for pair in ((a, b), (b, a)))
    for name, (delta, low, high, p) in one.items():
        assert other[name] == pytest.approx((-delta, -high, -low, p), abs=1.1e-4)
        assert other[name][0] == -delta
        assert other[name][3] == p


@given(pairs=PAIRS)
def test_a_difference_is_that_of_the_figures(pairs: list[tuple[Counts, Counts]]) -> None:
    a, b = ([pair[i] for pair in pairs] for i in range(2))
    found = rows(compare(match_ratios(a), match_ratios(b), bootstrap=QUICK))
    one, other = precision_recall_f1(a), precision_recall_f1(b)
    for name, (delta, low, high, p) in found.items():
        assert delta == pytest.approx(float(str(one[name])) - float(str(other[name])), abs=1.1e-4)
        assert -1 <= low <= high <= 1
        assert 0 <= p <= 1


def test_a_steady_difference_is_no_chance_and_an_even_one_is() -> None:
    right, wrong = Counts(right=1), Counts(wrong=1, missed=1)
    steady = compare(match_ratios([right] * 20), match_ratios([wrong] * 20), bootstrap=QUICK)
    assert steady["f1"] == {"delta": 1.0, "ci95": [1.0, 1.0], "p": 0.0}
    even = compare(
        match_ratios([right, wrong] * 10), match_ratios([wrong, right] * 10), bootstrap=QUICK
    )
    assert rows(even)["f1"][0] == 0.0
    assert rows(even)["f1"][3] == 1.0


def test_documents_are_drawn_for_both_together() -> None:
    # Documents differ much and the systems by one item each: only a paired draw can tell.
    a = [Counts(right=10 * i + 1, missed=500 - 10 * i) for i in range(50)]
    b = [Counts(right=10 * i, missed=501 - 10 * i) for i in range(50)]
    delta, low, high, p = rows(compare(match_ratios(a), match_ratios(b), bootstrap=Bootstrap()))[
        "recall"
    ]
    assert (delta, p) == (0.002, 0.0)
    assert high - low < 1e-3


@given(documents=st.lists(COUNTS, max_size=8))
def test_ratios_add_up_to_the_figures(documents: list[Counts]) -> None:
    rated, right = precision_recall_f1(documents), accuracy(documents)
    assert totals(match_ratios(documents)) == {
        name: rated[name] for name in ("f1", "precision", "recall")
    }
    assert set(totals(accuracy_ratios(documents)).values()) == {right["f1"]}


def test_recall_is_compared_at_each_cutoff() -> None:
    hits, found = [[1, 2], [0, 2]], [2, 2]
    ratios = recall_ratios(hits, found, cutoffs=[1, 5])
    assert totals(ratios) == recall_at(hits, found, cutoffs=[1, 5])["recall_at"]
    none = recall_ratios([[0, 0], [0, 0]], [3, 0], cutoffs=[1, 5])
    assert rows(compare(ratios, none, bootstrap=QUICK))["5"] == (1.0, 1.0, 1.0, 0.0)


def test_other_documents_or_figures_are_refused() -> None:
    one, two = (match_ratios([Counts(right=1)] * n) for n in (1, 2))
    with pytest.raises(InputError, match="the same documents"):
        compare(one, two, bootstrap=QUICK)
    other = Ratios(names=("x", "y", "z"), parts=np.ones((1, 3)), wholes=np.ones((1, 3)))
    with pytest.raises(InputError, match="the same documents"):
        compare(one, other, bootstrap=QUICK)


def test_a_p_value_says_no_more_than_its_resamples_can() -> None:
    found = {"delta": 0.1, "ci95": [0.0, 0.2], "p": 0.0}
    (nested,) = differences({"with_nil": {"f1": found}})
    assert nested.name == "with_nil f1"
    assert nested.p_text(1000) == "< 0.002"
    (sure,) = differences({"f1": found | {"p": 0.5}})
    assert sure.p_text(1000) == "0.500"
