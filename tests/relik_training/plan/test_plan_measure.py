"""Values are as large as what they are made of."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from relik_training.plan.plan_measure import held_bytes


@dataclass(frozen=True, slots=True)
class Pair:
    array: np.ndarray
    text: str


def test_what_a_value_refers_to_counts_once() -> None:
    array = np.zeros(1_000_000, dtype=np.uint8)
    once = held_bytes([Pair(array, "a")])
    assert once == pytest.approx(1_000_000, rel=0.01)
    assert held_bytes([Pair(array, "a"), Pair(array, "b")]) == pytest.approx(once, rel=0.01)
    assert held_bytes([Pair(array, "a")], without=[array]) < 1000


def test_views_count_what_they_show() -> None:
    array = np.zeros((1000, 1000), dtype=np.uint8)
    assert held_bytes(array[:500]) == pytest.approx(500_000, rel=0.01)


_GROWN = """
import os
from relik_training.plan.plan_measure import held_bytes
from relik_training.run.run_clock import resident_bytes
before = resident_bytes()
values = [os.urandom(100) for _ in range(200_000)]
print(held_bytes(values), resident_bytes() - before)
"""


def test_many_small_values_are_counted_as_the_allocator_does() -> None:
    # In a process of its own: here memory that other tests gave back would be used first.
    done = subprocess.run(
        [sys.executable, "-c", _GROWN], check=True, capture_output=True, text=True
    )
    held, grown = map(int, done.stdout.split())
    assert held == pytest.approx(grown, rel=0.25)
