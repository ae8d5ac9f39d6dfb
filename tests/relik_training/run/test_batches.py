"""Batches depend on the seed and the step alone, and leave no example out."""

from hypothesis import given
from hypothesis import strategies as st

from relik_training.run.batches import StepBatches, plan_batches

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 7), st.integers(1, 30), st.integers(0, 3))
def test_a_longer_plan_begins_as_a_shorter_one(
    lengths: list[int], batch_size: int, steps: int, seed: int
) -> None:
    plan = plan_batches(lengths, batch_size, steps, seed=seed)
    assert len(plan) == steps
    assert plan == plan_batches(lengths, batch_size, steps + 5, seed=seed)[:steps]


@given(LENGTHS, st.integers(1, 7), st.integers(0, 3))
def test_an_epoch_has_every_example_once_but_for_the_rest_of_a_batch(
    lengths: list[int], batch_size: int, seed: int
) -> None:
    steps = max(1, len(lengths) // batch_size)
    plan = plan_batches(lengths, batch_size, steps, seed=seed)
    used = [i for batch in plan for i in batch]
    assert len(used) == len(set(used))
    assert len(lengths) - len(used) < batch_size


def test_every_example_is_used_within_a_few_epochs() -> None:
    plan = plan_batches([3] * 10, 4, 20, seed=1)
    assert {i for batch in plan for i in batch} == set(range(10))


def test_an_example_comes_as_often_as_it_is_to_be_repeated() -> None:
    plan = plan_batches([3, 3, 3], 2, 3, seed=1, repeats=[1, 2, 3])
    used = [i for batch in plan for i in batch]
    assert sorted(used) == [0, 1, 1, 2, 2, 2]


def test_other_seeds_give_other_plans() -> None:
    assert plan_batches([1] * 50, 5, 10, seed=1) != plan_batches([1] * 50, 5, 10, seed=2)


def test_a_batch_has_examples_of_about_one_length() -> None:
    lengths = [i % 10 for i in range(100)]
    plan = plan_batches(lengths, 10, 10, seed=1)
    assert all(len({lengths[i] for i in batch}) == 1 for batch in plan)


def test_batches_begin_at_the_step_of_the_moment_they_are_asked_for() -> None:
    begin = [0]
    batches = StepBatches(lambda step: step * 10, 5, lambda: begin[0])
    assert list(batches) == [0, 10, 20, 30, 40]
    begin[0] = 3
    assert list(batches) == [30, 40]
