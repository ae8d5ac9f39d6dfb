import pytest

from relik.evaluation.metrics import Counts, accuracy, precision_recall_f1, recall_at


def test_scores_are_summed_over_documents_before_they_are_divided() -> None:
    rated = precision_recall_f1([Counts(right=3, wrong=1), Counts(right=0, wrong=0, missed=3)])
    assert (rated["precision"], rated["recall"]) == (0.75, 0.5)
    assert rated["f1"] == 0.6
    assert rated["counts"] == {"right": 3, "wrong": 1, "missed": 3}


def test_the_interval_holds_the_figure_and_is_repeatable() -> None:
    documents = [Counts(right=i % 3, wrong=i % 2, missed=1) for i in range(60)]
    rated = precision_recall_f1(documents)
    interval = rated["ci95"]
    assert isinstance(interval, list)
    low, high = interval
    assert low < rated["f1"] < high
    assert precision_recall_f1(documents) == rated


def test_equal_documents_have_an_interval_without_width() -> None:
    assert precision_recall_f1([Counts(right=1, wrong=1)] * 20)["ci95"] == [0.6667, 0.6667]


@pytest.mark.parametrize("documents", [[], [Counts()]])
def test_nothing_to_find_rates_zero(documents: list[Counts]) -> None:
    assert precision_recall_f1(documents)["f1"] == 0.0
    assert accuracy(documents)["f1"] == 0.0


def test_accuracy_has_the_shape_of_f1() -> None:
    rated = accuracy([Counts(right=3, wrong=1)])
    assert rated["precision"] == rated["recall"] == rated["f1"] == 0.75


def test_recall_is_reported_at_each_cutoff() -> None:
    rated = recall_at([[1, 2], [0, 2]], [2, 2], cutoffs=[1, 5])
    assert rated["recall_at"] == {"1": 0.25, "5": 1.0}
    assert rated["counts"] == {"pairs": 4}
    assert recall_at([], [], cutoffs=[1])["recall_at"] == {"1": 0.0}
