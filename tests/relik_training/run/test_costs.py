"""What a sample says of the whole."""

import pytest

from relik_training.run.costs import (
    expected_seconds,
    memory_growth,
    sample_documents,
    spread_out,
    straight_line,
)


def test_time_grows_with_the_tokens_and_not_from_nothing() -> None:
    tokens = [100, 200, 400]
    seconds = [0.5 + 0.01 * n for n in tokens]
    assert expected_seconds(tokens, seconds, 1000) == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    # More tokens that took less time; and a step of no tokens that would take less than none.
    [([3.0, 2.0, 1.0], 20 / 7), ([0.1, 1.0, 4.9], 20 / 7)],
)
def test_what_cannot_be_is_not_concluded(seconds: list[float], expected: float) -> None:
    found = expected_seconds([100, 200, 400], seconds, 333 + 1 / 3)
    assert found == pytest.approx(expected)


def test_steps_of_one_size_are_averaged() -> None:
    assert expected_seconds([50, 50], [1.0, 3.0], 100) == pytest.approx(4.0)
    assert expected_seconds([0, 0], [1.0, 3.0], 0) == pytest.approx(2.0)


def test_what_is_chosen_stands_for_all_sizes() -> None:
    values = [5, 1, 4, 2, 3, 6]
    assert [values[i] for i in spread_out(values, 3)] == [2, 4, 6]
    assert [values[i] for i in spread_out(values, 99)] == [1, 2, 3, 4, 5, 6]


def test_a_line_goes_on_but_never_down() -> None:
    assert straight_line((10, 3.0), (30, 5.0), 100) == pytest.approx(12.0)
    assert straight_line((10, 5.0), (30, 4.0), 100) == 4.0
    assert straight_line((10, 5.0), (10, 5.0), 10) == 5.0


def test_documents_are_drawn_whole() -> None:
    examples = [(document, window) for document in "abcdefgh" for window in range(3)]
    drawn = sample_documents(examples, 7, seed=1, document=lambda each: each[0])
    assert len(drawn) == 9
    assert drawn == sorted(drawn)
    assert all(sum(d == each for d, _ in drawn) == 3 for each, _ in drawn)
    assert drawn == sample_documents(examples, 7, seed=1, document=lambda each: each[0])
    assert drawn != sample_documents(examples, 7, seed=2, document=lambda each: each[0])
    assert sample_documents(examples, 24, seed=1, document=lambda each: each[0]) == examples


def test_memory_grows_with_the_logarithm_of_the_steps() -> None:
    assert [memory_growth(steps) for steps in (1, 14, 50)] == [1.0] * 3
    assert memory_growth(1000) == pytest.approx(1.6, abs=0.01)
    steps = memory_growth(1000) - memory_growth(500), memory_growth(500) - memory_growth(250)
    assert steps[0] == pytest.approx(steps[1])
