"""The F1 of a reader in training is that of the best threshold, over what is annotated."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("transformers")

from relik_training.reader.reader_scores import best_f1


def test_the_best_threshold_is_taken() -> None:
    judged = [(0.9, True), (0.8, False), (0.7, True), (0.2, False), (0.1, False)]
    f1, score = best_f1(judged, 2)
    assert f1 == pytest.approx(2 * 2 / (3 + 2))
    assert score == pytest.approx(0.7)


def test_equal_scores_are_kept_together() -> None:
    f1, score = best_f1([(0.5, True), (0.5, False), (0.5, False)], 1)
    assert f1 == pytest.approx(2 * 1 / (3 + 1))
    assert score == pytest.approx(0.5)


def test_nothing_found_or_nothing_to_find_is_zero() -> None:
    assert best_f1([], 3)[0] == 0.0
    assert best_f1([(0.5, False)], 0)[0] == 0.0
