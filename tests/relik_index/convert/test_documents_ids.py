"""Every record gets an id of its own, the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from relik.upstream.index.documents import Document  # the package needs torch
from relik_index.convert.documents import renamed_ids  # needs torch


def ids_of(given_ids: list[object]) -> list[str]:
    documents = [Document("text", one) for one in given_ids]  # type: ignore[arg-type]
    renamed = renamed_ids(
        documents, rows=len(documents), document=documents.__getitem__, progress=lambda n: None
    )
    return [renamed.get(row, str(document.id)) for row, document in enumerate(documents)]


def test_numbers_become_text_and_the_first_of_several_keeps_its_id() -> None:
    assert ids_of([5, "Q1", "5", 5, "Q1"]) == ["5", "Q1", "5#2", "5#3", "Q1#4"]


def test_a_made_id_is_not_one_that_is_there() -> None:
    assert ids_of(["a", "a", "a#1", "a#1#1"]) == ["a", "a#1#1#1", "a#1", "a#1#1"]


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["0", "1", "0#1", "0#2", "", "x"]))))
def test_ids_are_unique_and_the_first_of_each_is_kept(given_ids: list[object]) -> None:
    made = ids_of(given_ids)
    assert len(set(made)) == len(made)
    assert made == ids_of(given_ids)
    seen: set[str] = set()
    for own, one in zip(given_ids, made, strict=True):
        assert one == str(own) or str(own) in seen
        seen.add(str(own))
