"""Triples that no sentence states are no example of their relation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relik_training.data.statements import MAX_DISTANCE, triples_within_sentences


def _row(text: str, *names: str, triples: list[tuple[int, str, int]]) -> dict[str, Any]:
    """Mark names where they stand next; "Ada=Q1" has an id, and stands behind the one before."""
    spans, at = [], 0
    for name in names:
        surface, _, entity_id = name.partition("=")
        start = text.index(surface, at)
        at = start + len(surface)
        spans.append([start, at, entity_id or None, surface])
    return {"text": text, "spans": spans, "triples": triples}


def test_both_ends_stand_in_one_sentence() -> None:
    text = "Ada was born in Rome. Bob, her brother, lives in Oslo."
    row = _row(text, "Ada", "Rome", "Bob", "Oslo", triples=[(0, "P19", 1), (0, "P551", 3)])
    assert triples_within_sentences(row, {}) == [(0, "P19", 1)]
    row["triples"] = [(2, "P551", 3), (2, "P19", 1)]
    assert triples_within_sentences(row, {}) == [(2, "P551", 3)]


@pytest.mark.parametrize(
    "text",
    [
        "J. R. Ada of Rome",
        "Ada , see p. 5 , of Rome",
        "Ada (born 1815 in Rome)",
        "Ada at 5.30 in Rome",
        "Ada vs. rome and Rome",
    ],
)
def test_not_every_stop_ends_a_sentence(text: str) -> None:
    row = _row(text, "Ada", "Rome", triples=[(0, "P19", 1)])
    assert triples_within_sentences(row, {}) == [(0, "P19", 1)]


@pytest.mark.parametrize("end", [". ", "! ", " . ", '." ', ".) ", "\n", " (here). "])
def test_sentences_end_in_many_ways(end: str) -> None:
    row = _row(f"We met Ada then{end}So Rome", "Ada", "Rome", triples=[(0, "P19", 1)])
    assert triples_within_sentences(row, {}) == []


def test_the_closest_mentions_of_the_same_things_are_taken() -> None:
    text = "Ada left. Much later Ada, or A. B., came to Rome, and Rome it was."
    names = ("Ada=Q1", "Ada=Q1", "A. B.=Q1", "Rome=Q2", "Rome=Q2")
    row = _row(text, *names, triples=[(0, "P551", 4)])
    assert triples_within_sentences(row, {}) == [(2, "P551", 3)]
    row["spans"] = [[*span[:2], None, span[3], {"cluster": span[2]}] for span in row["spans"]]
    assert triples_within_sentences(row, {}) == [(2, "P551", 3)]
    # Without ids and clusters the text says what is the same.
    row["spans"] = [[*span[:2], None, span[3]] for span in row["spans"]]
    assert triples_within_sentences(row, {}) == [(1, "P551", 3)]


def test_a_long_sentence_says_little() -> None:
    for gap, kept in ((MAX_DISTANCE - 5, 1), (MAX_DISTANCE - 4, 0)):
        row = _row(f"Ada {'x' * gap} Rome", "Ada", "Rome", triples=[(0, "P19", 1)])
        assert len(triples_within_sentences(row, {})) == kept


def test_some_relations_need_a_word() -> None:
    text = "Spain and France are far. Spain Borders France. It borders a lot."
    names = ("Spain=a", "France=b", "Spain=a", "France=b")
    row = _row(text, *names, triples=[(0, "P47", 1), (0, "P530", 1)])
    # The closest pair decides; the second sentence has it a little further apart.
    assert triples_within_sentences(row, {"P47": "border adjacent"}) == [(0, "P530", 1)]
    row = _row(text[26:], "Spain", "France", triples=[(0, "P47", 1)])
    assert triples_within_sentences(row, {"P47": "adjacent border"}) == [(0, "P47", 1)]


def test_a_document_without_triples_has_none() -> None:
    assert triples_within_sentences({"text": "Ada", "spans": [[0, 3, "Q1", "Ada"]]}, {}) == []


@given(st.text(alphabet="aB. \n!é😀", max_size=60), st.data())
def test_what_is_kept_was_stated_of_the_same_things(text: str, data: st.DataObject) -> None:
    bounds = st.integers(0, len(text))
    spans = []
    for _ in range(data.draw(st.integers(2, 5))):
        start, end = sorted((data.draw(bounds), data.draw(bounds)))
        spans.append([start, end, data.draw(st.sampled_from(["a", "b", None])), text[start:end]])
    index = st.integers(0, len(spans) - 1)
    triples = data.draw(st.lists(st.tuples(index, st.just("P1"), index), max_size=4))
    kept = triples_within_sentences({"text": text, "spans": spans, "triples": triples}, {})

    def named(found: list[tuple[int, str, int]]) -> set[tuple[object, object]]:
        keys = [span[2] or ("text", span[3]) for span in spans]
        return {(keys[s], keys[o]) for s, _, o in found}

    assert named(kept) <= named(triples)
    assert len(kept) <= len(triples)
    assert all(s != o for s, _, o in kept)
